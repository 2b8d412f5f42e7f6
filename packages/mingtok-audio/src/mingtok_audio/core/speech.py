"""Cutting, joining and measuring speech.

Axes: T samples, C channels. Mono signals are (T,) float; positions are sample numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

QUIET_SECONDS = 0.010
FADE_SECONDS = 0.008
_ACTIVE_DB = 40.0
_ACTIVE_SAMPLES = 512


def quietest(
    wav: np.ndarray,
    sample_rate: int,
    low: int,
    high: int,
    *,
    window: float = QUIET_SECONDS,
    zero_crossing: bool = True,
) -> int:
    """The sample in [low, high] around which `window` seconds hold the least energy.

    Args:
        wav: (T,); `low` and `high` are clipped to it.
        zero_crossing: move to the nearest zero crossing within half a window, if there is one.
    """
    low, high = min(max(low, 0), len(wav)), min(max(high, 0), len(wav))
    if high <= low:
        return low
    half = max(1, round(window * sample_rate) // 2)
    first, last = max(0, low - half), min(len(wav), high + half)
    power = np.square(wav[first:last].astype(np.float64))
    power = np.pad(power, (half - (low - first), half - (last - high)))
    total = np.concatenate(([0.0], np.cumsum(power)))
    best = low + int(np.argmin(total[2 * half :] - total[: -2 * half]))
    if not zero_crossing:
        return best
    start = max(low, best - half)
    signs = np.signbit(wav[start : min(high, best + half)])
    crossings = start + 1 + np.flatnonzero(signs[1:] != signs[:-1])
    return int(crossings[np.argmin(np.abs(crossings - best))]) if len(crossings) else best


def join(
    pieces: Sequence[np.ndarray], sample_rate: int, fade: float = FADE_SECONDS
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Pieces (T,) one after the other with linear cross-fades; each join costs `fade` seconds.

    Returns:
        The samples (T,) float32, and the span [a, b) of each piece in them.
    """
    size = round(fade * sample_rate)
    out = np.zeros(sum(map(len, pieces)), np.float32)
    spans: list[tuple[int, int]] = []
    end = 0
    for piece in pieces:
        count = min(size, end, len(piece))
        start = end - count
        if count:
            ramp = ((np.arange(count) + 0.5) / count).astype(np.float32)
            out[start:end] = out[start:end] * (1 - ramp) + piece[:count] * ramp
        out[end : end + len(piece) - count] = piece[count:]
        end = start + len(piece)
        spans.append((start, end))
    return out[:end].copy(), spans


def cut_out(wav: np.ndarray, sample_rate: int, spans: Sequence[tuple[int, int]]) -> np.ndarray:
    """`wav` (T,) without the spans [a, b), joined with cross-fades."""
    pieces, position = [], 0
    for first, last in sorted(spans):
        pieces.append(wav[position:first])
        position = max(position, last)
    pieces.append(wav[position:])
    return join([piece for piece in pieces if len(piece)], sample_rate)[0]


def active_level(wav: np.ndarray) -> float:
    """RMS of the frames within 40 dB of the loudest: the level of speech without its pauses.

    Args:
        wav: (T,) or (T, C); channels are averaged.
    """
    mono = wav if wav.ndim == 1 else wav.mean(axis=1)
    if not len(mono):
        return 0.0
    size = _ACTIVE_SAMPLES
    whole = len(mono) // size * size
    frames = mono[:whole].reshape(-1, size) if whole else mono[None]
    power = np.mean(np.square(frames), axis=1)
    active = power[power > power.max() * 10 ** (-_ACTIVE_DB / 10)]
    return float(np.sqrt(active.mean())) if len(active) else 0.0


def sounding_span(
    wav: np.ndarray,
    sample_rate: int,
    *,
    below_db: float = 40.0,
    frame: float = 0.010,
    pad: float = 0.030,
    silence: float = 1e-4,
) -> tuple[int, int]:
    """[a, b) of a recording (T,) without the silence around it, but for `pad` seconds.

    Args:
        below_db: frames quieter than the loudest by more than this count as silent.
        silence: an RMS under which everything is silent: the span is then (0, 0).
    """
    size = max(1, round(frame * sample_rate))
    count = len(wav) // size
    if count == 0 or not np.isfinite(wav).all():
        return 0, 0
    level = np.sqrt(np.square(wav[: count * size].reshape(count, size)).mean(axis=1))
    if level.max() < silence:
        return 0, 0
    loud = np.flatnonzero(level > 10 ** (-below_db / 20) * level.max())
    room = round(pad * sample_rate)
    return max(0, int(loud[0]) * size - room), min(len(wav), (int(loud[-1]) + 1) * size + room)


def trim(wav: np.ndarray, sample_rate: int, **options: float) -> np.ndarray:
    """(T,) without the silence around it; empty where all is silent. See `sounding_span`."""
    start, end = sounding_span(wav, sample_rate, **options)
    return wav[start:end]
