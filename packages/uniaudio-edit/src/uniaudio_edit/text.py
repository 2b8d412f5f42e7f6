"""What an instruction counts: words, or characters where the writing is Chinese."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from mingtok_audio.core.script import HAN, has_han, is_han

_UNIT = re.compile(
    rf"[{HAN}]"  # one character
    rf"|[$€£¥]?[^\W_{HAN}]+(?:['’.,\-‐‑@&/][^\W_{HAN}]+)*['’]?%?"  # a word
)
_STRONG = re.compile(r"[.!?。！？…]")
_LONGEST_COMPARED = 300  # units whose every stretch is compared
_PUNCTUATION = re.compile(r"[^\w\s]")

# Words that begin a sentence with a capital only because they begin it.
_LOWERED_WORDS = """
    a an the to in on at of for from by with as if it its is are was were he she we you they
    his her our your their my this that these those there here and but or so not no please
    what when where why how who which do does did can could will would shall should may
    might must have has had be been all some any each every then now after before because
    while although let
"""
_LOWERED = frozenset(_LOWERED_WORDS.split())


@dataclass(frozen=True)
class Unit:
    """A word or a character; `key` is what is compared."""

    text: str
    start: int
    end: int
    key: str


def make_key(text: str) -> str:
    """`text` without case, accents of quoting and edge punctuation."""
    return text.casefold().replace("’", "'").strip("'.,-")


class Text:
    """A transcript and its units.

    Attributes:
        raw: as given.
        units: in order; punctuation is in none of them.
        language: "zh" where most units are Chinese characters, else "en".
    """

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self._joined: tuple[str, list[int]] | None = None
        self.units = [
            Unit(m.group(), m.start(), m.end(), make_key(m.group())) for m in _UNIT.finditer(raw)
        ]
        self._found: dict[str, list[tuple[int, int]]] = {}
        self._places: dict[str, list[int]] = {}
        for index, unit in enumerate(self.units):
            self._places.setdefault(unit.key, []).append(index)
        chinese = sum(1 for unit in self.units if is_han(unit.text))
        self.language = "zh" if chinese * 2 >= len(self.units) and chinese else "en"

    def __len__(self) -> int:
        return len(self.units)

    def slice(self, start: int, end: int) -> str:
        """The writing of the units [start, end), punctuation between them included."""
        if start >= end:
            return ""
        return self.raw[self.units[start].start : self.units[end - 1].end]

    def sentences(self) -> list[tuple[int, int]]:
        """The spans of units between the marks that end sentences."""
        found: list[tuple[int, int]] = []
        start = 0
        for i, unit in enumerate(self.units, 1):
            after = self.units[i].start if i < len(self.units) else len(self.raw)
            if i == len(self.units) or _STRONG.search(self.raw, unit.end, after):
                found.append((start, i))
                start = i
        return found

    def closest(self, content: str) -> str:
        """What in the text is written most like `content`; "" where nothing is.

        Looks at stretches of about as many units, in texts of reasonable length.
        """
        import difflib

        size = len(Text(content))
        sizes = {1} if len(self) > _LONGEST_COMPARED else {1, max(1, size - 1), size, size + 1}
        stretches = {
            self.slice(i, i + n): None
            for n in sorted(sizes)
            for i in range(min(len(self), 10 * _LONGEST_COMPARED) - n + 1)
        }
        near = difflib.get_close_matches(content, list(stretches), 1, 0.6)
        return near[0] if near and len(content) > 1 else ""

    def find(self, content: str) -> list[tuple[int, int]]:
        """The spans of units that say `content`, in order, not overlapping.

        Case, punctuation and spaces do not matter: where no span has the same units, one whose
        letters are the same counts ("hot dog" finds "hotdog").
        """
        if content not in self._found:
            self._found[content] = self._find(content)
        return list(self._found[content])

    def _find(self, content: str) -> list[tuple[int, int]]:
        wanted = [make_key(m.group()) for m in _UNIT.finditer(content)]
        wanted = [key for key in wanted if key]
        if not wanted:
            return []
        size = len(wanted)
        found = [
            (i, i + size)
            for i in self._places.get(wanted[0], ())
            if [unit.key for unit in self.units[i : i + size]] == wanted
        ]
        found = found or self._find_letters(_letters("".join(wanted)))
        spans: list[tuple[int, int]] = []
        for span in found:
            if not spans or span[0] >= spans[-1][1]:
                spans.append(span)
        return spans

    def _find_letters(self, wanted: str) -> list[tuple[int, int]]:
        """Spans of whole units whose letters, run together, are `wanted`."""
        if len(wanted) < 2:
            return []
        if self._joined is None:
            joined, edges, length = [], [0], 0
            for unit in self.units:
                joined.append(_letters(unit.key))
                length += len(joined[-1])
                edges.append(length)
            self._joined = "".join(joined), edges
        text, edges = self._joined
        found = []
        at = text.find(wanted)
        while at >= 0:
            i, j = bisect_right(edges, at) - 1, bisect_left(edges, at + len(wanted))
            if edges[i] == at and j < len(edges) and edges[j] == at + len(wanted):
                found.append((i, j))
            at = text.find(wanted, at + 1)
        return found


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text)


@dataclass(frozen=True)
class TextEdit:
    """Units [start, end) become `new`. An insertion has start == end; `leans` says whether it
    belongs to the unit before it ("after") or after it ("before"), for punctuation."""

    start: int
    end: int
    new: str
    leans: str = "after"


def apply_edits(text: Text, edits: Sequence[TextEdit]) -> str:
    """The text after `edits` (sorted, not overlapping)."""
    pieces = [unit.text for unit in text.units]
    ends = [0, *(unit.end for unit in text.units)]
    starts = [*(unit.start for unit in text.units), len(text.raw)]
    gaps = [text.raw[a:b] for a, b in zip(ends, starts, strict=True)]  # gaps[i] is before unit i
    for edit in reversed(edits):
        i, j = edit.start, edit.end
        new = edit.new.strip()
        if not new:
            merged = _merged_gap(gaps[i], gaps[j], i == 0, j == len(pieces))
            pieces[i:j] = []
            gaps[i : j + 1] = [merged]
        elif i < j:
            pieces[i:j] = [_without_double_mark(new, gaps[j])]
            gaps[i : j + 1] = [gaps[i], gaps[j]]
        else:
            _insert(pieces, gaps, i, new, leans=edit.leans, language=text.language)
    out = [gaps[0]]
    for piece, gap in zip(pieces, gaps[1:], strict=True):
        out += [piece, gap]
    return "".join(out).strip()


def _insert(
    pieces: list[str], gaps: list[str], i: int, new: str, *, leans: str, language: str
) -> None:
    before = pieces[i - 1] if i else ""
    after = pieces[i] if i < len(pieces) else ""
    left, right = _separator(before, new, language), _separator(new, after, language)
    gap = gaps[i]
    if i == 0:
        left = gap
        if after.lower() in _LOWERED and not _STRONG.search(new[-1]):
            pieces[0] = after.lower()
    elif i == len(pieces):
        right = gap
    elif _PUNCTUATION.search(gap):
        left, right = (left, gap) if leans == "after" else (gap, right)
    pieces.insert(i, _without_double_mark(new, right))
    gaps[i : i + 1] = [left, right]


def _separator(left: str, right: str, language: str) -> str:
    if not left or not right:
        return ""
    if language == "zh" and (has_han(left[-1]) or has_han(right[0]) or has_han(left + right)):
        return ""
    return " "


def _without_double_mark(new: str, gap: str) -> str:
    """`new` without its last mark where the text goes on with a mark anyway."""
    return new[:-1] if gap[:1] and gap[0] == new[-1] and _PUNCTUATION.match(gap[0]) else new


def _merged_gap(left: str, right: str, at_start: bool, at_end: bool) -> str:
    """What stays between the neighbours of deleted units."""
    if at_start:
        return left
    if at_end:
        return right
    for mark in (_STRONG, _PUNCTUATION):
        for gap in (left, right):
            if mark.search(gap):
                return gap
    return left if left.strip() or not right else (left or right)
