"""Texts of speech: what is compared, how far two differ, which script they are in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_MARKUP = re.compile(r"<[^<>]{1,80}>|\[[^\[\]]{1,80}\]|\{[^{}]{1,80}\}|\((?:[^()]{1,40})\)|♪|♫")
_SPACES = re.compile(r"\s+")


def clean(text: str) -> str:
    """A text without control characters, markup and stage directions, in NFKC, single spaces."""
    text = unicodedata.normalize("NFKC", text)
    text = "".join(c if unicodedata.category(c) != "Cf" else "" for c in text)
    text = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    text = _MARKUP.sub(" ", text)
    return _SPACES.sub(" ", text).strip()


def is_ideograph(character: str) -> bool:
    """Han, kana or hangul syllables without spaces between words: compared by character."""
    return (
        "\u3400" <= character <= "\u9fff"
        or "\u3040" <= character <= "\u30ff"
        or "\U00020000" <= character <= "\U0002ffff"
    )


def units(text: str) -> list[str]:
    """What texts are compared by: words in lower case without punctuation, single ideographs."""
    out: list[str] = []
    word = ""
    for c in unicodedata.normalize("NFKC", text).casefold():
        if is_ideograph(c):
            if word:
                out.append(word)
            out.append(c)
            word = ""
        elif c.isalnum() or unicodedata.category(c) == "Mn" or (c in "'’" and word):
            word += "'" if c == "’" else c
        elif word:
            out.append(word)
            word = ""
    if word:
        out.append(word)
    return [w.rstrip("'") or w for w in out]


def distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Insertions, deletions and substitutions from one to the other."""
    before = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
        before = row
    return before[-1]


def error_rate(reference: str, hypothesis: str) -> float | None:
    """Word error rate (of characters where words are not spaced) against `reference`, at most 10;
    None where there is no reference."""
    said, heard = units(reference), units(hypothesis)
    if not said:
        return None
    return min(10.0, distance(said, heard) / len(said))


def script(text: str) -> str:
    """The script of most letters ("latin", "han", "arabic", ...); "" without letters."""
    counts: dict[str, int] = {}
    for c in text:
        if c.isalpha():
            name = unicodedata.name(c, "").split(" ")[0].lower()
            name = "han" if name.startswith("cjk") else name
            counts[name] = counts.get(name, 0) + 1
    return max(sorted(counts), key=lambda name: counts[name]) if counts else ""


def shingles(text: str, size: int = 3) -> set[str]:
    """Runs of `size` units of a text; the whole of a shorter one."""
    found = units(text)
    if len(found) <= size:
        return {" ".join(found)} if found else set()
    return {" ".join(found[i : i + size]) for i in range(len(found) - size + 1)}
