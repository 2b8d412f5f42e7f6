"""What can be scored: a folder of results, a command line, a Python function."""

from __future__ import annotations

import hashlib
import importlib
import logging
import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audio_eval.interfaces import (
    ComponentInfo,
    Item,
    ItemFailedError,
    System,
    SystemCallable,
    SystemOutput,
)
from audio_eval.scoring.cache import JsonlCache, digest
from audio_eval.scoring.context import Context
from audio_eval.scoring.runner import Outputs, item_content
from mingtok_audio.core.errors import UserError, one_line
from mingtok_audio.core.jobs import (
    Advance,
    Job,
    Records,
    Result,
    Work,
    done,
    failed,
    file_sha256,
    run_jobs,
)

logger = logging.getLogger("audio_eval")

_FIELDS = ("id", "source", "reference", "text", "original_text", "instruction", "language", "task")


class FolderSystem(System):
    """Results that are there already: ``path/<id>.wav``, or a file of texts by id."""

    info = ComponentInfo(name="folder", summary="a folder of results")

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def identity(self) -> str:
        return f"folder {self.path}"

    def produce(self, item: Item, folder: Path) -> SystemOutput:
        """The item's file, or its text."""
        from audio_eval.scoring.manifest import attach_outputs

        try:
            found = attach_outputs([item], self.path)[0]
        except UserError:
            raise ItemFailedError(f"{self.path} has nothing called {item.id}") from None
        return SystemOutput(found.audio, found.hypothesis)


class CommandSystem(System):
    """A command line run once per item, without a shell.

    ``{out}`` stands for the wav to write; ``{id} {source} {reference} {text} {original_text}
    {instruction} {language} {task}`` and ``{param:NAME}`` for the item's values. A command
    without ``{out}`` answers with text on its standard output.

    Args:
        command: for example ``"mytool --in {source} --say {text} --out {out}"``.
        timeout: seconds per item.
    """

    info = ComponentInfo(name="command", summary="a command line run once per item")

    def __init__(self, command: str, timeout: float = 600.0) -> None:
        self.command = command
        self.timeout = timeout
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise UserError(f"--system command: {error}") from None
        if not self._words:
            raise UserError("--system command: is empty")

    def identity(self) -> str:
        return f"command {self.command}"

    def produce(self, item: Item, folder: Path) -> SystemOutput:
        """Run the command; what it writes or prints is the output."""
        out = folder / f"{file_name(item.id)}.wav"
        values: dict[str, Any] = {name: getattr(item, name) for name in _FIELDS}
        values |= {f"param:{k}": v for k, v in item.parameters.items()} | {"out": out}
        words = [self._fill(word, values) for word in self._words]
        out.unlink(missing_ok=True)
        started = time.monotonic()
        try:
            done = subprocess.run(words, capture_output=True, timeout=self.timeout, check=False)
        except subprocess.TimeoutExpired:
            raise ItemFailedError(f"the command took longer than {self.timeout:g} s") from None
        except OSError as error:
            raise UserError(f"--system command: {words[0]}: {error.strerror}") from None
        seconds = time.monotonic() - started
        if done.returncode:
            said = one_line(done.stderr.decode("utf-8", "replace"))[-300:]
            raise ItemFailedError(f"the command left with code {done.returncode}: {said}")
        if "{out}" in self.command:
            if not out.is_file():
                raise ItemFailedError("the command wrote no output")
            return SystemOutput(audio=out, seconds=seconds)
        return SystemOutput(text=done.stdout.decode("utf-8", "replace").strip(), seconds=seconds)

    def _fill(self, word: str, values: dict[str, Any]) -> str:
        for name, value in values.items():
            mark = "{" + name + "}"
            if mark in word:
                if value is None:
                    raise ItemFailedError(f"the item has no {name} for the command")
                word = word.replace(mark, str(value))
        return word


class CallableSystem(System):
    """A Python function ``(item, folder) -> path | text | SystemOutput``.

    A ``str`` is a text, a ``Path`` a recording.

    Args:
        target: ``"package.module:function"``, or the function itself.
    """

    info = ComponentInfo(name="python", summary="a Python function")

    def __init__(self, target: str | SystemCallable) -> None:
        self._name = target if isinstance(target, str) else getattr(target, "__qualname__", "?")
        if isinstance(target, str):
            module, _, attribute = target.partition(":")
            try:
                target = getattr(importlib.import_module(module), attribute)
            except (ImportError, AttributeError, ValueError) as error:
                raise UserError(f"--system python: {self._name}: {error}") from None
        if not callable(target):
            raise UserError(f"--system python: {self._name} is not a function")
        self._function: SystemCallable = target

    def identity(self) -> str:
        return f"python {self._name}"

    def produce(self, item: Item, folder: Path) -> SystemOutput:
        """Call the function; whatever it raises is the item's failure."""
        started = time.monotonic()
        try:
            made = self._function(item, folder)
        except ItemFailedError:
            raise
        except Exception as error:
            raise ItemFailedError(one_line(f"{type(error).__name__}: {error}")) from error
        seconds = time.monotonic() - started
        if isinstance(made, SystemOutput):
            return made
        if isinstance(made, Path):
            return SystemOutput(audio=made, seconds=seconds)
        if isinstance(made, str):
            return SystemOutput(text=made, seconds=seconds)
        raise ItemFailedError(f"the function gave a {type(made).__name__}, not a path or a text")


def file_name(item_id: str) -> str:
    """An id as a file name: two ids never share one."""
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in item_id)[:120]
    if safe == item_id and not safe.startswith("."):
        return safe
    return f"{safe.lstrip('.')}-{hashlib.sha256(item_id.encode()).hexdigest()[:8]}"


class Producing(Work):
    """`Work`: a system makes the output of an item. It runs in this process, an item at a time:
    the time that it takes is a result.

    Args:
        outputs: where the run writes.
        made: what there is, by key.
    """

    def __init__(self, system: System, outputs: Outputs, context: Context, made: JsonlCache):
        self.system = system
        self.folder = outputs.folder / "outputs"
        self._context = context
        self._made = made

    def load(self) -> System:
        """See `Work.load`."""
        return self.system

    def identity(self) -> dict[str, Any]:
        """See `Work.identity`."""
        return {"system": self.system.identity()}

    def job(self, item: Item) -> Job:
        """An item without an output."""
        item = item.replace(hypothesis=None, audio=None)
        content = digest(item_content(item, self._context))
        return Job(item.id, text=content, output=self.folder / file_name(item.id), extra=item)

    def finished(self, job: Job, key: str, records: Records | None) -> Result | None:
        """What the log holds for the key, where its recording is there and whole."""
        row = self._made.get(key)
        if row is None or (row["audio"] and file_sha(Path(row["audio"])) != row["sha256"]):
            return None
        return row

    def run(self, model: System, jobs: Sequence[Job], advance: Advance) -> list[Result]:
        """See `Work.run`."""
        return [self._one(model, job) for job in jobs]

    def _one(self, system: System, job: Job) -> Result:
        try:
            made = system.produce(job.extra, self.folder)
        except ItemFailedError as error:
            return failed(job, UserError(f"{job.name}: {error}"))
        audio = str(made.audio) if made.audio else None
        sha256 = file_sha(made.audio) if made.audio else None
        return done(
            job, {"audio": audio, "text": made.text, "seconds": made.seconds, "sha256": sha256}
        )

    def failed(self, job: Job, error: BaseException) -> Result:
        """See `Work.failed`; a `UserError` is about the system, not about the item."""
        return failed(job, error) | {"fatal": error if isinstance(error, UserError) else None}

    def keep(self, job: Job, key: str, result: Result, records: Records | None) -> None:
        """See `Work.keep`."""
        self._made.put({key: {n: result[n] for n in ("audio", "text", "seconds", "sha256")}})


def file_sha(path: Path) -> str:
    """SHA-256 of a file; "missing" where it cannot be read."""
    try:
        return file_sha256(path)
    except OSError:
        return "missing"


def produce_outputs(
    system: System,
    items: Sequence[Item],
    outputs: Outputs,
    context: Context,
    *,
    resume: bool,
    show: bool = False,
) -> list[Item]:
    """Let the system make every item's output below the run's folder.

    What was made is noted item by item with all that it depends on, so that ``resume`` makes only
    what is missing, failed or changed. An item that the system fails on stays in the list without
    an output; its reason is in the log.

    Raises:
        UserError: the system cannot run at all.
    """
    log = outputs.cache / "outputs.jsonl"
    if not resume:
        log.unlink(missing_ok=True)
    made = JsonlCache(log)
    work = Producing(system, outputs, context, made)
    work.folder.mkdir(parents=True, exist_ok=True)
    out = []
    try:
        jobs = [work.job(item) for item in items]
        results = run_jobs(work, jobs, bar="making outputs" if show else "")
        for item, result in zip(items, results, strict=True):
            if result.get("fatal") is not None:
                raise result["fatal"]
            if result["status"] == "failed":
                logger.warning("%s", result["error"])
            parameters = dict(item.parameters)
            if result.get("seconds") is not None:
                parameters["seconds"] = result["seconds"]
            audio = result.get("audio")
            out.append(
                item.replace(
                    audio=Path(audio) if audio else None,
                    hypothesis=result.get("text"),
                    parameters=parameters,
                )
            )
    finally:
        made.close()
    return out
