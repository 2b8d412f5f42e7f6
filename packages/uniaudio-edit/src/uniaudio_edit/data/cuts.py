"""Cutting and joining speech between its words. Samples (T,) float32; spans are in samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uniaudio_edit.interfaces import Word

FADE_SECONDS = 0.008
_REACH_SECONDS = 0.040
_WINDOW_SECONDS = 0.010

Span = tuple[int, int]


def boundaries(wav: np.ndarray, rate: int, words: Sequence[Word]) -> list[int]:
    """Where to cut between words: point k parts word k - 1 from word k, (len(words) + 1,).

    Each lies where it is quietest between the two words and a little around, for the times of an
    aligner are off by some tens of milliseconds. The points never run backwards.
    """
    reach = _REACH_SECONDS
    points: list[int] = []
    for k in range(len(words) + 1):
        before = words[k - 1] if k else None
        after = words[k] if k < len(words) else None
        if before is None and after is not None:
            low, high = after.start - 0.15, after.start
        elif after is None and before is not None:
            low, high = before.end, before.end + 0.15
        else:
            assert before is not None
            assert after is not None
            low = max(min(before.end, after.start) - reach, (before.start + before.end) / 2)
            high = min(max(before.end, after.start) + reach, (after.start + after.end) / 2)
        floor = points[-1] if points else 0
        points.append(_quietest(wav, rate, max(floor, round(low * rate)), round(high * rate)))
    return points


def _quietest(wav: np.ndarray, rate: int, low: int, high: int) -> int:
    low = min(max(low, 0), len(wav))
    high = min(max(high, low), len(wav))
    half = max(1, round(_WINDOW_SECONDS * rate) // 2)
    around = wav[max(0, low - half) : high + half].astype(np.float64) ** 2
    if high - low < 2 or len(around) < 2:
        return low
    left = half - (low - max(0, low - half))
    around = np.pad(around, (left, max(0, high + half - len(wav))))
    total = np.concatenate(([0.0], np.cumsum(around)))
    energy = total[2 * half :] - total[: -2 * half]
    return low + int(np.argmin(energy[: high - low]))


def join(pieces: Sequence[np.ndarray], rate: int) -> tuple[np.ndarray, list[Span]]:
    """Pieces one after the other with short cross-fades; each join costs `FADE_SECONDS`.

    Returns:
        The samples and where each piece lies in them.
    """
    fade = round(FADE_SECONDS * rate)
    out = np.zeros(0, np.float32)
    spans: list[Span] = []
    for piece in pieces:
        size = min(fade, len(out), len(piece))
        start = len(out) - size
        if size:
            ramp = ((np.arange(size) + 0.5) / size).astype(np.float32)
            mixed = out[start:] * (1 - ramp) + piece[:size] * ramp
            out = np.concatenate([out[:start], mixed, piece[size:]])
        else:
            out = np.concatenate([out, piece])
        spans.append((start, len(out)))
    return out.astype(np.float32), spans
