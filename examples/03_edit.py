"""Cut words out of a recording, change its speed, and take it all back.

python examples/03_edit.py examples/data/librispeech_1089-134686-0000.flac out
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from uniaudio_edit import Editor
from uniaudio_edit.receipt import undo_receipt
from uniaudio_edit.words import parse_words


def main(source: str, folder: str) -> None:
    recording, out = Path(source), Path(folder)
    out.mkdir(exist_ok=True)
    times = recording.with_suffix("").with_suffix(".words.json")
    words = parse_words(json.loads(times.read_text(encoding="utf-8")), times.name)
    text = recording.with_suffix(".txt").read_text(encoding="utf-8").strip()

    editor = Editor()
    cut = editor.edit_file(
        recording, "delete 'turnips and'", out / "cut.flac", text=text, words=words
    )
    print(cut.plan["edited_text"])
    for change in cut.changed:  # everything outside is equal sample for sample
        print(f"samples {change['source']} became {change['output']}")

    editor.edit_file(out / "cut.flac", "make it 20% faster", out / "faster.flac")
    undo_receipt(out / "faster.receipt.json", None, out / "cut_again.flac")
    back = undo_receipt(out / "cut.receipt.json", out / "cut_again.flac", out / "back.flac")
    print(f"the source again, sample for sample: {back['output']}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
