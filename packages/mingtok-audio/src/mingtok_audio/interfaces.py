"""What a plugin for the tokenizer extends.

Axes: B batch, L frames (50 Hz), P patches, p frames of a patch, H feature channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from mingtok_audio.core.errors import UserError


class CompressorStream(Protocol):
    """A compressor at work on a stream. Its state is here, never on the module."""

    def push(self, features: Tensor) -> Tensor:
        """Take frames (B, n, H), n >= 0; return the patches (B, k, out_dim) they complete."""
        ...

    def finish(self) -> Tensor:
        """Return the patches that are left: (B, 0 or 1, out_dim). The stream is over."""
        ...


class Compressor(nn.Module, ABC):
    """Frames to language-model inputs: every `patch_size` frames become one vector.

    A constructor takes at least the keywords `in_dim` (channels of a frame) and `patch_size`, and
    has defaults for everything else; the options in a component's config are its keywords.

    Rules, which `mingtok plugins validate NAME` checks: patch i depends on no frame after its
    own; padding after `lengths` is never seen; a stream gives what the whole gives, a batch what
    each item gives alone; gradients reach the frames and every parameter.

    Attributes:
        in_dim: H, channels of a frame.
        out_dim: channels of a patch. The model puts a linear adapter after a compressor whose
            `out_dim` is not the language model's width.
        patch_size: p, frames of a patch.
        drop_last: a last patch with fewer than p frames is dropped (what the published
            checkpoints do) instead of being computed from the frames that it has.
        projects: the constructor takes `out_dim` too. A language model then asks for its own width.
        shared_options: keywords of the constructor that a compressor hands on to the one that
            replaces it in a model.
    """

    projects: ClassVar[bool] = False
    shared_options: ClassVar[tuple[str, ...]] = ()

    in_dim: int
    out_dim: int
    patch_size: int
    drop_last: bool

    def __init__(self, in_dim: int, out_dim: int, patch_size: int, drop_last: bool = False) -> None:
        super().__init__()
        for value, what in ((in_dim, "in_dim"), (out_dim, "out_dim"), (patch_size, "patch_size")):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{what} must be a whole number from 1, not {value!r}")
        self.in_dim, self.out_dim, self.patch_size = in_dim, out_dim, patch_size
        self.drop_last = drop_last

    @abstractmethod
    def forward(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compress a batch.

        Args:
            features: (B, L, H).
            lengths: (B,) frames that are valid; None means all of them.

        Returns:
            patches (B, P, out_dim), zero after each item's patches, and their counts (B,) int64;
            P = `num_patches(L)`.
        """

    def num_patches(self, num_frames: int) -> int:
        """How many patches `num_frames` frames become."""
        if self.drop_last:
            return num_frames // self.patch_size
        return -(-num_frames // self.patch_size)

    def stream(self) -> CompressorStream:
        """A new stream. This one is right where patches do not depend on each other."""
        return PatchStream(self)


class PatchStream:
    """The stream of a compressor whose patches are independent: keeps less than one patch."""

    def __init__(self, compressor: Compressor) -> None:
        self._compressor = compressor
        self._held: Tensor | None = None  # (B, fewer than p, H)
        self._finished = False

    def push(self, features: Tensor) -> Tensor:
        """See `CompressorStream.push`."""
        if self._finished:
            raise UserError("this compressor stream is finished; make a new one")
        check_features(features, self._compressor.in_dim)
        held = features if self._held is None else torch.cat([self._held, features], dim=1)
        whole = held.shape[1] - held.shape[1] % self._compressor.patch_size
        # A copy, or the few frames that wait would keep the whole chunk in memory.
        self._held = held[:, whole:].clone()
        return self._compressor(held[:, :whole])[0]

    def finish(self) -> Tensor:
        """See `CompressorStream.finish`."""
        if self._finished:
            raise UserError("this compressor stream is finished; make a new one")
        self._finished = True
        held, self._held = self._held, None
        if held is None:
            parameter = next(self._compressor.parameters(), torch.zeros(()))
            held = parameter.new_zeros(1, 0, self._compressor.in_dim)
        return self._compressor(held)[0]


def check_features(features: Tensor, in_dim: int) -> None:
    """Refuse what is not (B, L, in_dim) (UserError)."""
    if features.ndim != 3 or features.shape[-1] != in_dim:
        raise UserError(f"features must be (batch, frames, {in_dim}), not {tuple(features.shape)}")


def split_patches(
    features: Tensor, lengths: Tensor | None, patch_size: int, drop_last: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Cut a batch into patches.

    Args:
        features: (B, L, H).
        lengths: (B,) valid frames, or None for all.

    Returns:
        frames (B, P, p, H), zero where there is no valid frame; valid (B, P, p), True for the
        frames of each item's patches; and counts (B,) int64 of patches. With `drop_last`, the
        frames of a partial last patch are not valid.
    """
    B, L, H = features.shape
    if lengths is None:
        lengths = torch.full((B,), L, dtype=torch.int64, device=features.device)
    elif lengths.shape != (B,):
        raise UserError(f"lengths must be of shape ({B},), not {tuple(lengths.shape)}")
    lengths = lengths.to(device=features.device, dtype=torch.int64)
    counts = lengths // patch_size if drop_last else -(-lengths // patch_size)
    P = L // patch_size if drop_last else -(-L // patch_size)
    if P * patch_size > L:
        features = nn.functional.pad(features, (0, 0, 0, P * patch_size - L))
    frames = features[:, : P * patch_size]
    last = counts * patch_size if drop_last else lengths
    valid = torch.arange(P * patch_size, device=features.device) < last[:, None]
    # masked_fill and not a product: what lies in the padding may be NaN.
    frames = frames.masked_fill(~valid[..., None], 0.0)
    return frames.view(B, P, patch_size, H), valid.view(B, P, patch_size), counts


def masked_mean(frames: Tensor, valid: Tensor) -> Tensor:
    """The mean over the valid frames of each patch: (B, P, p, D), (B, P, p) -> (B, P, D).

    A patch without valid frames gives zeros. Frames that are not valid may hold anything finite.
    """
    count = valid.sum(dim=2).clamp(min=1)[..., None]
    total = frames.masked_fill(~valid[..., None], 0.0).sum(dim=2)
    return total / count.to(total.dtype)
