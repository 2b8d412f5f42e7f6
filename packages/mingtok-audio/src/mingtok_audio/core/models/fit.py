"""Which tensors of a file go where in a module, and whether they are all there.

Names and shapes are checked one by one as tensors come, in whatever order and from whatever files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mingtok_audio.core.errors import FormatError

if TYPE_CHECKING:
    from torch import nn

_SHOWN = 8


@dataclass(frozen=True)
class Place:
    """Where a tensor goes: rows [start, stop) of a parameter, or of one `expert` of it; by default
    all of it."""

    name: str
    start: int = 0
    stop: int | None = None
    expert: int | None = None


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
