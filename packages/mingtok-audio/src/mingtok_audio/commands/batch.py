"""Files, folders and pipes through `encode`, `decode` and `reconstruct`: what is done already,
worker processes, and the report at the end."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mingtok_audio.commands.plan import STDOUT, Task, make_plan
from mingtok_audio.commands.resume import Records, file_sha256, is_done, make_entry, make_key
from mingtok_audio.commands.transcode import TRANSCODERS, Settings
from mingtok_audio.core.audio import audio_info
from mingtok_audio.core.cli import (
    EXIT_FAILED_ITEMS,
    EXIT_USAGE,
    emit_json,
    fail,
    progress,
)
from mingtok_audio.core.errors import UserError, one_line
from mingtok_audio.core.files import os_reason
from mingtok_audio.mtok import read_header

if TYPE_CHECKING:
    from mingtok_audio.models.mingtok import MingTok

logger = logging.getLogger("mingtok_audio")

_LONG_SECONDS = 60.0  # a single file longer than this gets a progress bar


@dataclass(frozen=True)
class Report:
    """How to tell what happened, and whether to do again what is done."""

    as_json: bool = False
    force: bool = False


def run_files(
    inputs: Sequence[str],
    output: str | None,
    settings: Settings,
    workers: int = 1,
    report: Report | None = None,
) -> None:
    """The whole command. Raises `UserError` or `typer.Exit` where not everything was done."""
    report = report or Report()
    if workers < 1:
        raise UserError(f"--workers must be at least 1, not {workers}")
    with ExitStack() as stack:
        tasks, many = make_plan(inputs, output, settings, stack)
        if report.as_json and any(task.shown == STDOUT for task in tasks):
            raise UserError("--json and -o - both want standard output; write to a file")
        records = Records()
        if many:
            tasks = [
                replace(task, resume=True, entry=None if report.force else records.get(task.output))
                for task in tasks
            ]
        model = settings.load_model()
        results = list[dict[str, Any]]()
        said = set[str]()
        with _bar(tasks, settings) as advance:
            workers = min(workers, len(tasks))
            for index, result in _results(tasks, settings, model, workers, advance):
                entry = result.pop("entry", None)
                if entry is not None and result["status"] == "ok":
                    records.add(tasks[index].output, entry)
                _tell(result, many, report.as_json, said)
                results.append({"index": index, **result})
        results.sort(key=lambda result: result.pop("index"))
        _finish(results, many, report.as_json, tasks)


# --- doing it -------------------------------------------------------------------------------------


def _results(
    tasks: Sequence[Task],
    settings: Settings,
    model: MingTok,
    workers: int,
    advance: Callable[[float], None],
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(index, result) of every task, as they become ready."""
    if workers == 1:
        one = len(tasks) == 1
        for index, task in enumerate(tasks):
            yield index, _do(task, settings, model, advance if one else _nothing)
            if not one:
                advance(1)
        return
    del model  # checked; each process loads its own
    # Processes, not threads: small matrices leave Python itself as the bottleneck. Spawned, since
    # a fork of a process with torch's threads can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (settings,)) as pool:
        jobs = {pool.submit(_do_in_worker, task): i for i, task in enumerate(tasks)}
        try:
            for job in as_completed(jobs):
                yield jobs[job], _outcome(job, tasks[jobs[job]])
                advance(1)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _outcome(job: Future[dict[str, Any]], task: Task) -> dict[str, Any]:
    try:
        return job.result()
    except BrokenProcessPool:
        return _failed(task, f"{task.name}: a worker process died (out of memory?)", 0.0)


_worker: dict[str, Any] = {}


def _start_worker(settings: Settings) -> None:
    # Ctrl-C reaches every process of the group: only the parent answers it, and then asks us to
    # end, which must still remove unfinished files.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    from mingtok_audio.core.runtime import set_threads

    set_threads(1)
    _worker.update(settings=settings, model=settings.load_model())


def _do_in_worker(task: Task) -> dict[str, Any]:
    try:
        return _do(task, _worker["settings"], _worker["model"], _nothing)
    except SystemExit:
        # The unfinished file is gone by now. The pool would take the exception for a result and
        # hand out the next file.
        os._exit(1)


def _nothing(_: float) -> None:
    """Where nobody watches the progress inside a file."""


def _do(
    task: Task,
    settings: Settings,
    model: MingTok,
    advance: Callable[[float], None],
) -> dict[str, Any]:
    """One task, to a result for JSON; whatever fails is in it as `error`."""
    began = time.perf_counter()
    try:
        key = ""
        if task.resume:
            source = file_sha256(task.source)
            key = make_key(source, model.model_hash, settings.identity())
            if is_done(task.entry, key, task.output) and task.entry is not None:
                return _result(task, "skipped", model, began, task.entry["fields"])
        with _made_folder(task.output.parent) if task.into_folder else nullcontext():
            fields = TRANSCODERS[settings.command](
                model, task.source, task.output, settings, advance
            )
        result = _result(task, "ok", model, began, fields)
        if task.resume:
            result["entry"] = make_entry(key, task.output, fields)
        if task.shown == STDOUT:
            _copy_out(task.output)
    except BrokenPipeError:
        raise  # whoever read standard output is gone: nobody to tell
    except Exception as error:
        if logger.isEnabledFor(logging.DEBUG):  # --debug: the traceback is what is wanted
            raise
        return _failed(task, _message(error, task), time.perf_counter() - began)
    return result


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


def _message(error: Exception, task: Task) -> str:
    if isinstance(error, MemoryError):
        return f"{task.name}: not enough memory"
    if not isinstance(error, UserError | OSError):
        return (
            f"{task.name}: internal error: {type(error).__name__}: {error} (this is a bug; run "
            "again with --debug and report what it prints)"
        )
    if isinstance(error, OSError):
        about = error.filename if error.filename is not None else task.name
        return f"{about}: {os_reason(error)}"
    text = str(error)
    if task.name == STDOUT:
        text = text.replace(str(task.source), "standard input")
    if task.shown == STDOUT:
        text = text.replace(str(task.output), "standard output")
    known = (str(task.source), task.shown, "standard ")
    return text if any(name in text for name in known) else f"{task.name}: {text}"


def _result(
    task: Task, status: str, model: MingTok, began: float, fields: dict[str, Any]
) -> dict[str, Any]:
    return {
        "input": task.name,
        "output": task.shown,
        "status": status,
        "error": None,
        "seconds": None,
        "frames": None,
        "num_samples": None,
        "source_sample_rate": None,
        "model": model.model_id,
        **fields,
        "wall_seconds": round(time.perf_counter() - began, 4),
    }


def _failed(task: Task, message: str, wall: float) -> dict[str, Any]:
    return {
        "input": task.name,
        "output": task.shown,
        "status": "failed",
        "error": one_line(message),
        "seconds": None,
        "frames": None,
        "num_samples": None,
        "source_sample_rate": None,
        "model": None,
        "wall_seconds": round(wall, 4),
    }


# --- telling --------------------------------------------------------------------------------------


@contextmanager
def _bar(tasks: Sequence[Task], settings: Settings) -> Iterator[Callable[[float], None]]:
    """A progress bar: of files for a batch, of seconds of audio for one long file."""
    if len(tasks) > 1:
        with progress(settings.command, len(tasks), "files") as bar:
            yield bar.advance
        return
    seconds = 0.0
    try:
        source = tasks[0].source
        reads_latents = settings.command == "decode"
        seconds = read_header(source).seconds if reads_latents else audio_info(source).seconds
    except UserError:
        pass  # whoever reads it next says what is wrong with it
    if settings.command == "decode":
        end = seconds if settings.end is None else min(settings.end, seconds)
        seconds = end - (settings.start or 0.0)
    with progress(settings.command, round(seconds), "s", enabled=seconds > _LONG_SECONDS) as bar:
        yield bar.advance


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


def _finish(
    results: list[dict[str, Any]], many: bool, as_json: bool, tasks: Sequence[Task]
) -> None:
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
        alone = counts["failed"] == len(tasks)
        raise typer.Exit(EXIT_USAGE if alone else EXIT_FAILED_ITEMS)
    raise UserError(results[0]["error"])
