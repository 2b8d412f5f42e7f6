"""Weights in 8 bits a number on disk: for small models that ship inside a package.

A matrix is kept as int8, with a float32 scale for each row in a tensor of its own (`NAME` and
`NAME.int8_scale`); reading multiplies them out again, so nobody but the file knows. A row is off by
at most 1/254 of its largest number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mingtok_audio.core.errors import FormatError

if TYPE_CHECKING:
    from torch import Tensor

SCALE_SUFFIX = ".int8_scale"
"""Ends the names of scales."""
SMALLEST = 4096
"""Numbers of a tensor below which it is not worth it."""


def compacted(
    tensors: Iterable[tuple[str, Tensor]], exact: Sequence[str] = ()
) -> Iterator[tuple[str, Tensor]]:
    """Large matrices as int8 and scales, everything else as float16.

    Args:
        exact: beginnings of names that are kept in float16 too.

    Raises:
        FormatError: a name that this format needs for itself, or numbers that are not finite.
    """
    import torch

    for name, tensor in tensors:
        if name.endswith(SCALE_SUFFIX):
            raise FormatError(f"the tensor '{name}' has a name that ends in {SCALE_SUFFIX}")
        if not tensor.is_floating_point():
            yield name, tensor
            continue
        if not bool(torch.isfinite(tensor).all()):
            raise FormatError(f"the tensor '{name}' holds NaN or infinite numbers")
        if tensor.ndim < 2 or tensor.numel() < SMALLEST or name.startswith(tuple(exact)):
            yield name, tensor.half()
            continue
        rows = tensor.float().flatten(1)
        scale = rows.abs().amax(dim=1).clamp_min(1e-12) / 127
        yield name, (rows / scale[:, None]).round().to(torch.int8).view(tensor.shape)
        yield name + SCALE_SUFFIX, scale


def expanded(
    tensors: Iterable[tuple[str, Tensor]], scaled: frozenset[str]
) -> Iterator[tuple[str, Tensor]]:
    """The tensors as they were, float32 where they were compacted, whatever order they come in.

    Args:
        scaled: names of the tensors that have scales (see `scaled_names`).

    Raises:
        FormatError: scales that fit no tensor.
    """
    import torch

    waiting: dict[str, Tensor] = {}
    for name, tensor in tensors:
        base = name.removesuffix(SCALE_SUFFIX)
        if base not in scaled:
            yield name, tensor
            continue
        other = waiting.pop(base, None)
        if other is None:
            waiting[base] = tensor.clone()  # a view on a file may not last
            continue
        numbers, scale = (other, tensor) if name != base else (tensor, other)
        if numbers.dtype != torch.int8 or scale.shape != numbers.shape[:1]:
            raise FormatError(f"the scales of '{base}' do not fit it")
        yield base, numbers.float() * scale.view(-1, *[1] * (numbers.ndim - 1))
    if waiting:
        raise FormatError(f"the tensor '{next(iter(waiting))}' or its scales are missing")


def scaled_names(names: Iterable[str]) -> frozenset[str]:
    """Which of the tensors `names` have scales beside them."""
    return frozenset(
        name.removesuffix(SCALE_SUFFIX) for name in names if name.endswith(SCALE_SUFFIX)
    )
