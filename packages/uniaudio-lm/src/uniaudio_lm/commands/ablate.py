"""`uniaudio ablate`: the paper's ablations, run small or written in full size."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_text


def ablate(
    name: str,
    output: str,
    *,
    scale: Literal["nano", "paper"],
    data: str | None,
    seeds: int,
    steps: int | None,
    overrides: Sequence[str],
) -> dict[str, Any]:
    """Run or write one ablation; see the command.

    Raises:
        UserError: in one line, before anything is trained where it can be known.
    """
    from uniaudio_lm.training import ablations

    if name not in ablations.ABLATIONS:
        raise UserError(f"no ablation '{name}': {', '.join(ablations.ABLATIONS)}")
    if seeds < 1 or (steps is not None and steps < 1):
        raise UserError("--seeds and --steps are at least 1")
    folder = Path(output)
    if scale == "paper":
        if data is not None:
            raise UserError("--data is for --scale nano; full-size files name theirs with --set")
        rows = ablations.write_paper_configs(name, folder, overrides)
        found: dict[str, Any] = {"ablation": name, "scale": scale, "variants": rows}
        text = ablations.page(name, scale, rows)
    else:
        if data is None:
            raise UserError("give a manifest with the splits train and valid: --data FILE")
        if not Path(data).is_file():
            raise UserError(f"--data: there is no file {data}")
        results = ablations.run(
            name, folder, manifest=data, seeds=range(seeds), steps=steps, overrides=overrides
        )
        rows = ablations.summary(name, results)
        found = {"ablation": name, "scale": scale, "variants": rows}
        text = ablations.page(name, scale, rows, results)
    page = folder / f"{name}-{scale}.html"
    atomic_write_text(page, text)
    found["page"] = str(page)
    atomic_write_text(folder / f"{name}-{scale}.json", json.dumps(found, indent=2) + "\n")
    return found
