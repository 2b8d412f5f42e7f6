"""Streaming tensors into a module made on the meta device: each name and shape checked, each
tensor copied once, whatever order and files they come in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import torch
from torch import Tensor, nn

from mingtok_audio.core.models.fit import Account, Place, Placer

Empty = Callable[[str, torch.Size, torch.dtype, torch.device], Tensor]


def fill(
    module: nn.Module,
    tensors: Iterable[tuple[str, Tensor]],
    place: Placer,
    *,
    device: torch.device | str | Callable[[str], torch.device] = "cpu",
    dtype: torch.dtype | None = None,
    zeros: Iterable[Place] = (),
    given: Collection[str] = (),
    whole: Callable[[str, Tensor], Tensor | None] | None = None,
    empty: Empty | None = None,
) -> None:
    """Give a module on the meta device its weights, one tensor at a time.

    Submodules with what no file holds (computed tables, shared weights) have a method
    `restore_unsaved(device)`, which is called at the end.

    Args:
        place, given: see `Account`.
        device: of all weights, or of each parameter by name.
        dtype: of the weights; None takes that of the first tensor.
        zeros: rows that no tensor holds.
        whole: takes each parameter as soon as nothing of it is missing, and gives what the module
            gets instead: the same, another, or None, which leaves it on the meta device.
        empty: makes the room for a parameter; by default `torch.empty`.

    Raises:
        FormatError: lists the names that are missing, left over, or of another shape.
    """
    account = Account(module, place, given)
    gaps: dict[str, list[Place]] = {}
    for rows in zeros:
        gaps.setdefault(rows.name, []).append(rows)
    account.zeros([rows for places in gaps.values() for rows in places])
    device_of = device if callable(device) else lambda _: torch.device(device)
    make = _empty if empty is None else empty
    wanted = module.state_dict()
    made: dict[str, Tensor] = {}
    ready: dict[str, Tensor] = {}
    for name, tensor in tensors:
        at = account.accept(name, tuple(tensor.shape))
        if at is None or at.name in ready:
            continue
        dtype = tensor.dtype if dtype is None else dtype
        home = made.get(at.name)
        if home is None:
            kind = dtype if tensor.is_floating_point() else tensor.dtype
            home = make(at.name, wanted[at.name].shape, kind, device_of(at.name))
            for rows in gaps.get(at.name, ()):
                home[rows.start : rows.stop] = 0
            made[at.name] = home
        part = home if at.expert is None else home[at.expert]
        (part if at.stop is None else part[at.start : at.stop]).copy_(tensor)
        if account.is_whole(at.name):
            del made[at.name]
            kept = home if whole is None else whole(at.name, home)
            # What is elsewhere keeps only its dtype.
            ready[at.name] = home.to("meta") if kept is None else kept
        del home, part, tensor
    account.finish()
    for name, tensor in ready.items():
        put(module, name, tensor)
    for name, part in module.named_modules():
        restore = getattr(part, "restore_unsaved", None)
        if restore is not None:
            restore(device_of(name))


def _empty(name: str, shape: torch.Size, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=device)


def put(module: nn.Module, name: str, tensor: Tensor) -> None:
    """Replace a parameter or buffer by name."""
    owner, _, leaf = name.rpartition(".")
    holder = module.get_submodule(owner)
    if leaf in holder._parameters:
        parameter = nn.Parameter(tensor, requires_grad=_trains(tensor))
        holder.register_parameter(leaf, parameter)
    else:
        holder.register_buffer(leaf, tensor)


def _trains(tensor: Tensor) -> bool:
    # A subclass holds quantised numbers.
    return type(tensor) is Tensor and tensor.is_floating_point()
