"""The aggregator of Ming-omni-tts: a small transformer that summarises each patch of latents.

A learned token stands before the frames of a patch; what the transformer makes of it is the
patch's vector. Patches do not see each other.
Axes: B batch, L frames, P patches, p frames of a patch, H channels in, C width, D channels out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mingtok_audio.interfaces import Compressor, check_features, split_patches
from mingtok_audio.modules.dit_block import EPS, DitBlock, rotary_turns


class AggregatorCompressor(Compressor):
    """The `aggregator` compressor.

    Args:
        in_dim: channels of a frame, H.
        out_dim: channels of a patch, D; default `in_dim`.
        patch_size: frames of a patch.
        drop_last: drop a partial last patch; it is otherwise completed with zeros.
        hidden_size, depth, num_heads, mlp_ratio: of the transformer.
        dropout: in training.
    """

    projects = True
    shared_options = ("drop_last",)

    def __init__(
        self,
        in_dim: int,
        out_dim: int | None = None,
        patch_size: int = 4,
        drop_last: bool = False,
        *,
        hidden_size: int = 64,
        depth: int = 2,
        num_heads: int = 4,
        mlp_ratio: float = 4.0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(in_dim, in_dim if out_dim is None else out_dim, patch_size, drop_last)
        if depth < 1 or num_heads < 1 or hidden_size % num_heads or hidden_size // num_heads % 2:
            raise ValueError(
                f"hidden_size {hidden_size} must be num_heads {num_heads} times an even number, "
                f"and depth {depth} at least 1"
            )
        self.head_dim = hidden_size // num_heads
        self.word_embedder = nn.Embedding(1, hidden_size)
        self.x_embedder = nn.Linear(in_dim, hidden_size)
        self.blocks = nn.ModuleList(
            DitBlock(
                hidden_size, num_heads, num_heads, int(hidden_size * mlp_ratio), False, dropout
            )
            for _ in range(depth)
        )
        self.norm_final = nn.RMSNorm(hidden_size, eps=EPS)
        self.linear = nn.Linear(hidden_size, self.out_dim)

    def summarise(self, patches: Tensor, mask: Tensor | None = None) -> Tensor:
        """Patches (N, p, H) -> (N, D).

        `mask` (N, p) bool zeroes the attention's output of the frames where it is False; the
        learned token takes its first column (published behaviour).
        """
        first = self.word_embedder.weight[None].expand(len(patches), -1, -1)
        tokens = torch.cat((first, self.x_embedder(patches)), dim=1)
        turns = rotary_turns(tokens.shape[1], self.head_dim).to(tokens.device)
        keep = None if mask is None else torch.cat((mask[:, :1], mask), dim=1)
        for block in self.blocks:
            tokens = block(tokens, turns, keep)
        return self.linear(self.norm_final(tokens[:, 0]))

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `Compressor.forward`."""
        check_features(features, self.in_dim)
        frames, valid, counts = split_patches(features, lengths, self.patch_size, self.drop_last)
        vectors = self.summarise(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        return vectors.masked_fill(~valid.any(dim=2)[..., None], 0.0), counts
