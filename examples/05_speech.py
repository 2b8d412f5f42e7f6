"""Say a text, with the model's voice or with that of a recording, as a stream.

python examples/05_speech.py "The weather was good all day." said.wav
"""

from __future__ import annotations

import sys

import numpy as np

from mingtok_audio import save_audio
from uniaudio_lm import UniAudio


def main(text: str, target: str) -> None:
    model = UniAudio.from_pretrained("nano")
    stream = model.synthesize_stream(text, seed=0)
    parts = []
    for samples in stream:  # the first arrive long before the text is said to its end
        parts.append(np.asarray(samples))
    save_audio(target, np.concatenate(parts), stream.sample_rate)
    print(f"{target}: {stream.patches} patches, ended by {stream.stop_reason}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
