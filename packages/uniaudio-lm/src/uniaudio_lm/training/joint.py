"""Joint training of understanding and generation (paper sections 5.1, 5.2, 5.4).

A step serves one task: recognition, whose loss is the next token's; or speech, whose losses are
the head's (flow), the stop detector's, and what aids alignment. The condition of a patch is the
hidden state in front of it, as at inference.

Axes: B items, S tokens, L frames, P patches, p frames of a patch, d latent dimensions, D width,
N patches of all items.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from mingtok_audio.core.errors import ConfigError
from mingtok_audio.trainer.prefetch import Prefetcher
from mingtok_audio.training.data import Augmentation
from uniaudio_lm.config import Task
from uniaudio_lm.model.attention import AttentionProbe
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.training.batches import IGNORED, Batch, Corpora, Corpus
from uniaudio_lm.training.initial import start_model
from uniaudio_lm.training.learned import JointModel
from uniaudio_lm.training.listening import listen_and_speak
from uniaudio_lm.training.losses import (
    RouterBalance,
    guided_attention_loss,
    misread,
    phoneme_loss,
)
from uniaudio_lm.training.parts import (
    choose_learners,
    latent_noise,
    latest_latents,
    save_model,
    set_head,
    stop_loss,
    stop_places,
)
from uniaudio_lm.training.plan import place_of
from uniaudio_lm.training.settings import JointConfig
from uniaudio_lm.training.store import store_of
from uniaudio_lm.training.symbols import (
    SYMBOLS,
    fresh_symbols,
    known_symbols,
    read_table,
    symbol_error,
    symbols_said,
    write_symbols,
)
from uniaudio_lm.training.utterances import read_utterances


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
        augmentation = None
        if data.understanding.variants:
            augmentation = data.understanding.augmentation or Augmentation()
        plans = {task: data.latents.only(task) for task in ("understanding", "generation")}
        made = {
            plan: store_of(plan, lm.tokenizer, lm.config.latent_dims, augmentation)
            for plan in plans.values()
        }
        self.stores = {task: made[plan] for task, plan in plans.items()}
        self.corpora = self._read(lm)
        lm.config = replace(lm.config, tasks=self._tasks(lm.config.tasks))
        symbols = None
        if data.audio == "phonemes":
            symbols = self._symbols(lm.dim)
        self._model = JointModel(
            lm,
            len(self._classes) if loss.phoneme else 0,
            symbols,
            len(loss.frame_delays) if loss.frames else 0,
        )
        if self._model.symbols is not None:
            self._model.symbols.requires_grad_(config.symbols is None)
        self.targets: Tensor | None = None
        """Embeddings of phonemes (C, D) that the compressor learns from."""
        if loss.symbols:
            self.targets = read_table(Path(str(config.symbols)), self._classes, lm.dim)
        self._choose(lm)
        self.balance = RouterBalance(lm.backbone)
        self.probes = self._probes(lm)
        self.batches = Prefetcher(self._batch, data.workers)

    # --- what is there at the start --------------------------------------------------------------

    def _tasks(self, before: list[Task] | None) -> list[Task] | None:
        """What the model will have been trained for: what it was before, and what this run teaches.

        None where the start does not say.
        """
        if self.config.model is None and before is None:
            return None
        taught = set(before or ())
        if self.config.data.audio == "recorded":
            weights = {"understanding": self.config.loss.text, "generation": self.config.loss.flow}
            for name, corpus in self.corpora.train.items():
                taught |= corpus.tasks if weights[name] else set()
        return [task for task in get_args(Task) if task in taught]

    def _probes(self, lm: SpeechLM) -> dict[str, AttentionProbe]:
        """Of each task whose attention is guided."""
        guide = self.config.loss.attention
        heads = {"generation": guide.heads, "understanding": guide.answer_heads}
        return {
            task: AttentionProbe(lm.backbone, guide.layer, heads[task])
            for task in self.corpora.train
            if guide.weight and heads[task]
        }

    def _symbols(self, dim: int) -> Tensor:
        """What stands for phonemes (C, D): fresh, or what `symbols` names."""
        if self.config.symbols is None:
            return fresh_symbols(len(self._classes), dim)
        return read_table(Path(self.config.symbols), self._classes, dim)

    def _read(self, lm: SpeechLM) -> Corpora:
        data, loss, seed = self.config.data, self.config.loss, self.config.trainer.seed
        out, tasks = Corpora(), []
        if data.ratio[0]:
            tasks.append(data.understanding)
        if data.ratio[1]:
            tasks.append(data.generation)
        self._classes: list[str] = []
        recorded = data.audio == "recorded"
        if loss.phoneme or loss.symbols or loss.frames or not recorded:
            said = [read_utterances(task.train, task.longest)[0] for task in tasks]
            self._classes = sorted({s for i in chain(*said) if i.durations for s in i.phonemes})
            if not self._classes:
                raise ConfigError("no item has `phonemes` and `durations`, which the losses need")
            if self.config.symbols is not None:
                self._classes = known_symbols(Path(self.config.symbols), self._classes)
        guide = loss.attention
        for task in tasks:
            heads = guide.heads if task is data.generation else guide.answer_heads
            options: dict[str, Any] = {
                "classes": self._classes,
                "timed": bool(guide.weight and heads),
                "recorded": recorded,
                "framed": bool(loss.frames),
            }
            store = self.stores["generation" if task is data.generation else "understanding"]
            train = Corpus(task, lm, store, seed, **options)
            out.train[train.name] = train
            if task.valid:
                out.valid[train.name] = Corpus(task, lm, store, 0, split="valid", **options)
        return out

    def _choose(self, lm: SpeechLM) -> None:
        """Which parameters learn."""
        config = self.config
        learns = choose_learners(lm, config.learn, config.lora, config.semantic)
        for parameter in lm.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
        if config.data.ratio[0] and lm.config.prompt_format != "uniaudio":
            raise ConfigError(
                f"{lm.model_id} speaks only: it has no recognition to train (data.ratio [0, 1])"
            )
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
        unread = {n: why for store in self.stores.values() for n, why in store.skipped.items()}
        return {**silent, **unread}

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
        front_end = weights.symbols or weights.frames
        if front_end and not (weights.flow or weights.text or weights.stop):
            if weights.input_noise:
                values = values + latent_noise(lm, values, weights.input_noise, generator)
            return _total(self._front_end(batch, *self._compress(batch, values)), {})
        embeds, audio, heard = self._embed(batch, values, generator)
        # Recognition tells the routers which tokens are audio, speech does not: as at inference.
        routed = audio if batch.task == "understanding" else None
        probe = self.probes.get(batch.task)
        guide = weights.attention.at(step) if batch.said is not None and probe is not None else 0.0
        with ExitStack() as watched:
            if self.balance.routers:
                watched.enter_context(self.balance.watch())
            if guide and probe is not None:
                watched.enter_context(probe.watch())
            hidden = lm.backbone(embeds, audio_mask=routed)
        if batch.task == "understanding":
            parts, figures = self._understood(batch, hidden)
        else:
            parts, figures = self._spoken(batch, hidden, values, generator)
        if guide and probe is not None:
            loss, figures["aligned"] = self._guided(batch, probe)
            parts["attention"] = (guide, loss)
        parts |= self._front_end(batch, *heard)
        if self.balance.routers:
            places = torch.arange(batch.ids.shape[1])
            valid = (places < batch.lengths[:, None]).to(device)
            parts["balance"] = (weights.balance, self.balance.loss(valid))
        return _total(parts, figures)

    def _front_end(
        self, batch: Batch, patches: Tensor, features: Tensor | None
    ) -> dict[str, tuple[float, Tensor]]:
        """Auxiliary losses on the audio front end: `patches` (B, P, D) are its outputs, `features`
        (B, L, H) its inputs."""
        weights, parts = self.config.loss, {}
        if self.targets is not None and batch.phonemes is not None:
            error = symbol_error(self.targets, batch.phonemes, patches)
            parts["symbols"] = (weights.symbols, error)
        head = self._model.frame_head
        if head is not None and features is not None and batch.heard is not None:
            error = head.loss(features, batch.heard, weights.frame_delays)
            parts["frames"] = (weights.frames, error)
        return parts

    def _embed(
        self, batch: Batch, values: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor | None]]:
        """Token embeddings with audio in its places (B, S, D), where that is (B, S), and the audio
        (B, P, D) with the features that it was made of."""
        lm, noise = self._model.lm, self.config.loss.input_noise
        if self._model.symbols is not None and batch.phonemes is not None:
            patches = symbols_said(self._model.symbols, batch.phonemes, noise, generator)
            features = None
        else:
            if noise and batch.task == "generation":
                values = values + latent_noise(lm, values, noise, generator)
            patches, features = self._compress(batch, values)
        ids = batch.ids
        if batch.task == "understanding" and self.config.loss.answer_noise:
            ids = misread(ids, batch.labels, self.config.loss.answer_noise, generator)
        embeds = lm.backbone.embed(ids.to(values.device))
        rows, places, columns = _flat(batch)
        merged = embeds.index_put((rows, places), patches[rows, columns].to(embeds))
        audio = torch.zeros(embeds.shape[:2], dtype=torch.bool, device=embeds.device)
        audio[rows, places] = True
        return merged, audio, (patches, features)

    def _guided(self, batch: Batch, probe: AttentionProbe) -> tuple[Tensor, float]:
        """The guided heads' loss, and how often they look at the right place."""
        assert batch.said is not None
        device = self._model.lm.device
        said = batch.said.to(device)
        at = batch.queries.to(device)[:, None] + torch.arange(said.shape[1], device=device)
        attention = probe.attention(at.clamp_max(batch.ids.shape[1] - 1))
        return guided_attention_loss(attention, said)

    def _compress(self, batch: Batch, values: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs of the language model (B, P, D), and the features that they are made of."""
        lm = self._model.lm
        with torch.set_grad_enabled(self.config.semantic and torch.is_grad_enabled()):
            features = lm.audio_features(values)
        frames = batch.frames.to(features.device)
        return lm.adapter(lm.compressor(features, frames)[0]), features

    def _understood(
        self, batch: Batch, hidden: Tensor
    ) -> tuple[dict[str, tuple[float, Tensor]], dict[str, float]]:
        labels = batch.labels[:, 1:].to(hidden.device)
        asked = labels != IGNORED
        logits = self._model.lm.backbone.logits(hidden[:, :-1][asked]).float()
        loss = F.cross_entropy(logits, labels[asked])
        right = (logits.detach().argmax(dim=-1) == labels[asked]).float().mean()
        parts = {"text": (self.config.loss.text, loss)}
        head, shares = self._model.phoneme_head, batch.phonemes
        if head is not None and shares is not None:
            # A patch later: what ends at the end of a patch is known then.
            rows, places, columns = _flat(batch)
            later = columns > 0
            before = shares.to(hidden.device)[rows[later], columns[later] - 1]
            found = head(hidden[rows[later], places[later]])
            parts["heard"] = (self.config.loss.phoneme, phoneme_loss(found, before))
        return parts, {"text_accuracy": float(right)}

    def _spoken(
        self,
        batch: Batch,
        hidden: Tensor,
        values: Tensor,
        generator: torch.Generator,
    ) -> tuple[dict[str, tuple[float, Tensor]], dict[str, float]]:
        lm, weights = self._model.lm, self.config.loss
        rows, places, columns = _flat(batch)
        cond = hidden[rows, places - 1]
        parts: dict[str, tuple[float, Tensor]] = {}
        figures: dict[str, float] = {}
        if weights.flow:
            flow = self._flow_loss(cond, values, rows, columns, generator)
            parts["flow"] = (weights.flow, flow)
        starts, counts = batch.starts.to(hidden.device), batch.counts.to(hidden.device)
        at, counts = stop_places(lm, starts, counts, hidden.shape[1])
        parts["stop"] = (weights.stop, stop_loss(lm, hidden, at, counts))
        head = self._model.phoneme_head
        if head is not None and batch.phonemes is not None:
            shares = batch.phonemes.to(hidden.device)[rows, columns]
            parts["phoneme"] = (weights.phoneme, phoneme_loss(head(cond), shares))
        return parts, figures

    def _flow_loss(
        self,
        cond: Tensor,
        values: Tensor,
        rows: Tensor,
        columns: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """The head's loss on all patches, from their conditions (N, D) and latents (B, L, d)."""
        lm, weights = self._model.lm, self.config.loss
        patches = values.unflatten(1, (-1, lm.config.patch_size))  # (B, P, p, d)
        before = latest_latents(values, lm.config.patch_size, lm.history_latents)
        if weights.history_noise:
            before = before + latent_noise(lm, before, weights.history_noise, generator)
        return lm.generation_head.loss(
            cond,
            lm.normalize(patches[rows, columns]).to(cond),
            lm.normalize(before[rows, columns]).to(cond),
            num_samples=weights.draws,
            generator=generator,
        )

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
        if model.symbols is None:
            listen_and_speak(model.lm, self.config.evaluation, folder)
        return {name: sum(values) / len(values) for name, values in figures.items()}

    def save_pretrained(self, model: Any, folder: Path) -> Path:
        """Write the model; adapters apart too (`adapter/` beside it), and merged into it."""
        if model.symbols is not None:
            write_symbols(folder.parent / SYMBOLS, self._classes, model.symbols)
        return save_model(model.lm, self.config.lora, folder)


def _total(
    parts: dict[str, tuple[float, Tensor]], figures: dict[str, float]
) -> tuple[Tensor, dict[str, float]]:
    """The weighted sum of the losses, and all of them as figures."""
    total = torch.stack([weight * value.float() for weight, value in parts.values()]).sum()
    return total, figures | {name: float(value.detach()) for name, (_, value) in parts.items()}


def _flat(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Of every patch: its item, its position, and its place among the item's patches, (N,)."""
    columns = torch.cat([torch.arange(int(count)) for count in batch.counts])
    rows = torch.repeat_interleave(torch.arange(len(batch.counts)), batch.counts)
    return rows, batch.starts[rows] + columns, columns
