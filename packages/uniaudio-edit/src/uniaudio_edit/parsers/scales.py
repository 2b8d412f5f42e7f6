"""How far "faster by 20 %", "twice as loud" and "a bit slower" go."""

from __future__ import annotations

from collections.abc import Iterator

from uniaudio_edit.parsers.refs import Draft, Reading

_STEPS = {
    # type: (slight, unsaid, strong) as a factor upwards
    "speed": (1.1, 1.2, 1.5),
    "volume": (1.25, 1.5, 2.0),
}
_DOWN = {"speed": (0.9, 0.8, 2 / 3), "volume": (0.8, 0.67, 0.5)}


def degree_factor(kind: str, up: bool, degree: str) -> float:
    """The factor that "a bit faster" or "much quieter" stands for."""
    table = _STEPS if up else _DOWN
    return table[kind][{"slight": 0, "": 1, "strong": 2}[degree]]


def amount_reading(
    kind: str, quantity: tuple[str, float] | None, up: bool, down: bool, degree: str
) -> Iterator[Reading]:
    """The reading of a speed or volume edit.

    Args:
        quantity: ("to", factor), ("percent", share of change), ("times", factor) or ("halve", 0.5).
        up, down: the directions that the words give.
    """
    if up and down and quantity is None:
        return  # two opposite words are two operations, or a contradiction
    assumptions: tuple[str, ...] = ()
    if quantity is None:
        if not up and not down:
            return
        factor = degree_factor(kind, up, degree)
        how = {"slight": "a bit", "strong": "much", "": "no amount was given"}[degree]
        assumptions = (f"{how}: {kind} factor {factor:.3g}",)
    else:
        how, value = quantity
        if how == "percent":
            factor = 1 + value if up and not down else 1 - value if down else value
        elif how == "times" and down and not up:
            factor = 1 / value if value > 1 else value
        elif how == "halve" and up and not down:
            factor = 1.5
        elif how == "to" and down and not up and value > 1:
            factor = 1 / value
            assumptions = (f"slower by {value:g} is taken as a factor {factor:.3g}",)
        else:
            factor = value
    yield Reading((Draft(kind, params={"factor": round(factor, 6)}, assumptions=assumptions),))
