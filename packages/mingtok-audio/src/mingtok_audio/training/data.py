"""Training audio: manifests, and batches of random crops that are a pure function of the step.

Batch k depends on the seed and on k alone, so a resumed run sees exactly the data that an
uninterrupted one would have seen. Axes: B batch, T samples.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import ConfigError, UserError

_FULL_SCALE = 32768.0


@dataclass(frozen=True)
class Source:
    """One manifest: a JSONL file with an `audio` path (relative to it) and `seconds` a line."""

    manifest: str
    weight: float = 1.0
    """Hours of this source count this much when crops are drawn."""
    split: str | None = "train"
    """Only lines with this `split`; None takes all."""


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


@dataclass(frozen=True)
class Recording:
    path: Path
    seconds: float
    weight: float


def read_manifest(source: Source) -> list[Recording]:
    """The recordings of one manifest. Raises `ConfigError` naming the line that is wrong."""
    path = Path(source.manifest)
    if not path.is_file():
        raise ConfigError(f"manifest {path} does not exist: run examples/nano/data/prepare.py")
    recordings = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            audio, seconds = row["audio"], float(row["seconds"])
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path}:{number}: {error!r}") from error
        if source.split is None or row.get("split") == source.split:
            weight = source.weight * seconds
            recordings.append(Recording(path.parent / audio, seconds, weight))
    return recordings


class CropSampler:
    """Random crops of fixed length from many recordings, held in memory as 16-bit integers."""

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
        recordings = [r for source in sources for r in read_manifest(source)]
        if not recordings:
            raise ConfigError("the manifests hold no recordings of the splits asked for")
        self.recordings = recordings
        self.crop_samples, self.sample_rate = crop_samples, sample_rate
        self.batch_size, self.seed = batch_size, seed
        self.augmentation = augmentation
        weights = np.array([r.weight for r in recordings], dtype=np.float64)
        self.cumulative = np.cumsum(weights / weights.sum())
        self.skipped: dict[str, str] = {}
        self._cache: dict[int, np.ndarray] = {}

    def batch(self, step: int) -> Tensor:
        """(B, T) crops of training step `step`."""
        rng = np.random.default_rng((self.seed, step))
        return torch.from_numpy(np.stack([self._crop(rng) for _ in range(self.batch_size)]))

    def _samples(self, rng: np.random.Generator) -> np.ndarray:
        """A random recording; one that cannot be read is counted, named and drawn again."""
        for _ in range(100):
            index = int(np.searchsorted(self.cumulative, rng.random(), side="right"))
            index = min(index, len(self.recordings) - 1)
            cached = self._cache.get(index)
            if cached is None:
                path = self.recordings[index].path
                if str(path) in self.skipped:
                    continue
                try:
                    wav, _ = load_audio(path, sample_rate=self.sample_rate)
                except (UserError, OSError) as error:
                    self.skipped[str(path)] = str(error)
                    continue
                cached = np.clip(np.round(wav * _FULL_SCALE), -32768, 32767).astype(np.int16)
                self._cache[index] = cached
            return cached
        raise UserError("100 recordings in a row could not be read: check the manifests")

    def _piece(self, rng: np.random.Generator, length: int) -> np.ndarray:
        samples = self._samples(rng)
        start = int(rng.integers(0, max(1, len(samples) - length + 1)))
        piece = samples[start : start + length].astype(np.float32) / _FULL_SCALE
        return np.pad(piece, (0, length - len(piece)))

    def _crop(self, rng: np.random.Generator) -> np.ndarray:
        plan = self.augmentation
        if plan is None:
            return self._piece(rng, self.crop_samples)
        draws = rng.random(4)
        rate = rng.uniform(*plan.resample_range) if draws[0] < plan.resample_probability else 1.0
        wav = self._piece(rng, int(np.ceil(self.crop_samples * rate)) + 1)
        if rate != 1.0:
            position = np.arange(self.crop_samples) * rate
            wav = _cubic(wav, position)
        wav = wav[: self.crop_samples]
        if draws[1] < plan.mix_probability:
            other = self._piece(rng, self.crop_samples)
            wav = wav + other * 10 ** (-rng.uniform(0, 15) / 20)
        if draws[2] < plan.tilt_probability:
            coefficient = rng.uniform(-0.5, 0.5)
            wav = wav + coefficient * np.concatenate(([0.0], wav[:-1]))
        if draws[3] < plan.noise_probability:
            level = np.sqrt(np.mean(wav**2)) * 10 ** (-rng.uniform(10, 40) / 20)
            wav = wav + level * rng.standard_normal(self.crop_samples)
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
