"""Weights in 8 or 6 bits a number on disk: for small models that ship inside a package.

A matrix is kept as int8, with a float32 scale for each row in a tensor of its own (`NAME` and
`NAME.int8_scale`); reading multiplies them out again, so nobody but the file knows. A row is off by
at most 1/254 of its largest number.

In 6 bits, four numbers take three bytes (uint8, `NAME.int6_scale`), and a row is off by at most
1/62 of its largest number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mingtok_audio.core.errors import FormatError

if TYPE_CHECKING:
    from torch import Tensor

SCALE_SUFFIX, SCALE_SUFFIX_6 = ".int8_scale", ".int6_scale"
"""End the names of scales."""
SMALLEST = 4096
"""Numbers of a tensor below which it is not worth it."""


def compacted(
    tensors: Iterable[tuple[str, Tensor]], exact: Sequence[str] = (), bits: int = 8
) -> Iterator[tuple[str, Tensor]]:
    """Large matrices as small integers and scales, everything else as float16.

    Args:
        exact: beginnings of names that are kept in float16 too.
        bits: 8, or 6 for matrices (of two axes) whose rows are a multiple of four numbers.

    Raises:
        FormatError: a name that this format needs for itself, or numbers that are not finite.
    """
    import torch

    if bits not in (6, 8):
        raise ValueError(f"numbers are kept in 8 or 6 bits, not {bits}")
    for name, tensor in tensors:
        if name.endswith((SCALE_SUFFIX, SCALE_SUFFIX_6)):
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
        if bits == 6 and tensor.ndim == 2 and rows.shape[1] % 4 == 0:
            scale = rows.abs().amax(dim=1).clamp_min(1e-12) / 31
            yield name, _packed((rows / scale[:, None]).round() + 31)
            yield name + SCALE_SUFFIX_6, scale
            continue
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
        base = _base(name)
        if base not in scaled:
            yield name, tensor
            continue
        other = waiting.pop(base, None)
        if other is None:
            waiting[base] = tensor.clone()  # a view on a file may not last
            continue
        numbers, scale = (other, tensor) if name != base else (tensor, other)
        if numbers.dtype == torch.uint8 and numbers.ndim == 2 and numbers.shape[1] % 3 == 0:
            numbers = _unpacked(numbers)
        elif numbers.dtype != torch.int8:
            raise FormatError(f"the scales of '{base}' do not fit it")
        if scale.shape != numbers.shape[:1]:
            raise FormatError(f"the scales of '{base}' do not fit it")
        yield base, numbers.float() * scale.view(-1, *[1] * (numbers.ndim - 1))
    if waiting:
        raise FormatError(f"the tensor '{next(iter(waiting))}' or its scales are missing")


def scaled_names(names: Iterable[str]) -> frozenset[str]:
    """Which of the tensors `names` have scales beside them."""
    return frozenset(_base(name) for name in names if _base(name) != name)


def count_of(name: str, shape: Sequence[int], names: Iterable[str]) -> int:
    """How many numbers the tensor `name` of `shape` stands for, among the tensors `names`."""
    if _base(name) != name:
        return 0
    count = math.prod(shape)
    return count * 4 // 3 if name + SCALE_SUFFIX_6 in names else count


def _base(name: str) -> str:
    return name.removesuffix(SCALE_SUFFIX).removesuffix(SCALE_SUFFIX_6)


def _packed(numbers: Tensor) -> Tensor:
    """Whole numbers 0 to 62, (R, 4K), as bytes (R, 3K)."""
    import torch

    a, b, c, d = numbers.to(torch.int32).view(len(numbers), -1, 4).unbind(2)
    whole = a | b << 6 | c << 12 | d << 18
    parts = [whole & 255, whole >> 8 & 255, whole >> 16]
    return torch.stack(parts, dim=2).flatten(1).to(torch.uint8)


def _unpacked(packed: Tensor) -> Tensor:
    """Numbers -31 to 31, (R, 4K), of bytes (R, 3K)."""
    import torch

    a, b, c = packed.to(torch.int32).view(len(packed), -1, 3).unbind(2)
    whole = a | b << 8 | c << 16
    parts = [whole >> shift & 63 for shift in (0, 6, 12, 18)]
    return torch.stack(parts, dim=2).flatten(1) - 31
