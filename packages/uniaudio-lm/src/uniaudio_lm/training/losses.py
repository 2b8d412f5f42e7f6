"""Losses beside the head's and the stop detector's own: router balance, guided attention.

Axes: B items, S tokens, P patches, H heads, E head size, T tokens of a batch, X experts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniaudio_lm.parts.aligners.units import PHONES
from uniaudio_lm.parts.backbones.moe import Router
from uniaudio_lm.training.batches import IGNORED


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


def misread(ids: Tensor, labels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """ids (B, S) with a share of the answers' tokens taken from anywhere in the batch's answers.

    Args:
        labels: (B, S), the answers' ids where they stand, else IGNORED.
    """
    answered = labels != IGNORED
    drawn = torch.rand(labels.shape, generator=generator) < share
    places = (answered & drawn).nonzero(as_tuple=True)
    pool = labels[answered]
    others = torch.randint(max(1, len(pool)), (len(places[0]),), generator=generator)
    return ids.index_put(places, pool[others]) if len(pool) else ids


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
        """Mean cross-entropy; the layer of a delay reads what is known that many frames later.

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
