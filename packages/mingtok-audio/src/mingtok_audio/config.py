"""Configuration of the tokenizer: plain dataclasses, free of torch.

A model folder holds `config.json` (this, as JSON) and `model.safetensors`. Unknown keys, missing
keys and wrong types are refused by `mingtok_audio.core.config.from_dict`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

FORMAT_VERSION = 1
# Recordings pass through the model in blocks of this many frames (20 s), as a stream would: memory
# does not grow with the recording.
BLOCK_FRAMES = 1000


@dataclass(frozen=True)
class TransformerConfig:
    """A causal pre-norm transformer.

    Two families are needed and nothing else: the Qwen2 shape of the encoder and the decoder
    (RMS norm, SwiGLU, grouped key/value heads, half-split rotary embedding) and the Whisper shape
    of the semantic module (layer norm, GELU, interleaved rotary embedding).
    """

    dim: int
    num_layers: int
    num_heads: int
    mlp_dim: int
    num_kv_heads: int | None = None
    """Key/value heads; None means as many as query heads."""
    norm: Literal["rms", "layer"] = "rms"
    norm_eps: float = 1e-6
    mlp: Literal["swiglu", "gelu"] = "swiglu"
    qkv_bias: bool = True
    linear_bias: bool = False
    """Bias of the attention output and of the feed-forward layers."""
    rope_base: float = 10000.0
    rope_layout: Literal["half", "interleaved"] = "half"
    window: int | None = 32
    """Keys that a query sees, itself included; None is full causal attention."""
    first_windowed_layer: int = 0
    """Layers before this one attend to the whole past, whatever `window` says."""

    def __post_init__(self) -> None:
        if self.dim < 1 or self.num_layers < 1 or self.mlp_dim < 1 or self.num_heads < 1:
            raise ValueError("dim, num_layers, num_heads and mlp_dim must be positive")
        if self.dim % self.num_heads:
            raise ValueError(f"dim {self.dim} is not a multiple of num_heads {self.num_heads}")
        if self.head_dim % 2:
            raise ValueError(f"rotary embedding needs an even head size, got {self.head_dim}")
        if self.kv_heads < 1 or self.num_heads % self.kv_heads:
            raise ValueError(
                f"num_heads {self.num_heads} is not a multiple of num_kv_heads {self.kv_heads}"
            )
        if self.window is not None and self.window < 1:
            raise ValueError(f"window must be at least 1 (the frame itself), got {self.window}")
        if self.first_windowed_layer < 0:
            raise ValueError("first_windowed_layer cannot be negative")

    @property
    def head_dim(self) -> int:
        return self.dim // self.num_heads

    @property
    def kv_heads(self) -> int:
        return self.num_heads if self.num_kv_heads is None else self.num_kv_heads

    def layer_window(self, layer: int) -> int | None:
        """Window of one layer, in keys; None where it sees the whole past."""
        return self.window if layer >= self.first_windowed_layer else None

    @property
    def context_frames(self) -> int | None:
        """Past frames that can influence an output; None when there is no bound."""
        if self.window is None or self.first_windowed_layer > 0:
            return None
        return self.num_layers * (self.window - 1)


@dataclass(frozen=True)
class MingTokConfig:
    """MingTok-Audio (paper section 3.1) or AudioVAE: encoder, semantic module and decoder.

    The transformers work on frames. `frame_length` samples are read per frame. One latent stands
    for `frames_per_latent` frames, and `hop_length` samples lie between latents. MingTok-Audio
    has one latent per frame and 320 samples for both lengths (20 ms at 16 kHz, 50 latents per
    second). AudioVAE (of Ming-omni-tts) has frames of 882 samples (20 ms at 44.1 kHz) and one
    latent per 4 frames (12.5 per second); its encoder has an `aggregator` that summarises the
    frames of a latent, and its decoder interpolates the latents back to frames.
    """

    encoder: TransformerConfig
    decoder: TransformerConfig
    semantic: TransformerConfig | None = None
    latent_dim: int = 64
    sample_rate: int = 16000
    hop_length: int = 320
    """Samples between latents."""
    frame_length: int = 320
    frames_per_latent: int = 1
    aggregator: TransformerConfig | None = None
    """Second transformer of the encoder, needed where a latent stands for several frames."""
    n_fft: int = 1280
    head: Literal["polar", "cartesian"] = "polar"
    """How the decoder's head says a spectrum; the published models use "polar"."""
    stem_activation: Literal["none", "gelu"] = "none"
    """Between the encoder's first two linear layers; the published model has none."""
    posterior_min_std: float = 1e-4
    """Floor of the posterior's standard deviation (added after the softplus)."""
    decoder_input: Literal["latent", "unified"] = "latent"
    """What the decoder reads: published checkpoints the latents, the paper the features."""
    max_frames: int = 32768
    """Bound in latents of a stream through a module with full attention (its cache grows)."""
    name: str = "mingtok"
    model_type: Literal["mingtok"] = "mingtok"
    format_version: int = field(default=FORMAT_VERSION)

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ValueError(
                f"format_version {self.format_version} is not known (this release reads "
                f"{FORMAT_VERSION}); upgrade mingtok-audio"
            )
        if min(self.latent_dim, self.sample_rate, self.hop_length, self.max_frames) < 1:
            raise ValueError("latent_dim, sample_rate, hop_length and max_frames must be positive")
        self._check_frames()
        if self.posterior_min_std <= 0:
            raise ValueError("posterior_min_std must be positive")
        if self.decoder_input == "unified" and self.semantic is None:
            raise ValueError("decoder_input 'unified' needs a semantic module")

    def _check_frames(self) -> None:
        if self.frames_per_latent < 1 or self.hop_length % self.frames_per_latent:
            raise ValueError(
                f"hop_length {self.hop_length} must be a multiple of frames_per_latent "
                f"{self.frames_per_latent}"
            )
        if self.n_fft % self.frame_hop or (self.n_fft - self.frame_hop) % 2:
            raise ValueError("n_fft must be a multiple of the frames' hop with an even difference")
        if self.frame_length < self.frame_hop:
            raise ValueError("frame_length must be at least the frames' hop")
        if (self.aggregator is not None) != (self.frames_per_latent > 1):
            raise ValueError("an aggregator is needed exactly where frames_per_latent is above 1")
        if self.aggregator is None:
            return
        if self.aggregator.dim != self.encoder.dim:
            raise ValueError(
                f"the aggregator's width {self.aggregator.dim} must be the encoder's "
                f"{self.encoder.dim}"
            )
        if self.semantic is not None:
            raise ValueError("a semantic module needs one latent per frame")

    @property
    def frame_hop(self) -> int:
        """Samples between the frames that the transformers work on."""
        return self.hop_length // self.frames_per_latent

    @property
    def block_latents(self) -> int:
        """Latents of the blocks that whole recordings pass in: about 20 s."""
        return max(1, BLOCK_FRAMES // self.frames_per_latent)

    @property
    def frame_rate(self) -> float:
        """Latents per second."""
        return self.sample_rate / self.hop_length

    @property
    def feature_dim(self) -> int | None:
        """Width H of the unified features; None without a semantic module."""
        return None if self.semantic is None else self.semantic.dim

    @property
    def decoder_warmup_frames(self) -> int | None:
        """Latents to read before a point so that decoding from there equals the full decode.

        None when some module sees the whole past: then decoding starts at frame 0.
        """
        frames = self.decoder.context_frames
        if frames is None:
            return None
        if self.decoder_input == "unified" and self.semantic is not None:
            past = self.semantic.context_frames
            if past is None:
                return None
            frames += past
        frames += self.n_fft // self.frame_hop
        if self.frames_per_latent == 1:
            return frames
        # One more, because a frame is interpolated from two latents.
        return -(-frames // self.frames_per_latent) + 1
