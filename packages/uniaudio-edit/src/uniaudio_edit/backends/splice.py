"""`splice`: cut words out and join what is left; every other sample stays as it is.

A cut is placed where a recording is quiet: at the least energy in the gaps beside the words, where
the two sides fit together best, with a cross-fade of a few milliseconds. The pause that stays is
the longer of the two that were there, as far as the declared 150 ms allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mingtok_audio.core.errors import UserError
from uniaudio_edit.errors import MissingPartError
from uniaudio_edit.interfaces import Change, EditBackend, EditRequest, EditResult, Word

MARGIN_SECONDS = 0.150  # a change reaches at most this far around the words
_FADE_SECONDS = 0.008
_SEARCH_SECONDS = 0.030
_STEP_SECONDS = 0.001
_ENERGY_SECONDS = 0.006


@dataclass(frozen=True)
class _Cut:
    """Samples [start, end) go; around `start` and `end` the two sides are cross-faded."""

    start: int
    end: int
    fade: int
    operation: int


class SpliceBackend(EditBackend):
    """Deletion by cutting. Insertion and substitution need a voice, which this does not have."""

    operations = frozenset({"deletion"})
    needs_words = True
    is_global = False

    def apply(self, request: EditRequest) -> EditResult:
        """See `EditBackend.apply`."""
        for op in request.operations:
            if op.type not in self.operations:
                raise MissingPartError(
                    f"splice cannot do {op.type}: new words need a speech model (uniaudio-lm with "
                    "weights that speak), and none is there"
                )
        if request.words is None:
            raise MissingPartError(
                "splice has to know when each word is spoken; give --words FILE or an aligner"
            )
        mono = _mono(request.pcm)
        cuts = []
        for op in request.operations:
            assert op.text_span is not None
            cuts.append(
                _place(mono, request.sample_rate, request.words, op.text_span,
                       request.plan.operations.index(op))
            )  # fmt: skip
        cuts.sort(key=lambda cut: cut.start)
        bits = int(request.options.get("bits", 8 * request.pcm.dtype.itemsize))
        return _join(request.pcm, _disjoint(cuts), bits)


def _mono(pcm: np.ndarray) -> np.ndarray:
    """The mean of the channels (T,), in the units of the samples."""
    return pcm[:, 0].astype(np.float64) if pcm.shape[1] == 1 else pcm.mean(axis=1)


def _place(
    mono: np.ndarray, rate: int, words: Sequence[Word], span: tuple[int, int], operation: int
) -> _Cut:
    """Where to cut out the words [i, j)."""
    i, j = span
    total = len(mono)
    margin = round(MARGIN_SECONDS * rate)
    fade = max(2, round(_FADE_SECONDS * rate) // 2 * 2)
    first = min(max(round(words[i].start * rate), 0), total)
    last = min(max(round(words[j - 1].end * rate), 0), total)
    if last <= first:
        raise UserError(
            f"'{words[i].text}' is given from {words[i].start:g} to {words[j - 1].end:g} s, which "
            "is no part of the recording"
        )
    before = round(words[i - 1].end * rate) if i else 0
    after = round(words[j].start * rate) if j < len(words) else total
    low, high = max(min(before, first), first - margin), min(max(after, last), last + margin)
    # Of the two pauses the shorter goes, half at each side where there is room.
    spare = min(first - low, high - last)
    left = first - spare // 2
    right = last + (spare - spare // 2)
    if i == 0:  # the words opened the recording: its own lead-in stays
        left, right = first, high
    if j == len(words):
        left, right = low, last
    half = fade // 2
    floor, ceiling = max(half, first - margin + half), min(total - half, last + margin - half)
    if floor >= ceiling:
        raise UserError("the recording is too short for this cut")
    search = round(_SEARCH_SECONDS * rate)
    starts = _grid(left - search, min(left + search, first + search // 3), floor, ceiling, rate)
    ends = _grid(max(right - search, last - search // 3), right + search, floor, ceiling, rate)
    start, end = _best_pair(mono, rate, starts, ends, fade)
    return _Cut(start, end, fade, operation)


def _grid(low: int, high: int, floor: int, ceiling: int, rate: int) -> np.ndarray:
    step = max(1, round(_STEP_SECONDS * rate))
    points = np.arange(low, high + 1, step)
    points = points[(points >= floor) & (points <= ceiling)]
    return points if len(points) else np.array([min(max((low + high) // 2, floor), ceiling)])


def _best_pair(
    mono: np.ndarray, rate: int, starts: np.ndarray, ends: np.ndarray, fade: int
) -> tuple[int, int]:
    """The start and the end that are quiet and whose surroundings fit together."""
    half = fade // 2
    width = max(2, round(_ENERGY_SECONDS * rate)) // 2
    low, high = int(starts.min()) - rate, int(ends.max()) + rate
    around = mono[max(low, 0) : high]
    level = float(np.sqrt(np.mean(np.square(around)))) + 1e-12

    def loudness(points: np.ndarray) -> np.ndarray:
        return np.array(
            [np.sqrt(np.mean(np.square(mono[max(p - width, 0) : p + width]))) for p in points]
        ) / level  # fmt: skip

    windows_a = np.stack([mono[p - half : p + half] for p in starts]) / level
    windows_b = np.stack([mono[p - half : p + half] for p in ends]) / level
    # Mean squared difference of the two sides over the cross-fade: (starts, ends).
    squares = (windows_a**2).mean(1)[:, None] + (windows_b**2).mean(1)[None]
    mismatch = np.sqrt(np.maximum(squares - 2 * windows_a @ windows_b.T / fade, 0.0))
    cost = loudness(starts)[:, None] + loudness(ends)[None] + mismatch
    cost[starts[:, None] + fade > ends[None]] += 1e6
    best = np.unravel_index(int(np.argmin(cost)), cost.shape)
    start, end = int(starts[best[0]]), int(ends[best[1]])
    if end < start + fade:
        raise UserError("the words to delete are too short to cut out")
    return start, end


def _disjoint(cuts: list[_Cut]) -> list[_Cut]:
    """Cuts whose cross-fades would touch, made one."""
    out: list[_Cut] = []
    for cut in cuts:
        if out and cut.start - cut.fade // 2 < out[-1].end + out[-1].fade // 2:
            last = out[-1]
            out[-1] = _Cut(last.start, max(cut.end, last.end), last.fade, last.operation)
        else:
            out.append(cut)
    return out


def _join(pcm: np.ndarray, cuts: Sequence[_Cut], bits: int) -> EditResult:
    pieces: list[np.ndarray] = []
    changes: list[Change] = []
    position = written = 0
    for cut in cuts:
        half = cut.fade // 2
        kept = pcm[position : cut.start - half]
        pieces.append(kept)
        written += len(kept)
        faded = crossfade(
            pcm[cut.start - half : cut.start + half], pcm[cut.end - half : cut.end + half], bits
        )
        pieces.append(faded)
        changes.append(
            Change(
                (cut.start - half, cut.end + half), (written, written + len(faded)), cut.operation
            )
        )
        written += len(faded)
        position = cut.end + half
    pieces.append(pcm[position:])
    return EditResult(np.concatenate(pieces), changes)


def crossfade(left: np.ndarray, right: np.ndarray, bits: int) -> np.ndarray:
    """(n, C) from `left` to `right` along a raised cosine, in their own type and used bits."""
    n = len(left)
    weight = (0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / n))[:, None]
    mixed = left * (1.0 - weight) + right * weight
    if left.dtype.kind == "f":
        return mixed.astype(left.dtype)
    step = 1 << (np.iinfo(left.dtype).bits - bits)  # 24-bit samples are in the upper three bytes
    return (np.rint(mixed / step) * step).astype(left.dtype)
