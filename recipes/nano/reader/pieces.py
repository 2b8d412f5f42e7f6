"""The pieces of Whisper's vocabulary that the reader keeps: those that texts use most.

    python pieces.py WHISPER_FOLDER TEXTS.json OUTPUT.json [--count 20000]

TEXTS is what `texts.py` writes. OUTPUT is a tokenizer.json with `count` pieces, single bytes among
them, so that every text can be written.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from whisper import choose_pieces


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("whisper", type=Path, help="Whisper tiny.en in CTranslate2's form")
    parser.add_argument("texts", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--count", type=int, default=20_000)
    given = parser.parse_args()
    texts = [text for part in json.loads(given.texts.read_text()).values() for text in part]
    chosen = choose_pieces(given.whisper, texts, given.count)
    chosen.save(str(given.output), pretty=False)
    print(f"{chosen.get_vocab_size()} pieces from {len(texts)} texts")


if __name__ == "__main__":
    main()
