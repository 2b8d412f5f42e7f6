"""Fundamental frequency by autocorrelation: enough for a median over voiced frames."""

from __future__ import annotations

import numpy as np

from audio_eval.dsp import frames

_LOWEST, _HIGHEST = 60.0, 500.0
_VOICED = 0.45


def track_f0(wav: np.ndarray, sample_rate: int = 16000) -> np.ndarray:
    """F0 in Hz of the voiced frames (V,) of ``wav`` (T,): 50 ms windows every 10 ms.

    The autocorrelation is divided by the window's own, as in Boersma (1993), so that longer lags
    are not favoured less; the peak is refined by a parabola. Frames 30 dB below the loudest, or
    with a peak below 0.45, count as unvoiced.
    """
    size, hop = sample_rate // 20, sample_rate // 100
    pieces = frames(wav, size, hop)
    pieces = pieces - pieces.mean(1, keepdims=True)
    window = np.hanning(size + 2)[1:-1]
    fft = 1 << (2 * size - 1).bit_length()

    def correlate(x: np.ndarray) -> np.ndarray:
        return np.fft.irfft(np.abs(np.fft.rfft(x, fft, axis=-1)) ** 2, axis=-1)[..., :size]

    energy = (pieces**2).sum(1)
    loud = energy > max(1e-8, 1e-3 * float(energy.max(initial=0.0)))
    if not loud.any():
        return np.zeros(0)
    own = correlate(window)
    raw = correlate(pieces[loud] * window)
    normal = raw / np.maximum(raw[:, :1], 1e-12) / np.maximum(own / own[0], 1e-3)
    low, high = int(sample_rate / _HIGHEST), int(sample_rate / _LOWEST)
    area = normal[:, low : high + 1]
    # The first peak that is nearly the best one: later ones are multiples of the period.
    best = area.max(1)
    middle = area[:, 1:-1]
    peaks = (middle >= area[:, :-2]) & (middle >= area[:, 2:])
    peaks &= middle >= 0.9 * best[:, None]
    first = peaks.argmax(1) + 1
    voiced = (best >= _VOICED) & peaks.any(1)
    rows = np.flatnonzero(voiced)
    lag = first[rows] + low
    left, here, right = (normal[rows, lag + d] for d in (-1, 0, 1))
    bend = left - 2 * here + right
    shift = np.where(np.abs(bend) > 1e-9, 0.5 * (left - right) / np.minimum(bend, -1e-9), 0.0)
    return sample_rate / (lag + np.clip(shift, -0.5, 0.5))


def median_f0(wav: np.ndarray, sample_rate: int = 16000) -> float | None:
    """Median F0 in Hz over voiced frames; None without at least five."""
    track = track_f0(wav, sample_rate)
    return float(np.exp(np.median(np.log(track)))) if len(track) >= 5 else None
