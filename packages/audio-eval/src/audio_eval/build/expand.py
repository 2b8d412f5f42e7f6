"""A one-line grammar: `(a|b|)` picks one alternative, groups nest, `{name}` is filled in."""

from __future__ import annotations

import random


def expand(template: str, rng: random.Random) -> str:
    """One sentence of a template: each group replaced by one of its alternatives."""
    out, index = _sequence(template, 0, rng, top=True)
    if index != len(template):
        raise ValueError(f"unbalanced ')' in template {template!r}")
    return out


def _sequence(template: str, index: int, rng: random.Random, *, top: bool) -> tuple[str, int]:
    """Alternatives up to the closing parenthesis (or the end); returns the chosen text."""
    options = [""]
    while index < len(template):
        char = template[index]
        if char == "(":
            inner, index = _sequence(template, index + 1, rng, top=False)
            options[-1] += inner
        elif char == ")":
            if top:
                return options[0], index
            return rng.choice(options), index + 1
        elif char == "|" and not top:
            options.append("")
            index += 1
        else:
            options[-1] += char
            index += 1
    if not top:
        raise ValueError(f"unbalanced '(' in template {template!r}")
    return options[0], index
