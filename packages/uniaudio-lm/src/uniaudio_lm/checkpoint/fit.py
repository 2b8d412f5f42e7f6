"""Streaming tensors into a module made on the meta device: each name and shape checked, each
tensor copied once, whatever order and files they come in."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping

import torch
from torch import Tensor, nn

from mingtok_audio.core.errors import FormatError
from uniaudio_lm.checkpoint.published import Place

_SHOWN = 8
Placer = Callable[[str], Place | None]
Empty = Callable[[str, torch.Size, torch.dtype, torch.device], Tensor]


class Account:
    """Which parts of which parameter have been given.

    Args:
        module: whose parameters are wanted.
        place: maps a tensor's name to its place; raises KeyError for an unknown name.
        given: prefixes of parameters that come from elsewhere; tensors for them are passed over.
    """

    def __init__(self, module: nn.Module, place: Placer, given: Collection[str] = ()) -> None:
        self._place = place
        self._elsewhere = tuple(f"{prefix}." for prefix in given)
        self.shapes = {
            name: tuple(tensor.shape)
            for name, tensor in module.state_dict().items()
            if not name.startswith(self._elsewhere or ("\0",))
        }
        self.elements = dict.fromkeys(self.shapes, 0)
        self._seen: set[Place] = set()
        self.unexpected: list[str] = []
        self.misfits: dict[str, str] = {}

    def zeros(self, places: Iterable[Place]) -> None:
        """Rows that the files leave out because they are zero."""
        for place in places:
            rows = (place.stop or 0) - place.start
            self.elements[place.name] += rows * math.prod(self.shapes[place.name][1:])

    def accept(self, name: str, shape: tuple[int, ...]) -> Place | None:
        """The place of a tensor, or None when nothing is to be copied (unused, or refused)."""
        try:
            place = self._place(name)
        except KeyError:
            self.unexpected.append(name)
            return None
        if place is None or place.name.startswith(self._elsewhere or ("\0",)):
            return None
        full = self.shapes.get(place.name)
        if full is None:
            self.unexpected.append(name)
            return None
        expected = full if place.expert is None else full[1:]
        if place.stop is not None:
            expected = (place.stop - place.start, *expected[1:])
        if shape != expected:
            self.misfits[place.name] = f"{name} is {list(shape)}, expected {list(expected)}"
            return None
        if place not in self._seen:
            self._seen.add(place)
            self.elements[place.name] += math.prod(shape)
        return place

    def is_whole(self, name: str) -> bool:
        """Whether every element of a parameter has been given."""
        return self.elements[name] == math.prod(self.shapes[name])

    def finish(self) -> None:
        """Raise `FormatError` if anything is missing, left over or of another shape."""
        missing = [
            name for name in self.shapes if name not in self.misfits and not self.is_whole(name)
        ]
        problems = [
            f"{kind}: {', '.join(names[:_SHOWN])}"
            + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
            for kind, names in (
                ("shapes that do not fit", list(self.misfits.values())),
                ("missing", missing),
                ("not part of this model", self.unexpected),
            )
            if names
        ]
        if problems:
            raise FormatError(f"the weights do not fit the config; {'; '.join(problems)}")


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


def check_names(
    module: nn.Module,
    shapes: Mapping[str, Iterable[int]],
    place: Placer,
    zeros: Iterable[Place] = (),
) -> None:
    """Check names and shapes against a module, which may be on the meta device; see `fill`."""
    account = Account(module, place)
    account.zeros(zeros)
    for name, shape in shapes.items():
        account.accept(name, tuple(shape))
    account.finish()
