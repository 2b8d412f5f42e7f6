"""A convolutional generation head: the patch before and the noisy patch are one row of frames.

Between the attention of `dit` and the full matrices of `mlp`: neighbouring frames share weights,
so it needs few parameters and learns from little speech. Loss, solver and guidance come from
`FlowHead`; a head that is not a flow subclasses `uniaudio_lm.interfaces.GenerationHead` instead.

Axes: N patches, p frames of a patch, d latent dimensions, D width of the condition, W width, K
solver steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniaudio_lm.parts.heads.flow_matching import FlowHead, sinusoids


class ConvBlock(nn.Module):
    """x + gate * project(silu(conv(norm(x) * (1 + scale) + shift)))."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """x (N, 2p, W), modulation (N, 3W) -> (N, 2p, W)."""
        shift, scale, gate = modulation[:, None].chunk(3, dim=-1)
        h = self.norm(x) * (1 + scale) + shift
        h = self.conv(h.transpose(1, 2)).transpose(1, 2)  # Conv1d wants (N, W, 2p)
        return x + gate * self.project(F.silu(h))


@dataclass
class ConvContext:
    """What all solver steps share: the history (N, p, W), and for each block the modulations of
    every step (K, N, 3W)."""

    history: Tensor
    blocks: list[Tensor]


class ConvHead(FlowHead):
    """Residual dilated convolutions, modulated by time and condition.

    Args:
        cond_dim, latent_dim, patch_size, cond_dropout, sway: see `FlowHead`.
        width, depth: of the blocks; their dilations are 1, 2, 4, 1, 2, 4, ...
    """

    def __init__(
        self,
        cond_dim: int,
        latent_dim: int,
        patch_size: int = 5,
        *,
        width: int = 256,
        depth: int = 6,
        cond_dropout: float = 0.1,
        sway: float = -1.0,
    ) -> None:
        super().__init__(cond_dim, latent_dim, patch_size, cond_dropout, sway)
        if width < 1 or depth < 1:
            raise ValueError(f"width and depth must be at least 1, not {width} and {depth}")
        self.frames_in = nn.Linear(latent_dim, width)
        self.place = nn.Parameter(0.02 * torch.randn(2 * patch_size, width))
        self.cond_in = nn.Linear(cond_dim, width)
        self.time_in = nn.Linear(256, width)
        self.modulations = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(depth))
        self.blocks = nn.ModuleList(ConvBlock(width, 2 ** (i % 3)) for i in range(depth))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, latent_dim)
        for linear in [*self.modulations, self.out]:  # training starts from the identity
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def prepare(self, times: Tensor, cond: Tensor, history: Tensor) -> ConvContext:
        """See `FlowHead.prepare`: everything that does not depend on x, once for all steps."""
        mixed = F.silu(self.time_in(sinusoids(times)) + self.cond_in(cond))  # (K, N, W)
        return ConvContext(self.frames_in(history), [m(mixed) for m in self.modulations])

    def velocity(self, x: Tensor, step: int, context: ConvContext) -> Tensor:
        """See `FlowHead.velocity`."""
        h = torch.cat((context.history, self.frames_in(x)), dim=1) + self.place
        for block, modulation in zip(self.blocks, context.blocks, strict=True):
            h = block(h, modulation[step])
        return self.out(self.norm(h[:, -self.patch_size :]))
