"""Preallocated key/value caches of a language model, for batches padded on the left.

Axes: B batch, G key/value heads, S slots, E head size. Keys are stored rotated.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from uniaudio_lm.interfaces import BackboneState

_MIN_SLOTS = 64


class CachedState(BackboneState):
    """Keys and values of all layers in buffers that double when they are full.

    Attributes:
        valid: (B, S) bool, or None while no item has padding.
        next_position: (B,) int64, where each item's next token stands.
    """

    def __init__(self, layers: int, batch: int, capacity: int) -> None:
        self.batch = batch
        self.capacity = max(_MIN_SLOTS, capacity)
        self.key: list[Tensor | None] = [None] * layers
        self.value: list[Tensor | None] = [None] * layers
        self.valid: Tensor | None = None
        self.next_position: Tensor | None = None
        self._length = 0
        self._shared = 0  # slots in which all rows hold the same

    @property
    def length(self) -> int:
        """Slots filled in every row."""
        return self._length

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add keys and values (B, G, n, E) of one layer; all of its keys and values so far."""
        end = self._length + key.shape[2]
        held_key, held_value = self.key[layer], self.value[layer]
        if held_key is None or held_value is None or end > held_key.shape[2]:
            slots = max(self.capacity, end if held_key is None else 2 * end)
            self.key[layer] = held_key = grown(held_key, key, self._length, slots)
            self.value[layer] = held_value = grown(held_value, value, self._length, slots)
        held_key[:, :, self._length : end] = key
        held_value[:, :, self._length : end] = value
        return held_key[:, :, :end], held_value[:, :, :end]

    def advance(self, count: int) -> None:
        """Every layer has appended `count` tokens."""
        self._length += count

    def select(self, rows: Tensor) -> CachedState:
        """See `BackboneState.select`. As many rows as before stay in their buffers, and only what
        differs between them moves: the texts of a beam have their prompt in common."""
        same = len(rows) == self.batch
        out = self if same else CachedState(len(self.key), len(rows), self.capacity)
        out._shared = self._length if self.batch == 1 else self._shared
        out._length = self._length
        rows = rows.cpu()
        moved = (rows != torch.arange(len(rows))).nonzero()[:, 0] if same else None
        if self.key[0] is not None:  # once, not for every layer
            rows = rows.to(self.key[0].device)
            moved = None if moved is None else moved.to(self.key[0].device)
        for held, kept in ((self.key, out.key), (self.value, out.value)):
            for i, old in enumerate(held):
                kept[i] = None if old is None else self._taken(old, rows, moved)
        if self.valid is not None:
            valid = self.valid[rows.to(self.valid.device)]
            out.valid = None if bool(valid.all()) else valid
        if self.next_position is not None:
            out.next_position = self.next_position[rows.to(self.next_position.device)]
        return out

    def joined(self, other: BackboneState) -> CachedState | None:
        """See `BackboneState.joined`. Slots that are padding in every row are left out."""
        if not isinstance(other, CachedState) or len(other.key) != len(self.key):
            return None
        parts = (self, other)
        longest = max(part._longest() for part in parts)
        batch = self.batch + other.batch
        room = max(self.capacity, other.capacity, longest + _MIN_SLOTS)
        out = CachedState(len(self.key), batch, room)
        out._length = longest
        for layer in range(len(self.key)):
            out.key[layer] = _stacked([p.key[layer] for p in parts], parts, longest, room)
            out.value[layer] = _stacked([p.value[layer] for p in parts], parts, longest, room)
        held = self.key[0]
        device = None if held is None else held.device
        valid = torch.zeros(batch, longest, dtype=torch.bool, device=device)
        positions, row = [], 0
        for part in parts:
            used, rows = min(part._length, longest), slice(row, row + part.batch)
            valid[rows, longest - used :] = True if part.valid is None else part.valid[:, -used:]
            at = part.next_position
            if at is None:
                at = torch.full((part.batch,), part._length, device=device)
            positions.append(at.expand(part.batch))
            row += part.batch
        out.valid = None if bool(valid.all()) else valid
        out.next_position = torch.cat(positions)
        return out

    def _longest(self) -> int:
        """Slots from the first token of the longest row on."""
        if self.valid is None:
            return self._length
        return int(self.valid.long().sum(dim=1).max())

    def _taken(self, old: Tensor, rows: Tensor, moved: Tensor | None) -> Tensor:
        """Rows of a buffer: in place if only the rows `moved` change, else in a new one."""
        used = slice(self._shared if moved is not None else 0, self._length)
        if moved is None:
            new = old.new_empty(len(rows), *old.shape[1:])
            new[:, :, used] = old[rows.to(old.device), :, used]
            return new
        if len(moved):
            taken = rows[moved].to(old.device)
            old[moved.to(old.device), :, used] = old[taken, :, used]
        return old


def grown(old: Tensor | None, new: Tensor, used: int, slots: int) -> Tensor:
    """A buffer of `slots` like `new` (B, G, n, E), with the `used` slots of the old one."""
    out = new.new_empty(new.shape[0], new.shape[1], slots, new.shape[3])
    if old is not None:
        out[:, :, :used] = old[:, :, :used]
    return out


def _stacked(
    held: Sequence[Tensor | None], states: Sequence[CachedState], longest: int, slots: int
) -> Tensor | None:
    """Buffers (B, G, S, E) of several states below each other, the last `longest` slots of each at
    the same place; zeros stand before what is shorter."""
    if any(part is None for part in held):
        return None
    parts = []
    for old, state in zip(held, states, strict=True):
        assert old is not None
        used = min(state.length, longest)
        new = old.new_zeros(old.shape[0], old.shape[1], slots, old.shape[3])
        new[:, :, longest - used : longest] = old[:, :, state.length - used : state.length]
        parts.append(new)
    return torch.cat(parts)


def causal_mask(  # noqa: PLR0917
    batch: int,
    count: int,
    past: int,
    valid: Tensor | None,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor | None:
    """What queries `past` .. `past + count` may see, for `scaled_dot_product_attention`.

    (1, 1, count, past + count) bool without padding, or None where a single token sees all. With
    `valid` (B, past + count): (B, 1, count, past + count), added to the scores. There a padding
    query, which may see nothing, gets the mean of all values: a number, as in the published code.
    """
    if count == 1 and valid is None:
        return None
    columns = torch.arange(past + count, device=device)
    rows = torch.arange(past, past + count, device=device)[:, None]
    mask = (columns <= rows)[None, None]
    if valid is None:
        return mask
    mask = mask & valid[:, None, None, :]
    zeros = torch.zeros(batch, 1, count, past + count, dtype=dtype, device=device)
    return zeros.masked_fill(~mask, torch.finfo(dtype).min)
