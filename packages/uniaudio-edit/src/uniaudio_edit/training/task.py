"""Edit training as a task of the shared trainer (paper section 6.1).

The model reads the source and the instruction, writes the chain of thought and `<gen_audio>`
(next-token loss), and speaks the target (flow loss, heavier on frames that the edit made, and the
stop detector's). As at inference, the target's features continue the source's stream and the first
patch has a history of zeros.

Axes: B pairs, S tokens, L frames, P patches, p frames of a patch, d latent dimensions, D width, N
target patches of all pairs.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.core.audio import load_audio, save_audio
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_text
from mingtok_audio.trainer.prefetch import Prefetcher
from uniaudio_edit.data.cot import published_prompt
from uniaudio_edit.training.pairs import EditBatch, PairCorpus
from uniaudio_edit.training.settings import EditConfig
from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.interfaces import GenerationHead
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.tasks.edit import edit
from uniaudio_lm.training.batches import IGNORED
from uniaudio_lm.training.losses import RouterBalance
from uniaudio_lm.training.parts import (
    choose_learners,
    latent_noise,
    save_model,
    set_head,
    stop_loss,
    stop_places,
)
from uniaudio_lm.training.store import store_of


class EditModel(nn.Module):
    """The model that learns (what a `Task` of the trainer owns)."""

    def __init__(self, lm: SpeechLM) -> None:
        super().__init__()
        self.lm = lm


class EditTask:
    """A run as its configuration says, for the shared trainer."""

    batches_per_step = 1
    """Of all processes; the trainer sets it."""
    unused_parameters = True
    keeps_frozen = False

    def __init__(self, config: EditConfig) -> None:
        torch.manual_seed(config.trainer.seed)
        self.config = config
        lm = load_model(config.init).train()
        tasks = lm.config.tasks
        if tasks is not None and "edits" not in tasks:
            lm.config = replace(lm.config, tasks=[*tasks, "edits"])
        loss = config.loss
        set_head(lm, cond_dropout=loss.cond_dropout, time_distribution=loss.time_distribution)
        data = config.data
        self.store = store_of(data.latents.only("generation"), lm.tokenizer, lm.config.latent_dims)
        self.train_pairs = self._corpus(lm, data.train, config.trainer.seed)
        self.valid_pairs = self._corpus(lm, data.valid, 0) if data.valid else None
        self._model = EditModel(lm)
        choose_learners(lm, config.learn, config.lora, config.semantic)
        self.balance = RouterBalance(lm.backbone)
        self.batches: Prefetcher[Any] = Prefetcher(self.train_pairs.batch, data.workers)

    def _corpus(self, lm: SpeechLM, folders: list[str], seed: int) -> PairCorpus:
        data = self.config.data
        return PairCorpus(
            folders,
            lm,
            self.store,
            seed=seed,
            max_tokens=data.max_tokens,
            longest=data.longest,
            edited_weight=self.config.loss.edited_weight,
        )

    @property
    def model(self) -> EditModel:
        return self._model

    def loss(self, batch: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """The objective of batch number `batch`, and its parts."""
        stride = self.batches_per_step // self.config.trainer.accumulate
        found = self.batches.get(batch, max(1, stride))
        total, parts = self.objective(found, generator)
        parts["tokens"] = float(found.tokens)
        return total, parts

    def save_pretrained(self, model: Any, folder: Path) -> Path:
        """Write the model; adapters apart too (`adapter/` beside it), and merged into it."""
        return save_model(model.lm, self.config.lora, folder)

    @property
    def skipped(self) -> dict[str, str]:
        """Recordings that could not be read, and why."""
        return dict(self.store.skipped)

    def objective(
        self, found: EditBatch, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """The objective of a batch, and its parts."""
        lm, weights = self._model.lm, self.config.loss
        values = found.mean
        if self.config.data.latents.draw == "sample":
            values = values + found.std * torch.randn(values.shape, generator=generator)
        values = values.to(lm.device)
        embeds = self._embedded(found, values)
        with ExitStack() as watched:
            if self.balance.routers:
                watched.enter_context(self.balance.watch())
            hidden = lm.backbone(embeds)  # edits tell the routers nothing of audio, as published
        parts = {"text": (weights.text, self._text_loss(found, hidden))}
        parts |= self._speech_losses(found, hidden, values, generator)
        if self.balance.routers:
            valid = torch.arange(found.ids.shape[1]) < found.lengths[:, None]
            parts["balance"] = (weights.balance, self.balance.loss(valid.to(hidden.device)))
        total = torch.stack([weight * value.float() for weight, value in parts.values()]).sum()
        return total, {name: float(value.detach()) for name, (_, value) in parts.items()}

    def _embedded(self, batch: EditBatch, values: Tensor) -> Tensor:
        """Token embeddings with both recordings in their places (B, S, D)."""
        lm = self._model.lm
        with torch.set_grad_enabled(self.config.semantic and torch.is_grad_enabled()):
            features = lm.audio_features(values)
        frames = batch.counts.sum(dim=1) * lm.config.patch_size
        patches, _ = lm.compressor(features, frames.to(features.device))
        patches = lm.adapter(patches)
        embeds = lm.backbone.embed(batch.ids.to(values.device))
        rows, places, columns = [], [], []
        for row, (starts, counts) in enumerate(
            zip(batch.starts.tolist(), batch.counts.tolist(), strict=True)
        ):
            for start, count in zip(starts, counts, strict=True):
                places += range(start, start + count)
            rows += [row] * sum(counts)
            columns += range(sum(counts))
        index = (torch.tensor(rows), torch.tensor(places))
        return embeds.index_put(index, patches[rows, columns].to(embeds))

    def _text_loss(self, batch: EditBatch, hidden: Tensor) -> Tensor:
        labels = batch.labels[:, 1:].to(hidden.device)
        asked = labels != IGNORED
        logits = self._model.lm.backbone.logits(hidden[:, :-1][asked]).float()
        return F.cross_entropy(logits, labels[asked])

    def _speech_losses(
        self, batch: EditBatch, hidden: Tensor, values: Tensor, generator: torch.Generator
    ) -> dict[str, tuple[float, Tensor]]:
        lm, weights = self._model.lm, self.config.loss
        patches = values.unflatten(1, (-1, lm.config.patch_size))  # (B, P, p, d)
        counts = batch.counts[:, 1]
        rows = torch.repeat_interleave(torch.arange(len(counts)), counts)
        columns = torch.cat([torch.arange(int(count)) for count in counts])
        there = batch.counts[:, 0][rows] + columns
        target = patches[rows, there]
        before = patches[rows, (there - 1).clamp_min(0)]
        before = torch.where((columns == 0).to(before.device)[:, None, None], 0.0, before)
        if weights.history_noise:
            before = before + latent_noise(lm, before, weights.history_noise, generator)
        cond = hidden[rows, batch.starts[:, 1][rows] - 1 + columns]
        flow = weighted_flow(
            lm.generation_head,
            (cond, lm.normalize(target).to(cond), lm.normalize(before).to(cond)),
            batch.weights[rows, columns],
            num_samples=weights.draws,
            generator=generator,
        )
        starts, counts = batch.starts[:, 1].to(hidden.device), counts.to(hidden.device)
        at, counts = stop_places(lm, starts, counts, hidden.shape[1])
        stop = stop_loss(lm, hidden, at, counts)
        return {"flow": (weights.flow, flow), "stop": (weights.stop, stop)}

    @torch.no_grad()
    def evaluate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """Losses on held-out pairs; some of them edited, into `folder`."""
        del step
        plan, corpus = self.config.evaluation, self.valid_pairs
        if corpus is None:
            return {}
        figures: dict[str, list[float]] = {}
        for number in range(plan.batches):
            generator = torch.Generator().manual_seed(number)
            _, parts = self.objective(corpus.batch(number), generator)
            for name, value in parts.items():
                figures.setdefault(name, []).append(value)
        if plan.edits:
            self._edit_some(model.lm, corpus, folder)
        return {name: sum(values) / len(values) for name, values in figures.items()}

    def _edit_some(self, lm: SpeechLM, corpus: PairCorpus, folder: Path) -> None:
        """Edits of held-out sources: `ID.wav`, and `edits.tsv` with what was asked and written."""
        folder.mkdir(parents=True, exist_ok=True)
        lines = []
        for index in range(min(self.config.evaluation.edits, len(corpus.pairs))):
            place, row = corpus.pairs.row(index)
            try:
                wav, rate = load_audio(place / row["source"])
                sentence = published_prompt(row["instruction"])
                cot = bool(row["use_cot"])
                made = edit(lm, wav, rate, sentence, use_cot=cot, sampling=lm.config.sampling)
            except (UserError, OSError) as error:
                lines.append(f"{row['id']}\t{row['instruction']}\terror\t{error}\n")
                continue
            save_audio(folder / f"{row['id']}.wav", made.wav, made.sample_rate)
            written = " ".join(made.answer.split())
            lines.append(f"{row['id']}\t{row['instruction']}\t{made.stop_reason}\t{written}\n")
        atomic_write_text(folder / "edits.tsv", "".join(lines))


def weighted_flow(
    head: GenerationHead,
    patches: tuple[Tensor, Tensor, Tensor],
    weights: Tensor,
    *,
    num_samples: int = 1,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The head's loss with a weight for each frame, through its public `loss`.

    A head makes a patch as a whole, so a patch weighs what its frames weigh on average; patches of
    one weight go through the head together.

    Args:
        patches: condition (N, D), target (N, p, d) and history (N, p, d).
        weights: (N, p).
    """
    cond, target, history = patches
    of_patch = weights.mean(dim=1)
    losses, shares = [], []
    for value in torch.unique(of_patch).tolist():
        chosen = torch.nonzero(of_patch == value)[:, 0].to(cond.device)
        losses.append(
            head.loss(
                cond[chosen],
                target[chosen],
                history[chosen],
                num_samples=num_samples,
                generator=generator,
            )
        )
        shares.append(value * len(chosen))
    share = torch.tensor(shares, device=cond.device)
    return (torch.stack(losses) * share).sum() / share.sum()
