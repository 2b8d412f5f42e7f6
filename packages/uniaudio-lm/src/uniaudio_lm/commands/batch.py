"""Several inputs through one command: what is done already, batches, worker processes, and the
report at the end.

An output folder holds `.uniaudio.jsonl`, a line for each finished result; see
`mingtok_audio.commands.resume`. What is done and whole is not done again.
"""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from mingtok_audio.core.cli import EXIT_FAILED_ITEMS, EXIT_USAGE, fail, progress
from mingtok_audio.core.errors import UserError, one_line
from mingtok_audio.core.files import os_reason
from mingtok_audio.core.jobs import Records, file_sha256, is_done, make_entry, make_key

if TYPE_CHECKING:
    from uniaudio_lm.engine import UniAudio

logger = logging.getLogger("uniaudio_lm.commands")

RECORD_NAME = ".uniaudio.jsonl"
Result = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One input: `name` for people, `text` or the file `source`, and the file its result goes to
    (None: it is only reported)."""

    name: str
    source: Path | None = None
    text: str = ""
    output: Path | None = None

    def sha256(self) -> str:
        """Of what goes in."""
        if self.source is not None:
            return file_sha256(self.source)
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()


class Work(Protocol):
    """What is done with the inputs. It goes to worker processes: it must pickle."""

    def load(self) -> UniAudio:
        """The model."""
        ...

    def identity(self) -> dict[str, Any]:
        """Everything that results depend on beside their input."""
        ...

    def run(self, model: UniAudio, tasks: Sequence[Task]) -> list[Result]:
        """A result for each task, in their order; one that failed has `status` "failed" and its
        `error`. Outputs are written here."""
        ...


def done(task: Task, fields: Result) -> Result:
    """A result that went well."""
    return {"input": task.name, "output": shown(task), **fields, "status": "ok", "error": None}


def failed(task: Task, error: Exception) -> Result:
    """A result that did not."""
    text = message(error)
    if task.source is not None:
        name = "standard input" if task.name == "-" else task.name
        text = text.replace(str(task.source), name)
        if name not in text:
            text = f"{name}: {text}"
    elif task.name not in text:
        text = f"{task.name}: {text}"
    return {"input": task.name, "output": shown(task), "status": "failed", "error": one_line(text)}


def shown(task: Task) -> str | None:
    """The output's name in reports."""
    return None if task.output is None else str(task.output)


def message(error: Exception) -> str:
    """What to tell of an error."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory for this input"
    if isinstance(error, OSError):
        return os_reason(error) if error.filename is None else f"{error.filename}: {error.strerror}"
    return f"internal error: {type(error).__name__}: {error} (this is a bug; run with --debug)"


def run_tasks(
    work: Work, tasks: Sequence[Task], *, workers: int = 1, batch: int = 1, force: bool = False,
    what: str = "",
) -> Iterator[Result]:  # fmt: skip
    """Results in the order of the tasks, each as soon as it and those before it are ready.

    Args:
        workers: processes, each with a model of its own.
        batch: tasks that go through the model together.
        force: do again what is done.
        what: name of the progress bar.
    """
    if workers < 1 or batch < 1:
        raise UserError("--workers and --batch-size must be at least 1")
    records = Records(RECORD_NAME)
    identity = work.identity() if any(task.output for task in tasks) else {}
    results: dict[int, Result] = {}
    keys: dict[int, str] = {}
    todo = []
    for i, task in enumerate(tasks):
        if task.output is not None:
            try:
                keys[i] = make_key(task.sha256(), "", identity)
            except OSError as error:
                results[i] = failed(task, error)
                continue
            entry = None if force else records.get(task.output)
            if entry is not None and is_done(entry, keys[i], task.output):
                results[i] = done(task, entry["fields"]) | {"status": "skipped"}
                continue
        todo.append(i)
    groups = [todo[at : at + batch] for at in range(0, len(todo), batch)]
    told = 0
    with progress(what, len(tasks), "items", enabled=len(tasks) > 1) as bar:
        bar.advance(len(results))
        for group, found in _run_groups(work, tasks, groups, min(workers, len(groups))):
            for i, result in zip(group, found, strict=True):
                results[i] = result
                output = tasks[i].output
                if result["status"] == "ok" and output is not None:
                    fields = {
                        k: v for k, v in result.items()
                        if k not in ("input", "output", "status", "error")
                    }  # fmt: skip
                    records.add(output, make_entry(keys[i], output, fields))
            bar.advance(len(group))
            while told in results:
                yield results[told]
                told += 1
        while told in results:
            yield results[told]
            told += 1


def _run_groups(
    work: Work, tasks: Sequence[Task], groups: Sequence[list[int]], workers: int
) -> Iterator[tuple[list[int], list[Result]]]:
    if not groups:
        return
    if workers == 1:
        model = work.load()
        for group in groups:
            yield group, _run_group(work, model, [tasks[i] for i in group])
        return
    # Spawned, since a fork of a process with torch's threads can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (work,)) as pool:
        jobs = {pool.submit(_in_worker, [tasks[i] for i in g]): g for g in groups}
        try:
            for job in as_completed(jobs):
                yield jobs[job], _outcome(job, [tasks[i] for i in jobs[job]])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _run_group(work: Work, model: UniAudio, tasks: Sequence[Task]) -> list[Result]:
    try:
        return work.run(model, tasks)
    except BrokenPipeError:
        raise
    except Exception as error:
        if logger.isEnabledFor(logging.DEBUG):
            raise
        if len(tasks) > 1:  # one of them must not spoil the others
            return [result for task in tasks for result in _run_group(work, model, [task])]
        return [failed(tasks[0], error)]


def _outcome(job: Future[list[Result]], tasks: Sequence[Task]) -> list[Result]:
    try:
        return job.result()
    except BrokenProcessPool:
        died = UserError("a worker process died (out of memory, or the model cannot be loaded?)")
        return [failed(task, died) for task in tasks]


_worker: dict[str, Any] = {}


def _start_worker(work: Work) -> None:
    # Ctrl-C reaches every process of the group: only the parent answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    from mingtok_audio.core.runtime import set_threads

    set_threads(1)
    _worker["work"] = work
    try:
        _worker["model"] = work.load()
    except UserError as error:
        _worker["error"] = error


def _in_worker(tasks: Sequence[Task]) -> list[Result]:
    if "error" in _worker:  # no model, nothing to do: the parent says so, once
        raise _worker["error"]
    try:
        return _run_group(_worker["work"], _worker["model"], tasks)
    except SystemExit:
        os._exit(1)


def make_folder(folder: Path) -> None:
    """Raises `UserError` where the file system refuses."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {os_reason(error)}") from error


def finish(results: Sequence[Result], single: bool) -> None:
    """Tell what failed, and leave with the exit code for it."""
    bad = [result for result in results if result["status"] == "failed"]
    if not bad:
        return
    if single:
        raise UserError(bad[0]["error"])
    for result in bad:
        fail(result["error"])
    raise typer.Exit(EXIT_USAGE if len(bad) == len(results) else EXIT_FAILED_ITEMS)


def is_folder(output: str, several: bool) -> bool:
    """Whether an output is meant as a folder: it is one, is written like one, or has no suffix
    and takes several results."""
    target = Path(output)
    if target.is_dir() or output.endswith(("/", os.sep)):
        return True
    return several and not target.suffix[1:2].isalpha()  # "take-2.5" is no file name
