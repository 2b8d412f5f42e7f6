"""The one runner for files: what is done already, batches, worker processes, records, order.

Every command that takes files describes what it does as a `Work`, makes a `Job` of each input, and
reads the results of `run_jobs`, which come in the order of the jobs. The runner owns the rest:

- **Resuming.** Beside the outputs lies a record, a line for each finished result: a key of all that
  it depends on, and its checksum. A result counts as done when both match.
- **Processes.** `workers` of them, each with a model of its own. They end with their parent,
  whatever it died of, and Ctrl-C ends all of them at once. With `ray` they are actors of a cluster
  (`core.cluster`); records, resuming and results are the same.
- **Leftovers.** Temporary files of killed runs are removed before the outputs are made; those of a
  process that lives are left alone.
- **Errors.** `explain` turns whatever was raised into one line. A failed job never spoils another.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from mingtok_audio.core.cli.output import progress
from mingtok_audio.core.cluster import Cluster, Lost
from mingtok_audio.core.errors import UserError, one_line
from mingtok_audio.core.files import begun_by_the_dead, os_reason

logger = logging.getLogger("mingtok_audio.jobs")

# Part of every key: another number makes every result of before count as not done.
RECORD_VERSION = 1
Result = dict[str, Any]
Entry = dict[str, Any]
Advance = Callable[[float], None]
"""Told how much more of a job is done."""


@dataclass(frozen=True)
class Job:
    """One input and where its result goes.

    Attributes:
        name: for people.
        source: the input, if it is a file.
        text: the input, or what belongs to it (an instruction).
        output: the file of the result; None: it is only reported.
        shown: how reports name the output; None: by its path.
        resume: keep a record of the result, and don't make again what is done.
        extra: what else a command needs; it must pickle.
    """

    name: str
    source: Path | None = None
    text: str = ""
    output: Path | None = None
    shown: str | None = None
    resume: bool = True
    extra: Any = None

    @property
    def output_name(self) -> str | None:
        """The output's name in reports."""
        if self.shown is not None or self.output is None:
            return self.shown
        return str(self.output)

    def sha256(self) -> str:
        """Of what goes in. Raises `OSError`."""
        if self.source is None:
            return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()
        return file_sha256(self.source)


class Work(ABC):
    """What is done with the inputs. It goes to worker processes: it must pickle.

    Attributes:
        record_name: of the record file in each output folder; None keeps no record.
    """

    record_name: str | None = None

    @property
    def device(self) -> str:
        """Where the model runs, as options name it: a cluster gives the worker a GPU for it."""
        return "cpu"

    @abstractmethod
    def load(self) -> Any:
        """The model, once in each process. Raises `UserError`."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Everything that results depend on beside their inputs."""

    @abstractmethod
    def run(self, model: Any, jobs: Sequence[Job], advance: Advance) -> list[Result]:
        """A result for each job, in their order, with its output written; see `done`.

        `advance` is told the seconds that are done where one long file is worked on alone.
        """

    def targets(self, job: Job) -> list[Path]:
        """All files that a job writes."""
        return [] if job.output is None else [job.output]

    def finished(self, job: Job, key: str, records: Records | None) -> Result | None:
        """The fields of a result that is there and whole; None where there is none."""
        entry = None if records is None or job.output is None else records.get(job.output)
        if entry is None or job.output is None or not is_done(entry, key, job.output):
            return None
        return entry["fields"]

    def keep(self, job: Job, key: str, result: Result, records: Records | None) -> None:
        """Note a result that has just been made, so that `finished` finds it. In the parent."""
        if records is not None and job.output is not None:
            fields = {k: v for k, v in result.items() if k not in _OWN}
            records.add(job.output, make_entry(key, job.output, fields))

    def skipped(self, job: Job, fields: Result) -> Result:
        """The result of a job that was done already."""
        return done(job, fields) | {"status": "skipped"}

    def failed(self, job: Job, error: BaseException) -> Result:
        """The result of a job that raised."""
        return failed(job, error)


_OWN = frozenset({"input", "output", "status", "error", "wall_seconds"})


def done(job: Job, fields: Result) -> Result:
    """A result that went well."""
    made = {"input": job.name, "output": job.output_name, "status": "ok", "error": None}
    return {**made, **fields}


def failed(job: Job, error: BaseException) -> Result:
    """A result that did not."""
    text = explain(error, job)
    return {"input": job.name, "output": job.output_name, "status": "failed", "error": text}


def explain(error: BaseException, job: Job | None = None) -> str:
    """Any exception as one line that says what is wrong and names the input it is about."""
    if isinstance(error, UserError):
        text = str(error)
    elif is_out_of_memory(error):
        text = "not enough memory for this input"
    elif isinstance(error, OSError):
        named = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
        text = f"{named}{os_reason(error)}"
    else:
        text = (
            f"internal error: {type(error).__name__}: {error} (this is a bug; run again with "
            "--debug and report what it prints)"
        )
    if job is not None:
        if job.name == "-" and job.source is not None:
            text = text.replace(str(job.source), "standard input")
        if job.shown == "-" and job.output is not None:
            text = text.replace(str(job.output), "standard output")
        known = (job.name, str(job.source), str(job.output_name), "standard ")
        if not any(name in text for name in known):
            text = f"{job.name}: {text}"
    return one_line(text)


def is_out_of_memory(error: BaseException) -> bool:
    """Python's `MemoryError`, and what torch raises where the system or a device has no more."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    words = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")
    return isinstance(error, RuntimeError) and any(w in str(error).lower() for w in words)


# --- running --------------------------------------------------------------------------------------

Groups = Sequence[Sequence[int]]
Finished = Iterator[tuple[Sequence[int], list[Result]]]
Executor = Callable[[Work, Sequence[Job], Groups], Finished]
"""Runs groups of jobs: (the group's indices, its results) as they become ready."""


def run_jobs(
    work: Work,
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    batch: int = 1,
    force: bool = False,
    bar: str = "",
    seconds: float | None = None,
    ray: str | None = None,
) -> Iterator[Result]:
    """Results in the order of the jobs, each as soon as it and those before it are ready.

    Args:
        workers: processes, each with a model of its own; by default 1, on a cluster as many as it
            has processors (or GPUs, where the model takes one).
        batch: jobs that go through the model together.
        force: make again what is done.
        bar: name of the progress bar.
        seconds: length of a single long file: its progress is shown in seconds.
        ray: address of a Ray cluster that runs the jobs; see `core.cluster.Cluster`.

    Raises:
        UserError: wrong numbers, a model that cannot be loaded, or no cluster at the address.
    """
    if (workers is not None and workers < 1) or batch < 1:
        raise UserError("--workers and --batch-size must be at least 1")
    if ray is not None:
        Cluster(ray).check()
    folders = {path.parent for job in jobs for path in work.targets(job)}
    sweep(folders)
    records = None if work.record_name is None else Records(work.record_name)
    kept = [job.resume and job.output is not None for job in jobs]
    identity = work.identity() if any(kept) else {}
    results: dict[int, Result] = {}
    keys: dict[int, str] = {}
    todo: list[int] = []
    for i, job in enumerate(jobs):
        if kept[i]:
            try:
                keys[i] = make_key(job.sha256(), job.text, identity)
            except OSError as error:
                results[i] = work.failed(job, error)
                continue
            fields = None if force else work.finished(job, keys[i], records)
            if fields is not None:
                results[i] = work.skipped(job, fields)
                continue
        todo.append(i)
    groups = [todo[at : at + batch] for at in range(0, len(todo), batch)]
    with _bar(bar, len(jobs), seconds) as advance:
        if len(jobs) > 1:
            advance(len(results))
        if not groups:
            executor = _none
        elif ray is not None:
            executor = _on_ray(ray, workers, folders)
        elif min(workers or 1, len(groups)) > 1:
            executor = _local_processes(min(workers or 1, len(groups)))
        else:
            executor = _alone(advance if len(jobs) == 1 else _nothing)
        told = 0
        for group, found in executor(work, jobs, groups):
            for i, result in zip(group, found, strict=True):
                results[i] = result
                if result["status"] == "ok" and i in keys:
                    work.keep(jobs[i], keys[i], result, records)
            if len(jobs) > 1:
                advance(len(group))
            while told in results:
                yield results[told]
                told += 1
        while told in results:
            yield results[told]
            told += 1


@contextmanager
def _bar(name: str, jobs: int, seconds: float | None) -> Iterator[Advance]:
    if seconds is not None and jobs == 1:
        with progress(name, round(seconds), "s") as bar:
            yield bar.advance
    elif jobs > 1 and name:
        with progress(name, jobs, "files") as bar:
            yield bar.advance
    else:
        yield _nothing


def _nothing(_: float) -> None:
    """Where nobody watches the progress inside a file."""


def _none(work: Work, jobs: Sequence[Job], groups: Groups) -> Finished:
    """Nothing is left to do: no model is loaded for it, and no cluster asked."""
    yield from ()


def _alone(advance: Advance) -> Executor:
    """Runs everything in this process."""

    def run(work: Work, jobs: Sequence[Job], groups: Groups) -> Finished:
        model = work.load()
        for group in groups:
            yield group, run_group(work, model, [jobs[i] for i in group], advance)

    return run


def run_group(
    work: Work, model: Any, jobs: Sequence[Job], advance: Advance = _nothing
) -> list[Result]:
    """The results of some jobs; where they fail together, each is tried alone."""
    try:
        return work.run(model, jobs, advance)
    except BrokenPipeError:
        raise  # whoever read standard output is gone: nobody to tell
    except Exception as error:
        if logger.isEnabledFor(logging.DEBUG):  # --debug: the traceback is what is wanted
            raise
        if len(jobs) > 1:
            return [r for job in jobs for r in run_group(work, model, [job], advance)]
        return [work.failed(jobs[0], error)]


def _local_processes(workers: int) -> Executor:
    """Runs the groups in processes of this machine."""

    def run(work: Work, jobs: Sequence[Job], groups: Groups) -> Finished:
        _check_pickles(work)
        # Processes, not threads: small matrices leave Python itself as the bottleneck. Spawned,
        # since a fork of a process with torch's threads can hang.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, _start_worker, (work, os.getpid())) as pool:
            try:
                running = {pool.submit(_in_worker, [jobs[i] for i in g]): g for g in groups}
                for future in as_completed(running):
                    group = running[future]
                    yield group, _outcome(work, future, [jobs[i] for i in group])
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in multiprocessing.active_children():
                    process.terminate()
                raise

    return run


def _on_ray(address: str, workers: int | None, folders: set[Path]) -> Executor:
    """Runs the groups on a Ray cluster."""

    def run(work: Work, jobs: Sequence[Job], groups: Groups) -> Finished:
        _check_pickles(work)
        with Cluster(address) as cluster:
            gpus = cluster.size("GPU")
            if work.device.startswith("cuda") and not gpus:
                raise UserError(f"--device {work.device}: the cluster at {address} has no GPU")
            on_gpu = gpus > 0 and work.device.startswith(("cuda", "auto"))
            places = max(1, gpus if on_gpu else cluster.size("CPU"))
            answers = cluster.call(
                functools.partial(_start_actor, work, folders),
                _in_actor,
                [[jobs[i] for i in group] for group in groups],
                min(workers or places, places, len(groups)),
                gpus=int(on_gpu),
            )
            for index, answer in answers:
                group = groups[index]
                if isinstance(answer, Lost):
                    died = UserError(answer.reason)
                    yield group, [work.failed(jobs[i], died) for i in group]
                else:
                    yield group, answer
        sweep(folders)  # what workers left that died, and whose jobs were done again

    return run


def _start_actor(work: Work, folders: set[Path]) -> tuple[Work, Any]:
    sweep(folders)  # of this machine's dead: one of them may be the actor in whose place we are
    _prepare_worker()
    return work, work.load()


def _in_actor(held: tuple[Work, Any], jobs: Sequence[Job]) -> list[Result]:
    return run_group(*held, jobs)


def _check_pickles(work: Work) -> None:
    try:
        ForkingPickler.dumps(work)
    except Exception as error:  # whatever its parts raise that cannot go
        raise UserError(
            f"other processes cannot be given this work ({one_line(str(error))}); use one worker"
        ) from error


def _prepare_worker() -> None:
    from mingtok_audio.core.runtime import set_threads

    set_threads(1)


def _outcome(work: Work, future: Future[list[Result]], jobs: Sequence[Job]) -> list[Result]:
    try:
        return future.result()
    except BrokenProcessPool:
        died = UserError("a worker process died (out of memory?)")
        return [work.failed(job, died) for job in jobs]


@dataclass
class _State:
    """What one worker process holds."""

    work: Work | None = None
    model: Any = None
    error: UserError | None = None


_worker = _State()


def _start_worker(work: Work, parent: int) -> None:
    # Ctrl-C reaches every process of the group: only the parent answers it, and then asks us to
    # end, which must still remove unfinished files.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    end_with_parent(parent)
    _prepare_worker()
    _worker.work = work
    try:
        _worker.model = work.load()
    except UserError as error:
        _worker.error = error


def _in_worker(jobs: Sequence[Job]) -> list[Result]:
    if _worker.error is not None:  # no model, nothing to do: the parent says so, once
        raise _worker.error
    assert _worker.work is not None
    try:
        return run_group(_worker.work, _worker.model, jobs)
    except SystemExit:
        # The unfinished file is gone by now. The pool would take the exception for a result and
        # hand out the next job.
        os._exit(1)


def end_with_parent(parent: int, interval: float = 0.25) -> None:
    """End this process soon after its parent, which may have been killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(interval)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


# --- records --------------------------------------------------------------------------------------


class Records:
    """The records of all output folders of a run, read when first asked for.

    Args:
        name: of the file in each folder.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._folders: dict[Path, dict[str, Entry]] = {}

    def get(self, output: Path) -> Entry | None:
        """What is known of an output, or None."""
        folder = output.parent
        if folder not in self._folders:
            self._folders[folder] = _read(folder / self._name)
        return self._folders[folder].get(output.name)

    def add(self, output: Path, entry: Entry) -> None:
        """Note a finished result. A line at a time, so that a run that is killed loses none."""
        line = json.dumps({"output": output.name, **entry}, ensure_ascii=True) + "\n"
        path = output.parent / self._name
        try:
            with path.open("a", encoding="ascii") as stream:
                stream.write(line)
        except OSError as error:
            raise UserError(f"cannot write {path}: {os_reason(error)}") from error
        self._folders.setdefault(output.parent, {})[output.name] = entry


def _read(path: Path) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return entries
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            name = entry.pop("output")
        except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
            continue  # a line cut short by a crash: that result is made again
        if isinstance(name, str):
            entries[name] = entry
    return entries


def make_key(input_sha256: str, text: str, identity: dict[str, Any]) -> str:
    """A key of everything that a result depends on."""
    parts = [RECORD_VERSION, input_sha256, text, identity]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def make_entry(key: str, output: Path, fields: Result) -> Entry:
    """The record of a result that has just been written."""
    return {"key": key, "sha256": file_sha256(output), "fields": fields}


def is_done(entry: Entry | None, key: str, output: Path) -> bool:
    """Whether the output is there, whole, and what this run would make."""
    if not entry or entry.get("key") != key or not isinstance(entry.get("fields"), dict):
        return False
    try:
        return output.is_file() and file_sha256(output) == entry.get("sha256")
    except OSError:
        return False


def file_sha256(path: Path) -> str:
    """SHA-256 of what is on disk now (`core.models.weights.sha256_of_file` remembers by time)."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sweep(folders: Iterable[Path]) -> int:
    """Remove the temporary files that killed processes left in `folders`; how many."""
    removed = 0
    for folder in set(folders):
        try:
            left = begun_by_the_dead(folder)
        except OSError:
            continue
        for path in left:
            path.unlink(missing_ok=True)
            removed += 1
    return removed
