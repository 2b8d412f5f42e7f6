"""Stage 1: the encoder and the decoder learn to reconstruct speech (paper section 4.1.1).

The paper's loss is 15 x multi-scale mel + adversarial + feature matching + 1e-4 x KL: the
defaults. A compressed complex spectral loss and a waveform loss can stand beside the mel loss: on
few hours of one CPU they teach the phase, which the mel loss does not see.
Axes: B batch, T samples, L frames, D latent dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from mingtok_audio.config import MingTokConfig
from mingtok_audio.core.audio import load_audio, save_audio
from mingtok_audio.core.errors import ConfigError
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.trainer.loop import OptimConfig, TrainerConfig
from mingtok_audio.trainer.prefetch import Prefetcher
from mingtok_audio.training.data import Augmentation, CropSampler
from mingtok_audio.training.description import Description, DescriptionConfig
from mingtok_audio.training.discriminators import Adversary, DiscriminatorConfig
from mingtok_audio.training.initial import start_from
from mingtok_audio.training.losses import CompressedSpectralLoss, MultiScaleMelLoss
from mingtok_audio.training.manifests import Source


@dataclass(frozen=True)
class DataConfig:
    """What is trained on."""

    train: list[Source]
    crop_seconds: float = 1.28
    batch_size: int = 8
    augmentation: Augmentation | None = None
    workers: int = 0
    """Threads that make batches ahead."""
    evaluation: list[str] = field(default_factory=list)
    """Audio files that are reconstructed at every evaluation."""


@dataclass(frozen=True)
class LossWeights:
    """Weights of the reconstruction objective."""

    mel: float = 15.0
    adversarial: float = 1.0
    feature_matching: float = 1.0
    kl: float = 1e-4
    spectral: float = 0.0
    waveform: float = 0.0
    mel_n_ffts: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    mel_bands: tuple[int, ...] = (10, 20, 40, 60, 80, 120)
    mel_reduction: Literal["mean", "sum"] = "mean"
    """Over the scales; the paper's weight of 15 belongs to a sum (`stage1` says why)."""
    spectral_n_ffts: tuple[int, ...] = (256, 512, 1024)
    spectral_phase: float = 1.0
    """Of the spectral loss's complex term beside the magnitude's."""
    spectral_power: float = 0.4
    """Exponent of the magnitudes in the spectral loss; a smaller one weighs quiet parts more."""

    @property
    def has_adversary(self) -> bool:
        """Whether discriminators are trained at all."""
        return self.adversarial > 0 or self.feature_matching > 0


@dataclass(frozen=True)
class AcousticConfig:
    """A whole run, as its YAML file says it."""

    data: DataConfig
    model: MingTokConfig | None = None
    """A fresh model; None with `init`."""
    init: str | None = None
    """Start from the weights of "nano", a folder or a Hub id (fine-tuning)."""
    train_encoder: bool = True
    """False leaves the latents as they are, and with them all that was trained on them."""
    train_decoder: bool = True
    """False teaches the encoder its `description` and nothing else; nothing is decoded."""
    latents: Literal["encoded", "described"] = "encoded"
    """"described" gives the decoder what `description` teaches the encoder, which is not run: a
    decoder may be trained beside its encoder, not after it."""
    train_latent_proj: bool = True
    """False leaves what the decoder and a semantic module read of the latents as it is, so that
    both may be trained side by side."""
    description: DescriptionConfig | None = None
    """Teach the first latents what can be predicted of speech (see `training.description`)."""
    discriminators: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    loss: LossWeights = field(default_factory=LossWeights)
    optim: OptimConfig = field(default_factory=OptimConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    stage: str = "acoustic"

    def __post_init__(self) -> None:
        if self.description is None and (self.latents == "described" or not self.train_decoder):
            raise ValueError("latents: described and train_decoder: false need a `description`")
        if self.latents == "described" and self.train_encoder:
            raise ValueError("latents: described leaves the encoder out: set train_encoder: false")
        if not (self.train_encoder or self.train_decoder):
            raise ValueError("train_encoder and train_decoder are both false: nothing would learn")


class AcousticTask:
    """The acoustic stage as a `Task`: encoder and decoder are trained."""

    def __init__(self, config: AcousticConfig) -> None:
        torch.manual_seed(config.trainer.seed)
        self.config = config
        self._model = start_from(config.init, config.model)
        if self._model.semantic is not None:
            self._model.semantic.requires_grad_(False)
        self._model.encoder.requires_grad_(config.train_encoder)
        # A semantic module may have learned from what this makes of the latents.
        self._model.latent_proj.requires_grad_(config.train_encoder and config.train_latent_proj)
        self._model.decoder.requires_grad_(config.train_decoder)
        rate = self._model.config.sample_rate
        self.sampler = CropSampler(
            config.data.train,
            crop_samples=round(config.data.crop_seconds * rate),
            sample_rate=rate,
            batch_size=config.data.batch_size,
            seed=config.trainer.seed,
            augmentation=config.data.augmentation,
        )
        loss = config.loss
        self.mel = MultiScaleMelLoss(
            rate, loss.mel_n_ffts, loss.mel_bands, reduction=loss.mel_reduction
        )
        self.spectral = CompressedSpectralLoss(
            config.loss.spectral_n_ffts, config.loss.spectral_power, config.loss.spectral_phase
        )
        self.description = self._description()
        self.batches = Prefetcher(self.sampler.batch, config.data.workers)
        self.adversary: Adversary | None = None
        if config.loss.has_adversary:
            self.adversary = Adversary(config.discriminators)

    def _description(self) -> Description | None:
        config, sampler = self.config.description, self.sampler
        if config is None:
            return None
        if config.taught > self._model.config.latent_dim:
            raise ConfigError(f"description: {config.taught} dimensions are more than the latents'")
        made = Description(config, self._model.config.sample_rate, self._model.config.hop_length)
        if config.file is not None:
            made = Description.load(config.file, config)
        elif self.config.train_encoder:
            count = -(-config.recordings // self.config.data.batch_size)
            # Batches that no step sees, so the run's own begin afresh.
            made.fit(sampler.batch(10**9 + i) for i in range(count))
        return made.to(self._model.device)

    @property
    def model(self) -> MingTok:
        return self._model

    @property
    def skipped(self) -> dict[str, str]:
        """Files that could not be read, and why."""
        return self.sampler.skipped

    def loss(self, batch: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """The objective of one batch, and its parts."""
        weights = self.config.loss
        target = self.batches.get(batch).to(self._model.device)
        parts: dict[str, Tensor] = {}
        total = target.new_zeros(())
        if self.config.latents == "described":
            assert self.description is not None
            latents = self.description(target)
            unknown = self._model.config.latent_dim - latents.shape[-1]
            latents = F.pad(latents, (0, unknown))
        else:
            with torch.set_grad_enabled(self.config.train_encoder and torch.is_grad_enabled()):
                posterior = self._model.posterior_of(target)
            latents = posterior.sample(generator)
            parts["kl"] = posterior.kl_loss()
            total = weights.kl * parts["kl"]
            if self.description is not None and self.config.train_encoder:
                parts["described"] = self.description.loss(posterior.mean, target)
                total = total + parts["described"]
        if not self.config.train_decoder:
            return total, {k: float(v.detach()) for k, v in parts.items()}
        phased = None
        if self.description is not None:
            latents, phased = self.description.veil(latents, generator)
        output = self._model.wav_of(latents)[:, : target.shape[1]]
        if weights.mel:
            parts["mel"] = self.mel(output, target)
            total = total + weights.mel * parts["mel"]
        if weights.spectral:
            parts["spectral"] = self.spectral(output, target, phased)
            total = total + weights.spectral * parts["spectral"]
        if weights.waveform:
            parts["waveform"] = waveform_loss(output, target)
            total = total + weights.waveform * parts["waveform"]
        if self.adversary is not None:
            judged = self.adversary.generator_losses(output, target)
            parts |= judged
            total = total + sum(getattr(weights, k) * v for k, v in judged.items())
        return total, {k: float(v.detach()) for k, v in parts.items()}

    @torch.no_grad()
    def evaluate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """Mel and spectral distance of whole held-out recordings; writes their reconstructions."""
        return reconstruct_files(
            model, self.config.data.evaluation, folder, {"mel": self.mel, "spectral": self.spectral}
        )

    def save_pretrained(self, model: Any, folder: Path) -> Path:
        """Write the tokenizer."""
        return model.save_pretrained(folder)


def reconstruct_files(
    model: MingTok, files: Sequence[str], folder: Path, losses: Mapping[str, Any]
) -> dict[str, float]:
    """Means of some losses over whole recordings, whose reconstructions go to `folder`."""
    figures: dict[str, list[float]] = {}
    for name in files:
        wav, rate = load_audio(name, sample_rate=model.config.sample_rate)
        output = model.decode(model.encode(wav, rate))
        target = torch.as_tensor(wav)[None].to(output.device)
        for key, loss in losses.items():
            figures.setdefault(key, []).append(float(loss(output, target)))
        folder.mkdir(parents=True, exist_ok=True)
        save_audio(folder / f"{Path(name).stem}.wav", output[0].cpu(), rate)
    return {key: sum(values) / len(values) for key, values in figures.items()}


def waveform_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean over the batch of the L1 distance relative to each item's level (B, T) -> scalar."""
    level = target.abs().mean(dim=-1).clamp_min(1e-3)
    return (F.l1_loss(output, target, reduction="none").mean(dim=-1) / level).mean()
