"""A small dense transformer: the nano's backbone, the same on paper as a Llama.

It is the published backbone with one feed-forward network in every block where that has experts,
so attention, states, padding and rotary angles are its own.
"""

from __future__ import annotations

from torch import Tensor, nn

from uniaudio_lm.parts.backbones.bailing_moe import BailingAttention, BailingBlock, BailingMoe
from uniaudio_lm.parts.backbones.moe import SwiGlu


class DenseMlp(SwiGlu):
    """Every token takes the same way, whatever it is."""

    def forward(self, x: Tensor, audio_mask: Tensor | None = None) -> Tensor:
        """x (B, n, D) -> (B, n, D)."""
        return super().forward(x)


class DenseTransformer(BailingMoe):
    """The `dense` backbone.

    Args:
        vocab_size, dim, num_layers, num_heads: V, D, ...
        mlp_dim: inside the feed-forward networks.
        num_kv_heads: heads of keys and values; None has as many as queries.
        rope_base: base of the rotary angles.
        norm_eps: of the RMS norms.
        tie_embeddings: the output weight is the embedding.
        qkv_bias: of queries, keys and values (Qwen2 has it).
    """

    def __init__(
        self,
        vocab_size: int,
        dim: int,
        num_layers: int,
        num_heads: int,
        mlp_dim: int,
        *,
        num_kv_heads: int | None = None,
        rope_base: float = 10000.0,
        norm_eps: float = 1e-5,
        tie_embeddings: bool = True,
        qkv_bias: bool = False,
    ) -> None:
        nn.Module.__init__(self)
        kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if dim % num_heads or num_heads % kv_heads or dim // num_heads % 2:
            raise ValueError(
                f"dim {dim}, num_heads {num_heads} and num_kv_heads {kv_heads} do not divide"
            )
        self.dim, self.vocab_size, self.head_dim = dim, vocab_size, dim // num_heads
        self.rope_base, self.rope, self.norm_head = rope_base, "plain", False
        self.embeddings = nn.Embedding(vocab_size, dim)
        self.blocks = nn.ModuleList(
            BailingBlock(
                BailingAttention(dim, num_heads, kv_heads, self.head_dim, qkv_bias, False),
                DenseMlp(dim, mlp_dim),  # type: ignore[arg-type]
                dim,
                norm_eps,
            )
            for _ in range(num_layers)
        )
        self.norm = nn.RMSNorm(dim, eps=norm_eps)
        self.lm_head = None if tie_embeddings else nn.Linear(dim, vocab_size, bias=False)
        self._head_norm = None
