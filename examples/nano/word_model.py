r"""The words that recognition knows: counts of training texts, and the dictionary that ships.

    python examples/nano/word_model.py .data/sentences-en.jsonl .data/texts/manifest.jsonl \
        -o words.xz

Every file is JSON lines with `text`; where they have a `split`, only those of `train` count.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from uniaudio_lm.phonemizers.table import read_packed
from uniaudio_lm.recognition.word_file import load_words, save_words
from uniaudio_lm.recognition.word_model import WordModel
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
    model = WordModel.counted(found, read_packed(), least=options.least)
    save_words(model, options.output, read_packed())
    read = load_words(options.output, read_packed())
    pairs = sum(len(known) for _, known in read.after.values())
    size = options.output.stat().st_size / 1e3
    print(f"{options.output}: {len(read.words)} words, {pairs} pairs, {size:.0f} kB")


if __name__ == "__main__":
    main()
