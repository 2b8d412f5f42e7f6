"""The acoustic encoder: waveform to the posterior of the latents (paper section 3.1.2).

Axes: B batch, T samples, F frames, L latents, P frames of a latent, C encoder width, D latent
dimensions. F = L where a latent stands for one frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.config import MingTokConfig
from mingtok_audio.modules.posterior import Posterior
from mingtok_audio.modules.transformer import Transformer, TransformerState


@dataclass
class EncoderState:
    """State of one encoding stream; `aggregator` is None where the model has none."""

    transformer: TransformerState
    aggregator: TransformerState | None


class Encoder(nn.Module):
    """Framing, two linear layers, a causal transformer, and the Gaussian's two halves.

    Where a latent stands for P frames (AudioVAE), a second causal transformer, the aggregator,
    reads P frames and one learned vector in turn, and what it makes of that vector is the latent's
    hidden state. The last group of a clip is completed with zero vectors.
    """

    def __init__(self, config: MingTokConfig) -> None:
        super().__init__()
        self.frame_length, self.hop_length = config.frame_length, config.frame_hop
        self.group = config.frames_per_latent
        self.min_std = config.posterior_min_std
        dim = config.encoder.dim
        self.frame_proj = nn.Linear(config.frame_length, dim, bias=False)
        self.activation = nn.GELU() if config.stem_activation == "gelu" else nn.Identity()
        self.hidden_proj = nn.Linear(dim, dim)
        self.transformer = Transformer(config.encoder)
        self.aggregator = None
        if config.aggregator is not None:
            self.cls_embed = nn.Parameter(torch.zeros(1, 1, dim))
            self.aggregator = Transformer(config.aggregator)
        self.posterior_proj = nn.Linear(dim, 2 * config.latent_dim)

    def new_state(self, max_frames: int) -> EncoderState:
        """State of a fresh stream; `max_frames` bounds the layers that see the whole past."""
        aggregator = None
        if self.aggregator is not None:
            groups = -(-max_frames // self.group)
            aggregator = self.aggregator.new_state(groups * (self.group + 1))
        return EncoderState(self.transformer.new_state(max_frames), aggregator)

    def frame(self, wav: Tensor) -> Tensor:
        """wav (B, T) -> frames (B, F, frame_length), F = ceil(T / hop), zeros on the right."""
        count = math.ceil(wav.shape[-1] / self.hop_length)
        length = (count - 1) * self.hop_length + self.frame_length
        wav = F.pad(wav, (0, length - wav.shape[-1]))
        return wav.unfold(-1, self.frame_length, self.hop_length)

    def hidden_of(self, frames: Tensor, state: EncoderState | None = None) -> Tensor:
        """frames (B, F, frame_length) -> the first transformer's outputs (B, F, C)."""
        x = self.hidden_proj(self.activation(self.frame_proj(frames)))
        return self.transformer(x, None if state is None else state.transformer)

    def aggregate(self, hidden: Tensor, state: EncoderState | None = None) -> Tensor:
        """Hidden frames (B, F, C) -> the aggregator's outputs (B, L * (P + 1), C).

        Index P of each group is the latent's. With a state, F is a multiple of P in every call but
        the last one of a stream.
        """
        assert self.aggregator is not None
        batch, count, dim = hidden.shape
        groups = -(-count // self.group)
        hidden = F.pad(hidden, (0, 0, 0, groups * self.group - count))
        hidden = hidden.unflatten(1, (groups, self.group))
        cls = self.cls_embed[:, None].expand(batch, groups, 1, dim)
        mixed = torch.cat((hidden, cls.to(hidden)), dim=2).flatten(1, 2)
        return self.aggregator(mixed, None if state is None else state.aggregator)

    def parameters_of(
        self, frames: Tensor, state: EncoderState | None = None, valid: Tensor | None = None
    ) -> Tensor:
        """frames (B, F, frame_length) -> mean and scale side by side, (B, L, 2D).

        `valid (B, F)` marks the frames that exist in each item of a batch of mixed lengths, so
        that a shorter item's last group is completed as it would be alone.
        """
        hidden = self.hidden_of(frames, state)
        if self.aggregator is not None:
            if valid is not None:
                hidden = hidden * valid[..., None].to(hidden)
            mixed = self.aggregate(hidden, state)
            hidden = mixed.unflatten(1, (-1, self.group + 1))[:, :, self.group]
        return self.posterior_proj(hidden)

    def forward(
        self, frames: Tensor, state: EncoderState | None = None, valid: Tensor | None = None
    ) -> Posterior:
        """Posterior of the latents (B, L, D); arguments as for `parameters_of`."""
        return Posterior.from_parameters(self.parameters_of(frames, state, valid), self.min_std)
