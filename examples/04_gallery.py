"""Ten sentences said by the language model: wavs, spectrograms, and its own transcripts of them.

    pip install packages/mingtok-audio packages/uniaudio-lm matplotlib     # in a clone
    python examples/04_gallery.py [-o out/gallery] [--model nano] [--speaker NAME]

`transcripts.tsv` beside them holds, for every sentence, why the model ended, what was to be said,
and what the same model understood when it listened.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mingtok_audio import save_audio
from mingtok_audio.trainer.record import spectrogram_png
from uniaudio_lm import UniAudio

SENTENCES = (
    "Good morning, how are you today?",
    "The train leaves at half past seven from the main station.",
    "She opened the window and listened to the rain.",
    "There were twenty people in the room, and nobody spoke.",
    "Please put the books back on the shelf when you are done.",
    "He had never seen so many birds in one place.",
    "The old bridge was closed for the winter.",
    "We could walk along the river, or we could stay here.",
    "Nothing is more pleasant than a quiet evening at home.",
    "Thank you for your letter of the third of May.",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("out/gallery"))
    parser.add_argument("--model", default="nano")
    parser.add_argument("--speaker", help="a speaker of the model (uniaudio voices)")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    model = UniAudio.from_pretrained(options.model)
    lines = []
    speeches = model.synthesize_batch(list(SENTENCES), [options.speaker] * len(SENTENCES))
    for number, (sentence, speech) in enumerate(zip(SENTENCES, speeches, strict=True)):
        path = options.output / f"{number:02d}.wav"
        wav = speech.wav.numpy()
        save_audio(path, wav, speech.sample_rate)
        spectrogram_png(wav, speech.sample_rate, path.with_suffix(".png"), sentence)
        heard = model.transcribe(wav, speech.sample_rate).text
        lines.append(f"{path.name}\t{speech.stop_reason}\t{sentence}\t{heard}\n")
        print(lines[-1], end="")
    (options.output / "transcripts.tsv").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
