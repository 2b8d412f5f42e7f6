"""One edit: what changes, where, and the ways an instruction can point at the place.

`locators` lists every way to point at a place without ambiguity; wording (`wording.py`) turns one
of them into a sentence.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from audio_eval.build.units import SourceText, Task, delete, insert, substitute

Kind = Literal["index", "content"]
BASIC_LOCATORS = frozenset(
    [
        "range",
        "quote",
        "at_start",
        "at_end",
        "after_index",
        "before_index",
        "after_quote",
        "before_quote",
    ]
)
# Beyond this nobody counts: "the fourteenth word" is left to the plain index wording.
MAX_ORDINAL = 10


@dataclass(frozen=True)
class Change:
    """What an edit does to the units of a text.

    Attributes:
        spans: units that go, (start, stop exclusive); empty for an insertion.
        position: units in front of an inserted payload; None otherwise.
        payload: new words; "" for a deletion.
        after: an insertion that belongs to the unit before it.
    """

    task: Task
    spans: tuple[tuple[int, int], ...] = ()
    position: int | None = None
    payload: str = ""
    after: bool = True


@dataclass(frozen=True)
class Locator:
    """A way to point at the place of a change.

    Attributes:
        name: the pattern, for example `nth`, `quote_nth`, `between_quotes`.
        kind: the paper's two categories.
        numbers: 1-based indices, counts and ordinals, as the pattern needs them.
        quotes: words of the original text that the instruction quotes.
        after: for insertions, see `Change.after`.
    """

    name: str
    kind: Kind
    numbers: tuple[int, ...] = ()
    quotes: tuple[str, ...] = ()
    after: bool = True


@dataclass(frozen=True)
class Edit:
    """A change, the locator chosen for it, and the edited text computed from the units."""

    change: Change
    locator: Locator
    edited_text: str
    details: Mapping[str, object] = field(default_factory=dict)


def edited_text(source: SourceText, change: Change, proper: frozenset[str]) -> str:
    """The text after `change` (the unit path; see `units.py` for the rule).

    Raises:
        TextRejectedError: `empty_result`.
    """
    if change.task == "deletion":
        return delete(source, change.spans)
    if change.task == "substitution":
        return substitute(source, change.spans, change.payload)
    assert change.position is not None
    return insert(source, change.position, change.payload, after=change.after, proper=proper)


def locators(source: SourceText, change: Change) -> list[Locator]:
    """Every unambiguous way to point at the place of `change`."""
    if change.task == "insertion":
        assert change.position is not None
        return _insertion_locators(source, change.position)
    start, stop = next(iter(change.spans))
    if len(change.spans) > 1:
        return [Locator("all", "content", (len(change.spans),), (source.phrase(start, stop),))]
    return _index_locators(len(source), start, stop) + _content_locators(source, start, stop)


def _index_locators(total: int, start: int, stop: int) -> list[Locator]:
    count = stop - start
    found = [Locator("range", "index", (start + 1, stop))]
    if start == 0:
        found.append(Locator("first_n", "index", (count,)))
    if stop == total:
        found.append(Locator("last_n", "index", (count,)))
    if count == 1:
        found.append(Locator("single", "index", (start + 1,)))
        if start < MAX_ORDINAL:
            found.append(Locator("nth", "index", (start + 1,)))
        if total - 3 <= start < total - 1 and total > 4:
            found.append(Locator("nth_last", "index", (total - start,)))
    elif stop <= MAX_ORDINAL:
        found.append(Locator("nth_range", "index", (start + 1, stop)))
    return found


def _unique(source: SourceText, start: int, stop: int) -> bool:
    return source.occurrences(start, stop) == [start]


def _content_locators(source: SourceText, start: int, stop: int) -> list[Locator]:
    total, count = len(source), stop - start
    quoted = source.phrase(start, stop)
    places = source.occurrences(start, stop)
    found: list[Locator] = []
    if places == [start]:
        found.append(Locator("quote", "content", (), (quoted,)))
    elif all(b - a >= count for a, b in itertools.pairwise(places)):
        order = places.index(start) + 1
        found.append(Locator("quote_nth", "content", (order,), (quoted,)))
        if order == len(places):
            found.append(Locator("quote_last", "content", (), (quoted,)))
    if start >= 1 and _unique(source, start - 1, start):
        before = (source.phrase(start - 1, start),)
        if count <= 3:
            found.append(Locator("next_to", "content", (count, 1), before))
        if stop == total:
            found.append(Locator("rest_after", "content", (), before))
    if stop < total and _unique(source, stop, stop + 1):
        behind = (source.phrase(stop, stop + 1),)
        if count <= 3:
            found.append(Locator("next_to", "content", (count, -1), behind))
        if start == 0:
            found.append(Locator("rest_before", "content", (), behind))
    if count >= 3 and _unique(source, start, start + 1) and _unique(source, stop - 1, stop):
        ends = (source.phrase(start, start + 1), source.phrase(stop - 1, stop))
        found.append(Locator("from_to", "content", (), ends))
    return found


def _insertion_locators(source: SourceText, position: int) -> list[Locator]:
    total = len(source)
    if position == 0:
        found = [Locator("at_start", "index", (), (), after=False)]
    elif position == total:
        found = [Locator("at_end", "index")]
    else:
        found = []
        if not source.units[position - 1].trail:
            if position < MAX_ORDINAL:
                found.append(Locator("between_nth", "index", (position, position + 1)))
            if _unique(source, position - 1, position) and _unique(source, position, position + 1):
                ends = (
                    source.phrase(position - 1, position),
                    source.phrase(position, position + 1),
                )
                found.append(Locator("between_quotes", "content", (), ends))
    if position > 0:
        found.append(Locator("after_index", "index", (position,)))
        if position <= MAX_ORDINAL and position < total:
            found.append(Locator("after_nth", "index", (position,)))
        found += _quoted_neighbours(source, position, after=True)
    if position < total:
        found.append(Locator("before_index", "index", (position + 1,), (), after=False))
        if 0 < position < MAX_ORDINAL:
            found.append(Locator("before_nth", "index", (position + 1,), (), after=False))
        if position == total - 1 and position > 1:
            found.append(Locator("before_last", "index", (), (), after=False))
        found += _quoted_neighbours(source, position, after=False)
    return found


def _quoted_neighbours(source: SourceText, position: int, *, after: bool) -> list[Locator]:
    """Anchors of one to three units on one side of `position`."""
    side = "after" if after else "before"
    found: list[Locator] = []
    for size in (1, 2, 3):
        start, stop = (position - size, position) if after else (position, position + size)
        if start < 0 or stop > len(source):
            continue
        places = source.occurrences(start, stop)
        quoted = (source.phrase(start, stop),)
        if places == [start]:
            found.append(Locator(f"{side}_quote", "content", (), quoted, after))
        elif size == 1 and len(places) <= 4:
            order = places.index(start) + 1
            found.append(Locator(f"{side}_quote_nth", "content", (order,), quoted, after))
    return found
