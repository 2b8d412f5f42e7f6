"""An encoder-decoder that reads text from a tokenizer's latents.

The encoder is the semantic module of section 4.1.2 of the paper: a front maps latents to the
input of Whisper's encoder layers, which are tuned. The decoder has the form of Whisper's text
decoder (Radford et al., 2022), with a smaller vocabulary.

One set of weights serves three kinds of attention. Without a chunk every frame attends to the
whole segment. With a chunk of C frames, frame t attends to all frames before the end of its own
chunk, and the front's convolution sees nothing after that end, so that a stream gives the same
numbers as a recording. A chunk of 1 is causal.

Axes: B clips, T frames, D width, H heads, U text pieces, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class ReaderConfig:
    """Shape of a `Reader`.

    Attributes:
        latent_dim: Channels of the tokenizer's latents.
        dim: Width of encoder and decoder.
        num_heads: Attention heads of both.
        encoder_layers: Layers of the encoder.
        decoder_layers: Layers of the decoder.
        front_width: Channels of the front's convolution.
        front_back: Earlier frames that the convolution sees.
        front_ahead: Later frames that the convolution sees, within the chunk.
        vocab_size: Text pieces; the last three are `start`, `no_times` and `end`.
        max_frames: Longest segment.
        max_pieces: Longest text, with its two marks at the start.
        padded: Frames that a segment is padded to with silence, as Whisper's decoder expects it;
            0 pads nothing.
        dropout: Dropout in training.
    """

    latent_dim: int = 96
    dim: int = 384
    num_heads: int = 6
    encoder_layers: int = 4
    decoder_layers: int = 4
    front_width: int = 512
    front_back: int = 4
    front_ahead: int = 3
    vocab_size: int = 12_003
    max_frames: int = 1500
    max_pieces: int = 448
    padded: int = 0
    dropout: float = 0.0

    @property
    def start(self) -> int:
        """Piece that begins a text."""
        return self.vocab_size - 3

    @property
    def no_times(self) -> int:
        """Piece after `start`: a text without time marks."""
        return self.vocab_size - 2

    @property
    def end(self) -> int:
        """Piece that ends a text."""
        return self.vocab_size - 1


def sinusoids(length: int, dim: int) -> Tensor:
    """Whisper's positions, (length, dim): sines, then cosines, wavelengths up to 10,000."""
    half = dim // 2
    rates = torch.exp(-torch.arange(half) * (torch.log(torch.tensor(10_000.0)) / (half - 1)))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Front(nn.Module):
    """Latents (B, T, latent_dim) to encoder inputs (B, T, D)."""

    mean: Tensor
    std: Tensor
    silence: Tensor

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        width = config.front_width
        self.back, self.ahead = config.front_back, config.front_ahead
        self.register_buffer("mean", torch.zeros(config.latent_dim))
        self.register_buffer("std", torch.ones(config.latent_dim))
        self.register_buffer("silence", torch.zeros(config.latent_dim))
        self.mix = nn.Linear((self.back + 1 + self.ahead) * config.latent_dim, width)
        self.up, self.down = nn.Linear(width, width), nn.Linear(width, width)
        self.out = nn.Linear(width, config.dim)

    def normalize(self, latents: Tensor) -> Tensor:
        """Latents with mean 0 and variance 1 per channel over the training set."""
        return (latents - self.mean) / self.std

    def padded(self, latents: Tensor, total: int) -> Tensor:
        """Latents (1, T, C) followed by silence, (1, `total`, C); longer ones as they are."""
        missing = total - latents.shape[1]
        if missing <= 0:
            return latents
        return torch.cat([latents, self.silence.expand(1, missing, -1)], dim=1)

    def forward(self, latents: Tensor, lengths: Tensor, chunk: int | None, past: Tensor) -> Tensor:
        """`latents`: normalised, (B, T, C), beginning at a chunk. `past` (B, back, C): the frames
        before (zeros at the start). Frames beyond the clip or the chunk count as zeros."""
        total = latents.shape[1]
        frames = torch.arange(total, device=latents.device)
        offsets = torch.arange(-self.back, self.ahead + 1, device=latents.device)
        wanted = frames[:, None] + offsets  # (T, K)
        bound = torch.full_like(frames, total) if chunk is None else (frames // chunk + 1) * chunk
        valid = (wanted < bound[:, None])[None] & (wanted[None] < lengths[:, None, None])
        padded = torch.cat([past, latents], dim=1)
        index = (wanted + self.back).clamp(max=padded.shape[1] - 1)
        seen = padded[:, index] * valid[..., None]  # (B, T, K, C)
        hidden = F.gelu(self.mix(seen.flatten(2)))
        hidden = hidden + self.down(F.gelu(self.up(hidden)))
        return self.out(hidden)


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and MLP."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        dim = config.dim
        self.heads = config.num_heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query_key_value, self.attention_out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(
        self, x: Tensor, mask: Tensor | None, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """`past`: keys and values (B, H, earlier frames, D / H) before `x`; returned extended."""
        query, key, value = _split(self.query_key_value(self.norm_attention(x)), 3, self.heads)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        x = x + self.attention_out(_join(_attend(query, key, value, mask)))
        return x + self.down(F.gelu(self.up(self.norm_mlp(x)))), (key, value)


class DecoderLayer(nn.Module):
    """Pre-norm causal self-attention, attention to the encoder, MLP."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        dim = config.dim
        self.heads, self.dropout = config.num_heads, config.dropout
        self.norm_self, self.norm_cross = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.norm_mlp = nn.LayerNorm(dim)
        self.query_key_value, self.self_out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.cross_query, self.cross_out = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.cross_key_value = nn.Linear(dim, 2 * dim)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def memory(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the encoder's output, each (B, H, T, D / H)."""
        key, value = _split(self.cross_key_value(encoded), 2, self.heads)
        return key, value

    def forward(
        self,
        x: Tensor,
        memory: tuple[Tensor, Tensor],
        mask: Tensor | None,
        past: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """`past`: keys and values of the pieces before `x`; returned extended."""
        query, key, value = _split(self.query_key_value(self.norm_self(x)), 3, self.heads)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        causal = past is None
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=causal)
        x = x + self._drop(self.self_out(_join(attended)))
        (query,) = _split(self.cross_query(self.norm_cross(x)), 1, self.heads)
        x = x + self._drop(self.cross_out(_join(_attend(query, *memory, mask))))
        x = x + self._drop(self.down(F.gelu(self.up(self.norm_mlp(x)))))
        return x, (key, value)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


@dataclass
class EncoderState:
    """What a stream keeps between chunks: frames so far, the front's last frames, and each
    layer's keys and values."""

    frames: int = 0
    latents: Tensor | None = None
    layers: list[tuple[Tensor, Tensor] | None] = field(default_factory=list)


class Reader(nn.Module):
    """The network. `encode` a segment (or `extend` a stream), then `decode` its text."""

    positions: Tensor

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.config = config
        self.front = Front(config)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.encoder_norm = nn.LayerNorm(config.dim)
        self.register_buffer(
            "positions", sinusoids(config.max_frames, config.dim), persistent=False
        )
        self.pieces = nn.Embedding(config.vocab_size, config.dim)
        self.piece_positions = nn.Parameter(torch.zeros(config.max_pieces, config.dim))
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.decoder_norm = nn.LayerNorm(config.dim)

    def encode(
        self, latents: Tensor, lengths: Tensor | None = None, chunk: int | None = None
    ) -> Tensor:
        """Features (B, T, D) of latents (B, T, latent_dim), at most `max_frames` of them.

        Args:
            latents: As the tokenizer gives them, padded at the end.
            lengths: Frames of each clip, (B,); None where all are full.
            chunk: Frames of a chunk, None for attention to the whole segment.
        """
        batch, total = latents.shape[:2]
        if total > self.config.max_frames:
            raise ValueError(f"{total} frames; a segment has at most {self.config.max_frames}")
        full = lengths is None
        if lengths is None:
            lengths = torch.full((batch,), total, device=latents.device)
        mask = None if full else key_mask(lengths, total)
        if chunk is not None:
            own = torch.arange(total, device=latents.device) // chunk
            ordered = (own[None] <= own[:, None])[None, None]
            mask = ordered if mask is None else mask & ordered
        normal = self.front.normalize(latents)
        past = normal.new_zeros(batch, self.front.back, normal.shape[2])
        x = self.front(normal, lengths, chunk, past) + self.positions[:total]
        for layer in self.encoder:
            x, _ = layer(x, mask, None)
        return self.encoder_norm(x)

    def extend(self, latents: Tensor, state: EncoderState) -> Tensor:
        """Features of the next chunk of a stream, (1, C, latent_dim) to (1, C, D); equal to what
        `encode` gives with that chunk. Only the last chunk may be shorter."""
        total, start = latents.shape[1], state.frames
        if start + total > self.config.max_frames:
            raise ValueError(f"a segment has at most {self.config.max_frames} frames")
        normal = self.front.normalize(latents)
        if state.latents is None:
            state.latents = normal.new_zeros(1, self.front.back, normal.shape[2])
            state.layers = [None] * len(self.encoder)
        lengths = torch.full((1,), total, device=latents.device)
        x = self.front(normal, lengths, None, state.latents)
        x = x + self.positions[start : start + total]
        for number, layer in enumerate(self.encoder):
            x, state.layers[number] = layer(x, None, state.layers[number])
        state.latents = torch.cat([state.latents, normal], 1)[:, -self.front.back :]
        state.frames += total
        return self.encoder_norm(x)

    def memory(self, encoded: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Each decoder layer's keys and values of the encoder's output."""
        return [cast(DecoderLayer, layer).memory(encoded) for layer in self.decoder]

    def decode(
        self,
        pieces: Tensor,
        memory: list[tuple[Tensor, Tensor]],
        mask: Tensor | None = None,
        past: list[tuple[Tensor, Tensor]] | None = None,
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Scores (B, U, V) of the piece after each of `pieces` (B, U).

        Args:
            mask: (B, 1, 1, T), which frames of the memory are the clip's; None for all.
            past: What the last call returned, where `pieces` continue it one by one.
        """
        start = 0 if past is None else past[0][0].shape[2]
        x = self.pieces(pieces) + self.piece_positions[start : start + pieces.shape[1]]
        kept: list[tuple[Tensor, Tensor]] = []
        for number, layer in enumerate(self.decoder):
            x, state = layer(x, memory[number], mask, None if past is None else past[number])
            kept.append(state)
        return F.linear(self.decoder_norm(x), self.pieces.weight), kept


def key_mask(lengths: Tensor, total: int) -> Tensor:
    """(B, 1, 1, T): True at the frames of each clip."""
    return (torch.arange(total, device=lengths.device) < lengths[:, None])[:, None, None]


def _split(x: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """(B, T, parts x D) to `parts` tensors (B, H, T, D / H)."""
    batch, total, width = x.shape
    return (
        x.view(batch, total, parts, heads, width // parts // heads).permute(2, 0, 3, 1, 4).unbind(0)
    )


def _join(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
