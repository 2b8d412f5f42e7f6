"""Streaming tensors into a module made on the meta device: each name and shape checked, each
tensor copied once, whatever order and files they come in."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping

import torch
from torch import Tensor, nn

from mingtok_audio.core.errors import FormatError
from uniaudio_lm.models.reference import Place

_SHOWN = 8
Placer = Callable[[str], Place | None]


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

    def finish(self) -> None:
        """Raise `FormatError` if anything is missing, left over or of another shape."""
        missing = [
            name
            for name, full in self.shapes.items()
            if name not in self.misfits and self.elements[name] != math.prod(full)
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
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    zeros: Iterable[Place] = (),
    given: Collection[str] = (),
) -> None:
    """Give a module on the meta device its weights, one tensor at a time.

    Submodules with what no file holds (computed tables, shared weights) have a method
    `restore_unsaved(device)`, which is called at the end.

    Args:
        place, given: see `Account`.
        dtype: of the weights; None takes that of the first tensor.
        zeros: rows that no tensor holds.

    Raises:
        FormatError: lists the names that are missing, left over, or of another shape.
    """
    account = Account(module, place, given)
    zeros = list(zeros)
    account.zeros(zeros)
    wanted = module.state_dict()
    made: dict[str, Tensor] = {}
    for name, tensor in tensors:
        at = account.accept(name, tuple(tensor.shape))
        if at is None:
            continue
        dtype = tensor.dtype if dtype is None else dtype
        home = made.get(at.name)
        if home is None:
            kind = dtype if tensor.is_floating_point() else tensor.dtype
            home = torch.empty(wanted[at.name].shape, dtype=kind, device=device)
            made[at.name] = home
        if at.expert is not None:
            home = home[at.expert]
        (home if at.stop is None else home[at.start : at.stop]).copy_(tensor)
    for rows in zeros:
        if rows.name in made:
            made[rows.name][rows.start : rows.stop] = 0
    account.finish()
    for name, tensor in made.items():
        owner, _, leaf = name.rpartition(".")
        holder = module.get_submodule(owner)
        if leaf in holder._parameters:
            holder.register_parameter(leaf, nn.Parameter(tensor, tensor.is_floating_point()))
        else:
            holder.register_buffer(leaf, tensor)
    for part in module.modules():
        restore = getattr(part, "restore_unsaved", None)
        if restore is not None:
            restore(torch.device(device))


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
