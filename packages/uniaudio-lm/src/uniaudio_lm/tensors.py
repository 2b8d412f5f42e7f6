"""What can be asked of a weight."""

from __future__ import annotations

from torch import Tensor, nn


def is_plain(tensor: Tensor) -> bool:
    """Whether a weight holds its numbers as they are: not quantised, not away."""
    return type(tensor) in (Tensor, nn.Parameter) and tensor.device.type != "meta"
