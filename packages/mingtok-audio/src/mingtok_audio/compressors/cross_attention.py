"""The paper's cross-attention compressor (section 5.2): a small transformer inside each patch
gathers its frames into a [CLS] token.

Axes: N patches of the whole batch (B * P), S = 1 + p tokens ([CLS] first), W width, H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.interfaces import Compressor, check_features, split_patches


class PatchBlock(nn.Module):
    """A pre-norm transformer block over the tokens of one patch.

    Args:
        width: W.
        num_heads: heads of the attention.
        cls_only: compute the [CLS] token alone; nobody reads the others after the last block.
    """

    def __init__(self, width: int, num_heads: int, cls_only: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.cls_only = cls_only
        self.attention_norm = nn.RMSNorm(width, eps=1e-6)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.mlp_norm = nn.RMSNorm(width, eps=1e-6)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """tokens (N, S, W), mask (N, 1, 1, S) True = may be seen -> (N, 1 or S, W)."""
        normed = self.attention_norm(tokens)
        if self.cls_only:
            tokens = tokens[:, :1]
        query = self._heads(self.query(normed[:, : tokens.shape[1]]))
        key, value = self.key_value(normed).chunk(2, dim=-1)
        mixed = F.scaled_dot_product_attention(
            query, self._heads(key), self._heads(value), attn_mask=mask
        )
        tokens = tokens + self.out(mixed.transpose(1, 2).flatten(2))  # (N, H, S, W/H) -> (N, S, W)
        return tokens + self.down(F.gelu(self.up(self.mlp_norm(tokens))))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (N, S, W) -> (N, H, S, W/H)


class CrossAttentionCompressor(Compressor):
    """Each patch's frames are gathered into a learned [CLS] token by a small transformer.

    Patches are independent of each other, so it streams and batches like pooling.

    Args:
        in_dim: channels of a frame.
        out_dim: channels of a patch; default `in_dim`.
        patch_size: frames of a patch.
        width: W inside; default `out_dim` rounded up to a multiple of `num_heads`.
        num_layers, num_heads: of the transformer.
        drop_last: drop a partial last patch; otherwise [CLS] sees the frames that it has.
    """

    projects = True
    shared_options = ("drop_last",)

    def __init__(
        self,
        in_dim: int,
        out_dim: int | None = None,
        patch_size: int = 5,
        *,
        width: int | None = None,
        num_layers: int = 2,
        num_heads: int = 4,
        drop_last: bool = False,
    ) -> None:
        super().__init__(in_dim, in_dim if out_dim is None else out_dim, patch_size, drop_last)
        if num_layers < 1 or num_heads < 1:
            raise ValueError("num_layers and num_heads must be at least 1")
        if width is None:
            width = -(-self.out_dim // num_heads) * num_heads
        if width % num_heads or width < 1:
            raise ValueError(f"width {width} must be a multiple of num_heads {num_heads}")
        self.frame_in = nn.Linear(in_dim, width)
        self.cls = nn.Parameter(torch.empty(width).normal_(std=0.02))
        self.positions = nn.Parameter(torch.empty(patch_size, width).normal_(std=0.02))
        self.blocks = nn.ModuleList(
            PatchBlock(width, num_heads, cls_only=i == num_layers - 1) for i in range(num_layers)
        )
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.cls_out = nn.Linear(width, self.out_dim)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `Compressor.forward`."""
        check_features(features, self.in_dim)
        frames, valid, counts = split_patches(features, lengths, self.patch_size, self.drop_last)
        B, P = frames.shape[:2]
        if B * P == 0:
            return frames.new_zeros(B, P, self.out_dim), counts
        tokens = self.frame_in(frames.flatten(0, 1)) + self.positions  # (N, p, W)
        cls = self.cls.expand(B * P, 1, -1)
        tokens = torch.cat([cls.to(tokens.dtype), tokens], dim=1)
        # [CLS] sees itself, so that a patch of padding alone gives a number and not NaN.
        mask = F.pad(valid.flatten(0, 1), (1, 0), value=True)[:, None, None, :]
        for block in self.blocks:
            tokens = block(tokens, mask)
        patches = self.cls_out(self.norm(tokens[:, 0])).view(B, P, self.out_dim)
        return patches.masked_fill(~valid.any(dim=2)[..., None], 0.0), counts
