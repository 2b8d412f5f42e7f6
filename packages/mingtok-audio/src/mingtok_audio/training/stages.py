"""The three stages as data: a YAML file names a stage and says everything about its run.

A file may start from another with `base: other.yaml` (relative to itself, or the name of a
shipped configuration) and then holds only what differs: that is what an ablation is.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from mingtok_audio.core.config import apply_overrides, from_dict, load_yaml
from mingtok_audio.core.errors import ConfigError
from mingtok_audio.training.acoustic import AcousticConfig, AcousticTask
from mingtok_audio.training.distillation import DistillationConfig, DistillationTask
from mingtok_audio.training.unified import UnifiedConfig, UnifiedTask

StageConfig = AcousticConfig | DistillationConfig | UnifiedConfig
StageTask = AcousticTask | DistillationTask | UnifiedTask

STAGES: dict[str, tuple[type[Any], type[Any]]] = {
    "acoustic": (AcousticConfig, AcousticTask),
    "distillation": (DistillationConfig, DistillationTask),
    "unified": (UnifiedConfig, UnifiedTask),
}

_MAX_BASES = 8


def shipped_config(name: str, package: str = "mingtok_audio") -> Path:
    """The file of a configuration that a package ships ("debug", "stage1"), or the path as
    given."""
    shipped = Path(str(resources.files(package) / "configs" / f"{name}.yaml"))
    plain = name.replace("-", "_").isidentifier()
    return shipped if plain and shipped.is_file() else Path(name)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> StageConfig:
    """Read a stage's YAML; `overrides` are `key.path=value`. Raises `ConfigError` in one line."""
    data = read_config(path, overrides)
    stage = data.get("stage", "acoustic")
    if stage not in STAGES:
        raise ConfigError(f"{path}: unknown stage {stage!r}: one of {', '.join(STAGES)}")
    return from_dict(STAGES[stage][0], data, where=str(path))


def make_task(config: StageConfig) -> StageTask:
    """The task that a configuration describes."""
    return STAGES[config.stage][1](config)


def read_config(
    path: str | Path, overrides: Sequence[str] = (), package: str = "mingtok_audio"
) -> dict[str, Any]:
    """A YAML file with its bases (files, or names of what `package` ships) and overrides."""
    return apply_overrides(_with_bases(Path(path), 0, package), overrides)


def _with_bases(path: Path, depth: int, package: str) -> dict[str, Any]:
    data = load_yaml(path)
    base = data.pop("base", None)
    if base is None:
        return data
    if depth >= _MAX_BASES:
        raise ConfigError(f"{path}: more than {_MAX_BASES} bases in a row (a circle?)")
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base must be a file name, got {base!r}")
    beside = path.parent / base
    found = beside if beside.is_file() else shipped_config(base, package)
    return merge(_with_bases(found, depth + 1, package), data)


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes`: sections are merged key by key, everything else is replaced."""
    out = dict(base)
    for key, value in changes.items():
        old = out.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        out[key] = merge(old, value) if both and isinstance(old, dict) else value
    return out
