"""Stage 3: unified training through a frozen language model (paper section 4.1.3, equations 3, 4).

The guide reads compressed unified features in front of the transcript; its next-token loss and
the mel distance of what the decoder makes of the same features move the semantic module and its
output projections, and nothing else. Axes: B batch, T samples, L frames, P patches, S tokens,
H feature width, W width of the guide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.config import TransformerConfig
from mingtok_audio.core.errors import ConfigError
from mingtok_audio.core.models.components import save_component
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.plugins import create_compressor, load_compressor
from mingtok_audio.trainer.loop import OptimConfig, TrainerConfig
from mingtok_audio.trainer.prefetch import Prefetcher
from mingtok_audio.training.acoustic import reconstruct_files
from mingtok_audio.training.data import Utterances, UtteranceSampler
from mingtok_audio.training.discriminators import Adversary, DiscriminatorConfig
from mingtok_audio.training.guide import Guide
from mingtok_audio.training.initial import start_from, with_semantic
from mingtok_audio.training.losses import MultiScaleMelLoss
from mingtok_audio.training.manifests import Source


@dataclass(frozen=True)
class UnifiedData:
    """Whole recordings with transcripts."""

    train: list[Source]
    max_seconds: float = 60.0
    """Budget of a padded batch."""
    longest: float = 30.0
    """Recordings longer than this are left out."""
    workers: int = 0
    evaluation: list[str] = field(default_factory=list)
    """Audio files that are reconstructed at every evaluation."""
    valid: list[Source] = field(default_factory=list)
    """Held-out recordings whose transcripts the guide is asked for at every evaluation."""
    valid_batches: int = 8
    """How many batches of them are used, the same ones every time."""


@dataclass(frozen=True)
class UnifiedLoss:
    """Weights of equation 4; the terms after `mel` are not in the paper's stage."""

    align: float = 2.0
    mel: float = 1.0
    ctc: float = 0.0
    """Characters from the 50 Hz features, through a linear layer that is thrown away."""
    adversarial: float = 0.0
    """For the ablation: the paper found that GAN losses hurt here."""
    feature_matching: float = 0.0
    reconstruct_seconds: float = 1.28
    """Length of the piece of each recording that the decoder makes."""
    mel_n_ffts: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    mel_bands: tuple[int, ...] = (10, 20, 40, 60, 80, 120)
    mel_reduction: Literal["mean", "sum"] = "mean"
    """Of the mel loss, as in `acoustic.LossWeights`."""


@dataclass(frozen=True)
class UnifiedConfig:
    """A whole run, as its YAML file says it."""

    init: str
    data: UnifiedData
    guide: str
    """A causal language model for transformers: Hub id or folder."""
    guide_before: str = ""
    guide_after: str = ""
    """What it reads on either side of the audio; special tokens count as such."""
    semantic: TransformerConfig | None = None
    name: str | None = None
    decoder_input: str = "unified"
    """Through what the decoder is reached. With "latent" (the published checkpoints) the features
    do not reach it, so the mel term has no gradient and must be 0."""
    compressor: str = "linear_pooling"
    compressor_options: dict[str, Any] = field(default_factory=dict)
    init_compressor: str | None = None
    """A trained compressor (a component folder) in the place of a fresh `compressor`."""
    train_semantic: bool = True
    """False lets only what reads the features learn: the compressor, the adapter and the projection
    to the decoder, which are fresh where everything else was trained before."""
    train_acoustic: bool = False
    """For the ablation: let the encoder and the decoder move too (the paper freezes them)."""
    loss: UnifiedLoss = field(default_factory=UnifiedLoss)
    discriminators: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    stage: str = "unified"


class UnifiedModel(nn.Module):
    """The tokenizer, the compressor with an adapter to the guide's width, and a CTC head."""

    def __init__(self, tokenizer: MingTok, config: UnifiedConfig, guide: Guide) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        width = tokenizer.config.feature_dim or 0
        if config.init_compressor is not None:
            self.compressor = load_compressor(config.init_compressor)
        else:
            self.compressor = create_compressor(
                config.compressor, in_dim=width, **config.compressor_options
            )
        same = self.compressor.out_dim == guide.width
        self.adapter = nn.Identity() if same else nn.Linear(self.compressor.out_dim, guide.width)
        self.ctc = nn.Linear(width, guide.num_characters + 1) if config.loss.ctc else None


class UnifiedTask:
    """The unified stage as a `Task`."""

    def __init__(self, config: UnifiedConfig) -> None:
        torch.manual_seed(config.trainer.seed)
        self.config = config
        tokenizer = with_semantic(
            start_from(config.init, None), config.semantic, config.decoder_input, config.name
        )
        if tokenizer.semantic is None:
            raise ConfigError(
                f"{config.init!r} has no semantic module: run the stage before, or "
                "give `semantic` its shape"
            )
        weights = config.loss
        if config.decoder_input == "latent" and (
            weights.mel or weights.adversarial or weights.feature_matching
        ):
            raise ConfigError(
                "decoder_input 'latent' leaves the reconstruction terms without a gradient: set "
                "loss.mel, loss.adversarial and loss.feature_matching to 0, or use 'unified'"
            )
        self.guide = Guide(config.guide, config.guide_before, config.guide_after)
        rate = tokenizer.config.sample_rate
        self.sampler = self._sampler(config.data.train, rate)
        self.valid = self._sampler(config.data.valid, rate) if config.data.valid else None
        self.guide.learn_characters(
            r.text for r in self.sampler.library.recordings if r.text is not None
        )
        self._model = UnifiedModel(tokenizer, config, self.guide)
        tokenizer.requires_grad_(config.train_acoustic)
        tokenizer.semantic.requires_grad_(config.train_semantic)
        if tokenizer.feature_proj is not None:
            tokenizer.feature_proj.requires_grad_(True)
        self.mel = MultiScaleMelLoss(
            rate, weights.mel_n_ffts, weights.mel_bands, reduction=weights.mel_reduction
        )
        self.batches = Prefetcher(self.sampler.batch, config.data.workers)
        self.adversary: Adversary | None = None
        if weights.adversarial or weights.feature_matching:
            self.adversary = Adversary(config.discriminators)

    def _sampler(self, sources: list[Source], rate: int) -> UtteranceSampler:
        return UtteranceSampler(
            sources,
            sample_rate=rate,
            max_seconds=self.config.data.max_seconds,
            seed=self.config.trainer.seed,
            longest=self.config.data.longest,
        )

    @property
    def model(self) -> UnifiedModel:
        return self._model

    @property
    def skipped(self) -> dict[str, str]:
        """Files that could not be read, and why."""
        return self.sampler.skipped

    def loss(self, batch: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Equation 4 on one batch, and its parts."""
        weights, model = self.config.loss, self._model
        utterances = self.batches.get(batch)
        tokenizer = model.tokenizer
        wav = utterances.wav.to(tokenizer.device)
        values = tokenizer.posterior_of(wav).sample(generator)
        features = tokenizer.features_of(values)
        hop = tokenizer.config.hop_length
        frames = -(-utterances.lengths // hop)
        parts: dict[str, Tensor] = {}
        patches, counts = model.compressor(features, frames)
        parts["align"] = self.guide.loss(model.adapter(patches), counts, utterances.texts)
        total = weights.align * parts["align"]
        if model.ctc is not None:
            parts["ctc"] = self._ctc(model.ctc(features), frames, utterances.texts)
            total = total + weights.ctc * parts["ctc"]
        if tokenizer.feature_proj is not None and (weights.mel or self.adversary is not None):
            output, target = self._pieces(utterances, wav, features, generator)
            parts["mel"] = self.mel(output, target)
            total = total + weights.mel * parts["mel"]
            if self.adversary is not None:
                judged = self.adversary.generator_losses(output, target)
                parts |= judged
                total = total + sum(getattr(weights, k) * v for k, v in judged.items())
        return total, {k: float(v.detach()) for k, v in parts.items()}

    def _pieces(
        self, utterances: Utterances, wav: Tensor, features: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """A random stretch of every item, as the decoder makes it from features, and as it was."""
        tokenizer = self._model.tokenizer
        hop = tokenizer.config.hop_length
        size = max(1, round(self.config.loss.reconstruct_seconds * 16000 / hop))
        shortest = int(utterances.lengths.min()) // hop
        size = max(1, min(size, shortest, features.shape[1]))
        hidden, target = [], []
        for i, length in enumerate(utterances.lengths.tolist()):
            room = max(0, length // hop - size)
            start = int(torch.randint(0, room + 1, (1,), generator=generator))
            hidden.append(features[i, start : start + size])
            target.append(wav[i, start * hop : (start + size) * hop])
        assert tokenizer.feature_proj is not None
        output = tokenizer.decoder(tokenizer.feature_proj(torch.stack(hidden)))
        return output, _padded(target, output.shape[1])

    def _ctc(self, logits: Tensor, frames: Tensor, texts: Sequence[str]) -> Tensor:
        labels = [self.guide.characters(text) for text in texts]
        lengths = torch.tensor([len(x) for x in labels])
        flat = torch.cat(labels) if labels else torch.zeros(0, dtype=torch.long)
        log_probs = logits.float().log_softmax(dim=-1).transpose(0, 1)
        return F.ctc_loss(log_probs, flat.to(logits.device), frames, lengths, zero_infinity=True)

    @torch.no_grad()
    def evaluate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """Mel distance of whole held-out recordings, whose reconstructions it writes; next-token
        loss and share of tokens that the guide predicts, on held-out transcripts."""
        figures = reconstruct_files(
            model.tokenizer, self.config.data.evaluation, folder, {"mel": self.mel}
        )
        if self.valid is None:
            return figures
        loss, right, tokens = 0.0, 0, 0
        for number in range(min(self.config.data.valid_batches, len(self.valid.batches))):
            logits, targets = self._predicted(model, self.valid.batch(number))
            loss += float(F.cross_entropy(logits, targets, reduction="sum"))
            right += int((logits.argmax(dim=-1) == targets).sum())
            tokens += len(targets)
        return {**figures, "align": loss / tokens, "accuracy": right / tokens}

    def _predicted(self, model: Any, utterances: Utterances) -> tuple[Tensor, Tensor]:
        """What the guide expects for the transcripts' tokens, and what is there."""
        tokenizer = model.tokenizer
        values = tokenizer.posterior_of(utterances.wav.to(tokenizer.device)).mean
        frames = -(-utterances.lengths // tokenizer.config.hop_length)
        patches, counts = model.compressor(tokenizer.features_of(values), frames)
        return self.guide.predicted(model.adapter(patches), counts, utterances.texts)

    def save_pretrained(self, model: Any, folder: Path) -> Path:
        """Write the tokenizer, and the compressor (without an adapter) as a component inside."""
        path = model.tokenizer.save_pretrained(folder)
        save_component(
            folder / "compressor",
            model.compressor,
            slot="compressor",
            name=self._compressor_name(model.compressor),
        )
        return path

    def _compressor_name(self, compressor: Any) -> str:
        loaded = getattr(compressor, "component_config", None)
        return self.config.compressor if loaded is None else loaded.name


def _padded(pieces: list[Tensor], length: int) -> Tensor:
    """(B, length) of pieces that a recording's end may have cut short."""
    return torch.stack([F.pad(piece, (0, length - len(piece)))[:length] for piece in pieces])
