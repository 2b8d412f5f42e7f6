"""The published backbone: a mixture-of-experts language model (paper section 3.2.1).

Axes: B batch, n new tokens, S tokens in all, D width, N query heads, G key/value heads, E head
size, V vocabulary.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.modules.attention import attend
from mingtok_audio.modules.transformer import apply_rotary
from uniaudio_lm.interfaces import Backbone, BackboneState
from uniaudio_lm.parts.backbones.kv_cache import CachedState, causal_mask
from uniaudio_lm.parts.backbones.moe import ROUTERS, SparseMoe


class BailingAttention(nn.Module):
    """Grouped-query attention, query, key and value in one product: rows q | k | v."""

    def __init__(  # noqa: PLR0917
        self, dim: int, heads: int, kv_heads: int, head_dim: int, qkv_bias: bool, bias: bool
    ) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.qkv = nn.Linear(dim, (heads + 2 * kv_heads) * head_dim, bias=qkv_bias)
        self.out = nn.Linear(heads * head_dim, dim, bias=bias)

    def forward(  # noqa: PLR0917
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor | None,
        state: CachedState | None,
        layer: int,
    ) -> Tensor:
        """x (B, n, D), cos and sin (B, 1, n, E / 2), mask as `causal_mask` -> (B, n, D)."""
        b, n, _ = x.shape
        heads = self.qkv(x).view(b, n, -1, self.head_dim).transpose(1, 2)  # (B, N + 2G, n, E)
        turned = apply_rotary(heads[:, : self.heads + self.kv_heads], cos, sin, "half")
        q, k = turned[:, : self.heads], turned[:, self.heads :]
        v = heads[:, self.heads + self.kv_heads :]
        if state is not None:
            k, v = state.append(layer, k, v)
        groups = self.heads // self.kv_heads
        if n == 1:
            # The queries of a group share keys: they are rows of one query, and no key is copied.
            rows = q.reshape(b, self.kv_heads, groups, self.head_dim)
            mixed = F.scaled_dot_product_attention(rows, k, v, attn_mask=mask)
            mixed = mixed.reshape(b, self.heads, 1, self.head_dim)
        else:
            mixed = attend(q, k, v, mask, causal=mask is None)
        return self.out(mixed.transpose(1, 2).flatten(2))


class BailingBlock(nn.Module):
    """Pre-norm attention and experts, each with a residual connection."""

    def __init__(self, attention: BailingAttention, moe: SparseMoe, dim: int, eps: float) -> None:
        super().__init__()
        self.attn_norm = nn.RMSNorm(dim, eps=eps)
        self.attn = attention
        self.mlp_norm = nn.RMSNorm(dim, eps=eps)
        self.mlp = moe

    def forward(  # noqa: PLR0917
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor | None,
        state: CachedState | None,
        layer: int,
        audio_mask: Tensor | None,
    ) -> Tensor:
        """x (B, n, D) -> (B, n, D)."""
        x = x + self.attn(self.attn_norm(x), cos, sin, mask, state, layer)
        return x + self.mlp(self.mlp_norm(x), audio_mask)


class BailingMoe(Backbone):
    """The `bailing_moe` backbone.

    Args:
        vocab_size, dim, num_layers, num_heads, num_kv_heads, head_dim: V, D, ..., G, E.
        num_experts, experts_per_token, moe_dim, num_shared_experts: of every layer; the shared
            experts are one of `num_shared_experts * moe_dim`.
        norm_topk_prob: the chosen experts' weights sum to 1.
        multi_gate: routers of their own for audio and image tokens.
        rope_base: base of the rotary angles.
        rope: "3d" lets a third of the frequencies each follow time, height and width, when
            positions (3, B, n) are given; without them it equals "plain".
        norm_eps: of the RMS norms.
        norm_head: logits use the output weight divided by its column norms.
        tie_embeddings: the output weight is the embedding.
        qkv_bias, bias: of the attention's products.
    """

    def __init__(  # noqa: PLR0917
        self,
        vocab_size: int,
        dim: int,
        num_layers: int,
        num_heads: int,
        num_kv_heads: int,
        head_dim: int,
        num_experts: int,
        experts_per_token: int,
        moe_dim: int,
        num_shared_experts: int = 2,
        *,
        norm_topk_prob: bool = True,
        multi_gate: bool = True,
        rope_base: float = 600000.0,
        rope: Literal["3d", "plain"] = "3d",
        norm_eps: float = 1e-5,
        norm_head: bool = False,
        tie_embeddings: bool = False,
        qkv_bias: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__()
        if num_heads % num_kv_heads:
            raise ValueError(
                f"num_heads {num_heads} is not a multiple of num_kv_heads {num_kv_heads}"
            )
        if head_dim % 2 or (rope == "3d" and head_dim % 16):
            raise ValueError(f"head_dim {head_dim} must be even, and a multiple of 16 for 3-D rope")
        if not 1 <= experts_per_token <= num_experts:
            raise ValueError(f"experts_per_token must be from 1 to {num_experts}")
        self.dim, self.vocab_size, self.head_dim = dim, vocab_size, head_dim
        self.rope_base, self.rope, self.norm_head = rope_base, rope, norm_head
        self.embeddings = nn.Embedding(vocab_size, dim)
        self.blocks = nn.ModuleList(
            BailingBlock(
                BailingAttention(dim, num_heads, num_kv_heads, head_dim, qkv_bias, bias),
                SparseMoe(
                    dim,
                    moe_dim,
                    num_experts,
                    experts_per_token,
                    num_shared_experts * moe_dim,
                    len(ROUTERS) if multi_gate else 1,
                    norm_topk_prob,
                ),
                dim,
                norm_eps,
            )
            for _ in range(num_layers)
        )
        self.norm = nn.RMSNorm(dim, eps=norm_eps)
        self.lm_head = None if tie_embeddings else nn.Linear(dim, vocab_size, bias=False)
        self._head_norm: tuple[tuple[int, int], Tensor] | None = None

    def embed(self, ids: Tensor) -> Tensor:
        """See `Backbone.embed`."""
        return self.embeddings(ids)

    def new_state(self, batch: int, capacity: int) -> CachedState:
        """See `Backbone.new_state`."""
        return CachedState(len(self.blocks), batch, capacity)

    def forward(
        self,
        embeds: Tensor,
        state: BackboneState | None = None,
        *,
        valid: Tensor | None = None,
        positions: Tensor | None = None,
        audio_mask: Tensor | None = None,
    ) -> Tensor:
        """See `Backbone.forward`."""
        layers = self.layers(embeds, state, valid=valid, positions=positions, audio_mask=audio_mask)
        return self.norm(layers[-1])

    def layers(
        self,
        embeds: Tensor,
        state: BackboneState | None = None,
        *,
        valid: Tensor | None = None,
        positions: Tensor | None = None,
        audio_mask: Tensor | None = None,
    ) -> list[Tensor]:
        """The embeddings and what every layer makes of them, before the final norm: (B, n, D)
        each."""
        if state is not None and not isinstance(state, CachedState):
            raise TypeError(f"a bailing_moe goes on from its own states, not {type(state)}")
        b, n, _ = embeds.shape
        past = 0 if state is None else state.length
        device = embeds.device
        seen = self._account(state, valid, b, n, past, device)
        if positions is None:
            positions = self._positions(state, valid, b, n, past, device)
        cos, sin = self._angles(positions)
        mask = None
        if past or n == 1 or seen is not None:
            mask = causal_mask(b, n, past, seen, device, embeds.dtype)
        out = [embeds]
        x = embeds
        for i, block in enumerate(self.blocks):
            x = block(x, cos, sin, mask, state, i, audio_mask)
            out.append(x)
        if state is not None:
            state.advance(n)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Backbone.logits`. With `norm_head`, the hidden states are divided instead of the
        weight, which stays as it was loaded."""
        weight = self.embeddings.weight if self.lm_head is None else self.lm_head.weight
        if self.norm_head:
            hidden = (hidden.float() / self._column_norms(weight)).to(weight.dtype)
        return F.linear(hidden, weight).float()

    def _column_norms(self, weight: Tensor) -> Tensor:
        """L2 norms (D,) over the vocabulary, computed again when the weight has changed."""
        if torch.is_grad_enabled() and weight.requires_grad:
            return weight.float().norm(dim=0) + 1e-7
        key = (weight.data_ptr(), weight._version)
        if self._head_norm is None or self._head_norm[0] != key:
            self._head_norm = (key, weight.detach().float().norm(dim=0) + 1e-7)
        return self._head_norm[1]

    @staticmethod
    def _account(  # noqa: PLR0917
        state: CachedState | None,
        valid: Tensor | None,
        batch: int,
        count: int,
        past: int,
        device: torch.device,
    ) -> Tensor | None:
        """Which slots hold tokens, the new ones included: (B, past + n), or None when all do."""
        before = None if state is None else state.valid
        if valid is None and before is None:
            return None
        new = torch.ones(batch, count, dtype=torch.bool, device=device) if valid is None else valid
        if before is None:
            before = torch.ones(batch, past, dtype=torch.bool, device=device)
        seen = torch.cat((before, new), dim=1)
        if state is not None:
            state.valid = seen
        return seen

    @staticmethod
    def _positions(  # noqa: PLR0917
        state: CachedState | None,
        valid: Tensor | None,
        batch: int,
        count: int,
        past: int,
        device: torch.device,
    ) -> Tensor:
        """(B or 1, n): each item counts its own tokens; padding stands at 0."""
        start = None if state is None else state.next_position
        if start is None and valid is None:
            return torch.arange(past, past + count, device=device)[None]
        if start is None:
            start = torch.full((batch,), past, device=device)
        if valid is None:
            steps = torch.arange(count, device=device)[None]
            after = start + count
        else:
            steps = (valid.long().cumsum(dim=1) - 1).clamp_min(0)
            after = start + valid.long().sum(dim=1)
        if state is not None:
            state.next_position = after
        return start[:, None] + steps

    def _angles(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Positions (B, n) or (3, B, n) -> cosine and sine (B, 1, n, E / 2), float32."""
        half = self.head_dim // 2
        exponent = torch.arange(half, dtype=torch.float64, device=positions.device) / half
        frequency = self.rope_base**-exponent
        if positions.dim() == 3:
            if self.rope == "plain":
                positions = positions[0][..., None]
            else:
                # Of every 8 frequencies, 2 follow time, then 3 height, then 3 width.
                parts = [half // 4, 3 * half // 8, 3 * half // 8]
                positions = torch.cat(
                    [
                        row[..., None].expand(*row.shape, size)
                        for row, size in zip(positions, parts, strict=True)
                    ],
                    dim=-1,
                )
        else:
            positions = positions[..., None]
        angle = positions.double() * frequency
        return angle.cos().float()[:, None], angle.sin().float()[:, None]
