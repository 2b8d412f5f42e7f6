"""A small speaker embedding that needs no download: spectral statistics and pitch, projected so
that speakers lie apart (linear discriminant analysis).

The projection in `voice.npz` is made by `recipes/curation/voice.py` from recordings of known
speakers. It tells voices of one recording apart; for speakers across recordings a network is
better (`speakers.encoder`).

Axes: T samples, F frames (10 ms), M mel bands, D numbers.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

RATE = 16000
_FRAME, _SHIFT, _FFT, _BANDS, _CEPSTRA = 400, 160, 512, 40, 20
_PITCH_FFT = 1024
_LOWEST, _HIGHEST = 60.0, 400.0  # Hz


def statistics(wav: np.ndarray) -> np.ndarray:
    """What is measured on a stretch of speech (T,) at 16 kHz: (D,), independent of its level.

    Means and deviations of 20 mel cepstra, deviations of their slopes, and the pitch.
    """
    if len(wav) < _FRAME + 4 * _SHIFT:
        wav = np.pad(wav, (0, _FRAME + 4 * _SHIFT - len(wav)))
    frames = np.lib.stride_tricks.sliding_window_view(wav, _FRAME)[::_SHIFT].astype(np.float64)
    frames = frames - frames.mean(axis=1, keepdims=True)
    energy = np.square(frames).mean(axis=1)
    active = energy > energy.max() * 1e-3
    if active.sum() < 5:
        active = np.ones(len(frames), bool)
    spectrum = np.square(np.abs(np.fft.rfft(frames * np.hanning(_FRAME), _FFT, axis=1)))
    mel = np.log(spectrum @ _filters().T + 1e-10)
    cepstra = mel @ _cosines().T
    slopes = np.zeros_like(cepstra)
    slopes[1:-1] = (cepstra[2:] - cepstra[:-2]) / 2
    used, moved = cepstra[active], slopes[active]
    pitch, voiced = _pitch(wav, active)
    level_free = used[:, 1:]
    return np.concatenate(
        [level_free.mean(axis=0), used.std(axis=0), moved.std(axis=0), [*pitch, voiced]]
    ).astype(np.float32)


def _pitch(wav: np.ndarray, active: np.ndarray) -> tuple[list[float], float]:
    """Median and spread of log2 of the pitch in octaves over 100 Hz, and the voiced share."""
    size = 2 * _FRAME
    padded = np.pad(wav, (0, size))
    count = len(active)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::_SHIFT][:count]
    frames = frames[active[: len(frames)]].astype(np.float64)
    if not len(frames):
        return [0.0, 0.0], 0.0
    frames = (frames - frames.mean(axis=1, keepdims=True)) * np.hanning(size)
    power = np.square(np.abs(np.fft.rfft(frames, 2 * _PITCH_FFT, axis=1)))
    same = np.fft.irfft(power, axis=1)[:, : round(RATE / _LOWEST) + 1]
    window = np.hanning(size)
    bias = np.correlate(window, window, "full")[size - 1 :][: same.shape[1]]
    same = same / (same[:, :1] + 1e-12) / (bias / bias[0])
    first = round(RATE / _HIGHEST)
    lag = first + same[:, first:].argmax(axis=1)
    strength = same[np.arange(len(same)), lag]
    good = strength > 0.5
    if not good.any():
        return [0.0, 0.0], 0.0
    octaves = np.log2(RATE / lag[good] / 100.0)
    spread = float(np.subtract(*np.percentile(octaves, (75, 25))))
    return [float(np.median(octaves)), spread], float(good.mean())


@cache
def _filters() -> np.ndarray:
    """Triangles (M, bins) on the mel scale from 60 to 7600 Hz."""

    def mel(hz: float) -> float:
        return 2595 * np.log10(1 + hz / 700)

    edges = 700 * (10 ** (np.linspace(mel(60.0), mel(7600.0), _BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(_FFT, 1 / RATE)
    out = np.zeros((_BANDS, len(bins)))
    for i, (low, middle, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        rise, fall = (bins - low) / (middle - low), (high - bins) / (high - middle)
        out[i] = np.maximum(0.0, np.minimum(rise, fall))
    return out


@cache
def _cosines() -> np.ndarray:
    """(cepstra, M) of the discrete cosine transform."""
    place = (np.arange(_BANDS) + 0.5) / _BANDS
    return np.cos(np.pi * np.arange(_CEPSTRA)[:, None] * place) * np.sqrt(2 / _BANDS)


@cache
def _projection() -> tuple[np.ndarray, np.ndarray]:
    """The mean (D,) and the map (d, D)."""
    with resources.files("mingtok_audio.curation").joinpath("voice.npz").open("rb") as stream:
        held = np.load(stream)
        return held["mean"].astype(np.float32), held["map"].astype(np.float32)


def embed(wav: np.ndarray, sample_rate: int = RATE) -> np.ndarray:
    """The voice of a stretch of speech (T,): a vector (d,) of length 1.

    Two stretches of one voice have a large dot product. One to three seconds are enough.
    """
    if sample_rate != RATE:
        from mingtok_audio.core.audio import resample

        wav = resample(np.ascontiguousarray(wav, dtype=np.float32), sample_rate, RATE)
    mean, matrix = _projection()
    vector = matrix @ (statistics(wav) - mean)
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def weights_file() -> Path:
    """The file of the projection."""
    return Path(str(resources.files("mingtok_audio.curation").joinpath("voice.npz")))
