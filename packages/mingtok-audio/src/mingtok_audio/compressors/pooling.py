"""Temporal mean pooling (paper, equation 5), the paper's baseline compressor.

Axes: B batch, L frames, P patches, p frames of a patch, H channels.
"""

from __future__ import annotations

from torch import Tensor

from mingtok_audio.interfaces import Compressor, check_features, masked_mean, split_patches


class PoolingCompressor(Compressor):
    """The mean of each patch's frames. No parameters; `out_dim` is `in_dim`.

    Args:
        in_dim: channels of a frame.
        patch_size: frames of a patch; 5 turns 50 Hz into 10 Hz.
        drop_last: drop a partial last patch, which is otherwise the mean of the frames it has.
    """

    shared_options = ("drop_last",)

    def __init__(self, in_dim: int, patch_size: int = 5, drop_last: bool = False) -> None:
        super().__init__(in_dim, in_dim, patch_size, drop_last)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `Compressor.forward`."""
        check_features(features, self.in_dim)
        frames, valid, counts = split_patches(features, lengths, self.patch_size, self.drop_last)
        return masked_mean(frames, valid), counts
