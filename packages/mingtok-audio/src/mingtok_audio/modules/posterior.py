"""The Gaussian posterior of the acoustic latents (paper section 3.1.2).

Axes: B batch, L frames, D latent dimensions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# Pseudo-random normal draws are made in groups of 16 by torch on a CPU; whole groups a frame make
# a stream draw the same noise whatever its chunks.
_GROUP = 16


@dataclass(frozen=True)
class Posterior:
    """mean and std (B, L, D)."""

    mean: Tensor
    std: Tensor

    @classmethod
    def from_parameters(cls, parameters: Tensor, min_std: float) -> Posterior:
        """Split (B, L, 2D) into mean and scale; std = softplus(scale) + min_std."""
        mean, scale = parameters.chunk(2, dim=-1)
        return cls(mean, F.softplus(scale) + min_std)

    def sample(
        self, generator: torch.Generator | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Draw latents (B, L, D), from `generator` (on the CPU) or with the given noise."""
        if noise is None:
            noise = frame_noise(self.mean.shape, generator)
        return self.mean + self.std * noise.to(self.mean)

    def kl(self) -> Tensor:
        """KL divergence to the unit Gaussian, (B, L, D) in nats."""
        var = self.std**2
        return 0.5 * (self.mean**2 + var - 1 - var.log())

    def kl_loss(self) -> Tensor:
        """The loss of equation 1 as the published distribution class has it -> scalar: summed over
        the latent dimensions, averaged over items and frames, and without the factor 1/2 (twice
        the divergence in nats)."""
        return 2 * self.kl().sum(dim=-1).mean()


def frame_noise(shape: torch.Size, generator: torch.Generator | None) -> Tensor:
    """Unit Gaussian noise (B, L, D), item by item and frame by frame, on the CPU.

    Drawing frame after frame makes a stream equal to the whole, and a seed mean the same on every
    device.
    """
    b, frames, dim = shape
    padded = math.ceil(dim / _GROUP) * _GROUP
    return torch.randn(b, frames, padded, generator=generator, dtype=torch.float32)[..., :dim]
