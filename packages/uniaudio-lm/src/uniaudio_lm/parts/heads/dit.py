"""The published generation head: a small transformer over condition, history and noisy patch.

Shapes are the published ones (`reference.head_target` maps their names); query, key and value are
one product here. Tokens: 1 (time + condition), p of the history, p of the patch.

Axes: N patches, p frames of a patch, d latent dimensions, D width of the condition, C width of the
head, S = 1 + 2p tokens, H heads, E head size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.modules.dit_block import EPS, DitBlock, rotary_turns
from uniaudio_lm.parts.heads.flow_matching import FlowHead, sinusoids


@dataclass
class DitContext:
    """What a solver run needs again and again."""

    first: Tensor
    """(K, N, 1, C) token 0 of each step."""
    history: Tensor
    """(N, p, C)."""
    turns: Tensor


class DitHead(FlowHead):
    """The published `dit` head (paper, appendix A; 0.1 B parameters at 1024 x 8).

    Args:
        cond_dim, latent_dim, patch_size, cond_dropout, sway, time_distribution: see `FlowHead`.
        hidden_size, depth, num_heads, mlp_ratio: of the transformer.
        qk_norm: RMS-normalise queries and keys per head.
        rotary_heads: how many heads are rotated; None is all of them.
        dropout: in training.
    """

    def __init__(
        self,
        cond_dim: int,
        latent_dim: int,
        patch_size: int = 5,
        *,
        hidden_size: int = 1024,
        depth: int = 8,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        qk_norm: bool = False,
        rotary_heads: int | None = None,
        dropout: float = 0.1,
        cond_dropout: float = 0.1,
        sway: float = -1.0,
        time_distribution: Literal["uniform", "logit_normal"] = "uniform",
    ) -> None:
        super().__init__(cond_dim, latent_dim, patch_size, cond_dropout, sway, time_distribution)
        if depth < 1 or num_heads < 1 or hidden_size % num_heads or hidden_size // num_heads % 2:
            raise ValueError(
                f"hidden_size {hidden_size} must be num_heads {num_heads} times an even number, "
                f"and depth {depth} at least 1"
            )
        rotary = num_heads if rotary_heads is None else rotary_heads
        if not 1 <= rotary <= num_heads:
            raise ValueError(f"rotary_heads must be from 1 to {num_heads}, not {rotary}")
        self.head_dim = hidden_size // num_heads
        self.time_in = nn.Linear(256, hidden_size)
        self.time_out = nn.Linear(hidden_size, hidden_size)
        self.cond_embedder = nn.Linear(cond_dim, hidden_size)
        self.x_embedder = nn.Linear(latent_dim, hidden_size)
        self.blocks = nn.ModuleList(
            DitBlock(hidden_size, num_heads, rotary, int(hidden_size * mlp_ratio), qk_norm, dropout)
            for _ in range(depth)
        )
        self.norm_final = nn.RMSNorm(hidden_size, eps=EPS)
        self.linear = nn.Linear(hidden_size, latent_dim)

    def time_embedding(self, t: Tensor) -> Tensor:
        """Times (...) -> (..., C)."""
        return self.time_out(F.silu(self.time_in(sinusoids(t))))

    def prepare(self, times: Tensor, cond: Tensor, history: Tensor) -> DitContext:
        """See `FlowHead.prepare`."""
        first = (self.time_embedding(times) + self.cond_embedder(cond))[:, :, None]
        tokens = 1 + history.shape[1] + self.patch_size
        turns = rotary_turns(tokens, self.head_dim).to(history.device)
        return DitContext(first, self.x_embedder(history), turns)

    def velocity(self, x: Tensor, step: int, context: DitContext) -> Tensor:
        """See `FlowHead.velocity`. The last block computes the patch's tokens alone."""
        tokens = torch.cat((context.first[step], context.history, self.x_embedder(x)), dim=1)
        final = len(self.blocks) - 1
        for i, block in enumerate(self.blocks):
            last = self.patch_size if i == final else None
            tokens = block(tokens, context.turns, last=last)
        return self.linear(self.norm_final(tokens))

    def tokens(
        self, x: Tensor, t: Tensor, cond: Tensor, history: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """The outputs (N, S, d) of all tokens, as the published model returns them.

        `mask` (N, p) bool zeroes the attention's output of the frames where it is False; the
        tokens before the patch take its first column (published behaviour).
        """
        context = self.prepare(t[None], cond, history)
        tokens = torch.cat((context.first[0], context.history, self.x_embedder(x)), dim=1)
        keep = None
        if mask is not None:
            lead = mask[:, :1].expand(-1, tokens.shape[1] - mask.shape[1])
            keep = torch.cat((lead, mask), dim=1)
        for block in self.blocks:
            tokens = block(tokens, context.turns, keep)
        return self.linear(self.norm_final(tokens))
