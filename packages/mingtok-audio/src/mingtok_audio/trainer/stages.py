"""A package's stages of training as data: a YAML file names one and says everything about a run.

A file may start from another with `base: other.yaml` (relative to itself, or the name of a
shipped configuration) and then holds only what differs, as an ablation does.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from mingtok_audio.core.config import apply_overrides, from_dict, load_yaml
from mingtok_audio.core.errors import ConfigError
from mingtok_audio.trainer.memory import keep_freed_memory
from mingtok_audio.trainer.run import RunSummary, run_task

_MAX_BASES = 8


class Stages:
    """The stages of one package.

    Args:
        package: whose `configs` folder holds the shipped YAML files.
        stages: a name's config class (a dataclass with `stage`, `optim` and `trainer`) and task,
            which is made of a config; a file that names no stage means the first.
    """

    def __init__(self, package: str, **stages: tuple[type[Any], type[Any]]) -> None:
        self.package, self.stages = package, stages

    def shipped_config(self, name: str) -> Path:
        """The file of a shipped configuration ("debug", "stage1"), or the path as given."""
        return shipped_config(name, self.package)

    def load_config(self, path: str | Path, overrides: Sequence[str] = ()) -> Any:
        """Read a stage's YAML; `overrides` are `key.path=value`.

        Raises:
            ConfigError: in one line: no such stage, an unknown key, or a wrong value.
        """
        data = read_config(path, overrides, self.package)
        stage = data.get("stage", next(iter(self.stages)))
        if stage not in self.stages:
            raise ConfigError(f"{path}: unknown stage {stage!r}: one of {', '.join(self.stages)}")
        return from_dict(self.stages[stage][0], data, where=str(path))

    def make_task(self, config: Any) -> Any:
        """The task that a configuration describes."""
        return self.stages[config.stage][1](config)

    def train(
        self,
        config: Any,
        folder: str | Path,
        *,
        resume: bool = False,
        minutes: float | None = None,
        dry_run: bool = False,
    ) -> RunSummary:
        """Run a stage in `folder`: checkpoints, log, samples, and averaged weights in `model/`.

        Args:
            resume: continue an existing run; without it one is refused.
            minutes: end early; resume goes on.
            dry_run: build everything, compute one loss, and write nothing.
        """
        keep_freed_memory()
        task = self.make_task(config)
        return run_task(task, config, folder, resume=resume, minutes=minutes, dry_run=dry_run)


def shipped_config(name: str, package: str = "mingtok_audio") -> Path:
    """The file of a configuration that a package ships ("debug", "stage1"), or the path as
    given."""
    shipped = Path(str(resources.files(package) / "configs" / f"{name}.yaml"))
    plain = name.replace("-", "_").isidentifier()
    return shipped if plain and shipped.is_file() else Path(name)


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
