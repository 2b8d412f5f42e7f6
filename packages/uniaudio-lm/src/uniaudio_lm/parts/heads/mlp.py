"""The MLP generation head (paper, appendix A, table 15: faster than the DiT, nearly as good).

The paper gives no shapes. Ours: the patch is flattened to p d numbers and goes through residual
blocks of width W whose norms are shifted, scaled and gated by time, condition and history. Why so:

- One token a patch: a step is 2 depth small products and no attention, which is where the speed
  comes from. Within 100 ms, a full matrix over the frames costs little.
- Condition, history and time never meet x before the norms, so the whole modulation of all solver
  steps is one product before the loop, and x alone runs through the steps.
- The history is one more condition (the paper's per-token head sees the previous patch), dropped
  never: guidance is about the language model's state.
- Zero-initialised gates and output: training starts from the identity, at any depth.

Width 4480 and depth 12 make the paper's 1.2 B parameters (5 W^2 a block); the nano takes 512 x 6.

Axes: N patches, p frames, d latent dimensions, D width of the condition, W width, K steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniaudio_lm.parts.heads.flow_matching import FlowHead, sinusoids


class MlpBlock(nn.Module):
    """x + gate * MLP(norm(x) * (1 + scale) + shift)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.up = nn.Linear(width, width)
        self.down = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """x (N, W), modulation (N, 3W) -> (N, W)."""
        shift, scale, gate = modulation.chunk(3, dim=-1)
        h = torch.addcmul(shift, self.norm(x), 1 + scale)
        return x + gate * self.down(self.dropout(F.silu(self.up(h))))


@dataclass
class MlpContext:
    """The modulations of every step: (K, N, 3W) for each block, and (K, N, 2W) for the output."""

    blocks: list[Tensor]
    final: Tensor


class MlpHead(FlowHead):
    """Residual MLP blocks over the flattened patch, with adaptive norms.

    Args:
        cond_dim, latent_dim, patch_size, cond_dropout, sway, time_distribution: see `FlowHead`.
        width, depth: of the blocks.
        dropout: in training.
    """

    def __init__(
        self,
        cond_dim: int,
        latent_dim: int,
        patch_size: int = 5,
        *,
        width: int = 1024,
        depth: int = 8,
        dropout: float = 0.0,
        cond_dropout: float = 0.1,
        sway: float = -1.0,
        time_distribution: Literal["uniform", "logit_normal"] = "uniform",
    ) -> None:
        super().__init__(cond_dim, latent_dim, patch_size, cond_dropout, sway, time_distribution)
        if width < 1 or depth < 1:
            raise ValueError(f"width and depth must be at least 1, not {width} and {depth}")
        flat = patch_size * latent_dim
        self.patch_in = nn.Linear(flat, width)
        self.history_in = nn.Linear(flat, width)
        self.cond_in = nn.Linear(cond_dim, width)
        self.time_in = nn.Linear(256, width)
        self.time_out = nn.Linear(width, width)
        self.modulations = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(depth))
        self.blocks = nn.ModuleList(MlpBlock(width, dropout) for _ in range(depth))
        self.final_norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.final_modulation = nn.Linear(width, 2 * width)
        self.final = nn.Linear(width, flat)
        zeroed = [*self.modulations, self.final_modulation, self.final]
        for linear in zeroed:
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def prepare(self, times: Tensor, cond: Tensor, history: Tensor) -> MlpContext:
        """See `FlowHead.prepare`."""
        time = self.time_out(F.silu(self.time_in(sinusoids(times))))  # (K, 1 or N, W)
        fixed = self.cond_in(cond) + self.history_in(history.flatten(1))  # (N, W)
        mixed = F.silu(time + fixed)
        return MlpContext([m(mixed) for m in self.modulations], self.final_modulation(mixed))

    def velocity(self, x: Tensor, step: int, context: MlpContext) -> Tensor:
        """See `FlowHead.velocity`."""
        h = self.patch_in(x.flatten(1))
        for block, modulation in zip(self.blocks, context.blocks, strict=True):
            h = block(h, modulation[step])
        shift, scale = context.final[step].chunk(2, dim=-1)
        h = self.final(torch.addcmul(shift, self.final_norm(h), 1 + scale))
        return h.unflatten(-1, (self.patch_size, self.latent_dim))
