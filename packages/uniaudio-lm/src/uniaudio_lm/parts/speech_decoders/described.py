"""A decoder for latents of which only the first dimensions are generated: the nano's.

The tokenizer's decoder is trained on whole latents, whose other dimensions hold the waveform's
phase. A language model cannot generate those; this decoder has learned to do without them. It has
the tokenizer's shape: a causal transformer with a window, and the inverse STFT head.

Axes: B batch, L frames, T samples, d latent dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mingtok_audio.config import MingTokConfig, TransformerConfig
from mingtok_audio.core.config import from_dict
from mingtok_audio.models.decoder import Decoder, DecoderState
from mingtok_audio.streaming import DecodingState
from uniaudio_lm.interfaces import SpeechDecoder


class DescribedDecoder(SpeechDecoder):
    """The `described` speech decoder.

    Args:
        latent_dim: of the tokenizer; dimensions from `dims` on are not read.
        dims: latent dimensions that are read, from the first.
        decoder: the transformer, as in a tokenizer's config.
        n_fft, hop_length, head: of the inverse STFT head, as in a tokenizer's config.
    """

    def __init__(
        self,
        latent_dim: int,
        dims: int,
        decoder: Mapping[str, Any],
        *,
        n_fft: int = 1280,
        hop_length: int = 320,
        head: str = "cartesian",
    ) -> None:
        super().__init__()
        if not 1 <= dims <= latent_dim:
            raise ValueError(f"dims must be 1 to the tokenizer's {latent_dim}, not {dims}")
        transformer = from_dict(TransformerConfig, dict(decoder), where="decoder")
        shape = {"n_fft": n_fft, "hop_length": hop_length, "head": head}
        config = MingTokConfig(
            encoder=transformer, decoder=transformer, semantic=None, latent_dim=dims, **shape
        )
        self.latent_dim, self.dims, self.hop_length = latent_dim, dims, hop_length
        self.proj = nn.Linear(dims, transformer.dim)
        self.decoder = Decoder(config)
        self._max_frames = config.max_frames

    def forward(self, latents: Tensor) -> Tensor:
        """See `SpeechDecoder.forward`."""
        return self.decoder(self.proj(latents[..., : self.dims].to(self.proj.weight)))

    def new_state(self, batch: int = 1) -> DecodingState:
        """See `SpeechDecoder.new_state`."""
        state = self.decoder.new_state(batch, self.proj.weight.device, self._max_frames)
        assert isinstance(state, DecoderState)
        return DecodingState(state, None)

    def step(self, latents: Tensor, state: DecodingState) -> Tensor:
        """See `SpeechDecoder.step`."""
        hidden = self.proj(latents[..., : self.dims].to(self.proj.weight))
        return self.decoder.step(hidden, state.decoder)

    def flush(self, state: DecodingState) -> Tensor:
        """See `SpeechDecoder.flush`."""
        return self.decoder.flush(state.decoder)
