"""Our edit scoring: is every edited span right, and how many errors lie outside the spans?

Both are read from the alignment of what was heard to what should be heard, so that a slip
somewhere else moves nothing. Where several alignments are equally short, a span is right if some
alignment has it whole, and wrong if any alignment still has the old words at its place; errors
are charged to the spans before they are charged to the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audio_eval.text.align import Counts, Pair, align, counts_of, distances

#: Raise when a rule changes: part of the cache keys.
VERSION = "2"
#: A deletion leaves nothing to match; this many tokens beside it are looked at instead.
_ANCHORS = 3


@dataclass(frozen=True)
class Span:
    """Tokens ``[start, end)`` of the edited text (empty for a deletion) and what they replace."""

    start: int
    end: int
    old: tuple[str, ...]


@dataclass(frozen=True)
class EditScore:
    """``passed``: every span right. ``wrong``: the spans that are not. ``outside``: errors."""

    passed: bool
    wrong: tuple[Span, ...]
    spans: tuple[Span, ...]
    outside: Counts
    pairs: tuple[Pair, ...]


def edit_spans(original: Sequence[str], edited: Sequence[str]) -> list[Span]:
    """Where two token lists differ, in order: what remains when as many tokens as possible are
    matched; neighbouring differences are one span."""
    spans: list[Span] = []
    start = end = 0
    old: list[str] = []
    open_ = False
    for i, j in align(original, edited, substitution=2):
        if i is not None and j is not None and original[i] == edited[j]:
            if open_:
                spans.append(Span(start, end, tuple(old)))
            open_, old, start, end = False, [], j + 1, j + 1
            continue
        open_ = True
        if i is not None:
            old.append(original[i])
        if j is not None:
            end = j + 1
    if open_:
        spans.append(Span(start, end, tuple(old)))
    return spans


def score_edit(original: Sequence[str], edited: Sequence[str], heard: Sequence[str]) -> EditScore:
    """Score one edit; all texts as normalised tokens.

    A span is right when its new tokens stand in the alignment, next to each other, and neither
    they a second time nor the old tokens stand at its edges. A deletion is right when nothing
    stands in its place (what is left of a word may be heard as another), the deleted tokens are
    not extra ones next to a neighbour either, and a token within three on each side is there (so
    that garbage does not pass). Nothing is right in an empty hypothesis.
    """
    spans = edit_spans(original, edited)
    forward = distances(edited, heard)
    backward = distances(edited[::-1], heard[::-1])[::-1, ::-1]
    judge = _Judge(edited, heard, forward, backward)
    wrong = tuple(s for s in spans if not heard or not judge.right(s))
    pairs = _align_outside(edited, heard, spans)
    outside = counts_of([p for p in pairs if p is not None], edited, heard)
    return EditScore(bool(heard) and not wrong, wrong, tuple(spans), outside, tuple(pairs))


@dataclass(frozen=True)
class _Judge:
    """Questions about the shortest alignments of ``edited`` and ``heard``.

    ``forward[i, k]``: distance of the first i and k tokens; ``backward[i, k]``: of the rest.
    """

    edited: Sequence[str]
    heard: Sequence[str]
    forward: np.ndarray
    backward: np.ndarray

    @property
    def best(self) -> int:
        return int(self.forward[-1, -1])

    def right(self, span: Span) -> bool:
        new = list(self.edited[span.start : span.end])
        if not new:
            gone = self._empty(span.start) and not self._left_behind(span, set(span.old))
            return gone and self._anchored(span)
        length = len(new)
        whole = any(
            list(self.heard[k : k + length]) == new
            and self.forward[span.start, k] + self.backward[span.end, k + length] == self.best
            for k in range(len(self.heard) - length + 1)
        )
        return whole and not self._left_behind(span, {*span.old, *new})

    def _left_behind(self, span: Span, tokens: set[str]) -> bool:
        """Some shortest alignment has one of the tokens as an extra one at the span's edges (of a
        deletion: also in place of the token beside it)."""
        rows = {span.start, span.end}
        if span.start == span.end:
            # A slip beside the place moves the words that are left to the neighbour's other side.
            rows |= {max(0, span.start - 1), min(len(self.edited), span.start + 1)}
        for k, token in enumerate(self.heard):
            if token not in tokens:
                continue
            for i in rows:
                if self.forward[i, k] + 1 + self.backward[i, k + 1] == self.best:
                    return True
            if span.start == span.end and any(
                self._pairs_wrongly(i, k) for i in (span.start - 1, span.start)
            ):
                return True
        return False

    def _empty(self, row: int) -> bool:
        """Some shortest alignment has no extra token before token ``row`` of the edited text."""
        last = len(self.edited)

        def reached(k: int) -> bool:
            if row == 0:
                return k == 0
            paired = k and self.forward[row - 1, k - 1] + (
                self.edited[row - 1] != self.heard[k - 1]
            )
            from_above = self.forward[row - 1, k] + 1
            return self.forward[row, k] in ({paired, from_above} if k else {from_above})

        def left(k: int) -> bool:
            if row == last:
                return k == len(self.heard)
            below = {self.backward[row + 1, k] + 1}
            if k < len(self.heard):
                below.add(self.backward[row + 1, k + 1] + (self.edited[row] != self.heard[k]))
            return self.backward[row, k] in below

        return any(
            self.forward[row, k] + self.backward[row, k] == self.best and reached(k) and left(k)
            for k in range(len(self.heard) + 1)
        )

    def _pairs_wrongly(self, i: int, k: int) -> bool:
        if not 0 <= i < len(self.edited) or self.edited[i] == self.heard[k]:
            return False
        return self.forward[i, k] + 1 + self.backward[i + 1, k + 1] == self.best

    def _anchored(self, span: Span) -> bool:
        left = range(max(0, span.start - _ANCHORS), span.start)
        right = range(span.start, min(len(self.edited), span.start + _ANCHORS))
        return all(any(map(self._matched, side)) for side in (left, right) if side)

    def _matched(self, i: int) -> bool:
        return any(
            token == self.edited[i]
            and self.forward[i, k] + self.backward[i + 1, k + 1] == self.best
            for k, token in enumerate(self.heard)
        )


def _align_outside(
    edited: Sequence[str], heard: Sequence[str], spans: Sequence[Span]
) -> list[Pair]:
    """Columns outside the spans of the shortest alignment that has the fewest errors there.

    Extra tokens inside a span or at its edges belong to the span: they are what a failed edit
    leaves.
    """
    rows, columns = len(edited) + 1, len(heard) + 1
    inside = np.zeros(rows, dtype=bool)  # token i of the edited text
    edge = np.zeros(rows, dtype=bool)  # extra tokens before token i
    for span in spans:
        inside[span.start : span.end] = True
        edge[span.start : span.end + 1] = True
    # One error anywhere outweighs any number of choices of where it is charged.
    unit = rows + columns + 1
    token_cost = [unit + (not x) for x in inside]
    extra_cost = [unit + (not x) for x in edge]
    table = np.zeros((rows, columns), dtype=np.int64)
    table[0] = np.arange(columns) * extra_cost[0]
    for i in range(1, rows):
        cost, extra = token_cost[i - 1], extra_cost[i]
        above = table[i - 1]
        row = [int(above[0]) + cost]
        word = edited[i - 1]
        for k in range(1, columns):
            pair = int(above[k - 1]) + (0 if heard[k - 1] == word else cost)
            row.append(min(pair, int(above[k]) + cost, row[k - 1] + extra))
        table[i] = row
    out: list[Pair] = []
    i, k = rows - 1, columns - 1
    while i or k:
        here = table[i, k]
        same = bool(i and k) and edited[i - 1] == heard[k - 1]
        if i and k and here == table[i - 1, k - 1] + (0 if same else token_cost[i - 1]):
            i, k = i - 1, k - 1
            if not inside[i]:
                out.append((i, k))
        elif i and here == table[i - 1, k] + token_cost[i - 1]:
            i -= 1
            if not inside[i]:
                out.append((i, None))
        else:
            k -= 1
            if not edge[i]:
                out.append((None, k))
    return out[::-1]
