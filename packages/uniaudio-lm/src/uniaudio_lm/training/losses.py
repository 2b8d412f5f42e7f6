"""Losses beside the head's and the stop detector's own: router balance, guided attention.

Axes: B items, S tokens, P patches, H heads, E head size, T tokens of a batch, X experts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.core.errors import ConfigError
from mingtok_audio.modules.transformer import apply_rotary
from uniaudio_lm.aligners.units import PHONES
from uniaudio_lm.backbones.moe import Router


class RouterBalance:
    """Watches the routers of a backbone, and says how unevenly they share out tokens.

    The loss is that of Switch transformers: X times the sum over experts of the share of tokens
    they get and their mean probability; 1 where all get the same.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self.routers = [m for m in backbone.modules() if isinstance(m, Router)]
        self._seen: list[tuple[Router, Tensor, Tensor | None, Tensor]] = []

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Remember what the routers decide inside."""
        self._seen = []
        hooks = [r.register_forward_hook(self._remember) for r in self.routers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _remember(self, router: Any, inputs: tuple[Tensor, Tensor | None], output: Any) -> None:
        self._seen.append((router, inputs[0], inputs[1], output[0]))

    def loss(self, valid: Tensor) -> Tensor:
        """Mean over layers, for tokens where valid (B, S)."""
        keep = valid.flatten()
        terms = []
        for router, x, audio_mask, ids in self._seen:
            scores = router.logits(x, audio_mask).softmax(dim=-1)[keep]  # (T, X)
            chosen = F.one_hot(ids[keep], router.experts).float().mean(dim=(0, 1))
            terms.append(router.experts * (chosen * scores.mean(dim=0)).sum())
        self._seen = []
        return torch.stack(terms).mean()


class AttentionProbe:
    """The attention of a few heads of one layer, computed again from what the layer was given.

    Knows layers with `qkv` in one product (`bailing_moe`, `dense`) and with `q_proj`, `k_proj`
    (transformers).
    """

    def __init__(self, backbone: nn.Module, layer: int, heads: Sequence[int]) -> None:
        found = [
            m for _, m in backbone.named_modules()
            if hasattr(m, "qkv") or (hasattr(m, "q_proj") and hasattr(m, "k_proj"))
        ]  # fmt: skip
        if not found:
            raise ConfigError(
                "loss.attention: this backbone's attention cannot be looked into (known: layers "
                "with qkv, or with q_proj and k_proj)"
            )
        if not 0 <= layer < len(found):
            raise ConfigError(f"loss.attention.layer: there is no layer {layer} of {len(found)}")
        self.module: Any = found[layer]
        self.module.watched = True  # a compiled block would not call the hook
        self.heads = list(heads)
        count = getattr(self.module, "heads", None) or self.module.config.num_attention_heads
        if not self.heads or max(self.heads) >= count or min(self.heads) < 0:
            raise ConfigError(f"loss.attention.heads: from 0 to {count - 1}, not {self.heads}")
        self._inputs: tuple[Tensor, Tensor, Tensor] | None = None

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Remember what the layer is given inside."""
        hook = self.module.register_forward_pre_hook(self._remember, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()

    def _remember(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if hasattr(module, "qkv"):
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


def guided_attention_loss(attention: Tensor, said: Tensor) -> tuple[Tensor, float]:
    """-log of the attention on what is being said, and how often it is more than half.

    Args:
        attention: (B, H, P, S).
        said: (B, P, S) bool; patches without any token do not count.
    """
    counted = said.any(dim=-1)[:, None].expand(attention.shape[:3])
    mass = (attention * said[:, None]).sum(dim=-1)[counted]
    if not len(mass):
        return attention.sum() * 0, 0.0
    return -mass.clamp_min(1e-4).log().mean(), float((mass.detach() > 0.5).float().mean())


def relative_error(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared error of (N, D) over the variance of what is wanted; 0 where N is 0."""
    if not len(wanted):
        return found.sum() * 0
    found, wanted = found.float(), wanted.float()
    scale = wanted.var(dim=0, correction=0).mean().clamp_min(1e-8)
    return (found - wanted).square().mean() / scale


def phoneme_loss(logits: Tensor, shares: Tensor) -> Tensor:
    """Cross-entropy of logits (N, C) and shares (N, C); rows of zeros do not count."""
    known = shares.sum(dim=-1) > 0
    if not bool(known.any()):
        return logits.sum() * 0
    return F.cross_entropy(logits[known].float(), shares[known])


class FrameHead(nn.Module):
    """Which phoneme (`aligners.units.PHONES`, silence 0) each frame of features (B, L, H) held.

    Args:
        width: H.
        delays: how many layers there are, one for each delay of `loss`.
    """

    def __init__(self, width: int, delays: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, len(PHONES) + 1) for _ in range(delays))

    def loss(self, features: Tensor, heard: Tensor, delays: Sequence[int]) -> Tensor:
        """Mean cross-entropy; the layer of a delay reads what is known so many frames later.

        Args:
            heard: (B, L) int64; negative ones do not count.
        """
        heard = heard.to(features.device)[:, : features.shape[1]]
        losses = []
        for layer, delay in zip(self.layers, delays, strict=True):
            labels = heard[:, : max(0, heard.shape[1] - delay)]
            known = labels >= 0
            found = layer(features[:, delay : delay + labels.shape[1]][known]).float()
            losses.append(F.cross_entropy(found, labels[known]) if len(found) else found.sum())
        return torch.stack(losses).mean()
