"""The editor's outputs for an edit set of `audio-eval build`, ready to be scored.

    python benchmarks/edit_heldout.py SET -o OUT [--times .judges/whisper-tiny.en]
    audio-eval score edit_semantic --refs OUT/items.jsonl --hyps OUT/outputs -o OUT/results

The text of each recording is given (as with `uniaudio edit --text`; `--heard` leaves it to the
model's recognition), and the instruction as the set words it. `--times` takes word times from a
Whisper folder (CTranslate2); it should not be the recogniser that scores; without it the editor's
aligner finds them (`--aligner`). OUT/items.jsonl is the set's list with the receipts of the
outputs, which `preservation`, `boundary_click` and `receipt` read. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from mingtok_audio.core.errors import UserError
from uniaudio_edit.editor import Editor
from uniaudio_edit.interfaces import Word
from uniaudio_edit.pcm import read_recording
from uniaudio_edit.text import Text


def word_times(folder: Path | None) -> Any:
    """(recording, text) -> words with times by a recogniser; None where nobody is asked."""
    if folder is None:
        return lambda _path, _text: None
    from audio_eval.build.align import TranscriptTimes, whisper_words

    times = TranscriptTimes(whisper_words(folder))

    def made(path: Path, text: str) -> list[Word] | None:
        parsed = Text(text)
        units = [unit.text for unit in parsed.units]
        seconds = read_recording(path).seconds
        found = times(path, units, parsed.language, seconds)  # type: ignore[arg-type]
        # Words without a length (a recogniser that squeezes two into one) get 10 ms.
        return [Word(u, a, max(b, a + 0.01)) for u, (a, b) in zip(units, found, strict=True)]

    return made


def main() -> None:
    """Edit every item."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path, help="folder of audio-eval build")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--times", type=Path, help="Whisper folder that gives word times")
    parser.add_argument("--aligner", default="", help="aligner that gives them, if not --times")
    parser.add_argument("--heard", action="store_true", help="the editor recognises the text")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--model", default="nano", help="recognises the text and speaks new words")
    options = parser.parse_args()
    times, editor = (
        word_times(options.times),
        Editor(backend=options.backend, aligner=options.aligner, model=options.model),
    )
    outputs = options.output / "outputs"
    outputs.mkdir(parents=True, exist_ok=True)
    rows, seconds, shares, failures = [], [], [], []
    for line in (options.set / "items.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        source = options.set / row["source"]
        target = outputs / f"{row['id']}.wav"
        for key in ("source", "reference"):
            if row.get(key):
                row[key] = os.path.relpath(options.set / row[key], options.output)
        rows.append(row)
        try:
            text = None if options.heard else row["original_text"]
            words = times(source, text) if times and text else None
            began = time.perf_counter()
            receipt = editor.edit_file(source, row["instruction"], target, text=text, words=words)
        except UserError as error:
            failures.append(f"{row['id']}: {error}")
            print(failures[-1])
            continue
        seconds.append(time.perf_counter() - began)
        changed = sum(b - a for a, b in (c["source"] for c in receipt.changed))
        shares.append(changed / receipt.source["num_samples"])
        place = target.with_suffix(".receipt.json").resolve()
        row["parameters"] = {**row.get("parameters", {}), "receipt": str(place)}
    lines = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
    (options.output / "items.jsonl").write_text(lines, encoding="utf-8")
    print(json.dumps({
        "benchmark": "edit_heldout", "set": options.set.name, "items": len(rows),
        "made": len(seconds), "failed": len(failures),
        "seconds_per_edit": round(float(np.median(seconds)), 4) if seconds else None,
        "declared_share": round(float(np.mean(shares)), 4) if shares else None,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
