"""The paper's stop detector: a linear layer on the hidden state (section 5.2).

Axes: B utterances, N patches or items, D width of the language model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniaudio_lm.interfaces import StopDecision, StopDetector, StopReason, TextInfo

IGNORED = 3
"""Patches before the last one whose label is left open (300 ms: the end is never exact)."""
PUBLISHED_MIN_PATCHES = 18
"""Least patches of speech of the published checkpoints."""


def weakly_supervised_loss(logits: Tensor, lengths: Tensor, scale: float = 0.01) -> Tensor:
    """The paper's loss: the last patch is positive, the three before it do not count, and of the
    others the one that scores highest is the negative; the mean of both cross-entropies, scaled.

    Args:
        logits: (B, N, 2) go on, stop.
        lengths: (B,) patches of each utterance.

    Returns:
        A scalar, averaged over utterances. One that is too short for a negative gives its
        positive alone.
    """
    lengths = lengths.to(logits.device)
    rows = torch.arange(len(logits), device=logits.device)
    last = (lengths - 1).clamp_min(0)
    positive = F.cross_entropy(logits[rows, last], torch.ones_like(last), reduction="none")
    score = (logits[..., 1] - logits[..., 0]).detach()
    places = torch.arange(logits.shape[1], device=logits.device)
    candidate = places < (last - IGNORED)[:, None]
    hardest = score.masked_fill(~candidate, -math.inf).argmax(dim=1)
    negative = F.cross_entropy(logits[rows, hardest], torch.zeros_like(last), reduction="none")
    has_negative = candidate.any(dim=1)
    loss = torch.where(has_negative, (positive + negative) / 2, positive)
    return scale * loss[lengths > 0].sum() / (lengths > 0).sum().clamp_min(1)


@dataclass
class LinearState:
    """What is known of each item."""

    info: list[TextInfo]


class LinearStop(StopDetector):
    """Stop where the probability exceeds a threshold, after a minimum of patches.

    Args:
        dim: D.
        threshold: of the probability.
        min_patches: no stop before this many; 18 is published (1.8 s), 1 is sensible for models
            that were trained on short speech. A task may ask for another minimum.
        max_patches: the end in any case, unless a task says another; None has no bound of its own.
        stop_after_patch: see `StopDetector`.
    """

    shared_options = ("threshold", "min_patches", "max_patches", "stop_after_patch")

    def __init__(
        self,
        dim: int,
        *,
        threshold: float = 0.5,
        min_patches: int = 1,
        max_patches: int | None = 3000,
        stop_after_patch: bool = True,
    ) -> None:
        super().__init__()
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must be in [0, 1], not {threshold}")
        if min_patches < 0 or (max_patches is not None and max_patches < 1):
            raise ValueError("min_patches cannot be negative, max_patches must be at least 1")
        self.threshold, self.min_patches, self.max_patches = threshold, min_patches, max_patches
        self.stop_after_patch = stop_after_patch
        self.stop_head = nn.Linear(dim, 2)

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden states (..., D) -> go on, stop (..., 2)."""
        return self.stop_head(hidden)

    def loss(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """See `StopDetector.loss` and `weakly_supervised_loss`."""
        return weakly_supervised_loss(self.logits(hidden).float(), lengths)

    def start(self, batch: int, text_info: Sequence[TextInfo]) -> LinearState:
        """See `StopDetector.start`."""
        if len(text_info) != batch:
            raise ValueError(f"{len(text_info)} text infos for {batch} items")
        return LinearState(list(text_info))

    def select(self, state: LinearState, rows: Sequence[int]) -> LinearState:
        """See `StopDetector.select`."""
        return LinearState([state.info[row] for row in rows])

    @torch.no_grad()
    def update(self, state: LinearState, hidden: Tensor, patch: Tensor, step: int) -> StopDecision:
        """See `StopDetector.update`."""
        probability = self.logits(hidden).float().softmax(dim=-1)[:, 1].cpu()
        # Untrained or broken weights may give NaN; that does not stop, and the bounds still hold.
        fired = (probability.nan_to_num() > self.threshold).tolist()
        reasons: list[StopReason] = [
            self._reason(state.info[i], fired[i], step) for i in range(len(fired))
        ]
        return decision(reasons, probability)

    def _reason(self, info: TextInfo, fired: bool, step: int) -> StopReason:
        least = self.min_patches if info.min_patches is None else info.min_patches
        most = self.max_patches if info.max_patches is None else info.max_patches
        if fired and step >= least:
            return "stop"
        return "max_length" if most is not None and step >= most else ""


def decision(reasons: Sequence[StopReason], probability: Tensor) -> StopDecision:
    """A `StopDecision` from its reasons."""
    return StopDecision(torch.tensor([bool(r) for r in reasons]), list(reasons), probability)
