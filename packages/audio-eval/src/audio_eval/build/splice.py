"""Cutting and joining speech where it is quiet, so that a join is not heard.

`wav (T,)` float32 throughout; spans are seconds or samples as named.
"""

from __future__ import annotations

import numpy as np

_WINDOW_SECONDS = 0.010
_FADE_SECONDS = 0.008


def quietest(wav: np.ndarray, sample_rate: int, low: int, high: int) -> int:
    """The sample in [low, high] around which 10 ms hold the least energy (then a zero crossing)."""
    low, high = max(0, low), min(len(wav), high)
    if high <= low:
        return min(max(low, 0), len(wav))
    half = max(1, int(_WINDOW_SECONDS * sample_rate) // 2)
    power = np.pad(wav.astype(np.float64) ** 2, (half, half))
    total = np.concatenate([[0.0], np.cumsum(power)])
    energy = total[low + 2 * half : high + 2 * half + 1] - total[low : high + 1]
    best = low + int(np.argmin(energy))
    area = wav[max(low, best - half) : min(high, best + half)]
    signs = np.signbit(area)
    crossings = np.flatnonzero(signs[1:] != signs[:-1]) + 1
    if len(crossings):
        offset = max(low, best - half)
        best = offset + int(crossings[np.argmin(np.abs(crossings + offset - best))])
    return best


def cut_points(
    wav: np.ndarray, sample_rate: int, words: list[tuple[float, float]], start: int, stop: int
) -> tuple[int, int]:
    """Samples [a, b) that hold words `start` to `stop` (exclusive) and cut no neighbour.

    Each cut lies where it is quietest between the middle of the word outside and the middle of
    the word inside; before the first and after the last word it may go to the end of the file.

    Args:
        words: (start, end) seconds of every word.
    """

    def middle(index: int) -> int:
        a, b = words[index]
        return int((a + b) / 2 * sample_rate)

    def edge(outer: int, inner: int, boundary: tuple[float, float]) -> int:
        # Times of an aligner are off by up to some tens of milliseconds: look a bit further than
        # the gap it reports, but never past the middle of a word.
        reach = int(0.06 * sample_rate)
        low = max(min(outer, inner), int(min(boundary) * sample_rate) - reach)
        high = min(max(outer, inner), int(max(boundary) * sample_rate) + reach)
        return quietest(wav, sample_rate, low, high)

    if start == 0:
        first = 0
    else:
        first = edge(middle(start - 1), middle(start), (words[start - 1][1], words[start][0]))
    if stop == len(words):
        last = len(wav)
    else:
        last = edge(middle(stop - 1), middle(stop), (words[stop - 1][1], words[stop][0]))
    return first, max(first, last)


def join(pieces: list[np.ndarray], sample_rate: int) -> np.ndarray:
    """Pieces one after the other, faded over 8 ms at each join (each join costs 8 ms)."""
    fade = int(_FADE_SECONDS * sample_rate)
    out = np.zeros(0, np.float32)
    for piece in pieces:
        size = min(fade, len(out), len(piece))
        if size == 0:
            out = np.concatenate([out, piece.astype(np.float32)])
            continue
        ramp = ((np.arange(size) + 0.5) / size).astype(np.float32)
        mixed = out[-size:] * (1 - ramp) + piece[:size] * ramp
        out = np.concatenate([out[:-size], mixed, piece[size:]]).astype(np.float32)
    return out


def cut_out(wav: np.ndarray, sample_rate: int, spans: list[tuple[int, int]]) -> np.ndarray:
    """`wav` without the sample spans [a, b)."""
    pieces, position = [], 0
    for first, last in sorted(spans):
        pieces.append(wav[position:first])
        position = max(position, last)
    pieces.append(wav[position:])
    return join([p for p in pieces if len(p)], sample_rate)
