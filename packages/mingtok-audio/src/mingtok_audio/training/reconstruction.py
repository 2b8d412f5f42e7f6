"""Stage 1 without the adversary: the encoder and the decoder learn to reconstruct speech.

Paper section 4.1.1. The paper's loss is 15 x multi-scale mel + adversarial + feature matching +
1e-4 x KL. A compressed complex spectral loss and a waveform loss stand beside the mel loss here:
on few hours of one CPU they teach the phase, which the mel loss does not see.
Axes: B batch, T samples, L frames, D latent dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mingtok_audio.config import MingTokConfig
from mingtok_audio.core.audio import load_audio, save_audio
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.training.data import Augmentation, CropSampler, Source
from mingtok_audio.training.losses import CompressedSpectralLoss, MultiScaleMelLoss
from mingtok_audio.training.trainer import OptimConfig, TrainerConfig


@dataclass(frozen=True)
class DataConfig:
    """What is trained on."""

    train: list[Source]
    crop_seconds: float = 1.28
    batch_size: int = 8
    augmentation: Augmentation | None = None
    evaluation: list[str] = field(default_factory=list)
    """Audio files that are reconstructed at every evaluation."""


@dataclass(frozen=True)
class LossWeights:
    """Weights of the reconstruction objective."""

    mel: float = 15.0
    spectral: float = 0.0
    waveform: float = 0.0
    kl: float = 1e-4
    mel_n_ffts: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    mel_bands: tuple[int, ...] = (10, 20, 40, 60, 80, 120)
    spectral_n_ffts: tuple[int, ...] = (256, 512, 1024)


@dataclass(frozen=True)
class ReconstructionConfig:
    """A whole run, as its YAML file says it."""

    model: MingTokConfig
    data: DataConfig
    loss: LossWeights = field(default_factory=LossWeights)
    optim: OptimConfig = field(default_factory=OptimConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    stage: str = "reconstruction"


class ReconstructionTask:
    """The acoustic stage as a `Task`."""

    def __init__(self, config: ReconstructionConfig) -> None:
        torch.manual_seed(config.trainer.seed)
        self.config = config
        self._model = MingTok(config.model)
        init_weights(self._model)
        rate = config.model.sample_rate
        self.sampler = CropSampler(
            config.data.train,
            crop_samples=round(config.data.crop_seconds * rate),
            sample_rate=rate,
            batch_size=config.data.batch_size,
            seed=config.trainer.seed,
            augmentation=config.data.augmentation,
        )
        self.mel = MultiScaleMelLoss(rate, config.loss.mel_n_ffts, config.loss.mel_bands)
        self.spectral = CompressedSpectralLoss(config.loss.spectral_n_ffts)

    @property
    def model(self) -> MingTok:
        return self._model

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """The objective of one batch, and its parts."""
        weights = self.config.loss
        target = self.sampler.batch(step)
        posterior = self._model.posterior_of(target)
        latents = posterior.sample(generator)
        output = self._model.wav_of(latents)[:, : target.shape[1]]
        parts: dict[str, Tensor] = {"kl": posterior.kl().mean()}
        total = weights.kl * parts["kl"]
        if weights.mel:
            parts["mel"] = self.mel(output, target)
            total = total + weights.mel * parts["mel"]
        if weights.spectral:
            parts["spectral"] = self.spectral(output, target)
            total = total + weights.spectral * parts["spectral"]
        if weights.waveform:
            parts["waveform"] = waveform_loss(output, target)
            total = total + weights.waveform * parts["waveform"]
        return total, {k: float(v.detach()) for k, v in parts.items()}

    @torch.no_grad()
    def evaluate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """Mel and spectral distance of whole held-out recordings; writes their reconstructions."""
        mel, spectral = [], []
        for name in self.config.data.evaluation:
            wav, rate = load_audio(name, sample_rate=model.config.sample_rate)
            output = model.decode(model.encode(wav, rate))
            target = torch.as_tensor(wav)[None]
            mel.append(float(self.mel(output, target)))
            spectral.append(float(self.spectral(output, target)))
            folder.mkdir(parents=True, exist_ok=True)
            save_audio(folder / f"{Path(name).stem}.wav", output[0], rate)
        if not mel:
            return {}
        return {"mel": sum(mel) / len(mel), "spectral": sum(spectral) / len(spectral)}


def waveform_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean over the batch of the L1 distance relative to each item's level (B, T) -> scalar."""
    level = target.abs().mean(dim=-1).clamp_min(1e-3)
    return (F.l1_loss(output, target, reduction="none").mean(dim=-1) / level).mean()


def init_weights(model: MingTok) -> None:
    """Small weights for a fresh model, and a head that starts near the level of speech."""
    for transformer in (model.encoder.transformer, model.decoder.transformer):
        transformer.init_weights()
    if model.semantic is not None:
        model.semantic.transformer.init_weights()
    # A narrow posterior at first: the decoder learns what the latents say before it learns noise.
    dim = model.config.latent_dim
    torch.nn.init.zeros_(model.encoder.posterior_proj.bias)
    torch.nn.init.constant_(model.encoder.posterior_proj.bias[dim:], -3.0)
    head = model.decoder.head.out
    torch.nn.init.normal_(head.weight, std=0.02)
    torch.nn.init.zeros_(head.bias)
    torch.nn.init.constant_(head.bias[: model.config.n_fft // 2 + 1], -1.0)


def total_parameters(modules: Sequence[torch.nn.Module]) -> int:
    """Number of parameters of some modules together."""
    return sum(p.numel() for module in modules for p in module.parameters())
