"""The compressor of the published checkpoints: RMS norm, linear, then the mean of each patch.

Axes: B batch, L frames, P patches, p frames of a patch, H channels in, D channels out.
State-dict names are the published ones (`linear_proj_audio.` in front in a whole checkpoint).
"""

from __future__ import annotations

from torch import Tensor, nn

from mingtok_audio.interfaces import Compressor, check_features, masked_mean, split_patches


class NormLinear(nn.Module):
    """RMSNorm and a linear layer, for each frame alone: (..., H) -> (..., D)."""

    def __init__(self, in_dim: int, out_dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.norm_final = nn.RMSNorm(in_dim, eps=eps)
        self.linear = nn.Linear(in_dim, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., H) -> (..., D)."""
        return self.linear(self.norm_final(x))


class LinearPoolingCompressor(Compressor):
    """RMS norm and linear on each frame, then the mean over the patch.

    Args:
        in_dim: channels of a frame, H.
        out_dim: channels of a patch, D; default `in_dim`.
        patch_size: frames of a patch.
        drop_last: drop a partial last patch (the published behaviour); it is otherwise the mean
            over the frames it has.
        eps: of the RMS norm; 1e-6 as published.
    """

    projects = True
    shared_options = ("drop_last",)

    def __init__(
        self,
        in_dim: int,
        out_dim: int | None = None,
        patch_size: int = 5,
        drop_last: bool = False,
        eps: float = 1e-6,
    ) -> None:
        super().__init__(in_dim, in_dim if out_dim is None else out_dim, patch_size, drop_last)
        self.final_layer = NormLinear(self.in_dim, self.out_dim, eps)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `Compressor.forward`."""
        check_features(features, self.in_dim)
        frames, valid, counts = split_patches(features, lengths, self.patch_size, self.drop_last)
        return masked_mean(self.final_layer(frames), valid), counts
