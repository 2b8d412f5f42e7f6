"""Folders and benchmark files of edits: workers, taking up a run again, and the report.

A result is finished when its receipt is there, written for the same source, instruction and
options, and the output beside it has the receipt's checksum. The receipt is written last, so a run
that is killed loses only what it was working on.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mingtok_audio.core.audio import AUDIO_SUFFIXES
from mingtok_audio.core.cli.inputs import collect_inputs
from mingtok_audio.core.config import parse_json, read_text
from mingtok_audio.core.errors import FormatError, UserError, one_line
from mingtok_audio.core.files import os_reason
from uniaudio_edit.errors import AmbiguousInstructionError
from uniaudio_edit.leftovers import sweep
from uniaudio_edit.pcm import OUTPUT_SUFFIXES, file_sha256
from uniaudio_edit.receipt import Names, read_receipt

if TYPE_CHECKING:
    from uniaudio_edit.editor import Editor

logger = logging.getLogger("mingtok_audio")
_MAX_META = 512 << 20


@dataclass(frozen=True)
class Settings:
    """What every edit of a run shares."""

    backend: str = "auto"
    parser: str = "grammar"
    model: str = "nano"
    aligner: str = ""
    check: bool = False
    watermark: str = ""
    which: str = "refuse"
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """One edit to make."""

    source: Path
    output: Path
    instruction: str
    text: str | None = None
    words: Any = None  # decoded JSON of word times, or None
    force: bool = False


def key_of(task: Task, settings: Settings) -> str:
    """Everything that the output depends on, as a hash."""
    from uniaudio_edit import __version__

    parts = [
        __version__,
        file_sha256(task.source),
        task.instruction,
        task.text,
        task.words,
        asdict(settings),
    ]
    sound = settings.options.get("sound")
    if sound:
        parts.append(file_sha256(Path(sound)))
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def finished(task: Task, key: str) -> dict[str, Any] | None:
    """The receipt of a result that is there already, or None."""
    names = Names.of(task.output)
    if not names.receipt.is_file() or not names.output.is_file() or not names.undo.is_file():
        return None
    try:
        receipt = read_receipt(names.receipt)
        whole = file_sha256(names.output) == receipt.output["sha256"]
    except (UserError, OSError):
        return None
    return receipt.to_dict() if whole and receipt.key == key else None


def run_one(task: Task, settings: Settings) -> dict[str, Any]:
    """Make one edit; whatever fails is in the result as `error`."""
    from uniaudio_edit.words import parse_words

    base = {"input": str(task.source), "status": "ok", "error": None}
    try:
        key = key_of(task, settings)
        known = None if task.force else finished(task, key)
        if known is not None:
            return {**base, "status": "skipped", **known}
        words = None
        if task.words is not None:
            words = parse_words(task.words, f"the word times of {task.source.name}")
        editor = editor_of(settings)
        task.output.parent.mkdir(parents=True, exist_ok=True)
        receipt = editor.edit_file(
            task.source, task.instruction, task.output,
            text=task.text, words=words, which=settings.which, key=key,
        )  # fmt: skip
        return {**base, **receipt.to_dict()}
    except AmbiguousInstructionError as error:
        return {**base, "status": "failed", "error": _named(task, error),
                "candidates": error.candidates}  # fmt: skip
    except Exception as error:
        if logger.isEnabledFor(logging.DEBUG):
            raise
        return {**base, "status": "failed", "error": _named(task, error)}


def editor_of(settings: Settings) -> Editor:
    """The editor of a run; a process loads its model once."""
    from uniaudio_edit.editor import Editor
    from uniaudio_edit.parts import shared_parts

    return Editor(
        parser=settings.parser,
        backend=settings.backend,
        watermark=settings.watermark,
        parts=shared_parts(settings.model, settings.aligner),
        check=settings.check,
        seed=settings.seed,
        options=settings.options,
    )


def _named(task: Task, error: Exception) -> str:
    if isinstance(error, UserError):
        text = str(error)
    elif isinstance(error, OSError):
        text = f"{error.filename or task.source}: {os_reason(error)}"
    elif isinstance(error, MemoryError):
        text = "not enough memory for this recording"
    else:
        text = (
            f"internal error: {type(error).__name__}: {error} (this is a bug; run again with "
            "--debug and report what it prints)"
        )
    return one_line(text if str(task.source) in text else f"{task.source}: {text}")


# --- which edits ----------------------------------------------------------------------------------


def folder_tasks(folder: Path, instruction: str, output: Path, force: bool) -> list[Task]:
    """An edit for every recording of a folder. `NAME.txt` beside a recording is its text,
    `NAME.words.json` its word times."""
    items = collect_inputs([str(folder)], AUDIO_SUFFIXES)
    tasks: list[Task] = []
    inside = output.resolve()
    for item in items:
        assert item.path is not None
        if item.path.resolve().is_relative_to(inside) and inside != folder.resolve():
            continue  # results of an earlier run
        suffix = item.path.suffix.lower()
        target = (output / Path(item.relative)).with_suffix(
            suffix if suffix in OUTPUT_SUFFIXES else ".wav"
        )
        text, words = _beside(item.path)
        tasks.append(Task(item.path, target, instruction, text, words, force))
    if not tasks:
        raise UserError(f"{folder} holds no recordings")
    return _distinct(tasks)


def _beside(path: Path) -> tuple[str | None, Any]:
    text_file, words_file = path.with_suffix(".txt"), path.with_suffix(".words.json")
    text = read_text(text_file).strip() if text_file.is_file() else None
    words = None
    if words_file.is_file():
        words = parse_json(read_text(words_file, _MAX_META), str(words_file))
    return text, words


_AUDIO_KEYS = ("audio", "source", "wav", "source_audio", "input", "path")
_TEXT_KEYS = ("original_text", "text", "source_text", "transcript")


def meta_tasks(meta: Path, instruction: str, output: Path, force: bool) -> list[Task]:
    """The edits of a JSON-lines file: `audio` (or `source`), `instruction`, and if known
    `original_text` (or `text`), `words`, `id`. Paths are relative to the file.

    Raises:
        UserError: names the line.
    """
    text = read_text(meta, _MAX_META)
    tasks: list[Task] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = f"{meta}, line {number}"
        row = parse_json(line, where)
        if not isinstance(row, dict):
            raise FormatError(f"{where} is not a JSON object")
        audio = next((row[k] for k in _AUDIO_KEYS if isinstance(row.get(k), str)), None)
        wanted = row.get("instruction") or instruction
        if audio is None or not isinstance(wanted, str):
            raise FormatError(f"{where} needs an audio path and an instruction")
        known = next((row[k] for k in _TEXT_KEYS if isinstance(row.get(k), str)), None)
        source = Path(audio) if Path(audio).is_absolute() else meta.parent / audio
        name = str(row.get("id") or Path(audio).stem)
        if not name or name.startswith(".") or any(c in name for c in "/\\\0"):
            raise FormatError(f"{where}: the id {name!r} is no file name")
        suffix = source.suffix.lower() if source.suffix.lower() in OUTPUT_SUFFIXES else ".wav"
        tasks.append(
            Task(source, output / f"{name}{suffix}", wanted, known, row.get("words"), force)
        )
    if not tasks:
        raise UserError(f"{meta} has no lines")
    return _distinct(tasks)


def _distinct(tasks: list[Task]) -> list[Task]:
    seen: Mapping[Path, Task] = {}
    for task in tasks:
        place = Names.of(task.output).receipt.resolve()
        if place in seen:
            raise UserError(
                f"{seen[place].source} and {task.source} would both be written to {task.output}; "
                "give them different names"
            )
        seen = {**seen, place: task}
    return tasks


# --- doing it -------------------------------------------------------------------------------------

_worker: dict[str, Settings] = {}


def run_all(
    tasks: Sequence[Task], settings: Settings, workers: int, advance: Callable[[float], None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(index, result) of every task, as they become ready."""
    names = [Names.of(task.output) for task in tasks]
    sweep(place for n in names for place in (n.output, n.receipt, n.undo))
    if workers == 1 or len(tasks) == 1:
        for index, task in enumerate(tasks):
            yield index, run_one(task, settings)
            advance(1)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(tasks)), context, _start, (settings,)) as pool:
        jobs = {pool.submit(_work, task): n for n, task in enumerate(tasks)}
        try:
            for job in as_completed(jobs):
                task = tasks[jobs[job]]
                try:
                    result = job.result()
                except BrokenProcessPool:
                    result = {
                        "input": str(task.source),
                        "status": "failed",
                        "error": f"{task.source}: a worker process died (out of memory?)",
                    }
                yield jobs[job], result
                advance(1)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _start(settings: Settings) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    _worker["settings"] = settings


def _work(task: Task) -> dict[str, Any]:
    return run_one(task, _worker["settings"])
