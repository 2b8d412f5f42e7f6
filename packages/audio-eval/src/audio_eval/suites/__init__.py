"""Suites: which metrics, judges and baselines belong together. One YAML file each beside this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audio_eval.scoring.context import JudgeChoice
from mingtok_audio.core.config import from_dict, load_yaml, near
from mingtok_audio.core.errors import ConfigError, UserError

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class MetricEntry:
    """A metric of a suite with its options."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """What a suite file says.

    Attributes:
        name: what users type.
        summary: one line.
        task: of items that do not say theirs ("" leaves it open).
        metrics: in the order of the reports.
        judges: role ("asr", "asr:zh") to judge; hub ids for users with a hub.
        baselines: of ``audio_eval.scoring.baselines``.
        tasks: the tasks that items may have; empty takes any.
        output: ``audio`` or ``text``: what a system delivers.
    """

    name: str
    summary: str
    metrics: tuple[MetricEntry, ...]
    judges: dict[str, JudgeChoice] = field(default_factory=dict)
    baselines: tuple[str, ...] = ()
    task: str = ""
    tasks: tuple[str, ...] = ()
    output: str = "audio"


@dataclass(frozen=True)
class _File:
    """The YAML schema; a metric is a name or ``{name, options}``, a judge likewise."""

    name: str
    summary: str
    metrics: list[Any]
    judges: dict[str, Any] = field(default_factory=dict)
    baselines: list[str] = field(default_factory=list)
    task: str = ""
    tasks: list[str] = field(default_factory=list)
    output: str = "audio"


def names() -> list[str]:
    """The suites of this package."""
    return sorted(p.stem for p in FOLDER.glob("*.yaml"))


def load_suite(name: str) -> Suite:
    """A suite of this package by name, or a YAML file by path.

    Raises:
        UserError: no such suite, or a file that does not fit the schema.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = FOLDER / f"{name}.yaml"
        if name not in names():
            raise UserError(f"there is no suite '{name}'{near(name, names())}")
    file = from_dict(_File, load_yaml(path), where=str(path))
    return Suite(
        name=file.name,
        summary=file.summary,
        metrics=tuple(MetricEntry(*_entry(m, f"{path}: metrics")) for m in file.metrics),
        judges={
            role: JudgeChoice(*_entry(j, f"{path}: judges.{role}"))
            for role, j in file.judges.items()
        },
        baselines=tuple(file.baselines),
        task=file.task,
        tasks=tuple(file.tasks),
        output=file.output,
    )


def _entry(value: Any, where: str) -> tuple[str, dict[str, Any]]:
    if isinstance(value, str):
        return value, {}
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        options = value.get("options") or {}
        if set(value) <= {"name", "options"} and isinstance(options, Mapping):
            return value["name"], {str(k): v for k, v in options.items()}
    raise ConfigError(f"{where}: expected a name or {{name, options}}, found {value!r}")
