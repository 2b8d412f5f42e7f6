"""Where a few attention heads look: what alignment is learned from, and read from.

Axes: B items, S tokens, P queries, H heads, E head size.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mingtok_audio.core.errors import ConfigError
from mingtok_audio.modules.transformer import apply_rotary
from uniaudio_lm.interfaces import BackboneState
from uniaudio_lm.parts.backbones.kv_cache import CachedState

# Which probe watches in a thread. Several threads share a model, so nothing of one call may be kept
# on its modules; the hook stays on a module once it is there.
_watching = threading.local()
_hooking = threading.Lock()


def _pass_inputs(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    probe = getattr(_watching, "probe", None)
    if probe is not None and probe.module is module:
        probe._remember(args, kwargs)


def _add_hook(module: nn.Module) -> None:
    with _hooking:
        if not getattr(module, "watched", False):
            module.register_forward_pre_hook(_pass_inputs, with_kwargs=True)
            module.watched = True  # type: ignore[assignment]  # a compiled block calls no hook


class AttentionProbe:
    """The attention of a few heads of one layer, computed again from what the layer was given.

    Knows layers with `qkv` in one product (`bailing_moe`, `dense`) and with `q_proj`, `k_proj`
    (transformers).
    """

    def __init__(self, backbone: nn.Module, layer: int, heads: Sequence[int]) -> None:
        found = [
            m
            for _, m in backbone.named_modules()
            if hasattr(m, "qkv") or (hasattr(m, "q_proj") and hasattr(m, "k_proj"))
        ]
        if not found:
            raise ConfigError(
                "attention: this backbone's cannot be looked into (known: layers "
                "with qkv, or with q_proj and k_proj)"
            )
        if not 0 <= layer < len(found):
            raise ConfigError(f"attention: layer: there is no layer {layer} of {len(found)}")
        self.layer = layer
        self.module: Any = found[layer]
        self.heads = list(heads)
        count = getattr(self.module, "heads", None) or self.module.config.num_attention_heads
        if not self.heads or max(self.heads) >= count or min(self.heads) < 0:
            raise ConfigError(f"attention.heads: from 0 to {count - 1}, not {self.heads}")
        self._inputs: tuple[Tensor, Tensor, Tensor] | None = None
        _add_hook(self.module)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Remember what the layer is given inside, by this thread."""
        before = getattr(_watching, "probe", None)
        _watching.probe = self
        try:
            yield
        finally:
            _watching.probe = before

    def _remember(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if hasattr(self.module, "qkv"):
            x, cos, sin = args[:3]
        else:
            x = args[0] if args else kwargs["hidden_states"]
            cos, sin = kwargs["position_embeddings"]
            half = cos.shape[-1] // 2  # both halves are the same there
            cos, sin = cos[:, None, :, :half], sin[:, None, :, :half]
        self._inputs = (x, cos, sin)

    def attention(self, queries: Tensor) -> Tensor:
        """Probabilities (B, H, P, S) of the positions `queries` (B, P) over all tokens."""
        if self._inputs is None:
            raise RuntimeError("the layer has not been watched")
        x, cos, sin = self._inputs
        self._inputs = None
        q, k = self._query_key(x)
        q, k = apply_rotary(q, cos, sin, "half"), apply_rotary(k, cos, sin, "half")
        at = queries[:, None, :, None].expand(-1, q.shape[1], -1, q.shape[-1])
        scores = q.gather(2, at) @ k.mT / math.sqrt(q.shape[-1])  # (B, H, P, S)
        places = torch.arange(x.shape[1], device=x.device)
        future = places > queries[:, None, :, None]
        return scores.float().masked_fill(future, -math.inf).softmax(dim=-1)

    def last(self, state: BackboneState) -> Tensor:
        """Probabilities (B, S) of the newest token over all tokens, the mean of the heads; after a
        step from `state`, which holds their keys."""
        if self._inputs is None or not isinstance(state, CachedState):
            raise RuntimeError("the layer has not been watched, or has another kind of state")
        x, cos, sin = self._inputs
        self._inputs = None
        q, _ = self._query_key(x[:, -1:])
        q = apply_rotary(q, cos[..., -1:, :], sin[..., -1:, :], "half")
        held = state.key[self.layer]
        assert held is not None
        groups = self.module.heads // self.module.kv_heads
        k = held[:, [h // groups for h in self.heads], : state.length]
        return (q @ k.mT / math.sqrt(q.shape[-1])).float().softmax(dim=-1)[:, :, 0].mean(dim=1)

    def _query_key(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, S, E) of the chosen heads, before they are turned."""
        module = self.module
        size = module.head_dim
        if hasattr(module, "qkv"):
            heads = module.qkv(x).unflatten(-1, (-1, size))
            query, key = heads[:, :, : module.heads], heads[:, :, module.heads :]
            groups = module.heads // module.kv_heads
        else:
            query = module.q_proj(x).unflatten(-1, (-1, size))
            key = module.k_proj(x).unflatten(-1, (-1, size))
            groups = query.shape[2] // key.shape[2]
        q = query[:, :, self.heads].transpose(1, 2)
        k = key[:, :, [h // groups for h in self.heads]].transpose(1, 2)
        return q, k
