"""Writing audio patches over their placeholders in a sequence of token embeddings.

Axes: B batch, S tokens, A audio segments, P patches of all segments of an item, D model width.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor


def merge_patches(
    embeddings: Tensor, patches: Tensor, patch_lengths: Tensor, spans: Tensor
) -> tuple[Tensor, Tensor]:
    """Replace placeholder embeddings by audio patches.

    Args:
        embeddings: (B, S, D) token embeddings, left as they are.
        patches: (B, P, D), the segments of an item one after the other.
        patch_lengths: (B, A) patches of each segment.
        spans: (B, A, 2) start and length of each segment's placeholders; length 0: no segment.

    Returns:
        Merged embeddings (B, S, D), and the mask (B, S) that is True where audio stands.

    Raises:
        ValueError: a segment has fewer patches than placeholders. (The published code crashes
            there too. Surplus patches are cut with a warning, as there.)
    """
    merged = embeddings.clone()
    mask = torch.zeros(embeddings.shape[:2], dtype=torch.bool, device=embeddings.device)
    for item in range(len(embeddings)):
        offset = 0
        pairs = zip(patch_lengths[item].tolist(), spans[item].tolist(), strict=True)
        for segment, (count, (start, length)) in enumerate(pairs):
            if count < length:
                raise ValueError(
                    f"item {item}, audio {segment}: {count} patches for {length} placeholders"
                )
            if count > length:
                warnings.warn(
                    f"item {item}, audio {segment}: {count} patches for {length} placeholders, "
                    "the rest is cut",
                    stacklevel=2,
                )
            merged[item, start : start + length] = patches[item, offset : offset + length]
            mask[item, start : start + length] = True
            offset += count
    return merged, mask
