"""Levels: loudness of speech, true peaks, a limiter, mixing. Axes: T samples, C channels."""

from __future__ import annotations

import numpy as np

from uniaudio_edit.pcm import Floats

CEILING_DB = -0.3  # dBTP that a raised level does not pass
_OVERSAMPLING = 4
_BLOCK = 1 << 20
_LOOK_AHEAD_SECONDS = 0.004
_HEADROOM = 0.97


def true_peak(wav: np.ndarray) -> np.ndarray:
    """The largest level between and at the samples, per sample: (T, C) -> (T,)."""
    from scipy.signal import resample_poly

    peaks = np.zeros(len(wav))
    size, pad = 1 << 18, 64
    for begin in range(0, len(wav), size):
        low, high = max(0, begin - pad), min(len(wav), begin + size + pad)
        fine = np.abs(resample_poly(wav[low:high], _OVERSAMPLING, 1, axis=0)).max(axis=1)
        per = fine.reshape(-1, _OVERSAMPLING).max(axis=1)
        end = min(begin + size, len(wav))
        peaks[begin:end] = per[begin - low : end - low]
    return np.maximum(peaks, np.abs(wav).max(axis=1))


def limit(wav: np.ndarray, rate: int, ceiling_db: float = CEILING_DB) -> tuple[np.ndarray, float]:
    """Hold (T, C) under a true peak with a gain that moves slowly.

    Returns:
        The samples and the share of them that was turned down.
    """
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    ceiling = 10.0 ** (ceiling_db / 20.0)
    peaks = true_peak(wav)
    if peaks.max() <= ceiling:
        return wav, 0.0
    gain = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-12))
    width = 2 * max(1, round(_LOOK_AHEAD_SECONDS * rate)) + 1
    # The mean over a window of the least gain within the same window never passes the gain itself.
    gain = uniform_filter1d(minimum_filter1d(gain, width, mode="nearest"), width, mode="nearest")
    return wav * np.minimum(gain, 1.0)[:, None], float(np.mean(gain < 0.999))


def turned_down(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of a training pair turned down alike until neither passes full scale."""
    peak = max(float(np.abs(x).max(initial=0.0)) for x in (source, target))
    gain = min(1.0, _HEADROOM / peak) if peak > 0 else 1.0
    return (source * gain).astype(np.float32), (target * gain).astype(np.float32)


def published_number(value: float) -> str:
    """1.0 as "1", 0.70 as "0.7"; at most two decimals."""
    return f"{round(float(value), 2):g}"


def energies(wav: np.ndarray | Floats, hop: int) -> np.ndarray:
    """The energy of each `hop` samples (T // hop,), the mean of the channels."""
    block = hop * max(1, _BLOCK // hop)
    out = []
    for start in range(0, len(wav) // hop * hop, block):
        part = wav[start : min(start + block, len(wav) // hop * hop)]
        out.append(np.square(part).mean(axis=1).reshape(-1, hop).sum(axis=1))
    return np.concatenate(out)


def contrast(wav: np.ndarray, rate: int) -> float:
    """dB between the loud and the soft frames of 20 ms of (T, C), the 95th and 10th percentile."""
    hop = max(1, rate // 100)
    if len(wav) < 4 * hop:
        return 0.0
    bins = energies(wav, hop)
    level = 10.0 * np.log10((bins[:-1] + bins[1:]) / (2 * hop) + 1e-12)
    return float(np.percentile(level, 95) - np.percentile(level, 10))
