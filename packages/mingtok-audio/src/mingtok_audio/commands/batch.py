"""Files, folders and pipes through `encode`, `decode` and `reconstruct`, by `core.jobs`."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mingtok_audio.commands.plan import STDOUT, make_plan
from mingtok_audio.commands.transcode import TRANSCODERS, Settings
from mingtok_audio.core.audio import audio_info
from mingtok_audio.core.cli import EXIT_FAILED_ITEMS, EXIT_USAGE, emit_json, fail
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import os_reason
from mingtok_audio.core.jobs import Advance, Job, Result, Work, run_jobs
from mingtok_audio.core.jobs import failed as failed_job
from mingtok_audio.mtok import read_header

if TYPE_CHECKING:
    from mingtok_audio.models.mingtok import MingTok

logger = logging.getLogger("mingtok_audio")

RECORD_NAME = ".mingtok.jsonl"
_LONG_SECONDS = 60.0  # a single file longer than this gets a progress bar


@dataclass(frozen=True)
class Report:
    """How to tell what happened, and whether to overwrite existing results."""

    as_json: bool = False
    force: bool = False


class Transcoding(Work):
    """Files through the tokenizer."""

    record_name = RECORD_NAME

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._model: MingTok | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings, "_model": None}  # each process loads its own

    @property
    def device(self) -> str:
        """See `Work.device`."""
        return self.settings.device

    def load(self) -> MingTok:
        """The tokenizer."""
        if self._model is None:
            self._model = self.settings.load_model()
        return self._model

    def identity(self) -> dict[str, Any]:
        """The options and the weights."""
        return {**self.settings.identity(), "weights": self.load().model_hash}

    def run(self, model: MingTok, jobs: Sequence[Job], advance: Advance) -> list[Result]:
        """One result for each job."""
        return [self._one(model, job, advance) for job in jobs]

    def _one(self, model: MingTok, job: Job, advance: Advance) -> Result:
        began = time.perf_counter()
        assert job.source is not None
        assert job.output is not None
        with _made_folder(job.output.parent) if job.extra else nullcontext():
            transcode = TRANSCODERS[self.settings.command]
            fields = transcode(model, job.source, job.output, self.settings, advance)
        if job.shown == STDOUT:
            _copy_out(job.output)
        wall = round(time.perf_counter() - began, 4)
        return _result(job, "ok", {"model": model.model_id, **fields}, wall)

    def skipped(self, job: Job, fields: Result) -> Result:
        """The result of a file that was done already."""
        return _result(job, "skipped", fields, 0.0)

    def failed(self, job: Job, error: BaseException) -> Result:
        """The result of a file that cannot be used."""
        return _result(job, "failed", {"error": failed_job(job, error)["error"]}, 0.0)


def _result(job: Job, status: str, fields: dict[str, Any], wall: float) -> Result:
    return {
        "input": job.name,
        "output": job.output_name,
        "status": status,
        "error": None,
        "seconds": None,
        "frames": None,
        "num_samples": None,
        "source_sample_rate": None,
        "model": None,
        **fields,
        "wall_seconds": wall,
    }


def run_files(
    inputs: Sequence[str],
    output: str | None,
    settings: Settings,
    *,
    workers: int | None = None,
    report: Report | None = None,
    ray: str | None = None,
) -> None:
    """The whole command. Raises `UserError` or `typer.Exit` where not everything was done."""
    report = report or Report()
    if workers is not None and workers < 1:
        raise UserError(f"--workers must be at least 1, not {workers}")
    with ExitStack() as stack:
        jobs, many = make_plan(inputs, output, settings, stack)
        if report.as_json and any(job.shown == STDOUT for job in jobs):
            raise UserError("--json and -o - both want standard output; write to a file")
        if ray is not None and any(job.shown == STDOUT for job in jobs):
            raise UserError("-o - is for this machine, not for --ray; write to a file")
        work = Transcoding(settings)
        work.load()  # a model that cannot be loaded is said once
        said = set[str]()
        results = []
        for result in run_jobs(
            work,
            jobs,
            workers=workers,
            ray=ray,
            force=report.force,
            bar=settings.command,
            seconds=_long_seconds(jobs, settings),
        ):
            _tell(result, many, report.as_json, said)
            results.append(result)
        _finish(results, many, report.as_json)


@contextmanager
def _made_folder(folder: Path) -> Iterator[None]:
    """Make a folder for a result, and take away again what was made if nothing came of it."""
    made = list[Path]()
    place = folder
    while not place.exists():
        made.append(place)
        place = place.parent
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make the folder {folder}: {os_reason(error)}") from error
        yield
    except BaseException:
        for path in made:
            try:
                path.rmdir()
            except OSError:
                break  # something else is in it by now
        raise


def _copy_out(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            shutil.copyfileobj(stream, sys.stdout.buffer, 1 << 20)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"cannot write to standard output: {os_reason(error)}") from error


# --- telling --------------------------------------------------------------------------------------


def _long_seconds(jobs: Sequence[Job], settings: Settings) -> float | None:
    """Seconds of a single long file, for its progress bar; None for a batch or a short file."""
    source = jobs[0].source
    if len(jobs) > 1 or source is None:
        return None
    reads_latents = settings.command == "decode"
    try:
        seconds = read_header(source).seconds if reads_latents else audio_info(source).seconds
    except UserError:
        return None  # whoever reads it next says what is wrong with it
    if reads_latents:
        end = seconds if settings.end is None else min(settings.end, seconds)
        seconds = end - (settings.start or 0.0)
    return seconds if seconds > _LONG_SECONDS else None


def _tell(result: dict[str, Any], many: bool, as_json: bool, said: set[str]) -> None:
    for note in result.get("warnings") or ():
        if note not in said:  # a thousand files of another model need one warning
            logger.warning("%s: %s", result["input"], note)
            said.add(note)
    if result["status"] == "failed":
        if many:
            fail(result["error"])
        return
    if as_json or result["output"] == STDOUT:
        return
    verb = "unchanged, skipped" if result["status"] == "skipped" else f"{result['seconds']:.2f} s"
    typer.echo(f"{result['input']} -> {result['output']} ({verb})")


def _finish(results: list[dict[str, Any]], many: bool, as_json: bool) -> None:
    counts = {s: sum(r["status"] == s for r in results) for s in ("ok", "skipped", "failed")}
    if as_json:
        emit_json(results if many else results[0])
    elif many:
        typer.echo(
            f"{counts['ok']} written, {counts['skipped']} skipped, {counts['failed']} failed"
        )
    if not counts["failed"]:
        return
    if many:
        alone = counts["failed"] == len(results)
        raise typer.Exit(EXIT_USAGE if alone else EXIT_FAILED_ITEMS)
    raise UserError(results[0]["error"])
