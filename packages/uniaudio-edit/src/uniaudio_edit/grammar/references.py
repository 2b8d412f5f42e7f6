"""References: what part of a text an instruction is about, and where that is in a given text.

Positions count from 1, and from -1 backwards from the end, as people count. A look-up takes time
linear in the text, whatever an instruction names; what matches in too many ways is refused.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any, Literal

from uniaudio_edit.grammar.numbers import other_spellings
from uniaudio_edit.text import Text

Side = Literal["before", "after"]
Span = tuple[int, int]
Spans = tuple[Span, ...]
_MAX_ALTERNATIVES = 64
_MAX_PAIRS = 4096


@dataclass(frozen=True)
class Content:
    """These words. `pick`: None (must be the only one), a number (n-th, negative from the end), or
    "all". `count`: how many there must be, where the instruction says it ("both")."""

    text: str
    pick: int | Literal["all"] | None = None
    count: int | None = None


@dataclass(frozen=True)
class Near:
    """The occurrence of `content` next to `anchor` on its `side`, or inside it ("in")."""

    content: str
    side: Literal["before", "after", "in", "start", "end"]
    anchor: Ref | None = None


@dataclass(frozen=True)
class Range:
    """Units from position `first` to `last`, both included."""

    first: int
    last: int


@dataclass(frozen=True)
class Neighbours:
    """`count` units right before or after `anchor`."""

    side: Side
    count: int
    anchor: Ref


@dataclass(frozen=True)
class Beyond:
    """Everything before or after `anchor`."""

    side: Side
    anchor: Ref


@dataclass(frozen=True)
class Between:
    """From `first` to `last`, with them (`inclusive`) or without; None for either is unsaid and
    two readings."""

    first: Ref
    last: Ref
    inclusive: bool | None = True


@dataclass(frozen=True)
class Listed:
    """Several places."""

    items: tuple[Ref, ...]


@dataclass(frozen=True)
class Whole:
    """Everything."""


@dataclass(frozen=True)
class Except:
    """Everything but `kept`."""

    kept: Ref


@dataclass(frozen=True)
class Sentence:
    """A sentence by its number, or those from it to `last`; or the one that says `content`.

    The text's full stops say where sentences end.
    """

    number: int
    last: int | None = None
    content: str = ""


@dataclass(frozen=True)
class AnyOf:
    """Every occurrence of any of these words; `what` names them in messages."""

    words: tuple[str, ...]
    what: str


@dataclass(frozen=True)
class Refused:
    """A reference that is understood and cannot be looked up; `reason` says why."""

    reason: str
    candidates: tuple[str, ...] = ()


Ref = (
    Content
    | Near
    | Range
    | Neighbours
    | Beyond
    | Between
    | Listed
    | Whole
    | Except
    | Sentence
    | AnyOf
    | Refused
)


@dataclass(frozen=True)
class Place:
    """Where something is inserted: beside `ref`, between `ref` and `other`, or at an end."""

    kind: Literal["start", "end", "beside", "between", "become"]
    side: Side = "after"
    ref: Ref | None = None
    other: Ref | None = None
    position: int = 0


@dataclass(frozen=True)
class Draft:
    """One operation as an instruction words it."""

    type: str
    ref: Ref | None = None
    place: Place | None = None
    new: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """One way to understand a clause. Readings of a higher `rank` count only where none of a
    lower one fits the text."""

    drafts: tuple[Draft, ...]
    rank: int = 0


# --- look-up in a text ----------------------------------------------------------------------------


class LookupFailed(Exception):  # noqa: N818 - it reads as a verdict
    """A reference does not fit the text. `kind`: "missing", "range", "ambiguous" or "other";
    `content` are the words that were looked for, where they are what is missing."""

    def __init__(
        self,
        message: str,
        kind: str = "missing",
        candidates: tuple[str, ...] = (),
        content: str = "",
    ) -> None:
        self.message, self.kind, self.candidates = message, kind, candidates
        self.content = content
        super().__init__(message)


@dataclass(frozen=True)
class Gap:
    """A place between units: before unit `index`; `leans` as in `TextEdit`."""

    index: int
    leans: str


def find_spans(ref: Ref, text: Text) -> list[Spans]:
    """Every way to understand `ref` in `text`: one is clear, more are ambiguous.

    Raises:
        LookupFailed: there is none.
    """
    match ref:
        case Content():
            return _content(ref, text)
        case Near():
            return _near(ref, text)
        case Range():
            return (
                [((_position(ref.first, text), _position(ref.last, text) + 1),)]
                if _ordered(ref, text)
                else []
            )
        case Whole():
            return [((0, len(text)),)]
        case Except():
            return [_complement(spans, text) for spans in find_spans(ref.kept, text)]
        case Sentence():
            return _sentences(ref, text)
        case AnyOf():
            return [_any_of(ref, text)]
        case Refused():
            raise LookupFailed(
                ref.reason, "ambiguous" if ref.candidates else "other", ref.candidates
            )
        case Listed():
            return _listed(ref, text)
        case Neighbours():
            return [(_neighbours(ref, span, text),) for span in _single(ref.anchor, text)]
        case Beyond():
            found = []
            for start, end in _single(ref.anchor, text):
                span = (0, start) if ref.side == "before" else (end, len(text))
                if span[0] == span[1]:
                    raise LookupFailed(f"nothing comes {ref.side} '{text.slice(start, end)}'")
                found.append((span,))
            return found
        case Between():
            return _between(ref, text)


def _content(ref: Content, text: Text) -> list[Spans]:
    spans = find_content(ref.text, text)
    if ref.count is not None and ref.count != len(spans):
        raise LookupFailed(
            f"'{ref.text}' is there {_times(len(spans))}, not {_times(ref.count)}", "range"
        )
    if ref.pick == "all":
        return [tuple(spans)]
    if ref.pick is None:
        return [(span,) for span in spans]
    index = ref.pick - 1 if ref.pick > 0 else len(spans) + ref.pick
    if ref.pick == 0 or not 0 <= index < len(spans):
        raise LookupFailed(f"'{ref.text}' is there only {_times(len(spans))}", "range")
    return [(spans[index],)]


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def find_content(content: str, text: Text) -> list[Span]:
    """Where `content` is said, numbers in digits or in words.

    Raises:
        LookupFailed: nowhere.
    """
    for spelling in itertools.chain((content,), other_spellings(content)):
        if spans := text.find(spelling):
            return spans
    shown = content if len(content) <= 60 else f"{content[:59]}…"
    raise LookupFailed(f"'{shown}' is not in the text", content=content)


def _near(ref: Near, text: Text) -> list[Spans]:
    spans = find_content(ref.content, text)
    if ref.side == "start":
        kept = [s for s in spans if s[0] == 0]
    elif ref.side == "end":
        kept = [s for s in spans if s[1] == len(text)]
    else:
        assert ref.anchor is not None
        anchors = _single(ref.anchor, text)
        kept = []
        for start, end in anchors:
            if ref.side == "in":
                kept += [s for s in spans if start <= s[0] and s[1] <= end]
            elif ref.side == "before":
                kept += [s for s in spans if s[1] <= start][-1:]
            else:
                kept += [s for s in spans if s[0] >= end][:1]
    if not kept:
        raise LookupFailed(f"there is no '{ref.content}' at that place of the text")
    return [(span,) for span in dict.fromkeys(kept)]


def _position(number: int, text: Text) -> int:
    index = number - 1 if number > 0 else len(text) + number
    if number == 0 or not 0 <= index < len(text):
        unit = "characters" if text.language == "zh" else "words"
        place = f"position {number}" if number >= 0 else f"position {-number} from the end"
        raise LookupFailed(f"there is no {place}: the text has {len(text)} {unit}", "range")
    return index


def _ordered(ref: Range, text: Text) -> bool:
    if _position(ref.first, text) > _position(ref.last, text):
        raise LookupFailed(f"position {ref.first} comes after position {ref.last}", "range")
    return True


def _single(ref: Ref, text: Text) -> list[Span]:
    """The spans of a reference that must be one piece."""
    found = []
    for spans in find_spans(ref, text):
        if len(spans) != 1:
            raise LookupFailed("one place is needed there, and several are named", "other")
        found.append(spans[0])
    return found


def _neighbours(ref: Neighbours, span: Span, text: Text) -> Span:
    start, end = span
    first = start - ref.count if ref.side == "before" else end
    last = first + ref.count
    if ref.count < 1 or first < 0 or last > len(text):
        raise LookupFailed(
            f"there are not {ref.count} words {ref.side} '{text.slice(start, end)}'", "range"
        )
    return first, last


def _complement(spans: Spans, text: Text) -> Spans:
    edges = [0, *(edge for span in sorted(spans) for edge in span), len(text)]
    kept = tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b)
    if not kept:
        raise LookupFailed("there is nothing else in the text", "other")
    return kept


def _sentences(ref: Sentence, text: Text) -> list[Spans]:
    if ref.content:
        said = find_content(ref.content, text)
        return [
            ((start, end),)
            for start, end in text.sentences()
            if any(start <= a and b <= end for a, b in said)
        ]
    first = _sentence(ref.number, text)
    last = first if ref.last is None else _sentence(ref.last, text)
    if last[0] < first[0]:
        raise LookupFailed(f"sentence {ref.number} comes after sentence {ref.last}", "range")
    return [((first[0], last[1]),)]


def _sentence(number: int, text: Text) -> Span:
    sentences = text.sentences()
    index = number - 1 if number > 0 else len(sentences) + number
    if not 0 <= index < len(sentences):
        count = f"{len(sentences)} sentence{'s' if len(sentences) != 1 else ''}"
        raise LookupFailed(
            f"there is no sentence {number}: the text has {count} (full stops end them)", "range"
        )
    return sentences[index]


def _any_of(ref: AnyOf, text: Text) -> Spans:
    found = sorted({span for words in ref.words for span in text.find(words)})
    spans: list[Span] = []
    for span in found:
        if not spans or span[0] >= spans[-1][1]:
            spans.append(span)
    if not spans:
        raise LookupFailed(f"there are no {ref.what} in the text", "other")
    return tuple(spans)


def _between(ref: Between, text: Text) -> list[Spans]:
    found: list[Spans] = []
    firsts, lasts = _single(ref.first, text), _single(ref.last, text)
    if len(firsts) * len(lasts) > _MAX_PAIRS:
        raise LookupFailed(
            f"the first place is there {_times(len(firsts))} and the last {_times(len(lasts))}: "
            "name them with more words",
            "other",
        )
    for (a, b), (c, d) in itertools.product(firsts, lasts):
        if (a, b) == (c, d) or c < b:
            continue
        if ref.inclusive in (True, None):
            found.append(((a, d),))
        if ref.inclusive in (False, None) and b < c:
            found.append(((b, c),))
    if not found:
        raise LookupFailed("nothing lies between these two places of the text", "range")
    return found


def _listed(ref: Listed, text: Text) -> list[Spans]:
    alternatives = [find_spans(item, text) for item in ref.items]
    total = 1
    for options in alternatives:
        total *= len(options)
    if total > _MAX_ALTERNATIVES:
        raise LookupFailed("too many places match: name them with more words", "other")
    found = []
    for combination in itertools.product(*alternatives):
        spans = sorted({span for spans in combination for span in spans})
        if all(a[1] <= b[0] for a, b in itertools.pairwise(spans)):
            found.append(tuple(spans))
    if not found:
        raise LookupFailed("the places named overlap", "other")
    return found


def find_gaps(place: Place, text: Text) -> list[Gap]:
    """Every way to understand a place for an insertion.

    Raises:
        LookupFailed: there is none.
    """
    if place.kind == "start":
        return [Gap(0, "before")]
    if place.kind == "end":
        return [Gap(len(text), "after")]
    if place.kind == "become":
        if place.position == len(text) + 1 or place.position == -1:
            return [Gap(len(text), "after")]
        if place.position < -1:
            return [Gap(_position(place.position, text) + 1, "after")]
        return [Gap(_position(place.position, text), "before")]
    assert place.ref is not None
    spans = _single(place.ref, text)
    if place.kind == "beside":
        if place.side == "before":
            return [Gap(start, "before") for start, _ in spans]
        return [Gap(end, "after") for _, end in spans]
    assert place.other is not None
    gaps = {
        Gap(end, "after")
        for (_, end), (start, _) in itertools.product(spans, _single(place.other, text))
        if end == start
    }
    if not gaps:
        raise LookupFailed("these two are not side by side in the text", "range")
    return sorted(gaps, key=lambda gap: gap.index)
