"""References: what part of a text an instruction is about, before it is looked up.

Positions count from 1, and from -1 backwards from the end, as people count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Side = Literal["before", "after"]


@dataclass(frozen=True)
class Content:
    """These words. `pick`: None (must be the only one), a number (n-th, negative from the end), or
    "all". `count`: how many there must be, where the instruction says it ("both")."""

    text: str
    pick: int | Literal["all"] | None = None
    count: int | None = None


@dataclass(frozen=True)
class Near:
    """The occurrence of `content` next to `anchor` on its `side`, or inside it ("in")."""

    content: str
    side: Literal["before", "after", "in", "start", "end"]
    anchor: Ref | None = None


@dataclass(frozen=True)
class Range:
    """Units from position `first` to `last`, both included."""

    first: int
    last: int


@dataclass(frozen=True)
class Neighbours:
    """`count` units right before or after `anchor`."""

    side: Side
    count: int
    anchor: Ref


@dataclass(frozen=True)
class Beyond:
    """Everything before or after `anchor`."""

    side: Side
    anchor: Ref


@dataclass(frozen=True)
class Between:
    """From `first` to `last`, with them (`inclusive`) or without; None for either is unsaid and
    two readings."""

    first: Ref
    last: Ref
    inclusive: bool | None = True


@dataclass(frozen=True)
class Listed:
    """Several places."""

    items: tuple[Ref, ...]


@dataclass(frozen=True)
class Whole:
    """Everything."""


@dataclass(frozen=True)
class Refused:
    """A reference that is understood and cannot be looked up; `reason` says why."""

    reason: str
    candidates: tuple[str, ...] = ()


Ref = Content | Near | Range | Neighbours | Beyond | Between | Listed | Whole | Refused


@dataclass(frozen=True)
class Place:
    """Where something is inserted: beside `ref`, between `ref` and `other`, or at an end."""

    kind: Literal["start", "end", "beside", "between", "become"]
    side: Side = "after"
    ref: Ref | None = None
    other: Ref | None = None
    position: int = 0


@dataclass(frozen=True)
class Draft:
    """One operation as an instruction words it."""

    type: str
    ref: Ref | None = None
    place: Place | None = None
    new: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """One way to understand a clause. Readings of a higher `rank` count only where none of a
    lower one fits the text."""

    drafts: tuple[Draft, ...]
    rank: int = 0
