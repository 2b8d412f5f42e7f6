"""Batches of training audio that are a pure function of the step.

Batch k depends on the seed and on k alone, so a resumed run sees exactly the data that an
uninterrupted one would have seen, and batches may be made ahead by any number of workers.
Axes: B batch, T samples.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.training.manifests import Source, read_sources

_FULL_SCALE = 32768.0


@dataclass(frozen=True)
class Augmentation:
    """Cheap changes that make few speakers and channels look like more."""

    gain_db: tuple[float, float] = (-12.0, 3.0)
    resample_probability: float = 0.5
    """Play faster or slower: shifts pitch and formants together, like another speaker."""
    resample_range: tuple[float, float] = (0.85, 1.2)
    tilt_probability: float = 0.25
    """First-order spectral tilt, like another microphone."""
    mix_probability: float = 0.1
    """Add a second recording at 0 to 15 dB below: overlapping speech."""
    noise_probability: float = 0.1
    """Add white noise at an SNR of 10 to 40 dB."""


class Library:
    """Recordings with a memory of what they hold, and of which could not be read.

    Samples are kept as 16-bit integers while `cache_seconds` of audio allow it.
    """

    def __init__(
        self, sources: Sequence[Source], sample_rate: int, cache_seconds: float = 36000.0
    ) -> None:
        self.recordings = read_sources(sources)
        if not self.recordings:
            raise ConfigError("the manifests hold no recordings of the splits asked for")
        self.sample_rate = sample_rate
        self.skipped: dict[str, str] = {}
        self._cache: dict[int, np.ndarray] = {}
        self._room = cache_seconds * sample_rate
        self._lock = threading.Lock()

    def samples(self, index: int) -> np.ndarray | None:
        """Samples (T,) float32 of a recording; None, and a note in `skipped`, if unreadable."""
        cached = self._cache.get(index)
        if cached is None:
            recording = self.recordings[index]
            if recording.name in self.skipped:
                return None
            try:
                wav = recording.load(self.sample_rate)
            except (UserError, OSError) as error:
                with self._lock:
                    self.skipped[recording.name] = str(error)
                return None
            cached = np.clip(np.round(wav * _FULL_SCALE), -32768, 32767).astype(np.int16)
            with self._lock:
                if index not in self._cache and self._room >= len(cached):
                    self._cache[index] = cached
                    self._room -= len(cached)
        return cached.astype(np.float32) / _FULL_SCALE


@dataclass(frozen=True)
class Crop:
    """A piece of a recording as it is, before any augmentation."""

    index: int
    """Of the recording in the library."""
    start: int
    """First sample."""
    wav: np.ndarray


class CropSampler:
    """Random crops of fixed length from many recordings."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        crop_samples: int,
        sample_rate: int,
        batch_size: int,
        seed: int,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.library = Library(sources, sample_rate)
        self.crop_samples, self.batch_size, self.seed = crop_samples, batch_size, seed
        self.augmentation = augmentation
        weights = self.library.recordings.weights
        self.cumulative = np.cumsum(weights / weights.sum())

    @property
    def skipped(self) -> dict[str, str]:
        """Files that could not be read, and why."""
        return self.library.skipped

    def batch(self, step: int) -> Tensor:
        """(B, T) crops of training step `step`."""
        rng = np.random.default_rng((self.seed, step))
        return torch.from_numpy(np.stack([self._crop(rng) for _ in range(self.batch_size)]))

    def aligned(self, step: int, hop: int) -> list[Crop]:
        """B crops that start on frames of `hop` samples, unchanged but for their level."""
        rng = np.random.default_rng((self.seed, step))
        crops = []
        for _ in range(self.batch_size):
            index, samples = self._draw(rng)
            last = max(0, (len(samples) - self.crop_samples) // hop)
            start = int(rng.integers(0, last + 1)) * hop
            wav = samples[start : start + self.crop_samples]
            crops.append(Crop(index, start, np.pad(wav, (0, self.crop_samples - len(wav)))))
        return crops

    def _draw(self, rng: np.random.Generator) -> tuple[int, np.ndarray]:
        """A random recording; one that cannot be read is counted, named and drawn again."""
        for _ in range(100):
            index = int(np.searchsorted(self.cumulative, rng.random(), side="right"))
            index = min(index, len(self.library.recordings) - 1)
            samples = self.library.samples(index)
            if samples is not None:
                return index, samples
        raise UserError("100 recordings in a row could not be read: check the manifests")

    def _piece(self, rng: np.random.Generator, length: int) -> np.ndarray:
        _, samples = self._draw(rng)
        start = int(rng.integers(0, max(1, len(samples) - length + 1)))
        piece = samples[start : start + length]
        return np.pad(piece, (0, length - len(piece)))

    def _crop(self, rng: np.random.Generator) -> np.ndarray:
        plan = self.augmentation
        if plan is None:
            return self._piece(rng, self.crop_samples)
        return augmented(plan, rng, self.crop_samples, lambda size: self._piece(rng, size))


def augmented(
    plan: Augmentation,
    rng: np.random.Generator,
    length: int | None,
    piece: Callable[[int], np.ndarray],
) -> np.ndarray:
    """Samples changed as `plan` says.

    Args:
        length: of the result; None takes a whole recording, whatever length it then has.
        piece: gives samples (n,) of a recording, which `rng` may choose; for n = 0, all of it.
    """
    draws = rng.random(4)
    rate = rng.uniform(*plan.resample_range) if draws[0] < plan.resample_probability else 1.0
    wav = piece(0 if length is None else int(np.ceil(length * rate)) + 1)
    size = max(1, int(len(wav) / rate)) if length is None else length
    if rate != 1.0:
        wav = _cubic(wav, np.arange(size) * rate)
    wav = wav[:size]
    if draws[1] < plan.mix_probability:
        other = piece(size)
        wav = wav + other * 10 ** (-rng.uniform(0, 15) / 20)
    if draws[2] < plan.tilt_probability:
        coefficient = rng.uniform(-0.5, 0.5)
        wav = wav + coefficient * np.concatenate(([0.0], wav[:-1]))
    if draws[3] < plan.noise_probability:
        level = np.sqrt(np.mean(wav**2)) * 10 ** (-rng.uniform(10, 40) / 20)
        wav = wav + level * rng.standard_normal(size)
    peak = float(np.abs(wav).max())
    gain = 10 ** (rng.uniform(*plan.gain_db) / 20)
    return (wav * (min(gain, 0.99 / peak) if peak > 0 else gain)).astype(np.float32)


def _cubic(wav: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Catmull-Rom interpolation of `wav` at fractional positions; enough for an augmentation."""
    index = np.clip(position.astype(np.int64), 0, len(wav) - 1)
    t = (position - index).astype(np.float32)
    p0, p1, p2, p3 = (wav[np.clip(index + k, 0, len(wav) - 1)] for k in (-1, 0, 1, 2))
    inner = 3 * (p1 - p2) + p3 - p0
    return p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * inner))


@dataclass(frozen=True)
class Utterances:
    """Whole recordings of similar length, padded to the longest."""

    wav: Tensor
    """(B, T), zeros beyond each length."""
    lengths: Tensor
    """Samples of each item, (B,)."""
    texts: list[str]
    ids: list[str]


class UtteranceSampler:
    """Whole recordings with transcripts, in batches of similar length under a budget of seconds.

    Batches are fixed (recordings sorted by length, packed until the padded batch would exceed
    `max_seconds`); every epoch shuffles their order.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        sample_rate: int,
        max_seconds: float,
        seed: int,
        longest: float = 30.0,
    ) -> None:
        self.library = Library(sources, sample_rate)
        self.sample_rate, self.seed = sample_rate, seed
        usable = [
            (r.seconds, i)
            for i, r in enumerate(self.library.recordings)
            if r.text and r.seconds <= min(longest, max_seconds)
        ]
        if not usable:
            raise ConfigError("no recording of the manifests has a transcript and a usable length")
        self.batches = pack(sorted(usable), max_seconds)

    @property
    def skipped(self) -> dict[str, str]:
        """Files that could not be read, and why."""
        return self.library.skipped

    def batch(self, step: int) -> Utterances:
        """The batch of training step `step`; unreadable items are left out."""
        for attempt in range(100):
            epoch, place = divmod(step + attempt * len(self.batches), len(self.batches))
            order = np.random.default_rng((self.seed, epoch)).permutation(len(self.batches))
            found = [(i, self.library.samples(i)) for i in self.batches[order[place]]]
            items = [(i, wav) for i, wav in found if wav is not None]
            if items:
                return self._pad(items)
        raise UserError("100 batches in a row could not be read: check the manifests")

    def _pad(self, items: list[tuple[int, np.ndarray]]) -> Utterances:
        lengths = torch.tensor([len(wav) for _, wav in items])
        out = torch.zeros(len(items), int(lengths.max()))
        for row, (_, wav) in zip(out, items, strict=True):
            row[: len(wav)] = torch.from_numpy(wav)
        recordings = [self.library.recordings[i] for i, _ in items]
        texts = [r.text or "" for r in recordings]
        return Utterances(out, lengths, texts, [r.id for r in recordings])


def pack(items: Sequence[tuple[float, int]], max_seconds: float) -> list[list[int]]:
    """Group (seconds, index), sorted by length, so that count x longest stays under the budget."""
    batches: list[list[int]] = []
    for seconds, index in items:
        if not batches or seconds * (len(batches[-1]) + 1) > max_seconds:
            batches.append([])
        batches[-1].append(index)
    return batches
