"""Reading what `score` wrote: the results object and the per-item lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_eval.interfaces import ItemResult
from audio_eval.scoring.runner import SYSTEM, Outputs, read_per_item
from mingtok_audio.core.config.files import load_json
from mingtok_audio.core.errors import UserError

_MAX_RESULTS_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class LoadedRun:
    """A scored run.

    Attributes:
        path: what the user gave.
        results: the object of `results.json`.
        systems: per-item results by system name ("system" or a baseline's), in file order.
    """

    path: Path
    results: Mapping[str, Any]
    systems: Mapping[str, list[ItemResult]]

    def items(self, system: str = SYSTEM) -> list[ItemResult]:
        """The results of one system.

        Raises:
            UserError: the run holds no such system.
        """
        if system not in self.systems:
            known = ", ".join(sorted(self.systems)) or "none"
            raise UserError(f"{self.path}: holds no system {system!r}; it has: {known}")
        return self.systems[system]


def load_run(path: Path) -> LoadedRun:
    """A run by its folder, its `results.json`, or the `X.json` that `-o X.json` wrote.

    Raises:
        UserError: not there, or not what `score` writes.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; give what 'audio-eval score -o' wrote")
    results_path, items_path = path, path.with_name("per_item.jsonl")
    if path.is_dir():
        results_path, items_path = path / "results.json", path / "per_item.jsonl"
        if not results_path.is_file():
            raise UserError(f"{path}: holds no results.json; give what 'audio-eval score -o' wrote")
    elif path.name != "results.json":
        items_path = Outputs.at(path).per_item
    results = load_json(results_path, max_bytes=_MAX_RESULTS_BYTES)
    if not isinstance(results, dict) or not isinstance(results.get("metrics"), dict):
        raise UserError(f"{results_path}: is not a results file of 'audio-eval score'")
    if not items_path.is_file():
        raise UserError(f"{items_path}: the per-item results of {results_path.name} are not there")
    systems: dict[str, list[ItemResult]] = {}
    for row in read_per_item(items_path):
        systems.setdefault(row.system, []).append(row)
    return LoadedRun(path, results, systems)
