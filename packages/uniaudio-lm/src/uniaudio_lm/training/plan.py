"""Which items a batch holds, and which task a step serves: functions of the seed and a number.

Batches stay under a budget of tokens, padding included (paper, table 6). Items of similar size go
together; every epoch groups and orders them again. Everything is held in arrays, some tens of bytes
an item.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mingtok_audio.core.errors import ConfigError
from uniaudio_lm.training.settings import Phase

TaskName = Literal["understanding", "generation"]

_BUCKET = 8  # tokens: within a bucket, who shares a batch is left to chance


def place_of(number: int, ratio: tuple[int, int], per_step: int) -> tuple[TaskName, int]:
    """The task of batch `number`, and the batch's number within that task.

    All `per_step` batches of a step (every process's, every accumulated one) serve one task; the
    steps take turns by `ratio`.
    """
    step, part = divmod(number, per_step)
    cycle, place = divmod(step, sum(ratio))
    first, second = ratio
    if place < first:
        return "understanding", (cycle * first + place) * per_step + part
    return "generation", (cycle * second + place - first) * per_step + part


class Plan:
    """The batches of one task.

    Args:
        tokens: of each item.
        weights: how often an item comes in an epoch, on average.
        max_tokens: of a padded batch.
        seconds, phases: of each item, and the length curriculum.
        speakers, continued: of each item, and the share of items that follow another one of their
            speaker's.
    """

    def __init__(
        self,
        tokens: Sequence[int],
        weights: Sequence[float],
        max_tokens: int,
        seed: int,
        *,
        seconds: Sequence[float] = (),
        phases: Sequence[Phase] = (),
        speakers: Sequence[str] = (),
        continued: float = 0.0,
    ) -> None:
        self._tokens = np.asarray(tokens, dtype=np.int64)
        self._weights = np.asarray(weights, dtype=np.float64)
        self._max, self._seed, self._continued = max_tokens, seed, continued
        usable = (self._tokens <= max_tokens) & (self._weights > 0)
        if not usable.any():
            raise ConfigError(f"no item fits into a batch of {max_tokens} tokens")
        self._phases = [*phases, None]
        self._items = [
            np.flatnonzero(usable if p is None else usable & (np.asarray(seconds) <= p.longest))
            for p in self._phases
        ]
        for phase, items in zip(self._phases, self._items, strict=True):
            if not len(items):
                assert phase is not None
                raise ConfigError(f"no item is as short as the curriculum's {phase.longest:g} s")
        self._others: dict[str, np.ndarray] = {}
        if continued:
            self._speakers = list(speakers)
            names = np.asarray(self._speakers)
            self._others = {n: np.flatnonzero(names == n) for n in set(self._speakers)}
        self._ends: list[list[int]] = [[] for _ in self._phases]
        self._kept: dict[tuple[int, int], _Epoch] = {}
        self._lock = threading.Lock()

    def batch(self, number: int) -> list[tuple[int, ...]]:
        """The items of a batch; each is an index, or two: a voice's other utterance first."""
        with self._lock:
            return self._batch(number)

    def _batch(self, number: int) -> list[tuple[int, ...]]:
        phase = 0
        for planned in self._phases:
            if planned is None or number < planned.batches:
                break
            number -= planned.batches
            phase += 1
        ends = self._ends[phase]
        while not ends or ends[-1] <= number:
            made = self._epoch(phase, len(ends))
            ends.append((ends[-1] if ends else 0) + len(made))
        epoch = int(np.searchsorted(ends, number, side="right"))
        start = ends[epoch - 1] if epoch else 0
        return self._epoch(phase, epoch)[number - start]

    def _epoch(self, phase: int, epoch: int) -> _Epoch:
        kept = self._kept.get((phase, epoch))
        if kept is not None:
            return kept
        rng = np.random.default_rng((self._seed, phase, epoch))
        items = self._items[phase]
        weights = self._weights[items]
        # Light items must not leave an epoch empty.
        weights = weights * max(1.0, 1.0 / weights.sum())
        copies = np.floor(weights + rng.random(len(items))).astype(np.int64)
        if not copies.any():
            copies[rng.integers(len(items))] = 1
        chosen, before = np.repeat(items, copies), None
        sizes = self._tokens[chosen]
        if self._continued:
            before = np.array([self._other(rng, int(i)) for i in chosen], dtype=np.int64)
            sizes = sizes + np.where(before >= 0, self._tokens[before], 0)
        buckets = np.minimum(-(-sizes // _BUCKET) * _BUCKET, self._max)
        order = np.lexsort((rng.random(len(chosen)), buckets))
        starts = _packed(buckets[order], self._max)
        made = _Epoch(
            chosen[order],
            None if before is None else before[order],
            starts,
            rng.permutation(len(starts)),
        )
        # Workers may be a little ahead or behind: two epochs are enough.
        self._kept = {**dict(list(self._kept.items())[-1:]), (phase, epoch): made}
        return made

    def _other(self, rng: np.random.Generator, item: int) -> int:
        """Another item of the same speaker that goes first; -1 for none."""
        if rng.random() >= self._continued:
            return -1
        others = self._others[self._speakers[item]]
        other = int(others[rng.integers(len(others))])
        both = int(self._tokens[other] + self._tokens[item])
        return -1 if other == item or both > self._max else other


@dataclass(frozen=True)
class _Epoch:
    """The batches of an epoch as arrays: some bytes an item, however many there are.

    Attributes:
        items: sorted by size.
        before: what each of them follows, -1 for nothing; None where none follows another.
        starts: of the batches among them.
        order: in which batches come.
    """

    items: np.ndarray
    before: np.ndarray | None
    starts: np.ndarray
    order: np.ndarray

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, number: int) -> list[tuple[int, ...]]:
        which = int(self.order[number])
        begin = int(self.starts[which])
        end = int(self.starts[which + 1]) if which + 1 < len(self.starts) else len(self.items)
        items = self.items[begin:end].tolist()
        if self.before is None:
            return [(item,) for item in items]
        pairs = zip(items, self.before[begin:end].tolist(), strict=True)
        return [(item,) if other < 0 else (other, item) for item, other in pairs]


def _packed(sizes: np.ndarray, most: int) -> np.ndarray:
    """Where batches of sorted `sizes` begin, so that count x longest stays within `most`: as
    `mingtok_audio.training.data.pack` groups them, a run of equal sizes at a time."""
    starts: list[np.ndarray] = []
    values, counts = np.unique(sizes, return_counts=True)
    place, held = 0, 0  # items so far; items of the last batch
    for size, count in zip(values.tolist(), counts.tolist(), strict=True):
        room = max(1, most // size)
        joining = min(count, max(0, room - held)) if starts else 0
        rest = count - joining
        held += joining
        if rest:
            first = np.arange(place + joining, place + count, room)
            starts.append(first)
            held = rest - room * (len(first) - 1)
        place += count
    return np.concatenate(starts)
