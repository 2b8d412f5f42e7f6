"""A manifest of recordings to a folder of pairs: streamed, in any number of processes, resumable.

The folder holds `audio/ID.source.flac` and `audio/ID.target.flac` (16 kHz, 16 bit), `pairs.jsonl`
with a line for each pair, `recipe.json`, and `report.json` once a run is through. A run that was
killed goes on where it stopped: files are renamed into place before their line is written, and
what a clip becomes does not depend on when it is its turn.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mingtok_audio.core.audio import save_audio
from mingtok_audio.core.config import load_json
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write, atomic_write_text
from mingtok_audio.core.jobs import end_with_parent
from uniaudio_edit.data.clips import Clip, read_clips
from uniaudio_edit.data.make import PairMaker
from uniaudio_edit.data.pair import SAMPLE_RATE, SEMANTIC_TASKS, Pair
from uniaudio_edit.data.recipe import Recipe

FORMAT_VERSION = 1
_DIGITS = 8


@dataclass
class Summary:
    """What a run did: pairs by task, and why others were not made."""

    folder: Path
    clips: int = 0
    pairs: Counter[str] = field(default_factory=Counter)
    turned_away: Counter[str] = field(default_factory=Counter)
    unreadable: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    resumed_at: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "output": str(self.folder),
            "clips": self.clips,
            "pairs": dict(sorted(self.pairs.items())),
            "hours": round(self.seconds / 3600, 4),
            "turned_away": dict(sorted(self.turned_away.items())),
            "unreadable": self.unreadable,
            "resumed_at": self.resumed_at,
        }


def build_pairs(
    manifest: Path,
    folder: Path,
    recipe: Recipe,
    *,
    split: str | None = None,
    limit: int | None = None,
    workers: int = 1,
    advance: Callable[[float], None] = lambda _: None,
) -> Summary:
    """Make the pairs of a manifest's clips, in its order.

    Args:
        split: only clips with this `split`.
        limit: number of clips to use, from the start.
        workers: processes; the result is the same for any number of them.

    Raises:
        UserError: a manifest or folder that cannot be used, another recipe in the same folder.
    """
    maker = PairMaker(recipe)  # checks folders and plugins before anything is written
    settings = {
        "format_version": FORMAT_VERSION,
        "manifest_sha256": _sha256(manifest),
        "split": split,
        "sample_rate": SAMPLE_RATE,
        **recipe.to_dict(),
    }
    _claim(folder, settings)
    lines = folder / "pairs.jsonl"
    summary = Summary(folder)
    start, done = _cut_torn(lines, summary)
    summary.resumed_at = start
    clips = itertools.islice(read_clips(manifest, split), limit)
    jobs = _jobs(clips, recipe.block, start, folder, done)
    with lines.open("ab") as out:
        for rows, turned, unreadable in _results(jobs, maker, workers):
            # One write for all pairs of a clip: a reader never sees a torn line but at the end.
            out.write("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode())
            out.flush()
            summary.clips += 1
            for row in rows:
                _count(summary, row)
            summary.turned_away.update(turned)
            summary.unreadable |= unreadable
            advance(1)
    write_items(folder)
    atomic_write_text(folder / "report.json", json.dumps(summary.to_dict(), indent=1) + "\n")
    return summary


def _claim(folder: Path, settings: dict[str, Any]) -> None:
    place = folder / "recipe.json"
    if place.is_file():
        before = load_json(place)
        plain = json.loads(json.dumps(settings))
        if before != plain:
            changed = sorted(k for k in {*plain, *before} if before.get(k) != plain.get(k))
            raise UserError(
                f"{folder} holds pairs of another recipe ({', '.join(changed)} differ): name "
                "another folder, or give the same options to go on"
            )
        for path in (folder / "audio").glob(".*.flac"):  # begun by a run that was killed
            path.unlink(missing_ok=True)
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there and holds something else; name another folder")
    try:
        (folder / "audio").mkdir(parents=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror}") from error
    atomic_write_text(place, json.dumps(settings, indent=1) + "\n")


def _cut_torn(lines: Path, summary: Summary) -> tuple[int, set[str]]:
    """Drop a torn last line; the index of the last clip that has pairs, and the ids of those."""
    if not lines.is_file():
        return 0, set()
    last, done, whole = 0, set[str](), 0
    with lines.open("rb+") as file:
        for raw in file:
            if not raw.endswith(b"\n"):
                break
            row = json.loads(raw)
            whole += len(raw)
            if row["index"] != last:
                last, done = row["index"], set()
            done.add(row["id"])
            _count(summary, row)
        file.truncate(whole)
    return last, done


def _count(summary: Summary, row: dict[str, Any]) -> None:
    summary.pairs[row["task"]] += 1
    summary.seconds += row["seconds"]


@dataclass(frozen=True)
class _Job:
    clip: Clip
    around: tuple[Clip, ...]
    folder: Path
    done: frozenset[str]


_Result = tuple[list[dict[str, Any]], Counter[str], dict[str, str]]


def _jobs(
    clips: Iterator[Clip], block: int, start: int, folder: Path, done: set[str]
) -> Iterator[_Job]:
    """Clips with the block they stand in; those before `start` are done."""
    while around := tuple(itertools.islice(clips, block)):
        for clip in around:
            if clip.index >= start:
                known = frozenset(done) if clip.index == start else frozenset()
                yield _Job(clip, around, folder, known)


def _results(jobs: Iterator[_Job], maker: PairMaker, workers: int) -> Iterator[_Result]:
    """Results in the order of the jobs, a bounded number of them under way."""
    if workers == 1:
        for job in jobs:
            yield _make(job, maker)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start, (maker.recipe, os.getpid())) as pool:
        waiting: list[Any] = []
        try:
            for job in jobs:
                waiting.append(pool.submit(_work, job))
                if len(waiting) >= 4 * workers:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        except BrokenProcessPool as error:
            raise UserError(
                "a worker process died (out of memory?); run the command again to go on"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_worker: dict[str, PairMaker] = {}


def _start(recipe: Recipe, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(parent)
    _worker["maker"] = PairMaker(recipe)


def _work(job: _Job) -> _Result:
    return _make(job, _worker["maker"])


def _make(job: _Job, maker: PairMaker) -> _Result:
    rows: list[dict[str, Any]] = []
    turned: Counter[str] = Counter()
    unreadable: dict[str, str] = {}
    for task, pair in maker.pairs(job.clip, job.around):
        if isinstance(pair, str):
            kind, _, words = pair.partition(": ")
            turned[f"{task}/{kind}" if kind != "unreadable" else kind] += 1
            if words:
                unreadable[job.clip.id] = words
            continue
        name = f"{job.clip.index:0{_DIGITS}d}-{job.clip.id}-{task}"
        if name not in job.done:
            rows.append(_written(pair, name, job))
    return rows, turned, unreadable


def _written(pair: Pair, name: str, job: _Job) -> dict[str, Any]:
    """Write the recordings of a pair; its line of the manifest."""
    places = {}
    for side, wav in (("source", pair.source), ("target", pair.target)):
        places[side] = f"audio/{name}.{side}.flac"
        save_audio(job.folder / places[side], wav, SAMPLE_RATE)
    return {
        "id": name,
        "index": job.clip.index,
        "task": pair.task,
        "language": job.clip.language,
        "speaker": job.clip.speaker,
        "instruction": pair.instruction,
        "use_cot": pair.task in SEMANTIC_TASKS,
        "source": places["source"],
        "target": places["target"],
        "source_text": pair.source_text,
        "text": pair.target_text,
        "cot": pair.cot,
        "source_spans": pair.source_spans,
        "target_spans": pair.target_spans,
        "source_seconds": round(len(pair.source) / SAMPLE_RATE, 6),
        "seconds": round(len(pair.target) / SAMPLE_RATE, 6),
        "params": pair.params,
    }


def write_items(folder: Path) -> None:
    """`items.jsonl`: the pairs as a manifest of audio-eval, so that any operation can be scored."""
    with (
        (folder / "pairs.jsonl").open(encoding="utf-8") as pairs,
        atomic_write(folder / "items.jsonl") as temporary,
        temporary.open("w", encoding="utf-8") as items,
    ):
        for line in pairs:
            row = json.loads(line)
            item = {name: row[name] for name in ("id", "task", "language", "instruction", "source")}
            item |= {"reference": row["target"], "text": row["text"]}
            item |= {"original_text": row["source_text"], "parameters": row["params"]}
            items.write(json.dumps(item, ensure_ascii=False) + "\n")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read the manifest {path}: {error.strerror or error}") from error


def read_pairs(folder: Path) -> Sequence[dict[str, Any]]:
    """The lines of a folder's `pairs.jsonl` (all in memory: for small folders and tests)."""
    with (folder / "pairs.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]
