"""The acoustic encoder: waveform to the posterior of the latents (paper section 3.1.2).

Axes: B batch, T samples, L frames, D latent dimensions.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.config import MingTokConfig
from mingtok_audio.modules.posterior import Posterior
from mingtok_audio.modules.transformer import Transformer, TransformerState


class Encoder(nn.Module):
    """Framing, two linear layers, a causal transformer, and the Gaussian's two halves."""

    def __init__(self, config: MingTokConfig) -> None:
        super().__init__()
        self.frame_length, self.hop_length = config.frame_length, config.hop_length
        self.min_std = config.posterior_min_std
        dim = config.encoder.dim
        self.frame_proj = nn.Linear(config.frame_length, dim, bias=False)
        self.activation = nn.GELU() if config.stem_activation == "gelu" else nn.Identity()
        self.hidden_proj = nn.Linear(dim, dim)
        self.transformer = Transformer(config.encoder)
        self.posterior_proj = nn.Linear(dim, 2 * config.latent_dim)

    def frame(self, wav: Tensor) -> Tensor:
        """wav (B, T) -> frames (B, L, frame_length), L = ceil(T / hop), zeros on the right."""
        count = math.ceil(wav.shape[-1] / self.hop_length)
        length = (count - 1) * self.hop_length + self.frame_length
        wav = F.pad(wav, (0, length - wav.shape[-1]))
        return wav.unfold(-1, self.frame_length, self.hop_length)

    def parameters_of(self, frames: Tensor, state: TransformerState | None = None) -> Tensor:
        """frames (B, L, frame_length) -> mean and scale side by side, (B, L, 2D)."""
        x = self.hidden_proj(self.activation(self.frame_proj(frames)))
        return self.posterior_proj(self.transformer(x, state))

    def forward(self, frames: Tensor, state: TransformerState | None = None) -> Posterior:
        """frames (B, L, frame_length) -> posterior of the latents (B, L, D)."""
        return Posterior.from_parameters(self.parameters_of(frames, state), self.min_std)
