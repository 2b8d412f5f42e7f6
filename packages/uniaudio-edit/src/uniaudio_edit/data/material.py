"""What an operation makes a training pair of: a recording, what is around it, noise and sounds.

Axes: T samples, 16 kHz.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from mingtok_audio.core.audio import audio_info, load_audio
from mingtok_audio.core.errors import UserError
from uniaudio_edit.data.clips import Clip, unit_words
from uniaudio_edit.data.naming import styles
from uniaudio_edit.data.pair import SAMPLE_RATE, NoPairError, Pair, Style
from uniaudio_edit.data.recipe import Recipe
from uniaudio_edit.data.spoken import Spoken
from uniaudio_edit.data.voices import VoiceConverter
from uniaudio_edit.operations.background import MADE_SOUNDS, background
from uniaudio_edit.text import Text

_DONOR_TRIES = 8
_KEPT_RECORDINGS = 48
_NOISES = ("white_noise", "pink_noise", "brown_noise", "rain", "wind")
_HEADROOM = 0.97
_MOST_NOISES = 3

Babble = Callable[[int, Random], np.ndarray]
"""Samples (n,) of other people talking; raises `NoPairError` where there are none."""


@dataclass
class Store:
    """The recordings of a run: decoded ones (a few), folders of noise and sound, voices."""

    recipe: Recipe
    noises: Mapping[str, Path]
    sounds: Mapping[str, Path]
    timbre: VoiceConverter | None
    _kept: OrderedDict[tuple[str, int], np.ndarray] = field(default_factory=OrderedDict)

    def load(self, path: Path, number: int) -> np.ndarray:
        """(T,) float32 in voice `number` (0: its own)."""
        key = (str(path), number)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if not self.recipe.min_seconds <= audio_info(path).seconds <= self.recipe.max_seconds:
            raise NoPairError("length")
        wav, _ = load_audio(path, SAMPLE_RATE)
        if not np.any(wav):
            raise NoPairError("silence")
        if number and self.timbre is not None:
            wav = self.timbre.convert(wav, SAMPLE_RATE, number)
        self._kept[key] = wav.astype(np.float32)
        while len(self._kept) > _KEPT_RECORDINGS:
            self._kept.popitem(last=False)
        return self._kept[key]


@dataclass(frozen=True)
class ClipMaterial:
    """One recording for one pair.

    Attributes:
        store: the recordings of the run.
        clip: the recording.
        around: the clips of its block, for donors and babble.
        number: of the voice that it is converted to; 0 is its own.
    """

    store: Store
    clip: Clip
    around: Sequence[Clip]
    number: int = 0

    @property
    def longest_span(self) -> int:
        """Most units that an edit touches."""
        return self.store.recipe.longest_span

    def wav(self) -> np.ndarray:
        """(T,) float32."""
        return self.store.load(self.clip.audio, self.number)

    def style(self, rng: Random) -> Style:
        """What an instruction for this recording is written in."""
        return rng.choice(styles(self.clip.language))

    def pair(
        self, task: str, instruction: str, source: np.ndarray, target: np.ndarray, **params: Any
    ) -> Pair:
        """A pair of a sound edit: both sides say the same."""
        text = self.clip.text
        return Pair(task, instruction, source, target, text, text, params=params)

    # --- words ------------------------------------------------------------------------------------

    def spoken(self, clip: Clip | None = None) -> Spoken:
        """The recording (or another clip) with the times of its units."""
        clip = self.clip if clip is None else clip
        if not clip.timing:
            raise NoPairError("no_word_times")
        if len(Text(clip.text)) < 2:
            raise NoPairError("too_short")
        wav = self.store.load(clip.audio, self.number)
        words = unit_words(clip, len(wav) / SAMPLE_RATE)
        if words is None:
            raise NoPairError("no_word_times")
        return Spoken.of(wav, clip.text, words)

    def donor(self, rng: Random) -> Spoken:
        """Another recording of the block, of the same speaker if there is one."""
        mine = self.clip
        others = [
            c for c in self.around if c.id != mine.id and c.language == mine.language and c.timing
        ]
        pool = [c for c in others if c.speaker == mine.speaker] or others
        for other in rng.sample(pool, min(len(pool), _DONOR_TRIES)):
            try:
                return self.spoken(other)
            except (NoPairError, UserError):
                continue
        raise NoPairError("no_donor")

    def parallel(self, rng: Random) -> tuple[np.ndarray, str, str]:
        """A recording of the same words, what differs ("emotion" or "dialect"), and its label."""
        choices = [
            (p["audio"], kind, str(p[kind]))
            for p in self.clip.parallel
            for kind in ("emotion", "dialect")
            if p.get(kind)
        ]
        if not choices:
            raise NoPairError("no_parallel")
        audio, kind, label = rng.choice(choices)
        return self.store.load(self.clip.audio.parent / audio, self.number), kind, label

    # --- sounds -----------------------------------------------------------------------------------

    @property
    def sounds(self) -> list[str]:
        """Names of the recorded sounds."""
        return sorted(self.store.sounds)

    def under_noise(self, rng: Random) -> tuple[np.ndarray, np.ndarray, list[str], float]:
        """The recording under one to three noises, it alone, their names, and the SNR in dB."""
        wav, files = self.wav(), self.store.noises
        pool = sorted(files) or [*_NOISES, "babble"]
        names = rng.sample(pool, rng.randint(1, min(_MOST_NOISES, len(pool))))
        snr = round(rng.uniform(*self.store.recipe.noise_snr_db), 1)
        noise = np.zeros(len(wav))
        for name in names:
            part = _sound(name, files, len(wav), rng, self._babble)
            noise += part * 10.0 ** (rng.uniform(-6.0, 0.0) / 20.0)
        source, gain = _mixed(wav, noise, snr)
        return source, wav * np.float32(gain), names, snr

    def with_sound(self, name: str, rng: Random) -> tuple[np.ndarray, np.ndarray, float]:
        """The recording, the same with a background sound, and the SNR in dB."""
        wav = self.wav()
        snr = round(rng.uniform(*self.store.recipe.sound_snr_db), 1)
        sound = _sound(name, self.store.sounds, len(wav), rng, None)
        target, gain = _mixed(wav, sound, snr)
        return wav * np.float32(gain), target, snr

    def _babble(self, size: int, rng: Random) -> np.ndarray:
        others = [c for c in self.around if c.id != self.clip.id]
        voices = np.zeros(size)
        found = 0
        for other in rng.sample(others, min(len(others), 3 * _DONOR_TRIES)):
            try:
                wav = self.store.load(other.audio, 0)
            except (NoPairError, UserError):
                continue
            level = float(np.sqrt(np.mean(np.square(wav))))
            voices += np.roll(np.resize(wav, size), rng.randrange(size)) / level
            found += 1
            if found == 5:
                return voices
        if found < 2:
            raise NoPairError("no_donor")
        return voices


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
