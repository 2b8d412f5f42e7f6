"""The decoder: a causal transformer and the inverse STFT head (paper section 3.1.2).

Axes: B batch, L frames, T samples, C decoder width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mingtok_audio.config import MingTokConfig
from mingtok_audio.modules.istft import IstftHead, IstftState
from mingtok_audio.modules.transformer import Transformer, TransformerState


@dataclass
class DecoderState:
    """State of one decoding stream."""

    transformer: TransformerState
    istft: IstftState


class Decoder(nn.Module):
    """Hidden frames (B, L, C) to the waveform (B, L * hop)."""

    def __init__(self, config: MingTokConfig) -> None:
        super().__init__()
        self.transformer = Transformer(config.decoder)
        self.head = IstftHead(config.decoder.dim, config.n_fft, config.hop_length, config.head)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.transformer(x))

    def new_state(self, batch: int, device: torch.device, max_frames: int) -> DecoderState:
        """State of a fresh stream of `batch` items."""
        return DecoderState(
            self.transformer.new_state(max_frames), self.head.new_state(batch, device)
        )

    def step(self, x: Tensor, state: DecoderState, valid: Tensor | None = None) -> Tensor:
        """The samples that n further frames (B, n, C) complete; `valid (B, n)` as in the head."""
        return self.head.step(self.transformer(x, state.transformer), state.istft, valid)
