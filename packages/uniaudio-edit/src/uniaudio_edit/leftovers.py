"""What a killed process leaves: temporary files that `atomic_write` had begun."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_BEGUN = re.compile(r"\.(?P<stem>.+)\.[0-9a-f]{12}(?P<suffix>\.\w+)?", re.DOTALL)


def sweep(targets: Iterable[Path]) -> int:
    """Remove the temporary files of `targets`, which nobody else may be writing now; how many."""
    wanted: dict[Path, set[tuple[str, str]]] = {}
    for target in targets:
        wanted.setdefault(target.parent, set()).add((target.stem[:40], target.suffix))
    removed = 0
    for folder, names in wanted.items():
        if not folder.is_dir():
            continue
        for path in folder.iterdir():
            found = _BEGUN.fullmatch(path.name)
            if found and (found["stem"], found["suffix"] or "") in names:
                path.unlink(missing_ok=True)
                removed += 1
    return removed
