"""`splice`: cut words out, put new ones in; every other sample stays as it is.

A cut is placed where a recording is quiet: at the least energy in the gaps beside the words, where
the two sides fit together best, with a cross-fade of a few milliseconds. The pause that stays is
the longer of the two that were there, as far as the declared 150 ms allow. New words come from a
model, in the voice of the recording (see `voice`), and take the place of the old ones between the
same pauses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mingtok_audio.core.errors import UserError
from uniaudio_edit.backends.voice import need_voice, speak
from uniaudio_edit.errors import MissingPartError
from uniaudio_edit.interfaces import Change, EditBackend, EditRequest, EditResult, Word
from uniaudio_edit.operations.base import CutOperation, Sound
from uniaudio_edit.pcm import Floats, Mono, from_float
from uniaudio_edit.plugins import edit_operations

if TYPE_CHECKING:
    from uniaudio_edit.parts import Parts
    from uniaudio_edit.plan import Operation

MARGIN_SECONDS = 0.150  # a change reaches at most this far around the words
_FADE_SECONDS = 0.008
_SEARCH_SECONDS = 0.030
_STEP_SECONDS = 0.001
_ENERGY_SECONDS = 0.006
_UNHEARD = 0.003  # of the recording's peak: -50 dB


@dataclass(frozen=True)
class _Cut:
    """Samples [start, end) go, and `new` (T, C) comes; around `start` and `end` the sides are
    cross-faded."""

    start: int
    end: int
    fade: int
    operation: int
    new: np.ndarray | None = None


class SpliceBackend(EditBackend):
    """Deletion by cutting; insertion and substitution with new words from a model that speaks."""

    needs_words = True
    is_global = False

    def __init__(self) -> None:
        self._cuts = {
            name: operation
            for name, operation in edit_operations().items()
            if isinstance(operation, CutOperation)
        }
        self.operations = frozenset({"deletion", "insertion", "substitution", *self._cuts})

    def check(self, operations: Sequence[Operation], parts: Parts) -> None:
        """See `EditBackend.check`."""
        if any(op.new for op in operations):
            need_voice(operations, parts)

    def apply(self, request: EditRequest) -> EditResult:
        """See `EditBackend.apply`."""
        if request.words is None and any(op.is_semantic for op in request.operations):
            raise MissingPartError(
                "splice has to know when each word is spoken; give --words FILE or an aligner"
            )
        mono, rate = Mono(request.pcm), request.sample_rate
        bits = int(request.options.get("bits", 8 * request.pcm.dtype.itemsize))
        cuts: list[_Cut] = []
        notes: list[str] = []
        models: dict[str, str] = {}
        sound = Sound(rate, request.seed, request.options, notes)
        for op in request.operations:
            index = request.plan.operations.index(op)
            if op.type in self._cuts:
                spans = self._cuts[op.type].cuts(Floats(request.pcm), op.params, sound)
                cuts += [_exact(span, len(mono), rate, index) for span in spans]
                continue
            assert op.text_span is not None
            assert request.words is not None
            notes += _unheard(mono, rate, request.words, op)
            if not op.new:
                cuts.append(_place(mono, rate, request.words, op.text_span, index))
                continue
            cut = _opening(mono, rate, request.words, op.text_span, index)
            spoken = speak(request, op)
            new, clipped = from_float(_fitting(spoken.wav, cut.fade), request.pcm.dtype, bits)
            notes += [spoken.note, *spoken.doubts]
            if clipped:
                notes.append(f"'{op.new}': {clipped} samples clipped")
            cuts.append(replace(cut, new=new))
            models |= _speaker(request, notes)
        cuts.sort(key=lambda cut: cut.start)
        cuts = _disjoint(cuts, bits)
        if sum(cut.end - cut.start for cut in cuts if cut.new is None) >= len(mono):
            raise UserError("nothing of the recording would be left")
        result = _join(request.pcm, cuts, bits)
        return replace(result, warnings=list(dict.fromkeys(notes)), models=models)


def _unheard(mono: Mono, rate: int, words: Sequence[Word], op: Operation) -> list[str]:
    """A warning where nothing sounds at the place of the old words."""
    i, j = op.text_span or (0, 0)
    if i == j:
        return []
    said = mono[round(words[i].start * rate) : round(words[j - 1].end * rate)]
    if not len(said) or np.abs(said).max() > _UNHEARD * mono.peak:
        return []
    return [f"there is no sound where '{op.old}' should be: do text and times belong to this?"]


def _speaker(request: EditRequest, notes: list[str]) -> dict[str, str]:
    """The model's name; and a note where it does not speak at the recording's bandwidth."""
    assert request.parts is not None
    model = request.parts.lm("new words need a voice")
    own = model.tokenizer.config.sample_rate
    if own < request.sample_rate:
        notes.append(f"the new words come at {own} Hz: they hold nothing above {own // 2} Hz")
    return {"voice": model.model_id}


def _fitting(wav: np.ndarray, fade: int) -> np.ndarray:
    """(T, C) with room for a cross-fade at both ends."""
    short = max(0, 2 * fade - len(wav))
    return np.pad(wav, ((short // 2, short - short // 2), (0, 0)))


def _exact(span: tuple[int, int], total: int, rate: int, operation: int) -> _Cut:
    """A cut at given samples, with a cross-fade where something stays on both sides."""
    start, end = span
    fade = max(2, round(_FADE_SECONDS * rate) // 2 * 2)
    room = min(start, total - end, (end - start) // 2)
    return _Cut(start, end, min(fade, 2 * (room // 2)), operation)


def _place(
    mono: Mono, rate: int, words: Sequence[Word], span: tuple[int, int], operation: int
) -> _Cut:
    """Where to cut out the words [i, j)."""
    i, j = span
    total = len(mono)
    margin = round(MARGIN_SECONDS * rate)
    fade = max(2, round(_FADE_SECONDS * rate) // 2 * 2)
    first, last = _samples_of(words[i:j], rate, total)
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


def _opening(
    mono: Mono, rate: int, words: Sequence[Word], span: tuple[int, int], operation: int
) -> _Cut:
    """Where the words [i, j) go out and new ones come in; i == j is a place between words. The
    pauses on both sides stay."""
    i, j = span
    total = len(mono)
    margin, search = round(MARGIN_SECONDS * rate), round(_SEARCH_SECONDS * rate)
    fade = max(2, round(_FADE_SECONDS * rate) // 2 * 2)
    half = fade // 2
    before = min(max(round(words[i - 1].end * rate), 0), total) if i else 0
    after = min(max(round(words[j].start * rate), 0), total) if j < len(words) else total
    if i == j:  # in the middle of the pause; at an end of the text beside its word
        low, high = min(before, after), max(before, after)
        if i == 0:
            low = max(low, high - margin)
        if j == len(words):
            high = min(high, low + margin)
        middle = (low + high) // 2
        low = max(low - search // 2, middle - margin, half)
        high = min(high + search // 2, middle + margin, total - half)
        point = _quietest(mono, rate, low, high)
        return _Cut(point, point, fade, operation)
    first, last = _samples_of(words[i:j], rate, total)
    inside, reach = search // 3, margin - half
    low = max(before - inside, first - 2 * search, first - reach, half)
    start = _quietest(mono, rate, low, min(first + inside, total - half))
    high = min(after + inside, last + 2 * search, last + reach, total - half)
    end = _quietest(mono, rate, max(last - inside, half), high)
    if end < start:
        raise UserError(f"'{words[i].text}' is too short to be replaced")
    return _Cut(start, end, fade, operation)


def _samples_of(words: Sequence[Word], rate: int, total: int) -> tuple[int, int]:
    """The samples [a, b) of neighbouring words in a recording of `total` samples."""
    first = min(max(round(words[0].start * rate), 0), total)
    last = min(max(round(words[-1].end * rate), 0), total)
    if last <= first:
        raise UserError(
            f"'{words[0].text}' is given from {words[0].start:g} to {words[-1].end:g} s, which "
            "is outside the recording"
        )
    return first, last


def _quietest(mono: Mono, rate: int, low: int, high: int) -> int:
    """The sample in [low, high] with the least energy around it, moved to a zero crossing beside
    it."""
    if high <= low:
        if not 0 < low < len(mono):
            raise UserError("the recording is too short for this edit")
        return low
    width = max(2, round(_ENERGY_SECONDS * rate)) // 2
    points = np.arange(low, high + 1, max(1, round(_STEP_SECONDS * rate)))
    power = [np.mean(np.square(mono[max(p - width, 0) : p + width])) for p in points]
    point = int(points[int(np.argmin(power))])
    reach = max(1, round(2 * _STEP_SECONDS * rate))
    a, b = max(low, point - reach), min(high, point + reach)
    signs = np.signbit(mono[a : b + 1])
    crossings = a + 1 + np.flatnonzero(signs[1:] != signs[:-1])
    return int(crossings[np.argmin(np.abs(crossings - point))]) if len(crossings) else point


def _grid(low: int, high: int, floor: int, ceiling: int, rate: int) -> np.ndarray:
    step = max(1, round(_STEP_SECONDS * rate))
    points = np.arange(low, high + 1, step)
    points = points[(points >= floor) & (points <= ceiling)]
    return points if len(points) else np.array([min(max((low + high) // 2, floor), ceiling)])


def _best_pair(
    mono: Mono, rate: int, starts: np.ndarray, ends: np.ndarray, fade: int
) -> tuple[int, int]:
    """The start and the end that are quiet and whose surroundings fit together."""
    half = fade // 2
    width = max(2, round(_ENERGY_SECONDS * rate)) // 2
    low, high = int(starts.min()) - rate, int(ends.max()) + rate
    around = mono[max(low, 0) : high]
    level = float(np.sqrt(np.mean(np.square(around)))) + 1e-12

    def loudness(points: np.ndarray) -> np.ndarray:
        return (
            np.array(
                [np.sqrt(np.mean(np.square(mono[max(p - width, 0) : p + width]))) for p in points]
            )
            / level
        )

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


def _disjoint(cuts: list[_Cut], bits: int) -> list[_Cut]:
    """Cuts whose cross-fades would touch, made one."""
    out: list[_Cut] = []
    for cut in cuts:
        if out and cut.start - cut.fade // 2 < out[-1].end + out[-1].fade // 2:
            last = out[-1]
            new = last.new if cut.new is None else cut.new
            if last.new is not None and cut.new is not None:
                n = cut.fade
                middle = crossfade(last.new[-n:], cut.new[:n], bits)
                new = np.concatenate([last.new[:-n], middle, cut.new[n:]])
            out[-1] = replace(last, end=max(cut.end, last.end), new=new)
        else:
            out.append(cut)
    return out


def _join(pcm: np.ndarray, cuts: Sequence[_Cut], bits: int) -> EditResult:
    pieces: list[np.ndarray] = []
    changes: list[Change] = []
    spoken: list[tuple[int, int]] = []
    position = written = 0
    for cut in cuts:
        half = cut.fade // 2
        kept = pcm[position : cut.start - half]
        left = pcm[cut.start - half : cut.start + half]
        right = pcm[cut.end - half : cut.end + half]
        if cut.new is None:
            made = crossfade(left, right, bits)
        else:
            head = crossfade(left, cut.new[: cut.fade], bits)
            tail = crossfade(cut.new[-cut.fade :], right, bits)
            made = np.concatenate([head, cut.new[cut.fade : -cut.fade], tail])
        pieces += [kept, made]
        written += len(kept)
        source = (cut.start - half, cut.end + half)
        changes.append(Change(source, (written, written + len(made)), cut.operation))
        if cut.new is not None:
            spoken.append((written, written + len(made)))
        written += len(made)
        position = cut.end + half
    pieces.append(pcm[position:])
    return EditResult(np.concatenate(pieces), changes, spoken=spoken)


def crossfade(left: np.ndarray, right: np.ndarray, bits: int) -> np.ndarray:
    """(n, C) from `left` to `right` along a raised cosine, in their own type and used bits."""
    n = len(left)
    weight = (0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / n))[:, None]
    mixed = left * (1.0 - weight) + right * weight
    if left.dtype.kind == "f":
        return mixed.astype(left.dtype)
    step = 1 << (np.iinfo(left.dtype).bits - bits)  # 24-bit samples are in the upper three bytes
    return (np.rint(mixed / step) * step).astype(left.dtype)
