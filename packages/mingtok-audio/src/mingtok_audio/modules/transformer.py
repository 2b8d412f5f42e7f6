"""A causal transformer with a sliding window, for whole sequences and for streams.

Axes: B batch, L frames, D model width, N query heads, G key/value heads, E head size.
Hidden states are (B, L, D), channels last. Attention runs on (B, heads, L, E).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.config import TransformerConfig
from mingtok_audio.modules.attention import attend
from mingtok_audio.modules.kv_cache import FullCache, LayerCache, WindowCache

# Offline attention with a window runs in blocks of queries: cost linear in the length.
_BLOCK = 64


@dataclass
class TransformerState:
    """Where a stream stands: frames seen so far, and one cache per layer.

    `padding` (B,) counts the first frames of the caches that an item does not have: streams that
    began at different times go on as one batch. None: every item has all of them.
    """

    position: int = 0
    layers: list[LayerCache] = field(default_factory=list)
    padding: Tensor | None = None


def rotary_table(start: int, length: int, head_dim: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine (length, head_dim / 2) of frames start, start + 1, ...

    Angles are computed in float64 and rounded afterwards, so that they stay right at any position
    of a stream of hours, and they stay float32 whatever the dtype of the model.
    """
    exponent = torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim
    position = torch.arange(start, start + length, dtype=torch.float64)
    angle = position[:, None] * (base**-exponent)[None, :]
    return angle.cos().float(), angle.sin().float()


def apply_rotary(x: Tensor, cos: Tensor, sin: Tensor, layout: str) -> Tensor:
    """Rotate x (B, heads, L, E) by the table (L, E / 2), in float32.

    "half" pairs channel i with i + E/2 (Llama, Qwen); "interleaved" pairs 2i with 2i + 1.
    """
    y = x.float()
    if layout == "half":
        a, b = y.chunk(2, dim=-1)
        out = torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
    else:
        a, b = y[..., 0::2], y[..., 1::2]
        out = torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2)
    return out.to(x.dtype)


def causal_attention(
    q: Tensor, k: Tensor, v: Tensor, window: int | None, padding: Tensor | None = None
) -> Tensor:
    """Attention of queries (B, N, n, E) over keys (B, G, P + n, E): P past frames, then the chunk.

    Query i sees keys up to itself; with a window, only the last `window` of them; and none of the
    first `padding` (B,). Returns (B, N, n, E).
    """
    n, past = q.shape[2], k.shape[2] - q.shape[2]
    if padding is not None:
        there = torch.arange(past + n, device=q.device) >= padding[:, None]
        mask = _mask(past, n, window, q.device) & there[:, None, None, :]
        return _grouped_sdpa(q, k, v, mask)
    if window is not None and n > 2 * max(_BLOCK, window):
        return _blockwise_attention(q, k, v, window, past)
    if past == 0 and n > 1 and (window is None or n <= window):
        return _grouped_sdpa(q, k, v, None, causal=True)
    mask = (
        None if n == 1 and (window is None or past < window) else _mask(past, n, window, q.device)
    )
    return _grouped_sdpa(q, k, v, mask)


@functools.lru_cache(maxsize=8)
def _mask(past: int, n: int, window: int | None, device: torch.device) -> Tensor:
    """(n, past + n), True where a query may look; all layers of a step share one."""
    # Not an inference tensor, whoever asks first: training may use it later.
    with torch.inference_mode(False):
        rows = torch.arange(past, past + n, device=device)[:, None]
        columns = torch.arange(past + n, device=device)[None, :]
        mask = columns <= rows
        return mask if window is None else mask & (columns > rows - window)


def _grouped_sdpa(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool = False
) -> Tensor:
    """SDPA with shared key/value heads: queries of a group are stacked, keys are not copied."""
    groups = q.shape[1] // k.shape[1]
    if groups == 1 or causal:
        return attend(q, k, v, mask, causal=causal)
    b, heads, n, e = q.shape
    stacked = q.reshape(b, k.shape[1], groups * n, e)
    if mask is not None:
        mask = mask.repeat(*(1,) * (mask.dim() - 2), groups, 1)
    return attend(stacked, k, v, mask).reshape(b, heads, n, e)


def _blockwise_attention(q: Tensor, k: Tensor, v: Tensor, window: int, past: int) -> Tensor:
    """Sliding window by blocks: each block of C queries reads C + window - 1 keys."""
    b, n = q.shape[0], q.shape[2]
    size = max(_BLOCK, window)
    blocks = math.ceil(n / size)
    span = size + window - 1
    # In the padded keys, block j starts at j * size and its query r sees columns r .. r + window-1.
    front = window - 1 - min(past, window - 1)
    if past > window - 1:
        k, v = k[:, :, past - window + 1 :], v[:, :, past - window + 1 :]
    tail = blocks * size - n
    k = F.pad(k, (0, 0, front, tail)).unfold(2, span, size)  # (B, G, blocks, E, span)
    v = F.pad(v, (0, 0, front, tail)).unfold(2, span, size)
    q = F.pad(q, (0, 0, 0, tail)).unflatten(2, (blocks, size))  # (B, N, blocks, size, E)
    # Blocks join the batch axis: (B * blocks, heads, frames, E).
    q = q.transpose(1, 2).flatten(0, 1)
    k = k.permute(0, 2, 1, 4, 3).flatten(0, 1)
    v = v.permute(0, 2, 1, 4, 3).flatten(0, 1)
    row = torch.arange(size, device=q.device)[:, None]
    column = torch.arange(span, device=q.device)[None, :]
    mask = (column >= row) & (column < row + window)
    if front:
        mask = mask.repeat(blocks, 1, 1)
        mask[0] &= column >= front
        mask = mask.repeat(b, 1, 1)[:, None]
    out = _grouped_sdpa(q, k, v, mask)
    return out.unflatten(0, (b, blocks)).transpose(1, 2).flatten(2, 3)[:, :, :n]


class Attention(nn.Module):
    """Multi-head causal attention with rotary embedding; q, k and v in one product."""

    def __init__(self, config: TransformerConfig, window: int | None) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = (
            config.num_heads,
            config.kv_heads,
            config.head_dim,
        )
        self.window = window
        self.layout = config.rope_layout
        width = (config.num_heads + 2 * config.kv_heads) * config.head_dim
        self.qkv = nn.Linear(config.dim, width, bias=config.qkv_bias)
        self.out = nn.Linear(config.dim, config.dim, bias=config.linear_bias)

    def forward(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        cache: LayerCache | None,
        padding: Tensor | None = None,
    ) -> Tensor:
        b, n, _ = x.shape
        heads = self.qkv(x).view(b, n, -1, self.head_dim).transpose(1, 2)  # (B, N + 2G, n, E)
        rotated = self.heads + self.kv_heads
        qk = apply_rotary(heads[:, :rotated], cos, sin, self.layout)
        q, k = qk[:, : self.heads], qk[:, self.heads :]
        v = heads[:, rotated:]
        if cache is not None:
            k, v = cache.append(k, v)
        out = causal_attention(q, k, v, self.window, padding)
        return self.out(out.transpose(1, 2).reshape(b, n, -1))


class FeedForward(nn.Module):
    """SwiGLU (gate and up in one product) or a GELU layer."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.gated = config.mlp == "swiglu"
        width = config.mlp_dim * (2 if self.gated else 1)
        self.up = nn.Linear(config.dim, width, bias=config.linear_bias)
        self.down = nn.Linear(config.mlp_dim, config.dim, bias=config.linear_bias)

    def forward(self, x: Tensor) -> Tensor:
        h = self.up(x)
        if self.gated:
            gate, up = h.chunk(2, dim=-1)
            return self.down(F.silu(gate) * up)
        return self.down(F.gelu(h))


def _norm(config: TransformerConfig) -> nn.Module:
    kind = nn.RMSNorm if config.norm == "rms" else nn.LayerNorm
    return kind(config.dim, eps=config.norm_eps)


class Block(nn.Module):
    """Pre-norm attention and feed-forward, each with a residual connection."""

    def __init__(self, config: TransformerConfig, window: int | None) -> None:
        super().__init__()
        self.attn_norm = _norm(config)
        self.attn = Attention(config, window)
        self.mlp_norm = _norm(config)
        self.mlp = FeedForward(config)

    def forward(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        cache: LayerCache | None,
        padding: Tensor | None = None,
    ) -> Tensor:
        x = x + self.attn(self.attn_norm(x), cos, sin, cache, padding)
        return x + self.mlp(self.mlp_norm(x))


class Transformer(nn.Module):
    """Causal transformer on hidden states (B, L, D), with a final norm."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(
            Block(config, config.layer_window(i)) for i in range(config.num_layers)
        )
        self.norm = _norm(config)

    def init_weights(self, std: float = 0.02) -> None:
        """Normal weights; the two layers that write into the residual stream scaled by depth."""
        for name, linear in self.blocks.named_modules():
            if isinstance(linear, nn.Linear):
                residual = name.endswith(("attn.out", "mlp.down"))
                scale = math.sqrt(2 * self.config.num_layers) if residual else 1.0
                nn.init.normal_(linear.weight, std=std / scale)
                if linear.bias is not None:
                    nn.init.zeros_(linear.bias)

    def new_state(self, max_frames: int) -> TransformerState:
        """State of a fresh stream; `max_frames` bounds the layers that see the whole past."""
        windows = [self.config.layer_window(i) for i in range(self.config.num_layers)]
        return TransformerState(
            layers=[FullCache(max_frames) if w is None else WindowCache(w) for w in windows]
        )

    def forward(self, x: Tensor, state: TransformerState | None = None) -> Tensor:
        """x (B, n, D) -> (B, n, D). With a state, continues the stream and advances it."""
        start = 0 if state is None else state.position
        cos, sin = rotary_table(start, x.shape[1], self.config.head_dim, self.config.rope_base)
        cos, sin = cos.to(x.device), sin.to(x.device)
        padding = None if state is None else state.padding
        held = state.layers[0].held if state is not None and padding is not None else 0
        for i, block in enumerate(self.blocks):
            x = block(x, cos, sin, None if state is None else state.layers[i], padding)
        if state is not None:
            state.position += x.shape[1]
            if padding is not None:
                left = held + x.shape[1] - state.layers[0].held  # frames out of the window
                padding = (padding - left).clamp_min(0)
                state.padding = padding if bool(padding.any()) else None
        return self.norm(x)
