"""Attentive statistics pooling (Okabe et al., 2018) over the frames of a patch.

Axes: B batch, L frames, P patches, p frames of a patch, H channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mingtok_audio.interfaces import Compressor, check_features, split_patches


class AttentiveStatsCompressor(Compressor):
    """Each patch becomes the weighted mean and standard deviation of its frames: `out_dim` = 2 H.

    Args:
        in_dim: channels of a frame, H.
        patch_size: frames of a patch.
        hidden: width of the network that weighs the frames.
        drop_last: drop a partial last patch; otherwise it is weighed from the frames it has.
    """

    shared_options = ("drop_last",)

    def __init__(
        self, in_dim: int, patch_size: int = 5, hidden: int = 32, drop_last: bool = False
    ) -> None:
        super().__init__(in_dim, 2 * in_dim, patch_size, drop_last)
        self.score = nn.Sequential(nn.Linear(in_dim, hidden), nn.Tanh(), nn.Linear(hidden, in_dim))

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `Compressor.forward`."""
        check_features(features, self.in_dim)
        frames, valid, counts = split_patches(features, lengths, self.patch_size, self.drop_last)
        scores = self.score(frames).masked_fill(~valid[..., None], float("-inf"))
        # A patch of padding alone has no finite score; its weights would be NaN.
        scores = scores.masked_fill(~valid.any(dim=2)[..., None, None], 0.0)
        weights = scores.softmax(dim=2) * valid[..., None]  # (B, P, p, H)
        mean = (weights * frames).sum(dim=2)
        variance = (weights * (frames - mean[:, :, None]).square()).sum(dim=2)
        # The root has an infinite slope at 0, where a patch of one frame is.
        deviation = (variance + 1e-5).sqrt()
        patches = torch.cat([mean, deviation], dim=-1)
        return patches.masked_fill(~valid.any(dim=2)[..., None], 0.0), counts
