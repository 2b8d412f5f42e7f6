"""The decoder: a causal transformer and the inverse STFT head (paper section 3.1.2).

Axes: B batch, L latents, F frames, T samples, C decoder width. F = L where a latent stands for one
frame; else the hidden latents are interpolated to frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mingtok_audio.config import MingTokConfig
from mingtok_audio.modules.istft import IstftHead, IstftState
from mingtok_audio.modules.transformer import Transformer, TransformerState
from mingtok_audio.modules.upsample import LinearUpsampler, UpsamplerState


@dataclass
class DecoderState:
    """State of one decoding stream."""

    transformer: TransformerState
    istft: IstftState
    upsampler: UpsamplerState


class Decoder(nn.Module):
    """Hidden latents (B, L, C) to the waveform (B, L * hop)."""

    def __init__(self, config: MingTokConfig) -> None:
        super().__init__()
        self.upsample = LinearUpsampler(config.frames_per_latent)
        self.transformer = Transformer(config.decoder)
        self.head = IstftHead(config.decoder.dim, config.n_fft, config.frame_hop, config.head)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.transformer(self.upsample(x)))

    def new_state(self, batch: int, device: torch.device, max_frames: int) -> DecoderState:
        """State of a fresh stream of `batch` items, of `max_frames` latents at most."""
        return DecoderState(
            self.transformer.new_state(max_frames * self.upsample.factor),
            self.head.new_state(batch, device),
            UpsamplerState(),
        )

    def step(self, x: Tensor, state: DecoderState, lengths: Tensor | None = None) -> Tensor:
        """The samples (B, m) that n further hidden latents (B, n, C), n >= 1, complete.

        `lengths (B,)`, in latents, are those of a batch of mixed lengths: frames past an item's
        end add nothing, so that every item ends exactly as it would alone.
        """
        return self._frames(self.upsample.step(x, state.upsampler), state, lengths)

    def flush(self, state: DecoderState, lengths: Tensor | None = None) -> Tensor:
        """The samples that were held back: of interpolated frames, and of the last overlap."""
        tail = self.head.flush
        if not self.upsample.held or state.upsampler.last is None:
            return tail(state.istft)
        held = self._frames(self.upsample.flush(state.upsampler), state, lengths)
        return torch.cat((held, tail(state.istft)), dim=-1)

    def _frames(self, x: Tensor, state: DecoderState, lengths: Tensor | None) -> Tensor:
        valid = None
        if lengths is not None:
            start = state.transformer.position
            frames = torch.arange(start, start + x.shape[1], device=x.device)
            valid = frames < (lengths.to(x.device) * self.upsample.factor)[:, None]
        return self.head.step(self.transformer(x, state.transformer), state.istft, valid)
