"""Joint training of understanding and generation (paper sections 5.1, 5.2, 5.4).

A step serves one task: recognition, whose loss is the next token's; or speech, whose losses are
the head's (flow), the stop detector's, and what aids alignment. The condition of a patch is the
hidden state in front of it, as at inference.

Axes: B items, S tokens, L frames, P patches, p frames of a patch, d latent dimensions, D width,
N patches of all items.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.core.errors import ConfigError
from mingtok_audio.training.prefetch import Prefetcher
from uniaudio_lm.models.uniaudio import UniAudio
from uniaudio_lm.training.batches import IGNORED, Batch, Corpora, Corpus
from uniaudio_lm.training.initial import start_model
from uniaudio_lm.training.listening import listen_and_speak
from uniaudio_lm.training.losses import (
    AttentionProbe,
    RouterBalance,
    guided_attention_loss,
    phoneme_loss,
)
from uniaudio_lm.training.parts import (
    choose_learners,
    latent_noise,
    save_model,
    set_head,
    stop_loss,
    stop_places,
)
from uniaudio_lm.training.plan import place_of
from uniaudio_lm.training.settings import JointConfig
from uniaudio_lm.training.store import LatentStore


class JointModel(nn.Module):
    """The model, and a phoneme classifier that only training has."""

    def __init__(self, lm: UniAudio, phonemes: int) -> None:
        super().__init__()
        self.lm = lm
        self.phoneme_head = nn.Linear(lm.dim, phonemes) if phonemes else None


class JointTask:
    """A joint stage as a `Task`."""

    batches_per_step = 1
    """Of all processes; the trainer sets it."""
    unused_parameters = True
    keeps_frozen = False

    def __init__(self, config: JointConfig) -> None:
        torch.manual_seed(config.trainer.seed)
        self.config = config
        lm = start_model(config)
        loss, data = config.loss, config.data
        set_head(lm, cond_dropout=loss.cond_dropout, time_distribution=loss.time_distribution)
        augmentation = data.understanding.augmentation if data.understanding.variants else None
        self.store = LatentStore(
            data.latents.cache, lm.tokenizer, augmentation, data.latents.memory_gb
        )
        self.corpora = self._read(lm)
        self._model = JointModel(lm, len(self._classes))
        self._choose(lm)
        self.teacher = self._teacher(lm)
        self.balance = RouterBalance(lm.backbone)
        self.probe: AttentionProbe | None = None
        if loss.attention.weight and "generation" in self.corpora.train:
            self.probe = AttentionProbe(lm.backbone, loss.attention.layer, loss.attention.heads)
        self.batches = Prefetcher(self._batch, data.workers)

    # --- what is there at the start --------------------------------------------------------------

    def _teacher(self, lm: UniAudio) -> nn.ModuleList | None:
        """The compressor and the adapter that a new compressor learns from."""
        if not self.config.loss.compressor:
            return None
        assert self.config.init is not None
        old = UniAudio.from_pretrained(self.config.init)
        if old.compressor.num_patches(99) != lm.compressor.num_patches(99):
            raise ConfigError("loss.compressor: both compressors must make the same patches")
        return nn.ModuleList((old.compressor, old.adapter)).requires_grad_(False)

    def _read(self, lm: UniAudio) -> Corpora:
        data, loss, seed = self.config.data, self.config.loss, self.config.trainer.seed
        out, tasks = Corpora(), []
        if data.ratio[0]:
            tasks.append(data.understanding)
        if data.ratio[1]:
            tasks.append(data.generation)
        self._classes: list[str] = []
        if loss.phoneme and data.ratio[1]:
            probe = Corpus(data.generation, lm, self.store, seed)
            self._classes = sorted({s for i in probe.items if i.durations for s in i.phonemes})
            if not self._classes:
                raise ConfigError("loss.phoneme: no item has `phonemes` and `durations`")
        for task in tasks:
            options: dict[str, Any] = {}
            if task is data.generation:
                options = {"classes": self._classes, "timed": bool(loss.attention.weight)}
            train = Corpus(task, lm, self.store, seed, **options)
            out.train[train.name] = train
            if task.valid:
                out.valid[train.name] = Corpus(task, lm, self.store, 0, split="valid", **options)
        return out

    def _choose(self, lm: UniAudio) -> None:
        """Which parameters learn."""
        config = self.config
        learns = choose_learners(lm, config.learn, config.lora, config.semantic)
        if config.data.ratio[0] and learns <= {"generation_head", "stop_detector"}:
            raise ConfigError(
                "learn: no step of understanding reaches those parts: set data.ratio to [0, 1]"
            )

    @property
    def model(self) -> JointModel:
        return self._model

    @property
    def skipped(self) -> dict[str, str]:
        """Recordings that could not be used, and why."""
        silent = {
            name: "no transcript" for c in self.corpora.train.values() for name in c.silent
        }  # fmt: skip
        return {**silent, **self.store.skipped}

    # --- steps -----------------------------------------------------------------------------------

    def _batch(self, number: int) -> Batch:
        task, index = place_of(number, self.config.data.ratio, self.batches_per_step)
        return self.corpora.train[task].batch(index)

    def loss(self, batch: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """The objective of one batch, and its parts."""
        stride = self.batches_per_step // self.config.trainer.accumulate
        found = self.batches.get(batch, max(1, stride))
        step = batch // self.batches_per_step
        total, parts = self.objective(found, generator, step)
        parts["tokens"] = float(found.tokens)
        return total, parts

    def objective(
        self, batch: Batch, generator: torch.Generator, step: int
    ) -> tuple[Tensor, dict[str, float]]:
        """See `loss`."""
        lm, weights = self._model.lm, self.config.loss
        device = lm.device
        values = batch.mean
        if self.config.data.latents.draw == "sample":
            values = values + batch.std * torch.randn(values.shape, generator=generator)
        values = values.to(device)
        if self.teacher is not None and not (weights.flow or weights.text or weights.stop):
            _, taught = self._compress(batch, values)
            return weights.compressor * taught, {"compressor": float(taught.detach())}
        embeds, audio, taught = self._embed(batch, values, generator)
        # Recognition tells the routers which tokens are audio, speech does not: as at inference.
        routed = audio if batch.task == "understanding" else None
        guide = weights.attention.at(step) if batch.said is not None and self.probe else 0.0
        with ExitStack() as watched:
            if self.balance.routers:
                watched.enter_context(self.balance.watch())
            if guide and self.probe is not None:
                watched.enter_context(self.probe.watch())
            hidden = lm.backbone(embeds, audio_mask=routed)
        if batch.task == "understanding":
            parts, figures = self._understood(batch, hidden)
        else:
            parts, figures = self._spoken(batch, hidden, values, generator, guide)
        if self.teacher is not None:
            parts["compressor"] = (weights.compressor, taught)
        if self.balance.routers:
            places = torch.arange(batch.ids.shape[1])
            valid = (places < batch.lengths[:, None]).to(device)
            parts["balance"] = (weights.balance, self.balance.loss(valid))
        total = torch.stack([weight * value.float() for weight, value in parts.values()]).sum()
        figures |= {name: float(value.detach()) for name, (_, value) in parts.items()}
        return total, figures

    def _embed(
        self, batch: Batch, values: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Token embeddings with audio in its places (B, S, D), where that is (B, S), and the
        compressor's loss."""
        lm, noise = self._model.lm, self.config.loss.input_noise
        if noise and batch.task == "generation":
            values = values + latent_noise(lm, values, noise, generator)
        patches, taught = self._compress(batch, values)
        embeds = lm.backbone.embed(batch.ids.to(values.device))
        rows, places, columns = _flat(batch)
        merged = embeds.index_put((rows, places), patches[rows, columns].to(embeds))
        audio = torch.zeros(embeds.shape[:2], dtype=torch.bool, device=embeds.device)
        audio[rows, places] = True
        return merged, audio, taught

    def _compress(self, batch: Batch, values: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs of the language model (B, P, D), and how far they are from the teacher's."""
        lm = self._model.lm
        with torch.set_grad_enabled(self.config.semantic and torch.is_grad_enabled()):
            features = lm.audio_features(values)
        frames = batch.frames.to(features.device)
        patches = lm.adapter(lm.compressor(features, frames)[0])
        if self.teacher is None:
            return patches, patches.new_zeros(())
        compressor, adapter = self.teacher
        with torch.no_grad():
            wanted = adapter(compressor(features, frames)[0])
        rows, _, columns = _flat(batch)
        found, wanted = patches[rows, columns].float(), wanted[rows, columns].float()
        error = (found - wanted).square().mean() / wanted.var(dim=0).mean().clamp_min(1e-8)
        return patches, error

    def _understood(
        self, batch: Batch, hidden: Tensor
    ) -> tuple[dict[str, tuple[float, Tensor]], dict[str, float]]:
        labels = batch.labels[:, 1:].to(hidden.device)
        asked = labels != IGNORED
        logits = self._model.lm.backbone.logits(hidden[:, :-1][asked]).float()
        loss = F.cross_entropy(logits, labels[asked])
        right = (logits.detach().argmax(dim=-1) == labels[asked]).float().mean()
        return {"text": (self.config.loss.text, loss)}, {"text_accuracy": float(right)}

    def _spoken(
        self,
        batch: Batch,
        hidden: Tensor,
        values: Tensor,
        generator: torch.Generator,
        guide: float,
    ) -> tuple[dict[str, tuple[float, Tensor]], dict[str, float]]:
        lm, weights = self._model.lm, self.config.loss
        size = lm.config.patch_size
        rows, places, columns = _flat(batch)
        patches = values.unflatten(1, (-1, size))  # (B, P, p, d)
        before = torch.cat((torch.zeros_like(patches[:, :1]), patches[:, :-1]), dim=1)
        if weights.history_noise:
            before = before + latent_noise(lm, before, weights.history_noise, generator)
        cond = hidden[rows, places - 1]
        flow = lm.generation_head.loss(
            cond,
            lm.normalize(patches[rows, columns]).to(cond),
            lm.normalize(before[rows, columns]).to(cond),
            num_samples=weights.draws,
            generator=generator,
        )
        parts = {"flow": (weights.flow, flow)}
        figures: dict[str, float] = {}
        starts, counts = batch.starts.to(hidden.device), batch.counts.to(hidden.device)
        at, counts = stop_places(lm, starts, counts, hidden.shape[1])
        parts["stop"] = (weights.stop, stop_loss(lm, hidden, at, counts))
        if guide and self.probe is not None and batch.said is not None:
            said = batch.said.to(hidden.device)
            attention = self.probe.attention(at[:, : said.shape[1]])
            loss, figures["aligned"] = guided_attention_loss(attention, said)
            parts["attention"] = (guide, loss)
        head = self._model.phoneme_head
        if head is not None and batch.phonemes is not None:
            shares = batch.phonemes.to(hidden.device)[rows, columns]
            parts["phoneme"] = (weights.phoneme, phoneme_loss(head(cond), shares))
        return parts, figures

    # --- what is seen and kept -------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """Losses on held-out items; sentences said and recordings read, into `folder`."""
        figures: dict[str, list[float]] = {}
        for corpus in self.corpora.valid.values():
            for number in range(self.config.evaluation.batches):
                generator = torch.Generator().manual_seed(number)
                _, parts = self.objective(corpus.batch(number), generator, step)
                for name, value in parts.items():
                    figures.setdefault(name, []).append(value)
        listen_and_speak(model.lm, self.config.evaluation, folder)
        return {name: sum(values) / len(values) for name, values in figures.items()}

    def save_pretrained(self, model: Any, folder: Path) -> Path:
        """Write the model; adapters apart too (`adapter/` beside it), and merged into it."""
        return save_model(model.lm, self.config.lora, folder)


def _flat(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Of every patch: its item, its position, and its place among the item's patches, (N,)."""
    columns = torch.cat([torch.arange(int(count)) for count in batch.counts])
    rows = torch.repeat_interleave(torch.arange(len(batch.counts)), batch.counts)
    return rows, batch.starts[rows] + columns, columns
