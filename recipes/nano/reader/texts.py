"""English sentences that the synthetic voices of the windows speak, by source.

    python texts.py OUTPUT.json --packages .data/packages

WordNet's example sentences, the fortunes of Debian (public domain and short quotations, used for
synthesis alone), and the docstrings of Python's library. The packages are unpacked, not installed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

from recipes.nano.data.packages import debian_package

_PLAIN = re.compile(r"[A-Za-z ,.;:'?!\-\"()\d%]+")
_CODE = re.compile(r"[A-Z]{3}|\d[a-zA-Z]|\w_|\.\w")
_END = re.compile(r"(?<=[.!?])[\"')]*\s+(?=[\"'(]?[A-Z])")


def usable(text: str) -> bool:
    """3 to 32 words of ordinary letters and marks, no code, few digits."""
    digits = sum(c.isdigit() for c in text)
    ordinary = _PLAIN.fullmatch(text) and not _CODE.search(text)
    return bool(ordinary) and digits < 6 and 3 <= len(text.split()) <= 32


def sentences(text: str) -> Iterator[str]:
    """The usable sentences of a text with paragraphs."""
    for paragraph in re.split(r"\n\s*\n", text):
        for part in _END.split(re.sub(r"\s+", " ", paragraph).strip()):
            said = part.strip(' "*-()')
            if said.endswith((".", "!", "?", ",", ";")) and usable(said):
                yield said


def wordnet(packages: Path) -> Iterator[str]:
    """The examples in the glosses."""
    folder = debian_package("wordnet-base", packages) / "usr/share/wordnet"
    for path in sorted(folder.glob("data.*")):
        for line in path.read_text(errors="ignore").splitlines():
            _, bar, gloss = line.partition("|")
            yield from filter(usable, re.findall(r'"([^"]+)"', gloss if bar else ""))


def fortunes(packages: Path) -> Iterator[str]:
    """Sayings without the names of who said them."""
    folder = debian_package("fortunes", packages) / "usr/share/games/fortunes"
    left_out = ("art", "off", "perl", "linux", "translate")
    for path in sorted(folder.iterdir()):
        if path.suffix or path.is_dir() or any(name in path.name for name in left_out):
            continue
        text = path.read_text(errors="ignore").replace("\n%\n", "\n\n")
        yield from sentences(re.sub(r"\n\s*-- .*?(?=\n\n|$)", "\n\n", text))


def docstrings() -> Iterator[str]:
    """Of the modules and packages of the standard library."""
    folder = Path(os.__file__).parent
    for path in sorted([*folder.glob("*.py"), *folder.glob("[a-z]*/*.py")]):
        if "packages" not in path.parent.name:
            for text in re.findall(r'"""(.*?)"""', path.read_text(errors="ignore"), re.DOTALL):
                yield from sentences(text)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("--packages", type=Path, default=Path(".data/packages"))
    given = parser.parse_args()
    found = {
        "wordnet": wordnet(given.packages),
        "fortunes": fortunes(given.packages),
        "python": docstrings(),
    }
    out = {}
    for name, texts in found.items():
        out[name] = sorted(set(texts))
        random.Random(1).shuffle(out[name])
        print(f"{name}: {len(out[name])} sentences")
    given.output.write_text(json.dumps(out))


if __name__ == "__main__":
    main()
