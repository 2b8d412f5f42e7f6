"""Running a training stage from its YAML file."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from mingtok_audio.core.config import apply_overrides, from_dict, load_yaml, to_dict
from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.core.files import atomic_write_text
from mingtok_audio.core.hub import write_json
from mingtok_audio.training.memory import keep_freed_memory
from mingtok_audio.training.reconstruction import ReconstructionConfig, ReconstructionTask
from mingtok_audio.training.trainer import Trainer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunSummary:
    """What a run did."""

    folder: Path
    steps: int
    seconds: float
    skipped_files: dict[str, str]
    model: Path | None
    """Folder of the averaged weights; None after a dry run."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "output": str(self.folder),
            "steps": self.steps,
            "seconds": round(self.seconds, 1),
            "model": None if self.model is None else str(self.model),
            "skipped_files": self.skipped_files,
        }

    def to_text(self) -> str:
        """One line for a person."""
        if self.model is None:
            return "dry run: everything fits; nothing was written"
        skipped = f", {len(self.skipped_files)} unreadable files" if self.skipped_files else ""
        return f"{self.steps} steps in {self.seconds:.0f} s{skipped}: {self.model}"


def shipped_config(name: str) -> Path:
    """The file of a shipped configuration ("debug"), or the path as given."""
    shipped = Path(str(resources.files("mingtok_audio") / "configs" / f"{name}.yaml"))
    return shipped if name.isidentifier() and shipped.is_file() else Path(name)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> ReconstructionConfig:
    """Read a stage's YAML; `overrides` are `key.path=value`. Raises `ConfigError` in one line."""
    data = apply_overrides(load_yaml(path), overrides)
    stage = data.get("stage", "reconstruction")
    if stage != "reconstruction":
        raise ConfigError(f"{path}: unknown stage {stage!r}: this release trains 'reconstruction'")
    return from_dict(ReconstructionConfig, data, where=str(path))


def train(
    config: ReconstructionConfig,
    folder: str | Path,
    *,
    resume: bool = False,
    minutes: float | None = None,
    dry_run: bool = False,
) -> RunSummary:
    """Run a stage in `folder`: checkpoint, log, samples, and the averaged weights in `model/`.

    An existing run is continued only with `resume`; `minutes` ends it early (resume goes on);
    `dry_run` builds everything, computes one loss, and writes nothing.
    """
    folder = Path(folder)
    keep_freed_memory()
    task = ReconstructionTask(config)
    trainer = Trainer(task, config.optim, config.trainer, folder)
    if dry_run:
        loss, _ = task.loss(0, trainer.generator)
        logger.info("dry run: loss %.4g", float(loss.detach()))
        return RunSummary(folder, 0, 0.0, task.sampler.skipped, None)
    if trainer.checkpoint.exists() and not resume:
        raise UserError(f"{folder} holds a run already: continue it with --resume, or name another")
    if resume and not trainer.resume():
        logger.info("no checkpoint in %s: starting from the beginning", folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "run.json", to_dict(config))
    end = None if minutes is None else time.monotonic() + 60 * minutes
    trainer.run(lambda: end is not None and time.monotonic() > end)
    model = export(trainer, task, folder / "model")
    if task.sampler.skipped:
        text = "".join(f"{name}\t{reason}\n" for name, reason in task.sampler.skipped.items())
        atomic_write_text(folder / "skipped.tsv", text)
    return RunSummary(folder, trainer.step, trainer.seconds, task.sampler.skipped, model)


def export(trainer: Trainer, task: ReconstructionTask, folder: Path) -> Path:
    """Write the averaged weights as a model folder that `MingTok.from_pretrained` loads."""
    trained = {k: v.clone() for k, v in task.model.state_dict().items()}
    task.model.load_state_dict(trainer.averaged_model())
    try:
        return task.model.save_pretrained(folder)
    finally:
        task.model.load_state_dict(trained)
