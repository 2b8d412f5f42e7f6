"""What a perfect acoustic edit sounds like: speed, pitch, volume, noise. numpy only.

The targets are references for the baselines, so they are plain and exact in what is scored: the
duration of a speed edit is right to a sample, the gain of a volume edit is exact.
"""

from __future__ import annotations

import numpy as np

from mingtok_audio.core.audio import resample
from mingtok_audio.core.errors import UserError

_FRAME_SECONDS = 0.04
_SEARCH_SECONDS = 0.012


def change_speed(wav: np.ndarray, sample_rate: int, speed: float) -> np.ndarray:
    """`wav` (T,) played `speed` times as fast at the same pitch; round(T / speed) samples.

    Waveform-similarity overlap-add (Verhelst and Roelands, 1993): frames of 40 ms overlap by half
    and are shifted by up to 12 ms to continue the wave of the frame before.
    """
    if not speed > 0:
        raise UserError(f"speed is {speed}; it must be above 0")
    total = round(len(wav) / speed)
    frame = max(32, int(_FRAME_SECONDS * sample_rate) // 2 * 2)
    hop, search = frame // 2, int(_SEARCH_SECONDS * sample_rate)
    window = np.hanning(frame + 1)[:frame].astype(np.float32)
    padded = np.pad(wav.astype(np.float32), (hop + search, frame + 2 * search + hop))
    out = np.zeros(total + 2 * frame, np.float32)
    weight = np.zeros_like(out)
    shift, previous = 0, 0
    for start in range(0, total + hop, hop):
        # Output sample 0 is the middle of the first frame, hence the hop of padding in front.
        ideal = min(round(start * speed) + search, len(padded) - frame - search)
        if start:
            follow = padded[previous + shift + hop :][:frame]
            area = padded[ideal - search : ideal + search + frame]
            fits = len(follow) == frame and len(area) == frame + 2 * search
            shift = int(np.argmax(np.correlate(area, follow, "valid"))) - search if fits else 0
        piece = padded[ideal + shift : ideal + shift + frame]
        out[start : start + len(piece)] += piece * window[: len(piece)]
        weight[start : start + len(piece)] += window[: len(piece)]
        previous = ideal
    safe = np.maximum(weight, 1e-3)
    return (out / safe)[hop : hop + total]


def shift_pitch(wav: np.ndarray, sample_rate: int, semitones: float) -> np.ndarray:
    """`wav` (T,) with its pitch moved by `semitones`; T samples."""
    ratio = 2.0 ** (semitones / 12.0)
    # Read `ratio` times as fast (higher), after stretching so that the duration comes out right.
    stretched = change_speed(wav, sample_rate, 1.0 / ratio)
    moved = resample(stretched, round(sample_rate * ratio), sample_rate)
    out = np.zeros(len(wav), np.float32)
    size = min(len(out), len(moved))
    out[:size] = moved[:size]
    return out


def change_volume(wav: np.ndarray, factor: float) -> np.ndarray:
    """`wav` times `factor`."""
    return (wav * np.float32(factor)).astype(np.float32)


def mix_at_snr(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Speech (T,) with noise (any length, repeated or cut) at a ratio of their powers in dB.

    Scaled down as a whole where the sum would leave [-1, 1].

    Raises:
        UserError: silent speech or noise, which has no ratio.
    """
    repeats = -(-len(speech) // max(1, len(noise)))
    noise = np.tile(noise, repeats)[: len(speech)].astype(np.float64)
    power = float(np.mean(speech.astype(np.float64) ** 2))
    noise_power = float(np.mean(noise**2))
    if power <= 0 or noise_power <= 0:
        raise UserError("cannot mix at a ratio: the speech or the noise is silent")
    gain = np.sqrt(power / noise_power / 10.0 ** (snr_db / 10.0))
    mixed = speech + gain * noise
    peak = float(np.max(np.abs(mixed)))
    return (mixed / max(1.0, peak / 0.999)).astype(np.float32)


def make_noise(name: str, samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Synthetic noise (T,): `white`, `pink` (power falls with frequency) or `hum` (50 Hz mains).

    Raises:
        UserError: another name.
    """
    if name == "hum":
        time = np.arange(samples) / sample_rate
        harmonics = [
            np.sin(2 * np.pi * 50 * k * time + rng.uniform(0, 6)) / k for k in (1, 2, 3, 5)
        ]
        return np.sum(harmonics, axis=0).astype(np.float32)
    white = rng.standard_normal(samples)
    if name == "white":
        return white.astype(np.float32)
    if name == "pink":
        spectrum = np.fft.rfft(white)
        frequency = np.maximum(np.fft.rfftfreq(samples, 1 / sample_rate), 20.0)
        return np.fft.irfft(spectrum / np.sqrt(frequency), samples).astype(np.float32)
    raise UserError(f"unknown noise {name!r}; there are: white, pink, hum")
