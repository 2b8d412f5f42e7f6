"""Sounds with known contents for the tests of curation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE = 16000


def speech(seconds: float, pitch: float = 120.0, seed: int = 0, formants=(500.0, 1500.0, 2500.0)):
    """Something like a voice: harmonics with formants under syllables, 3 to 5 a second, (T,)."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    time = np.arange(count) / RATE
    knots = np.arange(0, seconds + 1, 0.3)
    drift = np.interp(time, knots, rng.normal(0, 0.06, len(knots)))
    phase = 2 * np.pi * np.cumsum(pitch * (1 + drift)) / RATE
    wav = np.zeros(count)
    for k in range(1, int(4000 / pitch)):
        gain = sum(1 / (1 + ((k * pitch - f) / 150.0) ** 2) for f in formants)
        wav += gain * np.sin(k * phase + rng.uniform(0, 6))
    envelope = np.zeros(count)
    at = 0.0
    while at < seconds:
        length = rng.uniform(0.12, 0.28)
        piece = (time >= at) & (time < at + length)
        envelope[piece] = np.hanning(max(1, piece.sum())) * rng.uniform(0.5, 1.0)
        at += length + rng.uniform(0.0, 0.06)
    return (0.2 * wav * envelope / max(1e-9, np.abs(wav).max())).astype(np.float32)


def chords(seconds: float, seed: int = 0) -> np.ndarray:
    """Music: held notes of four harmonics each, (T,)."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    wav = np.zeros(len(time))
    for at in np.arange(0, seconds, 0.75):
        place = (time >= at) & (time < at + 0.8)
        ramp = np.minimum(1, 20 * (time[place] - at)) * np.exp(-0.8 * (time[place] - at))
        for note in rng.choice([220.0, 261.6, 329.6, 392.0, 440.0, 523.3], 3, replace=False):
            for k in (1, 2, 3, 4):
                wav[place] += ramp * np.sin(2 * np.pi * k * note * time[place]) / k
    return (0.2 * wav / np.abs(wav).max()).astype(np.float32)


def silence(seconds: float, noise: float = 1e-4, seed: int = 0) -> np.ndarray:
    """Quiet noise, (T,)."""
    rng = np.random.default_rng(seed)
    return (noise * rng.normal(size=round(seconds * RATE))).astype(np.float32)


def write(path: Path, *parts: np.ndarray, rate: int = RATE, **options) -> Path:
    """A file of some parts, one after the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.concatenate(parts), rate, **options)
    return path
