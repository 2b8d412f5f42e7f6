"""How weights lie in memory while a model is used on a CPU.

A product of few rows (a decode step, a patch, a chunk of audio) reads its whole weight; MKL does so
faster where the numbers of one input stand together: 1.1 to 1.3 times from 5 to 64 rows, never
slower (`benchmarks/lm_published.py`). Names, shapes and numbers stay; only strides change.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from uniaudio_lm.tensors import is_plain


def pays(device: torch.device, dtype: torch.dtype | None) -> bool:
    """Whether columns are read faster there: measured for float32 with MKL."""
    return device.type == "cpu" and dtype == torch.float32 and torch.backends.mkl.is_available()


def matrices(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The weights of products by name: of linear layers, and stacks of experts. Not those that are
    embeddings too, which are read by rows."""
    tables = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
    for prefix, part in module.named_modules():
        for leaf, parameter in part.named_parameters(recurse=False):
            if id(parameter) in tables:
                continue
            if (isinstance(part, nn.Linear) and leaf == "weight") or (
                parameter.dim() == 3 and getattr(part, "stacked", False)
            ):
                yield f"{prefix}.{leaf}" if prefix else leaf, parameter


class Columns:
    """Makes the room for a model's parameters as they will be read; for `filling.fill`."""

    def __init__(self, module: nn.Module) -> None:
        self._names = {name for name, _ in matrices(module)}

    def __call__(
        self, name: str, shape: torch.Size, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        if name not in self._names or not pays(device, dtype):
            return torch.empty(shape, dtype=dtype, device=device)
        turned = (*shape[:-2], shape[-1], shape[-2])
        return torch.empty(turned, dtype=dtype, device=device).transpose(-1, -2)


def lay_out(module: nn.Module, columns: bool) -> None:
    """Put every matrix into columns or back into rows, one at a time; does nothing to what is
    already so, quantised, or elsewhere."""
    for _, parameter in matrices(module):
        if not is_plain(parameter):
            continue
        want = columns and pays(parameter.device, parameter.dtype)
        weight = parameter.data
        if want and not weight.transpose(-1, -2).is_contiguous():
            parameter.data = weight.transpose(-1, -2).contiguous().transpose(-1, -2)
        elif not want and not weight.is_contiguous():
            parameter.data = weight.contiguous()
