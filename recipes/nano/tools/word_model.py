r"""The words that recognition knows: counts of training texts, and the dictionary that ships.

    python recipes/nano/tools/word_model.py .data/sentences-en.jsonl .data/texts/manifest.jsonl \
        -o .runs/words

Every file is JSON lines with `text`; where they have a `split`, only those of `train` count.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from uniaudio_lm.parts.phonemizers.table import read_packed
from uniaudio_lm.parts.word_models.bigram import BigramModel
from uniaudio_lm.recognition.words import words_of


def texts(path: Path) -> Iterator[list[str]]:
    """The words of each training text."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row.get("split", "train") == "train" and row.get("language", "en") == "en":
                words = [w for w in words_of(row["text"]) if w.isascii() and not w.isdecimal()]
                if words:
                    yield words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--least", type=int, default=2, help="times that a pair must be seen")
    options = parser.parse_args()
    found = (words for path in options.texts for words in texts(path))
    options.output.mkdir(parents=True, exist_ok=True)
    path = BigramModel.counted(found, read_packed(), least=options.least).save(options.output)
    read = BigramModel()
    read.load(options.output)
    pairs = sum(len(known) for _, known in read.after.values())
    size = path.stat().st_size / 1e3
    print(f"{path}: {len(read.words)} words, {pairs} pairs, {size:.0f} kB")


if __name__ == "__main__":
    main()
