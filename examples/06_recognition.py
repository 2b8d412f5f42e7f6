"""Write down a recording, with the time of each word.

python examples/06_recognition.py examples/data/librivox_0880.wav
"""

from __future__ import annotations

import sys

from mingtok_audio import load_audio
from uniaudio_lm import UniAudio
from uniaudio_lm.parts.aligners.loading import load_aligner


def main(source: str) -> None:
    model = UniAudio.from_pretrained("nano")
    model.use_aligner(load_aligner(tokenizer=model.tokenizer))
    found = model.transcribe(*load_audio(source))
    print(found.text)
    for word in found.words or ():
        print(f"{word.start:6.2f} {word.end:6.2f}  {word.text}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
