"""Pairs of sound edits: noise, speed, pitch, volume, background sounds, parallel recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from mingtok_audio.core.audio import audio_info, load_audio
from uniaudio_edit.backends.dsp import stretch
from uniaudio_edit.backends.sounds import MADE_SOUNDS, background
from uniaudio_edit.data.pair import SAMPLE_RATE, NoPairError, Pair
from uniaudio_edit.data.wording import SOUND_NAMES, acoustic_sentence, pitch_values, styles


@dataclass(frozen=True)
class Said:
    """A recording (T,) at 16 kHz and what is said in it."""

    wav: np.ndarray
    text: str
    language: str


@dataclass(frozen=True)
class Noises:
    """Recordings of noise or sound by name (none: noise is made), and the range of the SNR."""

    files: Mapping[str, Path]
    snr_db: tuple[float, float]


_SPEEDS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 2.0)
_SEMITONES = (-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6)
_VOLUMES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2.0)
_NOISES = ("white_noise", "pink_noise", "brown_noise", "rain", "wind")
_HEADROOM = 0.97
_MOST_NOISES = 3

Babble = Callable[[int, Random], np.ndarray]
"""Samples (n,) of other people talking; raises `NoPairError` where there are none."""


def denoise(said: Said, rng: Random, noises: Noises, babble: Babble) -> Pair:
    """The source is the recording under one to three noises mixed together."""
    pool = sorted(noises.files) or [*_NOISES, "babble"]
    names = rng.sample(pool, rng.randint(1, min(_MOST_NOISES, len(pool))))
    snr = round(rng.uniform(*noises.snr_db), 1)
    noise = np.zeros(len(said.wav))
    for name in names:
        part = _sound(name, noises.files, len(said.wav), rng, babble)
        noise += part * 10.0 ** (rng.uniform(-6.0, 0.0) / 20.0)
    source, gain = _mixed(said.wav, noise, snr)
    style = rng.choice(styles(said.language))
    return Pair(
        "denoise", acoustic_sentence("denoise", style, rng), source, said.wav * np.float32(gain),
        said.text, said.text, params={"noises": names, "snr_db": snr},
    )  # fmt: skip


def add_sound(said: Said, rng: Random, sounds: Noises) -> Pair:
    """The target is the recording with a sound behind it."""
    name = rng.choice(sorted(sounds.files) or [n for n in _NOISES if n in SOUND_NAMES])
    snr = round(rng.uniform(*sounds.snr_db), 1)
    sound = _sound(name, sounds.files, len(said.wav), rng, None)
    target, gain = _mixed(said.wav, sound, snr)
    style = rng.choice(styles(said.language))
    spoken = SOUND_NAMES.get(name, (name.replace("_", " "),) * 2)[style == "zh"]
    instruction = acoustic_sentence("add_sound", style, rng, sound=spoken)
    return Pair(
        "add_sound", instruction, said.wav * np.float32(gain), target, said.text, said.text,
        params={"sound": name, "snr_db": snr},
    )  # fmt: skip


def speed(said: Said, rng: Random) -> Pair:
    """The target is faster or slower at the same pitch."""
    factor = rng.choice(_SPEEDS)
    target = stretch(said.wav[:, None].astype(np.float64), SAMPLE_RATE, factor, 0.0)[:, 0]
    style = rng.choice(styles(said.language))
    instruction = acoustic_sentence("speed", style, rng, value=f"{factor:g}")
    return Pair(
        "speed",
        instruction,
        *_fitted(said.wav, target),
        said.text,
        said.text,
        params={"factor": factor},
    )


def pitch(said: Said, rng: Random) -> Pair:
    """The target is higher or lower at the same speed."""
    semitones = rng.choice(_SEMITONES)
    target = stretch(said.wav[:, None].astype(np.float64), SAMPLE_RATE, 1.0, semitones)[:, 0]
    style = rng.choice(styles(said.language))
    instruction = acoustic_sentence("pitch", style, rng, **pitch_values(semitones, style))
    pair = (*_fitted(said.wav, target), said.text, said.text)
    return Pair("pitch", instruction, *pair, params={"semitones": semitones})


def volume(said: Said, rng: Random) -> Pair:
    """The target is louder or softer by exactly the factor asked for; nothing clips."""
    factor = rng.choice(_VOLUMES)
    style = rng.choice(styles(said.language))
    values = {"value": f"{factor:g}", "percent": f"{100 * factor:g}"}
    instruction = acoustic_sentence("volume", style, rng, **values)
    pair = (*_fitted(said.wav, said.wav.astype(np.float64) * factor), said.text, said.text)
    return Pair("volume", instruction, *pair, params={"factor": factor})


def parallel(said: Said, rng: Random, other: np.ndarray, kind: str, label: str) -> Pair:
    """The target is a recording of the same words with another emotion or in another dialect."""
    style = rng.choice(styles(said.language))
    instruction = acoustic_sentence(kind, style, rng, label=label)
    return Pair(kind, instruction, said.wav, other, said.text, said.text, params={"label": label})


def _fitted(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both turned down alike until neither passes full scale."""
    peak = max(float(np.abs(x).max(initial=0.0)) for x in (source, target))
    gain = min(1.0, _HEADROOM / peak) if peak > 0 else 1.0
    return (source * gain).astype(np.float32), (target * gain).astype(np.float32)


def _mixed(wav: np.ndarray, noise: np.ndarray, snr_db: float) -> tuple[np.ndarray, float]:
    """(T,) with noise `snr_db` below it by their powers, and the gain that keeps it from clipping
    (applied already; the other side of the pair needs the same)."""
    speech = float(np.mean(np.square(wav, dtype=np.float64)))
    power = float(np.mean(np.square(noise)))
    if speech == 0.0 or power == 0.0:
        raise NoPairError("silence")
    mixed = wav + noise * np.sqrt(speech / power * 10.0 ** (-snr_db / 10.0))
    peak = float(np.abs(mixed).max())
    gain = min(1.0, _HEADROOM / peak)
    return (mixed * gain).astype(np.float32), gain


def _sound(
    name: str, files: Mapping[str, Path], size: int, rng: Random, babble: Babble | None
) -> np.ndarray:
    """`size` samples of a sound with unit power, from a random place of its file."""
    if name == "babble" and babble is not None and name not in files:
        found = babble(size, rng)
    elif name in files:
        found = _piece(files[name], size, rng)
    elif name in MADE_SOUNDS:
        found = background(name, None, size, SAMPLE_RATE, rng.randrange(1 << 31))
    else:
        raise NoPairError("no_sound")
    level = float(np.sqrt(np.mean(np.square(found))))
    if level == 0.0:
        raise NoPairError("silence")
    return found / level


def _piece(path: Path, size: int, rng: Random) -> np.ndarray:
    """`size` samples from a random place of a file, repeated where it is too short."""
    seconds, wanted = audio_info(path).seconds, size / SAMPLE_RATE
    start = rng.uniform(0.0, max(0.0, seconds - wanted))
    wav, _ = load_audio(path, SAMPLE_RATE, start=start, end=min(seconds, start + wanted))
    if not len(wav):
        raise NoPairError("silence")
    return np.resize(wav, size).astype(np.float64)
