"""A bidirectional transformer block with interleaved rotary embedding, for short sequences.

The published flow head and the published aggregator are made of it: RMS norms, biased products, a
tanh-GELU layer. Axes: N sequences, S tokens, C width, H heads, E head size.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.modules.transformer import apply_rotary, rotary_table

EPS = 1e-6


@functools.lru_cache(maxsize=8)
def rotary_turns(tokens: int, head_dim: int) -> Tensor:
    """Cosines and sines (S, 1, 1, E / 2, 2) of tokens 0, 1, ..., float32 on the CPU."""
    with torch.inference_mode(False):
        return torch.stack(rotary_table(0, tokens, head_dim, 10000.0), dim=-1)[:, None, None]


class DitAttention(nn.Module):
    """Bidirectional attention with interleaved rotary embedding on the first `rotary_heads`."""

    def __init__(self, dim: int, heads: int, rotary_heads: int, qk_norm: bool) -> None:
        super().__init__()
        self.heads, self.rotary_heads, self.head_dim = heads, rotary_heads, dim // heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.q_norm = nn.RMSNorm(self.head_dim, eps=EPS) if qk_norm else nn.Identity()
        self.k_norm = nn.RMSNorm(self.head_dim, eps=EPS) if qk_norm else nn.Identity()

    def forward(self, x: Tensor, turns: Tensor, last: int | None) -> Tensor:
        """x (N, S, C), turns as `rotary_turns` -> (N, S, C), or of the `last` tokens only."""
        heads = self.qkv(x).unflatten(-1, (3, self.heads, self.head_dim))
        if isinstance(self.q_norm, nn.Identity):
            qk = heads[:, :, :2]
        else:
            qk = torch.stack((self.q_norm(heads[:, :, 0]), self.k_norm(heads[:, :, 1])), dim=2)
        q, k = self._rotate(qk, turns).transpose(1, 3).unbind(dim=2)  # (N, H, S, E)
        v = heads[:, :, 2].transpose(1, 2)
        if last is not None:
            q = q[:, :, -last:]
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _rotate(self, x: Tensor, turns: Tensor) -> Tensor:
        """x (N, S, 2, H, E): queries and keys together."""
        turned = x[..., : self.rotary_heads, :]
        if x.device.type == "cpu":  # as complex numbers, one operation; not every device has them
            pairs = torch.view_as_complex(turned.float().unflatten(-1, (-1, 2)))
            real = torch.view_as_real(pairs * torch.view_as_complex(turns))
            turned = real.flatten(-2).to(x.dtype)
        else:
            turned = apply_rotary(turned, turns[..., 0], turns[..., 1], "interleaved")
        if self.rotary_heads == self.heads:
            return turned
        return torch.cat((turned, x[..., self.rotary_heads :, :]), dim=-2)


class DitBlock(nn.Module):
    """Pre-norm attention and a tanh-GELU layer. Time enters only through the first token."""

    def __init__(  # noqa: PLR0917
        self, dim: int, heads: int, rotary_heads: int, mlp_dim: int, qk_norm: bool, dropout: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(dim, eps=EPS)
        self.attn = DitAttention(dim, heads, rotary_heads, qk_norm)
        self.norm2 = nn.RMSNorm(dim, eps=EPS)
        self.up = nn.Linear(dim, mlp_dim)
        self.down = nn.Linear(mlp_dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        turns: Tensor,
        keep: Tensor | None = None,
        last: int | None = None,
    ) -> Tensor:
        """x (N, S, C) -> (N, S, C); `keep` (N, S) zeroes the attention's output elsewhere."""
        mixed = self.attn(self.norm1(x), turns, last)
        if keep is not None:
            mixed = mixed.masked_fill(~keep[..., None], 0.0)
        if last is not None:
            x = x[:, -last:]
        x = x + self.dropout(mixed)
        h = F.gelu(self.up(self.norm2(x)), approximate="tanh")
        return x + self.down(self.dropout(h))
