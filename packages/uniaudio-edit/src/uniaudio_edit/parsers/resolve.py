"""Looking references up in a text."""

from __future__ import annotations

import difflib
import itertools
from dataclasses import dataclass

from uniaudio_edit.parsers.refs import (
    Between,
    Beyond,
    Content,
    Listed,
    Near,
    Neighbours,
    Place,
    Range,
    Ref,
    Refused,
    Whole,
)
from uniaudio_edit.parsers.units import Text

Span = tuple[int, int]
Spans = tuple[Span, ...]
_MAX_ALTERNATIVES = 64


class LookupFailed(Exception):  # noqa: N818 - it reads as a verdict
    """A reference does not fit the text. `kind`: "missing", "range", "ambiguous" or "other"."""

    def __init__(self, message: str, kind: str = "missing", candidates: tuple[str, ...] = ()):
        self.message, self.kind, self.candidates = message, kind, candidates
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
    spans = text.find(ref.text)
    if not spans:
        raise LookupFailed(_missing(ref.text, text))
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


def _missing(content: str, text: Text) -> str:
    shown = content if len(content) <= 60 else f"{content[:59]}…"
    words = {unit.text for unit in text.units}
    near = difflib.get_close_matches(content, sorted(words), 1, 0.6)
    hint = f" (is '{near[0]}' meant?)" if near and len(content) > 1 else ""
    return f"'{shown}' is not in the text{hint}"


def _near(ref: Near, text: Text) -> list[Spans]:
    spans = text.find(ref.content)
    if not spans:
        raise LookupFailed(_missing(ref.content, text))
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
        raise LookupFailed(f"position {ref.first} is behind position {ref.last}", "range")
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


def _between(ref: Between, text: Text) -> list[Spans]:
    found: list[Spans] = []
    for (a, b), (c, d) in itertools.product(_single(ref.first, text), _single(ref.last, text)):
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
        raise LookupFailed("too many places match", "other")
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
