"""Running a task in a folder: checkpoints, log, samples, and the averaged weights."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mingtok_audio.core.config import to_dict
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_text
from mingtok_audio.core.models.hub import write_json
from mingtok_audio.trainer.loop import Trainer
from mingtok_audio.trainer.record import curves_png

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


def run_task(
    task: Any,
    config: Any,
    folder: str | Path,
    *,
    resume: bool = False,
    minutes: float | None = None,
    dry_run: bool = False,
) -> RunSummary:
    """Run a task; see `Stages.train`.

    Args:
        task: has `batches`, `skipped` and `save_pretrained` beside what `loop.Task` has.
        config: a dataclass with `optim` and `trainer`.
    """
    folder = Path(folder)
    trainer = Trainer(task, config.optim, config.trainer, folder)
    if dry_run:
        logger.info("dry run: loss %.4g", trainer.first_loss())
        return RunSummary(folder, 0, 0.0, task.skipped, None)
    if trainer.checkpoints.paths() and not resume:
        raise UserError(f"{folder} holds a run already: continue it with --resume, or name another")
    if resume and not trainer.resume():
        logger.info("no checkpoint in %s: starting from the beginning", folder)
    main = trainer.accelerator.is_main_process
    if main:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "run.json", to_dict(config))
    end = None if minutes is None else time.monotonic() + 60 * minutes
    try:
        trainer.run(lambda: end is not None and time.monotonic() > end)
    finally:
        task.batches.close()
    export(trainer, task, folder / "model")
    if main:
        curves_png(folder / "log.jsonl", folder / "curves.png")
        if task.skipped:
            text = "".join(f"{name}\t{reason}\n" for name, reason in task.skipped.items())
            atomic_write_text(folder / "skipped.tsv", text)
    return RunSummary(folder, trainer.step, trainer.seconds, task.skipped, folder / "model")


def export(trainer: Trainer, task: Any, folder: Path) -> Path:
    """Write the averaged weights as a model folder that `MingTok.from_pretrained` loads.

    All processes call it, the main one writes.
    """
    main = trainer.accelerator.is_main_process
    if main or trainer.sharded:
        with trainer.averaged() as model:
            if main:
                task.save_pretrained(model, folder)
    return folder
