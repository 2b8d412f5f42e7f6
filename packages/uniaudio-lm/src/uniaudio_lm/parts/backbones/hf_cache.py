"""A preallocated key/value cache for models of transformers.

Their own growing cache copies all keys and values at every step, and their static one attends to
every slot that is reserved. This one writes into room that doubles when it is full, and gives views
on what is filled. Layers with a sliding window keep transformers' own, which is bounded.

Axes: B batch, G key/value heads, S slots, E head size.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from uniaudio_lm.parts.backbones.kv_cache import grown


class ReservedLayer(DynamicLayer):
    """One layer's keys and values (B, G, S, E) in reserved room."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.room: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Add keys and values (B, G, n, E); all so far, as views."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        used = self.get_seq_length()
        end = used + key_states.shape[-2]
        if self.room is None or end > self.room[0].shape[-2]:
            held = (None, None) if self.room is None else self.room
            slots = max(self.capacity, end if self.room is None else 2 * end)
            self.room = (
                grown(held[0], key_states, used, slots),
                grown(held[1], value_states, used, slots),
            )
        keys, values = self.room
        keys[:, :, used:end] = key_states
        values[:, :, used:end] = value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep some rows of the batch."""
        if self.room is None:
            return
        end = self.get_seq_length()
        keys, values = (part[indices.to(part.device)] for part in self.room)
        self.room = (keys, values)
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]


def reserved_cache(config: Any, capacity: int) -> DynamicCache:
    """A cache for a model of this config, with room for `capacity` tokens."""
    cache = DynamicCache(config=config)
    cache.layers = [
        ReservedLayer(capacity) if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache


def joined_cache(first: Any, second: Any, longest: int) -> DynamicCache | None:
    """The rows of two caches in one whose rows end at slot `longest`, zeros before the shorter
    ones; None where a layer holds something else than all keys and values."""
    layers = []
    for one, other in zip(first.layers, second.layers, strict=True):
        pair = (one, other)
        if not all(isinstance(p, ReservedLayer) and p.is_initialized for p in pair):
            return None
        keys = torch.cat([_padded(p.keys, longest) for p in pair])
        values = torch.cat([_padded(p.values, longest) for p in pair])
        made = ReservedLayer(max(one.capacity, other.capacity, longest + 64))
        made.update(keys, values)
        layers.append(made)
    out = copy.copy(first)
    out.layers = layers
    return out


def _padded(held: Tensor, slots: int) -> Tensor:
    """(B, G, S, E) with zeros before it, up to `slots`."""
    return F.pad(held, (0, 0, slots - held.shape[2], 0))
