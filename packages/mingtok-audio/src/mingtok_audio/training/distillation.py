"""Stage 2: the semantic module learns Whisper's encoder states (paper section 4.1.2, equation 2).

Axes: B batch, T samples, L frames, H feature width, E width of the teacher.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.config import TransformerConfig
from mingtok_audio.core.errors import ConfigError
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.trainer.loop import OptimConfig, TrainerConfig
from mingtok_audio.trainer.prefetch import Prefetcher
from mingtok_audio.training.acoustic import DataConfig
from mingtok_audio.training.data import CropSampler
from mingtok_audio.training.initial import start_from, with_semantic
from mingtok_audio.training.teachers import (
    SAMPLE_RATE,
    FeatureCache,
    copy_whisper_layers,
    load_teacher,
)


@dataclass(frozen=True)
class TeacherConfig:
    """Whose states are learned."""

    model: str = "openai/whisper-large-v3"
    """A Hub id or folder for transformers, or a folder in CTranslate2 format."""
    cache: str = ".data/teacher"
    """Folder of the features, computed once for each recording."""
    init_from_teacher: bool = False
    """Start from the teacher's layers (same shapes needed; transformers only)."""
    layer_normalise: bool = False
    """Normalise every target frame over its channels: none dominates the error. The paper does
    not say so; False is equation 2 as printed."""
    target_delay: int = 0
    """The student answers this many frames late. The teacher sees the future, the student does
    not; 0 is the paper."""


@dataclass(frozen=True)
class DistillationConfig:
    """A whole run, as its YAML file says it."""

    init: str
    """The acoustic tokenizer: "nano", a folder or a Hub id."""
    data: DataConfig
    semantic: TransformerConfig | None = None
    """Shape of the semantic module; None keeps the one that `init` has."""
    name: str | None = None
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    stage: str = "distillation"

    def __post_init__(self) -> None:
        if self.data.augmentation is not None:
            raise ValueError(
                "data.augmentation: the teacher's features are kept for recordings as they are, "
                "so this stage changes none; leave it out"
            )


class Student(nn.Module):
    """The tokenizer with the projection to the teacher's width (nothing where widths agree)."""

    def __init__(self, tokenizer: MingTok, dim: int) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        width = tokenizer.config.feature_dim
        self.projection = nn.Identity() if width == dim else nn.Linear(width or 0, dim)

    def forward(self, values: Tensor) -> Tensor:
        """latents (B, L, D) -> (B, L, E)."""
        return self.projection(self.tokenizer.features_of(values))


class DistillationTask:
    """The distillation stage as a `Task`: only the semantic module (and a projection) learns."""

    def __init__(self, config: DistillationConfig) -> None:
        torch.manual_seed(config.trainer.seed)
        self.config = config
        tokenizer = with_semantic(start_from(config.init, None), config.semantic, None, config.name)
        if tokenizer.semantic is None:
            raise ConfigError(f"{config.init!r} has no semantic module: give `semantic` its shape")
        settings = tokenizer.config
        if (settings.sample_rate, settings.hop_length) != (SAMPLE_RATE, 320):
            raise ConfigError("the Whisper teacher needs 16 kHz and 50 frames a second")
        self.teacher = load_teacher(config.teacher.model, threads=config.trainer.threads)
        if config.teacher.init_from_teacher:
            self.copied_layers = copy_whisper_layers(tokenizer.semantic, self.teacher)
        self.cache = FeatureCache(config.teacher.cache, self.teacher)
        tokenizer.requires_grad_(False)
        tokenizer.semantic.requires_grad_(True)
        self._model = Student(tokenizer, self.teacher.dim)
        self.sampler = CropSampler(
            config.data.train,
            crop_samples=round(config.data.crop_seconds * SAMPLE_RATE),
            sample_rate=SAMPLE_RATE,
            batch_size=config.data.batch_size,
            seed=config.trainer.seed,
        )
        self.batches = Prefetcher(self._batch, config.data.workers)

    @property
    def model(self) -> Student:
        return self._model

    @property
    def skipped(self) -> dict[str, str]:
        """Files that could not be read, and why."""
        return self.sampler.skipped

    def _batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """wav (B, T), targets (B, L, E), and which frames count (B, L)."""
        hop = self._model.tokenizer.config.hop_length
        crops = self.sampler.aligned(step, hop)
        frames = -(-self.sampler.crop_samples // hop)
        targets = torch.zeros(len(crops), frames, self.teacher.dim)
        valid = torch.zeros(len(crops), frames, dtype=torch.bool)
        for i, crop in enumerate(crops):
            samples = self.sampler.library.samples(crop.index)
            if samples is None:  # it could be read a moment ago
                continue
            found = self.cache.get(samples)[crop.start // hop :][:frames]
            targets[i, : len(found)] = torch.from_numpy(np.asarray(found, dtype=np.float32))
            valid[i, : len(found)] = True
        return torch.from_numpy(np.stack([crop.wav for crop in crops])), targets, valid

    def loss(self, batch: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Mean squared error of the projected features against the teacher's states."""
        device = self._model.tokenizer.device
        wav, targets, valid = (part.to(device) for part in self.batches.get(batch))
        with torch.no_grad():
            values = self._model.tokenizer.posterior_of(wav).sample(generator)
        output = self._model(values)
        loss = self._distance(output, self._as_learned(targets), valid)
        return loss, {"distill": float(loss.detach())}

    def _as_learned(self, targets: Tensor) -> Tensor:
        """Teacher states (B, L, E) as the student is asked for them."""
        if self.config.teacher.layer_normalise:
            return F.layer_norm(targets, targets.shape[-1:])
        return targets

    def _distance(self, output: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
        delay = self.config.teacher.target_delay
        if delay:
            output, targets, valid = output[:, delay:], targets[:, :-delay], valid[:, :-delay]
        error = (output.float() - targets).square().mean(dim=-1)
        return (error * valid).sum() / valid.sum().clamp_min(1)

    @torch.no_grad()
    def evaluate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """The loss, and the share of the teacher's variance explained, on held-out recordings."""
        from mingtok_audio.core.audio import load_audio

        losses, explained = [], []
        for name in self.config.data.evaluation:
            wav, _ = load_audio(name, sample_rate=SAMPLE_RATE)
            values = model.tokenizer.encode(wav, SAMPLE_RATE).values
            targets = torch.from_numpy(self.cache.get(wav).astype(np.float32))[None]
            targets = self._as_learned(targets[:, : values.shape[1]].to(values.device))
            output = model(values.to(model.tokenizer.device))[:, : targets.shape[1]]
            valid = torch.ones(targets.shape[:2], dtype=torch.bool, device=targets.device)
            loss = float(self._distance(output, targets, valid))
            mean = targets.mean(dim=1, keepdim=True)
            losses.append(loss)
            explained.append(
                1 - loss / float(self._distance(mean.expand_as(targets), targets, valid))
            )
        if not losses:
            return {}
        return {"distill": float(np.mean(losses)), "explained": float(np.mean(explained))}

    def save_pretrained(self, model: Any, folder: Path) -> Path:
        """Write the tokenizer; the projection to the teacher has served."""
        return model.tokenizer.save_pretrained(folder)
