"""Attention of queries over keys, by whichever way costs less.

Axes: B batch, N heads, n queries, S keys, E head size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# On a CPU the gradient of the fused attention takes two to three times as long as that of plain
# products, up to about this many keys (`benchmarks/training.py`).
_PLAIN_KEYS = 256


def attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, causal: bool = False
) -> Tensor:
    """softmax(q k' / sqrt(E)) v, (B, N, n, E).

    Args:
        q, k, v: (B, N, n, E), (B, G, S, E), (B, G, S, E); N is a multiple of G.
        mask: broadcast to (B, N, n, S); True, or 0 where it is added, where a query may look.
        causal: instead of a mask: query i sees keys up to i.
    """
    shared = q.shape[1] != k.shape[1]
    learns = torch.is_grad_enabled() and q.requires_grad
    if not learns or shared or q.device.type != "cpu" or k.shape[2] > _PLAIN_KEYS:
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=shared
        )
    scores = (q * q.shape[-1] ** -0.5) @ k.mT
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, -math.inf)
    elif mask is not None:
        scores = scores + mask
    return scores.softmax(dim=-1).to(v.dtype) @ v
