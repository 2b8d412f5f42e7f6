"""Texts as countable units (words in English, characters in Chinese), and edits on them.

This is the first of two paths that compute an edited text: it works on a list of units and knows
which of them an edit touches. `interpreter.py` is the second: it sees only the instruction and the
original string. The two share nothing but the rule below, so that a slip in one shows.

The rule (read off the examples in the paper's appendix C):

- A unit is a word (English) or a character (Chinese); punctuation is not counted and stays glued
  to the unit before it.
- Deleting units takes the punctuation after the last of them to the unit before, where the
  stronger mark of the two stays (`. ? !` before `, ; :`); at the start of the text it goes.
- Inserting *after* a unit takes over that unit's punctuation; inserting *before* a unit leaves the
  punctuation of the unit in front where it is. A new start lowers the capital of the old one.
- Substituting keeps the punctuation after the last unit that goes.
- Nothing is capitalised that the instruction does not write with a capital.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh"]
Task = Literal["deletion", "insertion", "substitution"]

STRONG_MARKS = frozenset(".?!。？！…")
WEAK_MARKS = frozenset(",;:，；：、")
MARKS = STRONG_MARKS | WEAK_MARKS
# Inside an English word: don't, e-mail, O’Neill.
_INNER = frozenset("'’-")


class TextRejectedError(ValueError):
    """A text that no edit item is built from; `reason` is a code of the build report."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Unit:
    """One word or character with the punctuation that follows it."""

    core: str
    trail: str = ""


@dataclass(frozen=True)
class SourceText:
    """A transcript as units. `str(source)` is the text with single spaces (English) or none."""

    units: tuple[Unit, ...]
    language: Language

    def __str__(self) -> str:
        return join(self.units, self.language)

    def __len__(self) -> int:
        return len(self.units)

    def cores(self, start: int = 0, stop: int | None = None) -> list[str]:
        return [u.core for u in self.units[start:stop]]

    def phrase(self, start: int, stop: int) -> str:
        """The units `start` to `stop` (exclusive) as an instruction quotes them: with the marks
        between them, without the one after the last."""
        part = list(self.units[start:stop])
        part[-1] = Unit(part[-1].core)
        return join(part, self.language)

    def occurrences(self, start: int, stop: int) -> list[int]:
        """Where the cores of units `start` to `stop` occur, in order, ignoring case.

        Overlapping places count: an instruction that quotes these units could mean any of them.
        """
        keys = [fold(core) for core in self.cores()]
        wanted = keys[start:stop]
        size = len(wanted)
        return [i for i in range(len(keys) - size + 1) if keys[i : i + size] == wanted]


def fold(text: str) -> str:
    """Case-folded, with one apostrophe, for comparing words."""
    return text.casefold().replace("’", "'")


def join(units: Iterable[Unit], language: Language) -> str:
    return (" " if language == "en" else "").join(u.core + u.trail for u in units)


def is_han(char: str) -> bool:
    """True for the CJK ideographs that Chinese is written with (and the iteration zero 〇)."""
    return "㐀" <= char <= "鿿" or "豈" <= char <= "﫿" or char == "〇"


def parse_text(text: str, language: Language) -> SourceText:
    """Split a transcript into units.

    Raises:
        TextRejectedError: `text_empty`, `text_symbols` (something that is not read as it is
            written, or brackets and quotation marks, whose place after an edit is a matter of
            taste), `text_mixed_script` (Chinese with Latin letters or digits: what is a unit?).
    """
    text = " ".join(text.split())
    if not text:
        raise TextRejectedError("text_empty")
    return _parse_english(text) if language == "en" else _parse_chinese(text)


def _parse_english(text: str) -> SourceText:
    units: list[Unit] = []
    for token in text.split(" "):
        core = token.rstrip("".join(MARKS))
        trail = token[len(core) :]
        inner = core.strip("".join(_INNER))
        ok = bool(inner) and all(c in _INNER or (c.isalnum() and not is_han(c)) for c in core)
        if not ok or core[-1] not in {inner[-1], "'", "’"}:
            raise TextRejectedError("text_symbols", repr(token))
        units.append(Unit(core, trail))
    return SourceText(tuple(units), "en")


def _parse_chinese(text: str) -> SourceText:
    units: list[Unit] = []
    for char in text.replace(" ", ""):
        if is_han(char):
            units.append(Unit(char))
        elif char in MARKS and units:
            units[-1] = Unit(units[-1].core, units[-1].trail + char)
        elif char.isalnum():
            raise TextRejectedError("text_mixed_script", repr(char))
        else:
            raise TextRejectedError("text_symbols", repr(char))
    return SourceText(tuple(units), "zh")


def stronger(first: str, second: str) -> str:
    """Which of two runs of punctuation stays when nothing is left between them."""

    def strength(mark: str) -> int:
        return 2 if any(c in STRONG_MARKS for c in mark) else int(bool(mark))

    return second if strength(second) > strength(first) else first


def delete(source: SourceText, spans: Sequence[tuple[int, int]]) -> str:
    """The text without the units of each span (start, stop exclusive; any number of spans).

    Raises:
        TextRejectedError: `empty_result` when nothing would be left.
    """
    gone = {i for start, stop in spans for i in range(start, stop)}
    kept: list[Unit] = []
    for index, unit in enumerate(source.units):
        if index not in gone:
            kept.append(unit)
        elif index + 1 not in gone and kept:
            kept[-1] = Unit(kept[-1].core, stronger(kept[-1].trail, unit.trail))
    if not kept:
        raise TextRejectedError("empty_result")
    return join(kept, source.language)


def insert(
    source: SourceText, position: int, payload: str, *, after: bool, proper: frozenset[str]
) -> str:
    """The text with `payload` between units `position - 1` and `position`.

    Args:
        after: the instruction anchors on the unit before (its punctuation moves after the
            payload); else on the unit that follows.
        proper: folded words that keep their capital when they stop being the first word.
    """
    units = list(source.units)
    new = Unit(payload)
    if after and position > 0:
        new = Unit(payload, units[position - 1].trail)
        units[position - 1] = Unit(units[position - 1].core)
    if position == 0:
        first = units[0]
        units[0] = Unit(lower_first(first.core, source.language, proper), first.trail)
    units.insert(position, new)
    return join(units, source.language)


def substitute(source: SourceText, spans: Sequence[tuple[int, int]], payload: str) -> str:
    """The text with the units of each span (start, stop exclusive) replaced by `payload`."""
    out: list[Unit] = []
    starts = dict(spans)
    index = 0
    while index < len(source):
        if index in starts:
            index = starts[index]
            out.append(Unit(payload, source.units[index - 1].trail))
        else:
            out.append(source.units[index])
            index += 1
    return join(out, source.language)


def lower_first(word: str, language: Language, proper: frozenset[str]) -> str:
    """A sentence-initial word as it is written inside a sentence ("To" becomes "to")."""
    if language != "en" or fold(word) in proper or word[1:] != word[1:].lower():
        return word
    if word == "I" or word.startswith(("I'", "I’")):
        return word
    return word[0].lower() + word[1:]
