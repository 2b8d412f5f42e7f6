"""Running an edit stage from its configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mingtok_audio.core.config import from_dict
from mingtok_audio.core.errors import ConfigError
from mingtok_audio.training.memory import keep_freed_memory
from mingtok_audio.training.run import RunSummary, run_task
from mingtok_audio.training.stages import read_config
from mingtok_audio.training.stages import shipped_config as _shipped
from uniaudio_edit.training.settings import EditConfig
from uniaudio_edit.training.task import EditTask

__all__ = ["EditConfig", "RunSummary", "load_config", "shipped_config", "train"]

_PACKAGE = "uniaudio_edit"


def shipped_config(name: str) -> Path:
    """The file of a shipped configuration ("debug", "edit"), or the path as given."""
    return _shipped(name, _PACKAGE)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> EditConfig:
    """Read a stage's YAML; `overrides` are `key.path=value`. Raises `ConfigError` in one line."""
    data = read_config(path, overrides, _PACKAGE)
    if data.get("stage", "edit") != "edit":
        raise ConfigError(f"{path}: stage {data['stage']!r} is none of an edit model's: edit")
    return from_dict(EditConfig, data, where=str(path))


def train(
    config: EditConfig,
    folder: str | Path,
    *,
    resume: bool = False,
    minutes: float | None = None,
    dry_run: bool = False,
) -> RunSummary:
    """Run a stage in `folder`; see `mingtok_audio.training.run.train`, which this equals."""
    keep_freed_memory()
    return run_task(
        EditTask(config), config, folder, resume=resume, minutes=minutes, dry_run=dry_run
    )
