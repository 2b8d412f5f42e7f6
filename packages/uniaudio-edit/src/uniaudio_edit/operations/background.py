"""Background sounds: from a file, or the ones that noise can imitate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError
from uniaudio_edit.errors import MissingPartError


def background(
    name: str, path: str | None, num_samples: int, sample_rate: int, seed: int
) -> np.ndarray:
    """A sound of `num_samples` (T,) float64.

    Args:
        name: what the instruction calls it.
        path: a recording of it, repeated (with cross-fades) as often as needed; None makes one.
        seed: of the made ones.

    Raises:
        MissingPartError: no file is given and noise cannot imitate it.
    """
    if path is not None:
        return _looped(load_audio(path, sample_rate)[0].astype(np.float64), num_samples, path)
    if name not in _MADE:
        raise MissingPartError(
            f"there is no recording of '{name}' to add; give one with --sound FILE (without a file "
            f"there are: {', '.join(sorted(_MADE))})"
        )
    return _MADE[name](num_samples, sample_rate, np.random.default_rng(seed))


def _looped(sound: np.ndarray, num_samples: int, path: str) -> np.ndarray:
    fade = min(len(sound) // 4, 4800)
    if len(sound) < 16:
        raise UserError(f"{path} is too short for a background sound ({len(sound)} samples)")
    out = np.zeros(num_samples + len(sound))
    position = 0
    ramp = np.sin(np.linspace(0, np.pi / 2, fade))
    while position < num_samples:
        piece = sound.copy()
        if position:
            piece[:fade] *= ramp
        piece[len(piece) - fade :] *= ramp[::-1]
        out[position : position + len(piece)] += piece
        position += len(piece) - fade
    return out[:num_samples]


def _coloured(num_samples: int, rng: np.random.Generator, power: float) -> np.ndarray:
    """Noise whose power falls with frequency^power."""
    size = 1 << max(4, int(np.ceil(np.log2(max(num_samples, 2)))))
    spectrum = np.fft.rfft(rng.standard_normal(size))
    frequency = np.maximum(np.arange(len(spectrum)), 1.0)
    noise = np.fft.irfft(spectrum * frequency ** (-power / 2), size)[:num_samples]
    return noise / (np.std(noise) + 1e-12)


def _white(num_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    del rate
    return rng.standard_normal(num_samples)


def _pink(num_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    del rate
    return _coloured(num_samples, rng, 1.0)


def _brown(num_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    del rate
    return _coloured(num_samples, rng, 2.0)


def _rain(num_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """A hiss of far drops and short ringing bursts of near ones."""
    hiss = np.diff(_coloured(num_samples + 1, rng, 0.8)) + 0.3 * _coloured(num_samples, rng, 1.0)
    out = hiss / (np.std(hiss) + 1e-12)
    length = max(8, rate // 60)
    time = np.arange(length) / rate
    for start in rng.integers(0, max(1, num_samples), size=max(1, 40 * num_samples // rate)):
        pitch = rng.uniform(1500.0, min(6500.0, 0.45 * rate))
        drop = np.sin(2 * np.pi * pitch * time) * np.exp(-time * rng.uniform(200.0, 500.0))
        end = min(num_samples, int(start) + length)
        out[int(start) : end] += rng.uniform(0.5, 3.0) * drop[: end - int(start)]
    return out


def _wind(num_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Low noise that swells and falls over seconds."""
    points = max(4, num_samples // rate + 3)
    swell = np.interp(
        np.linspace(0, points - 1, num_samples), np.arange(points), rng.uniform(0.3, 1.0, points)
    )
    return _coloured(num_samples, rng, 1.8) * swell


def _hum(num_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """The mains: 50 Hz and its harmonics, each a little softer than the one before."""
    time = np.arange(num_samples) / rate
    partials = [50.0 * n for n in range(1, 9) if 50.0 * n < 0.45 * rate]
    return np.sum(
        [np.sin(2 * np.pi * (f * time + rng.uniform())) / (f / 50.0) for f in partials], axis=0
    )


_MADE: dict[str, Callable[[int, int, np.random.Generator], np.ndarray]] = {
    "white_noise": _white,
    "pink_noise": _pink,
    "brown_noise": _brown,
    "rain": _rain,
    "wind": _wind,
    "hum": _hum,
}

MADE_SOUNDS = tuple(sorted(_MADE))
"""Names of the sounds that need no recording."""
