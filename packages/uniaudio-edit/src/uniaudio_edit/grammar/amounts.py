"""How far "faster by 20 %", "twice as loud" and "a bit slower" go."""

from __future__ import annotations

from collections.abc import Iterable

from uniaudio_edit.grammar.rules import Language


def quantity(language: Language, text: str) -> tuple[str, float] | None:
    """What a clause says about an amount: ("to", factor), ("percent", share of change),
    ("times", factor) or ("halve", 0.5); None where it says nothing."""
    for kind, pattern, value in language.quantities:
        found = language.search(pattern, text)
        if found is None:
            continue
        written = next((g for g in found.groupdict().values() if g is not None), None)
        if written is None:
            assert value is not None
            return kind, value
        number = language.number(written)
        if number is not None:
            amount = number if value is None else number * value
            if kind == "percent":
                amount = abs(amount) if language.code == "zh" else amount
            return ("times", 1 + amount) if kind == "times_more" else (kind, amount)
    return None


def degree(language: Language, text: str) -> str:
    """ "slight", "strong", or "" where a clause does not say how much."""
    for name, pattern in language.degrees:
        if language.search(pattern, text):
            return name
    return ""


def factor_of(how_much: tuple[str, float], up: bool, down: bool) -> tuple[float, str]:
    """The factor of a quantity in the directions that the words give, and what was assumed."""
    how, value = how_much
    only_down = down and not up
    if how == "percent":
        return (1 - value if only_down else 1 + value if up else value), ""
    if how == "halve" and up and not down:
        return 1.5, ""
    if how in ("times", "to") and only_down and value > 1:
        note = f"slower by {value:g} is taken as a factor {1 / value:.3g}" if how == "to" else ""
        return 1 / value, note
    return value, ""


def measure(
    language: Language, text: str, units: Iterable[tuple[str, float, str]]
) -> tuple[float, str] | None:
    """The first of `units` that a clause gives: (value, note).

    A pattern with a number (`{N}`) is scaled, one without stands for its value.
    """
    for pattern, scale, note in units:
        found = language.search(pattern, text)
        if found is None:
            continue
        written = found.groupdict().get("n")
        if written is None:
            return scale, note
        number = language.number(written)
        if number is not None:
            return number * scale, note
    return None
