"""Modules without weights: shapes only, until a file fills them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

# Of `torch.nn.init` and of tensors.
_DRAWS = frozenset({
    "kaiming_normal_", "kaiming_uniform_", "normal_", "orthogonal_", "trunc_normal_", "uniform_",
    "xavier_normal_", "xavier_uniform_",
})  # fmt: skip


class _NoDraws(TorchFunctionMode):
    """Leaves tensors without storage as they are where random numbers would fill them.

    torch computes such calls on the meta device in Python, and imports its compiler for that: more
    than a second, for values that nobody can see.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__name__", "") in _DRAWS:
            tensor = args[0] if args else given.get("tensor")
            if isinstance(tensor, torch.Tensor) and tensor.is_meta:
                return tensor
        return func(*args, **given)


@contextmanager
def without_weights() -> Iterator[None]:
    """What is built in this block has shapes and no storage (the meta device)."""
    with torch.device("meta"), _NoDraws():
        yield
