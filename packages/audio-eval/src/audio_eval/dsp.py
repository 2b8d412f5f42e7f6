"""The little signal processing that the metrics share. numpy only."""

from __future__ import annotations

from functools import cache

import numpy as np


def frames(wav: np.ndarray, size: int, hop: int) -> np.ndarray:
    """Overlapping frames (L, size) of ``wav`` (T,), zero-padded at the end to at least one."""
    count = 1 + max(0, -(-(len(wav) - size) // hop))
    padded = np.zeros((count - 1) * hop + size, dtype=np.float64)
    padded[: len(wav)] = wav
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]


def power_spectrum(wav: np.ndarray, size: int = 400, hop: int = 160, fft: int = 512) -> np.ndarray:
    """Hann-windowed power spectrum (L, fft // 2 + 1) of ``wav`` (T,)."""
    window = np.hanning(size + 1)[:-1]
    return np.abs(np.fft.rfft(frames(wav, size, hop) * window, fft, axis=1)) ** 2


def log_mel(
    wav: np.ndarray, sample_rate: int = 16000, bands: int = 80, floor: float = 1e-5
) -> np.ndarray:
    """Natural-log mel spectrum (L, bands); 25 ms windows every 10 ms at 16 kHz.

    ``floor`` bounds the band energy from below, so that digital silence and noise at -50 dB of a
    full-scale tone count alike.
    """
    power = power_spectrum(wav)
    bank = mel_filters(sample_rate, 2 * (power.shape[1] - 1), bands)
    return np.log(np.maximum(power @ bank.T, floor))


@cache
def mel_filters(sample_rate: int, fft: int, bands: int) -> np.ndarray:
    """Triangular filters (bands, fft // 2 + 1), equally spaced on the HTK mel scale."""

    def to_mel(hz: np.ndarray | float) -> np.ndarray:
        return 2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0)

    edges = np.linspace(0.0, float(to_mel(sample_rate / 2)), bands + 2)
    edges = 700.0 * (10.0 ** (edges / 2595.0) - 1.0)
    bins = np.linspace(0.0, sample_rate / 2, fft // 2 + 1)
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0.0, np.minimum(rise, fall))
