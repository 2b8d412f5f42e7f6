"""How to install what an optional feature needs."""

from __future__ import annotations

import re
from importlib import metadata

_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?")


def requirements(distribution: str, extra: str) -> list[str]:
    """Names of the distributions that an extra adds, in the order that its package states.

    Extras of our packages that name extras of ours are followed. Empty where the distribution is
    not installed or has no such extra.
    """
    try:
        stated = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return []
    found: list[str] = []
    for line in stated:
        spec, _, marker = line.partition(";")
        if (named := _EXTRA.search(marker)) is None or named[1] != extra:
            continue
        requirement = _REQUIREMENT.match(spec.strip())
        assert requirement is not None, line
        name, inner = requirement.groups()
        deeper = [r for e in (inner or "").split(",") if e for r in requirements(name, e.strip())]
        found += deeper or [name]
    return list(dict.fromkeys(found))


def install_line(distribution: str, extra: str) -> str:
    """The pip line for an extra, such as "pip install accelerate".

    It names other people's distributions, never ours: our packages may be on no index.
    """
    names = requirements(distribution, extra)
    return "pip install " + " ".join(names or [f"'{distribution}[{extra}]'"])
