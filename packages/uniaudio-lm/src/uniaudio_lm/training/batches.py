"""Batches of both tasks: prompts as at inference, latents from the store, targets.

A batch is a function of its number, so a resumed run sees what an uninterrupted one would have.
Axes: B items, S tokens (padded on the right), L frames, d latent dimensions, P patches, C phoneme
classes.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mingtok_audio.core.errors import UserError
from uniaudio_lm.config import Task
from uniaudio_lm.model import omni_prompts, prompts
from uniaudio_lm.model.omni_prompts import OmniPrompt
from uniaudio_lm.parts.normalizers import new_normalizer
from uniaudio_lm.tasks.tts import spoken_pieces
from uniaudio_lm.text.phonemes import manifest_text
from uniaudio_lm.training.plan import Plan, TaskName
from uniaudio_lm.training.settings import Generation, Phase, Understanding
from uniaudio_lm.training.store import LatentStore
from uniaudio_lm.training.times import (
    character_times,
    phonemes_in_frames,
    phonemes_in_patches,
    said_in_patches,
    token_times,
)
from uniaudio_lm.training.utterances import Utterance, read_utterances

if TYPE_CHECKING:
    from uniaudio_lm.model.speech_lm import SpeechLM

IGNORED = -100
_TEXTS_KEPT = 200_000  # prepared texts in memory; those of further items are prepared again
_HOTWORDS_AT_MOST = 5
_RARE_LETTERS = 5  # words of this many letters are worth a hint


@dataclass
class Batch:
    """Attributes:
    ids: (B, S) int64, 0 after each item's `lengths` (B,).
    starts, counts: (B,) first audio position and patches.
    mean, std: (B, L, d) posterior, zeros after each item's `frames` (B,).
    labels: (B, S) int64, the answer's ids where they stand, else IGNORED.
    queries: (B,) position from which `said` counts: the one before the first patch or answer token.
    said: (B, Q, S) bool, which text tokens are said in which patch, or in which patches which token
        of the answer is said; None if unknown for all.
    phonemes: (B, P, C) shares, zero rows where unknown; None if unknown for all.
    heard: (B, L) int64, the phoneme of each frame; IGNORED where unknown, None if not asked for.
    """

    task: TaskName
    ids: Tensor
    lengths: Tensor
    starts: Tensor
    counts: Tensor
    mean: Tensor
    std: Tensor
    frames: Tensor
    labels: Tensor
    queries: Tensor
    said: Tensor | None = None
    phonemes: Tensor | None = None
    heard: Tensor | None = None

    @property
    def tokens(self) -> int:
        """Of the padded batch."""
        return self.ids.numel()


@dataclass
class _Example:
    ids: list[int]
    start: int
    count: int
    posterior: np.ndarray
    answer: int = 0
    """Ids at the end that are the answer."""
    said: tuple[int, np.ndarray] | None = None
    """The first text token's position, and (P, T) bool; or the first patch's, and (A, P)."""
    phonemes: np.ndarray | None = None
    heard: np.ndarray | None = None


class Corpus:
    """One task's items, and their batches.

    Args:
        task: its settings.
        model: whose tokenizer and prompts are used.
        store: of the posteriors.
        seed: of the plan.
        split: which manifests.
        classes: phonemes of the auxiliary loss; empty for none.
        timed: whether batches say when tokens are said.
        recorded: False where phonemes stand in for audio: no recording is read.
        framed: whether batches say which phoneme each frame holds.
    """

    def __init__(
        self,
        task: Understanding | Generation,
        model: SpeechLM,
        store: LatentStore,
        seed: int,
        *,
        split: str = "train",
        classes: Sequence[str] = (),
        timed: bool = False,
        recorded: bool = True,
        framed: bool = False,
    ) -> None:
        self.name: TaskName = "generation" if isinstance(task, Generation) else "understanding"
        self._task, self._model, self._store, self._seed = task, model, store, seed
        sources = task.train if split == "train" else task.valid
        self.items, self.silent = read_utterances(
            sources, task.longest, answers=self.name == "understanding"
        )
        self._kept: dict[int, str] = {}
        self._classes = {symbol: i for i, symbol in enumerate(classes)}
        self._timed, self._recorded, self._framed = timed, recorded, framed
        if not recorded:
            self.items = [item for item in self.items if item.durations]
            if not self.items:
                raise UserError("data.audio: phonemes: no item has `phonemes` and `durations`")
        self._text = model.text_tokenizer
        self._normalizer = new_normalizer(model.config.text_normalizer)
        self._size = model.config.patch_size
        self._words: list[str] = []
        if isinstance(task, Understanding) and task.hotwords:
            self._words = sorted({w for item in self.items for w in rare_words(item.text)})
        phases: Sequence[Phase] = ()
        if isinstance(task, Generation) and split == "train":
            phases = task.curriculum
        continued = getattr(task, "continued", 0.0) if split == "train" else 0.0
        tokens, weights, seconds = array("q"), array("d"), array("d")
        speakers: list[str] = []
        self.tasks: set[Task] = set()
        """What the items teach."""
        for index, item in enumerate(self.items):
            if self.name == "generation":
                self.tasks.add("speech")
            else:
                self.tasks.add("questions" if item.answer else "recognition")
            tokens.append(self._tokens(index, item))
            weights.append(item.weight)
            seconds.append(item.recording.seconds)
            if continued:
                speakers.append(item.speaker or str(index))
        self._plan = Plan(
            tokens,
            weights,
            task.max_tokens,
            seed,
            seconds=seconds,
            phases=phases,
            speakers=speakers,
            continued=continued,
        )

    def batch(self, number: int) -> Batch:
        """Batch `number`; items whose audio cannot be read are left out."""
        for attempt in range(100):
            index = number + attempt
            rng = np.random.default_rng((self._seed, index, len(self.name)))
            made = [self._example(item, rng) for item in self._plan.batch(index)]
            examples = [example for example in made if example is not None]
            if examples:
                return _collate(self.name, examples, len(self._classes))
        raise UserError("100 batches in a row could not be read: check the manifests")

    # --- items ---------------------------------------------------------------------------------

    def _said(self, index: int, item: Utterance | None = None) -> str:
        """An item's text as the model reads or writes it."""
        found = self._kept.get(index)
        if found is None:
            found = self._prepare(self.items[index] if item is None else item)
            if len(self._kept) < _TEXTS_KEPT:
                self._kept[index] = found
        return found

    def _prepare(self, item: Utterance) -> str:
        if self.name == "understanding":
            if item.answer:
                return item.answer
            return f"{item.language}\t{item.text}" if item.language else item.text
        if getattr(self._task, "text", "model") == "phonemes":
            said = manifest_text(item.phonemes)
            if not said:
                raise UserError(
                    f"item {item.recording.id} has no phonemes: generation.text: phonemes needs "
                    "them in every row"
                )
            return said
        language = item.language or None
        return self._model.speakable(" ".join(self._pieces(item.text)), language)

    def _pieces(self, text: str) -> list[str]:
        return spoken_pieces(text, self._normalizer, self._model.config.piece_seconds)

    def _tokens(self, index: int, item: Utterance) -> int:
        """An item's tokens, to a few."""
        said = self._said(index, item)
        frames = item.recording.seconds * self._model.tokenizer.frame_rate
        patches = max(1, round(frames / self._size))
        if self.name == "generation":
            segments = self._speech(said, "", patches)
            return len(prompts.encode(self._text, segments, join=False).ids)
        prompt = prompts.encode(self._text, _asked(item, patches))
        return len(prompt.ids) + len(self._text.encode(said)) + 1

    def _speech(self, text: str, before: str, patches: int) -> list[prompts.Segment]:
        """The prompt of speech, in the model's own format; no speaker has a slot."""
        style = self._model.config.prompt_format
        if style == "uniaudio":
            return prompts.speech(text, before, patches)
        asked = OmniPrompt(text, clip_text=before, patches=patches)
        return omni_prompts.segments(asked, style)

    def _example(self, item: tuple[int, ...], rng: np.random.Generator) -> _Example | None:
        if self.name == "understanding":
            return self._heard(item[0], rng)
        return self._spoken(item)

    def _heard(self, index: int, rng: np.random.Generator) -> _Example | None:
        task = self._task
        assert isinstance(task, Understanding)
        variant = int(rng.integers(task.variants + 1))
        posterior = self._posterior(index, variant)
        if posterior is None or not posterior.shape[1]:
            return None
        compressor = self._model.compressor
        count = compressor.num_patches(posterior.shape[1])
        if not count:
            return None
        item = self.items[index]
        hints = self._hotwords(index, rng) if rng.random() < task.hotwords else []
        prompt = prompts.encode(self._text, _asked(item, count, hints))
        answer = [
            *self._text.encode(self._said(index)),
            self._text.special(prompts.END_OF_TEXT),
        ]
        example = _Example(
            prompt.ids + answer, prompt.spans[0][0], count, posterior, answer=len(answer)
        )
        if variant:  # may be faster or slower than the recording
            stretch = posterior.shape[1] / self._model.tokenizer.frame_rate / item.recording.seconds
            item = replace(item, durations=tuple(d * stretch for d in item.durations))
        if self._timed and not item.answer:
            inside = self._answer_times(item, self._said(index), count)
            example.said = None if inside is None else (example.start, inside)
        if self._classes:
            example.phonemes = phonemes_in_patches(
                item, self._classes, count, self._model.patch_seconds
            )
        if self._framed:
            example.heard = self._frames(item, posterior.shape[1])
        return example

    def _frames(self, item: Utterance, frames: int) -> np.ndarray:
        return phonemes_in_frames(item, frames, self._model.tokenizer.frame_rate)

    def _posterior(self, index: int, variant: int = 0) -> np.ndarray | None:
        recording = self.items[index].recording
        if self._recorded:
            return self._store.get(recording, variant)
        frames = round(recording.seconds * self._model.tokenizer.frame_rate)
        return np.zeros((2, frames, 1), dtype=np.float16)

    def _answer_times(self, item: Utterance, said: str, count: int) -> np.ndarray | None:
        """In which patches each token of the answer is said, (A, P); the end token in none."""
        times = character_times(item.text, item)
        if times is None:
            return None
        lead = len(said) - len(item.text)
        spans = [(max(0, a - lead), max(0, b - lead)) for a, b in self._text.offsets(said)]
        inside = said_in_patches(token_times(spans, times), count, self._model.patch_seconds).T
        inside = inside & (np.array([b > 0 for _, b in spans])[:, None])
        return np.concatenate((inside, np.zeros((1, count), dtype=bool)))

    def _hotwords(self, index: int, rng: np.random.Generator) -> list[str]:
        """Some of the rare words that are said, half of the time; and others that are not."""
        said = rare_words(self.items[index].text)
        chosen = []
        if said and rng.random() < 0.5:
            chosen = list(rng.choice(said, min(len(said), 2), replace=False))
        others = [str(w) for w in rng.choice(self._words, _HOTWORDS_AT_MOST)] if self._words else []
        room = int(rng.integers(1, _HOTWORDS_AT_MOST + 1))
        chosen += [w for w in others if w not in said][: max(0, room - len(chosen))]
        return [str(w) for w in rng.permutation(chosen)]

    def _spoken(self, item: tuple[int, ...]) -> _Example | None:
        parts, counts = [], []
        for index in item:
            posterior = self._posterior(index)
            if posterior is None:
                return None
            count = posterior.shape[1] // self._size
            parts.append(posterior[:, : count * self._size])
            counts.append(count)
        if not counts[-1]:
            return None
        texts = [self._said(index) for index in item]
        before, text = ("".join(texts[:-1]), texts[-1])
        segments = self._speech(text, before, sum(counts))
        prompt = prompts.encode(self._text, segments, join=False)
        example = _Example(
            prompt.ids, prompt.spans[0][0], sum(counts), np.concatenate(parts, axis=1)
        )
        if self._timed:
            example.said = self._times(item, texts, counts, example.start)
        if self._classes:
            example.phonemes = np.concatenate(
                [
                    phonemes_in_patches(
                        self.items[i], self._classes, count, self._model.patch_seconds
                    )
                    for i, count in zip(item, counts, strict=True)
                ]
            )
        if self._framed:
            sizes = zip(item, counts, strict=True)
            parts = [self._frames(self.items[i], count * self._size) for i, count in sizes]
            example.heard = np.concatenate(parts)
        return example

    def _times(
        self, item: tuple[int, ...], texts: list[str], counts: list[int], start: int
    ) -> tuple[int, np.ndarray] | None:
        """Which tokens in front of position `start` are said in which patch."""
        rows, offset = [], 0.0
        for index, text, count in zip(item, texts, counts, strict=True):
            times = character_times(text, self.items[index])
            if times is None:
                return None
            rows.append(times + offset)
            offset += count * self._model.patch_seconds
        suffix = [*prompts.role(prompts.ASSISTANT), prompts.Audio(0, closed=False)]
        behind = len(prompts.encode(self._text, suffix).ids)
        tokens = []
        for i, (text, times) in enumerate(zip(texts, rows, strict=True)):
            # A voice's own text is encoded after the instruction, as one string.
            lead = prompts.SPEAK if i < len(texts) - 1 else ""
            spans = [
                (max(0, a - len(lead)), b - len(lead))
                for a, b in self._text.offsets(lead + text)
                if b > len(lead)
            ]
            tokens.append(token_times(spans, times))
        spoken = np.concatenate(tokens)
        inside = said_in_patches(spoken, sum(counts), self._model.patch_seconds)
        return start - behind - len(spoken), inside


def _asked(item: Utterance, patches: int, hotwords: Sequence[str] = ()) -> list[prompts.Segment]:
    """The prompt of an item that is understood: of recognition, or the item's question."""
    if item.answer:
        return prompts.question(item.question, patches)
    return prompts.recognition(patches, hotwords)


def rare_words(text: str) -> list[str]:
    """Words that a hint may be worth: long ones, and names inside a sentence."""
    words = re.findall(r"[^\W\d_]+", text)
    return sorted({
        w for i, w in enumerate(words) if len(w) >= _RARE_LETTERS or (i and w[0].isupper())
    })  # fmt: skip


def _collate(task: TaskName, examples: list[_Example], classes: int) -> Batch:
    batch, longest = len(examples), max(len(e.ids) for e in examples)
    frames = max(e.posterior.shape[1] for e in examples)
    patches = max(e.count for e in examples)
    ids = torch.zeros(batch, longest, dtype=torch.int64)
    labels = torch.full((batch, longest), IGNORED)
    queries = torch.tensor([(len(e.ids) - e.answer if e.answer else e.start) - 1 for e in examples])
    posterior = torch.zeros(2, batch, frames, examples[0].posterior.shape[-1])
    timed = any(e.said is not None for e in examples)
    asked = max(e.answer or e.count for e in examples)
    said = torch.zeros(batch, asked, longest, dtype=torch.bool) if timed else None
    known = torch.zeros(batch, patches, classes) if classes else None
    framed = any(e.heard is not None for e in examples)
    heard = torch.full((batch, frames), IGNORED) if framed else None
    for row, e in enumerate(examples):
        ids[row, : len(e.ids)] = torch.tensor(e.ids)
        if e.answer:
            labels[row, len(e.ids) - e.answer : len(e.ids)] = torch.tensor(e.ids[-e.answer :])
        both = torch.from_numpy(e.posterior.astype(np.float32))
        posterior[:, row, : both.shape[1]] = both
        if said is not None and e.said is not None:
            first, inside = e.said
            said[row, : len(inside), first : first + inside.shape[1]] = torch.from_numpy(inside)
        if known is not None and e.phonemes is not None:
            known[row, : e.count] = torch.from_numpy(e.phonemes)
        if heard is not None and e.heard is not None:
            heard[row, : len(e.heard)] = torch.from_numpy(e.heard)
    return Batch(
        task,
        ids,
        torch.tensor([len(e.ids) for e in examples]),
        torch.tensor([e.start for e in examples]),
        torch.tensor([e.count for e in examples]),
        posterior[0],
        posterior[1],
        torch.tensor([e.posterior.shape[1] for e in examples]),
        labels,
        queries,
        said,
        known,
        heard,
    )


@dataclass
class Corpora:
    """The corpora of a run by task; a task without steps has none."""

    train: dict[TaskName, Corpus] = field(default_factory=dict)
    valid: dict[TaskName, Corpus] = field(default_factory=dict)
