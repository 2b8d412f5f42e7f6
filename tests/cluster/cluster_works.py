"""What the tests of Ray run on its workers; they import this module by name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write
from mingtok_audio.core.jobs import Advance, Job, Result, Work, done


class Upper(Work):
    """Writes a text in capitals. "dies once" and "dies always" kill their process while they
    write, "bad" is an error, "slow" takes a while. Each try leaves a file in `notes`."""

    record_name = ".upper.jsonl"

    def __init__(self, notes: Path) -> None:
        self.notes = notes

    def load(self) -> str:
        return "!"

    def identity(self) -> dict[str, Any]:
        return {"version": 1}

    def run(self, model: str, jobs: Sequence[Job], advance: Advance) -> list[Result]:
        return [self._one(model, job) for job in jobs]

    def _one(self, model: str, job: Job) -> Result:
        assert job.output is not None
        first = not list(self.notes.glob(f"{job.output.name}-*"))
        (self.notes / f"{job.output.name}-{time.time_ns()}").touch()
        if job.text == "bad":
            raise UserError("bad cannot be used")
        with atomic_write(job.output) as path:
            path.write_text(job.text.upper() + model)
            if job.text == "dies always" or (job.text == "dies once" and first):
                os.kill(os.getpid(), signal.SIGKILL)
            if job.text == "slow":
                time.sleep(0.5)
        return done(job, {"length": len(job.text)})


def jobs_of(texts: Sequence[str], folder: Path) -> list[Job]:
    """A job a text."""
    return [Job(f"item {i}", text=t, output=folder / f"{i}.txt") for i, t in enumerate(texts)]
