"""Texts for recordings that have none: Whisper base's, where tiny.en agrees.

    python label.py MANIFEST_FOLDER TINY_FOLDER BASE_FOLDER OUTPUT.json [--split train]

OUTPUT holds {clip id: text}. A text is kept where tiny.en differs in at most one word of five and
nobody would have to speak five words a second. `evaluate.py --reference` takes the same file, made
with `--split valid --split test`, for LibriSpeech's speakers.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from evaluate import RATE, Recordings, errors, words
from faster_whisper import WhisperModel

LEFT_OUT = ("wake-word", "Precise")  # single words, which no language model can check


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", type=Path, help="folder with manifest.jsonl")
    parser.add_argument("tiny", type=Path)
    parser.add_argument("base", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--split", action="append", help="train by default; repeatable")
    parser.add_argument("--limit", type=int, help="clips, at most")
    given = parser.parse_args()
    recordings = Recordings(given.recordings, None, None)
    models = [
        WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)
        for folder in (given.tiny, given.base)
    ]
    rows = [
        row
        for row in recordings.rows
        if row["split"] in (given.split or ["train"])
        and row["language"] == "en"
        and not row["text"]
        and 0.7 < row["seconds"] < 28
        and not any(name in row["source"] for name in LEFT_OUT)
    ][: given.limit]
    kept: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        wav = recordings.wav(row)
        tiny, base = (
            "".join(
                segment.text
                for segment in model.transcribe(
                    wav, language="en", beam_size=1, temperature=0.0, without_timestamps=True
                )[0]
            ).strip()
            for model in models
        )
        said = words(base)
        agree = errors(said, words(tiny)) <= 0.2 * len(said)
        if len(said) >= 2 and len(said) < 5 * len(wav) / RATE + 2 and agree:
            kept[row["id"]] = base
        if number % 100 == 0 or number == len(rows):
            given.output.write_text(json.dumps(kept))
            print(f"{number} of {len(rows)}, {len(kept)} kept", flush=True)


if __name__ == "__main__":
    main()
