"""Batches of pairs: the prompts of the published Edit checkpoint, latents, targets, weights.

A batch is a function of its number, so a resumed run sees what an uninterrupted one would have.
The lines of `pairs.jsonl` stay in their file: only their places and lengths are kept.
Axes: B pairs, S tokens (padded on the right), L frames of source and target, P patches, p frames
of a patch, d latent dimensions.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mingtok_audio.core.errors import ConfigError, FormatError, UserError
from mingtok_audio.training.manifests import Recording
from uniaudio_edit.data.cot import MASK, published_prompt
from uniaudio_edit.data.frames import frame_weights
from uniaudio_lm.model import prompts
from uniaudio_lm.text.tokenizer import TextTokenizer
from uniaudio_lm.training.batches import IGNORED
from uniaudio_lm.training.plan import Plan
from uniaudio_lm.training.store import LatentStore

if TYPE_CHECKING:
    from uniaudio_lm.model.speech_lm import SpeechLM

_TEXT_TOKENS = 120  # of a prompt and an answer, to a few: only for packing


@dataclass
class EditBatch:
    """Attributes:
    ids: (B, S) int64, 0 after each pair's `lengths` (B,).
    starts, counts: (B, 2) first position and patches of the source and of the target.
    mean, std: (B, L, d) posteriors, the target's after the source's, zeros after both.
    labels: (B, S) int64, the answer's ids where they stand, else IGNORED.
    weights: (B, P, p) of the target's frames in the flow loss, P the most target patches.
    """

    ids: Tensor
    lengths: Tensor
    starts: Tensor
    counts: Tensor
    mean: Tensor
    std: Tensor
    labels: Tensor
    weights: Tensor

    @property
    def tokens(self) -> int:
        """Of the padded batch."""
        return self.ids.numel()


@dataclass(frozen=True)
class PaddedRecording(Recording):
    """A recording filled with silence to whole patches, as an edit fills what it is given."""

    multiple: int = 1

    @property
    def name(self) -> str:
        """Another name than the recording as it is: the latents differ."""
        return f"{self.path} in patches of {self.multiple}"

    def load(self, sample_rate: int) -> np.ndarray:
        """See `Recording.load`."""
        wav = super().load(sample_rate)
        return np.pad(wav, (0, -len(wav) % self.multiple))


class Pairs:
    """The lines of folders of pairs, read from disk when they are asked for.

    Raises:
        ConfigError: a folder without pairs; a line that is none.
    """

    def __init__(self, folders: Sequence[str], longest: float) -> None:
        self._folders = [Path(folder) for folder in folders]
        self._places, self._folder = array("q"), array("i")
        self.seconds, self.source_seconds = array("d"), array("d")
        for number, folder in enumerate(self._folders):
            self._index(folder, number, longest)
        if not self.seconds:
            raise ConfigError(
                f"{', '.join(folders)}: no pair of at most {longest:g} s (make some with "
                "`uniaudio edit-data`)"
            )

    def _index(self, folder: Path, number: int, longest: float) -> None:
        path = folder / "pairs.jsonl"
        if not path.is_file():
            raise ConfigError(f"{folder} holds no pairs.jsonl; make it with `uniaudio edit-data`")
        with path.open("rb") as file:
            place = 0
            for line, raw in enumerate(file, 1):
                try:
                    row = json.loads(raw)
                    source, target = float(row["source_seconds"]), float(row["seconds"])
                except (ValueError, KeyError, TypeError) as error:
                    raise ConfigError(f"{path}, line {line} is not a pair ({error!r})") from error
                if max(source, target) <= longest:
                    self._places.append(place)
                    self._folder.append(number)
                    self.source_seconds.append(source)
                    self.seconds.append(target)
                place += len(raw)

    def __len__(self) -> int:
        return len(self.seconds)

    def row(self, index: int) -> tuple[Path, dict[str, Any]]:
        """A pair's folder and its line."""
        folder = self._folders[self._folder[index]]
        with (folder / "pairs.jsonl").open("rb") as file:
            file.seek(self._places[index])
            return folder, json.loads(file.readline())


@dataclass
class Example:
    """A pair as the model reads it; see `EditBatch` for one of many."""

    ids: list[int]
    starts: tuple[int, int]
    counts: tuple[int, int]
    posterior: np.ndarray
    answer: tuple[int, int]
    weights: np.ndarray


class PairCorpus:
    """Pairs, and their batches.

    Args:
        folders: that `uniaudio edit-data` made.
        model: whose tokenizers and prompts are used.
        store: of the posteriors.
        edited_weight: of the frames that an edit of words made.
    """

    def __init__(
        self,
        folders: Sequence[str],
        model: SpeechLM,
        store: LatentStore,
        *,
        seed: int,
        max_tokens: int,
        longest: float,
        edited_weight: float,
    ) -> None:
        self.pairs = Pairs(folders, longest)
        self._store, self._seed, self._weight = store, seed, edited_weight
        self._text = model.text_tokenizer
        self._size = model.config.patch_size
        self._rate = model.tokenizer.frame_rate
        self._multiple = self._size * model.tokenizer.config.hop_length
        if getattr(model.compressor, "drop_last", False):
            self._multiple = 1  # an incomplete patch is dropped
        per_patch = self._rate / self._size
        tokens = [
            round((a + b) * per_patch) + _TEXT_TOKENS
            for a, b in zip(self.pairs.source_seconds, self.pairs.seconds, strict=True)
        ]
        self._plan = Plan(tokens, [1.0] * len(tokens), max_tokens, seed)

    def batch(self, number: int) -> EditBatch:
        """Batch `number`; pairs whose audio cannot be read are left out."""
        for attempt in range(100):
            found = [self.example(item[0]) for item in self._plan.batch(number + attempt)]
            examples = [example for example in found if example is not None]
            if examples:
                return collate(examples, self._size)
        raise UserError("100 batches in a row could not be read: check the folders of pairs")

    def example(self, index: int) -> Example | None:
        """A pair as the model reads it; None if a recording of it cannot be read."""
        folder, row = self.pairs.row(index)
        both = [self._posterior(folder, row, side) for side in ("source", "target")]
        if both[0] is None or both[1] is None:
            return None
        posteriors = [b[:, : b.shape[1] // self._size * self._size] for b in both if b is not None]
        heard, said = (p.shape[1] // self._size for p in posteriors)
        if not heard or not said:
            return None
        segments = prompts.edit(published_prompt(row["instruction"]), heard, bool(row["use_cot"]))
        prompt = prompts.encode(self._text, segments)
        answer = [
            *cot_ids(self._text, row["cot"]),
            self._text.special(prompts.GENERATE_AUDIO),
        ]
        ids = prompt.ids + answer
        start = len(ids)
        ids = ids + [self._text.special("<audioPatch>")] * said
        spans = row["target_spans"] if row["use_cot"] else []
        weights = frame_weights(
            spans, said * self._size, frame_rate=self._rate, weight=self._weight
        )
        return Example(
            ids,
            (prompt.spans[0][0], start),
            (heard, said),
            np.concatenate(posteriors, axis=1),
            (len(prompt.ids), start),
            weights.reshape(said, self._size),
        )

    def _posterior(self, folder: Path, row: dict[str, Any], side: str) -> np.ndarray | None:
        seconds = row["source_seconds" if side == "source" else "seconds"]
        return self._store.get(
            PaddedRecording(folder / row[side], seconds, 1.0, id=row["id"], multiple=self._multiple)
        )


def cot_ids(text: TextTokenizer, cot: str) -> list[int]:
    """A chain of thought as ids; [MASK] is one token where the tokenizer has it, else letters."""
    try:
        mask = [text.special(MASK)]
    except FormatError:
        mask = text.encode(MASK)
    ids: list[int] = []
    for n, piece in enumerate(cot.split(MASK)):
        ids += mask if n else []
        ids += text.encode(piece) if piece else []
    return ids


def collate(examples: Sequence[Example], patch_size: int) -> EditBatch:
    """Examples padded to one batch."""
    count, longest = len(examples), max(len(e.ids) for e in examples)
    frames = max(e.posterior.shape[1] for e in examples)
    ids = torch.zeros(count, longest, dtype=torch.int64)
    labels = torch.full((count, longest), IGNORED)
    posterior = torch.zeros(2, count, frames, examples[0].posterior.shape[-1])
    weights = torch.zeros(count, max(e.counts[1] for e in examples), patch_size)
    for row, e in enumerate(examples):
        ids[row, : len(e.ids)] = torch.tensor(e.ids)
        begin, end = e.answer
        labels[row, begin:end] = torch.tensor(e.ids[begin:end])
        both = torch.from_numpy(e.posterior.astype(np.float32))
        posterior[:, row, : both.shape[1]] = both
        weights[row, : len(e.weights)] = torch.from_numpy(e.weights)
    return EditBatch(
        ids,
        torch.tensor([len(e.ids) for e in examples]),
        torch.tensor([e.starts for e in examples]),
        torch.tensor([e.counts for e in examples]),
        posterior[0],
        posterior[1],
        labels,
        weights,
    )
