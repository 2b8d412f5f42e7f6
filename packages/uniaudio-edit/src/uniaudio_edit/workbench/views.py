"""A part of a recording as numbers to draw: peaks and a mel spectrogram, column by column.

Axes: T samples, W columns.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

BANDS = 64
TOP_HZ = 8000.0
_WINDOW_SECONDS = 0.032
_FRAMES_A_COLUMN = 4
_FLOOR_DB, _RANGE_DB = -100.0, 90.0


def view(wave: Path, rate: int, start: float, end: float, width: int) -> bytes:
    """Seconds [start, end) in `width` columns.

    Returns:
        W lowest samples and W highest (int8, of full scale), then `BANDS` rows of W levels (uint8,
        the lowest frequency first, 0 to 8 kHz on the mel scale, -100 to -10 dB).
    """
    samples = np.load(wave, mmap_mode="r")
    edges = np.linspace(start * rate, end * rate, width + 1).round().astype(int)
    first, last = max(0, edges[0]), min(len(samples), edges[-1])
    low, high = np.zeros(width, np.int8), np.zeros(width, np.int8)
    levels = np.zeros((BANDS, width), np.uint8)
    if last <= first:
        return low.tobytes() + high.tobytes() + levels.tobytes()
    part = np.asarray(samples[first:last])
    begins = np.clip(edges[:-1] - first, 0, len(part) - 1)
    ends = np.clip(edges[1:] - first, begins + 1, len(part))
    inside = (edges[1:] > first) & (edges[:-1] < last)
    low = np.where(inside, np.minimum.reduceat(part, begins) >> 8, 0).astype(np.int8)
    high = np.where(inside, np.maximum.reduceat(part, begins) >> 8, 0).astype(np.int8)
    size = 1 << round(np.log2(_WINDOW_SECONDS * rate))
    count = int(np.clip((ends - begins).max() * 2 // size, 1, _FRAMES_A_COLUMN))
    shares = (np.arange(count) + 0.5) / count
    centres = (begins[:, None] + (ends - begins)[:, None] * shares).astype(int)
    padded = np.pad(part.astype(np.float32) / 32768, size)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[centres + size // 2]
    window = np.hanning(size).astype(np.float32)
    power = np.abs(np.fft.rfft(frames * window, axis=-1)) ** 2 / (window.sum() / 2) ** 2
    mel = power.mean(axis=1) @ _filters(size, rate)
    decibels = 10 * np.log10(mel + 1e-12)
    levels = np.clip((decibels - _FLOOR_DB) / _RANGE_DB * 255, 0, 255).astype(np.uint8)
    levels[~inside] = 0
    return low.tobytes() + high.tobytes() + np.ascontiguousarray(levels.T).tobytes()


@lru_cache(maxsize=8)
def _filters(size: int, rate: int) -> np.ndarray:
    """Triangles on the mel scale: (size / 2 + 1, BANDS)."""
    top = 2595 * np.log10(1 + TOP_HZ / 700)
    points = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    bins = np.arange(size // 2 + 1)[:, None] * rate / size
    rising = (bins - points[:-2]) / (points[1:-1] - points[:-2])
    falling = (points[2:] - bins) / (points[2:] - points[1:-1])
    weights = np.clip(np.minimum(rising, falling), 0, None)
    # A band narrower than a bin takes the nearest one.
    nearest = np.abs(bins - points[1:-1]).argmin(axis=0)
    for band in np.flatnonzero(weights.sum(axis=0) == 0):
        weights[nearest[band], band] = 1.0
    return weights.astype(np.float32)
