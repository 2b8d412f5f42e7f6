"""A run over many files, by `core.jobs`: each file becomes a part, the parts become the manifest.

A part (`OUT/parts/KEY.jsonl`) holds the rows of one file. A run that was killed takes up what is
there; the corpus stages then read all parts, and the manifest is written whole or not at all.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mingtok_audio.core.config.schema import from_dict, to_dict
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_text, os_reason
from mingtok_audio.core.jobs import Advance, Job, Result, Work, done, run_jobs, sweep
from mingtok_audio.curation.interfaces import Row
from mingtok_audio.curation.manifest import (
    from_json,
    need_pyarrow,
    schema_of,
    to_json,
    write_rows,
)
from mingtok_audio.curation.pipeline import FAILED, Pipeline, PipelineConfig
from mingtok_audio.curation.recording import Source
from mingtok_audio.curation.sources import UNREADABLE, source_key

logger = logging.getLogger("mingtok_audio")

MANIFEST = "manifest.parquet"
_NOT_SEGMENTS = frozenset({"no_speech", "silent", "no_licence", UNREADABLE, FAILED})


@dataclass
class Summary:
    """What came of a run, or of a filter.

    Attributes:
        files, hours_in: of the inputs; what cannot be read has no length.
        segments: of speech, kept or not.
        hours_kept: of the segments that are kept.
        dropped: rows by reason; dropped_hours: their hours.
        bad_files: files that could not be read or failed.
        splits: hours that are kept, by split.
        skipped: stages that could not work here, and why.
    """

    files: int = 0
    hours_in: float = 0.0
    segments: int = 0
    kept: int = 0
    hours_kept: float = 0.0
    dropped: dict[str, int] = field(default_factory=dict)
    dropped_hours: dict[str, float] = field(default_factory=dict)
    bad_files: int = 0
    speakers: int = 0
    splits: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


class Tally:
    """Adds rows up."""

    def __init__(self) -> None:
        self._sources: set[str] = set()
        self._speakers: set[str] = set()
        self._seconds = self._kept_seconds = 0.0
        self._counts: Counter[str] = Counter()
        self._hours: Counter[str] = Counter()
        self._splits: Counter[str] = Counter()
        self._kept = self._segments = self._bad = 0

    def add(self, row: Row) -> None:
        """One more row."""
        self._sources.add(row["source"])
        self._seconds += row["seconds"]
        self._segments += row["reason"] not in _NOT_SEGMENTS
        if row["kept"]:
            self._kept += 1
            self._kept_seconds += row["seconds"]
            self._splits[row.get("split") or "none"] += row["seconds"]
            if row["speaker"]:
                self._speakers.add(row["speaker"])
        else:
            self._counts[row["reason"]] += 1
            self._hours[row["reason"]] += row["seconds"]
            self._bad += row["reason"] in (UNREADABLE, FAILED) and row["start"] == 0

    def summary(self, skipped: dict[str, str]) -> Summary:
        """Of the rows so far."""

        def hours(seconds: float) -> float:
            return round(seconds / 3600, 6)

        return Summary(
            files=len(self._sources),
            hours_in=hours(self._seconds),
            segments=self._segments,
            kept=self._kept,
            hours_kept=hours(self._kept_seconds),
            dropped=dict(sorted(self._counts.items())),
            dropped_hours={name: hours(s) for name, s in sorted(self._hours.items())},
            bad_files=self._bad,
            speakers=len(self._speakers),
            splits={name: hours(s) for name, s in sorted(self._splits.items())},
            skipped=dict(skipped),
        )


class Curating(Work):
    """A file through the file and segment stages.

    Args:
        config: of the pipeline, as plain values: it goes to other processes.
    """

    record_name = ".curate.jsonl"

    def __init__(self, config: PipelineConfig) -> None:
        self._config = to_dict(config)
        self._pipeline: Pipeline | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_config": self._config, "_pipeline": None}  # each process makes its own

    @property
    def pipeline(self) -> Pipeline:
        """The stages, in this process."""
        if self._pipeline is None:
            self._pipeline = Pipeline(from_dict(PipelineConfig, self._config, "the pipeline"))
        return self._pipeline

    def load(self) -> Pipeline:
        """The stages with their models."""
        self.pipeline.load()
        return self.pipeline

    def identity(self) -> dict[str, Any]:
        """See `Pipeline.identity`."""
        return self.pipeline.identity()

    def run(self, model: Pipeline, jobs: Sequence[Job], advance: Advance) -> list[Result]:
        """A part for each file."""
        return [self._one(model, job) for job in jobs]

    def _one(self, model: Pipeline, job: Job) -> Result:
        assert job.output is not None
        rows = model.process(job.extra)
        atomic_write_text(job.output, "".join(to_json(row) + "\n" for row in rows))
        return done(job, {"rows": len(rows)})


def curate(
    sources: Sequence[Source],
    output: Path,
    config: PipelineConfig,
    *,
    workers: int | None = None,
    force: bool = False,
    ray: str | None = None,
) -> Summary:
    """Curate files into `output/manifest.parquet`.

    Args:
        workers, force, ray: see `core.jobs.run_jobs`.

    Raises:
        UserError: the pipeline or the output folder cannot be used.
    """
    need_pyarrow()
    work = Curating(config)
    pipeline = work.pipeline
    for name, reason in pipeline.skipped.items():
        logger.warning("the stage %s is skipped: %s", name, reason)
    parts = output / "parts"
    try:
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {parts}: {os_reason(error)}") from error
    sweep([output, parts])
    jobs = [
        Job(
            name=source.name,
            source=source.path,
            text=json.dumps([source.name, dict(source.fields), source.reason], sort_keys=True),
            output=parts / f"{source_key(source)}.jsonl",
            extra=source,
        )
        for source in sources
        if source.reason != UNREADABLE
    ]
    failed: dict[str, str] = {}
    for result in run_jobs(work, jobs, workers=workers, force=force, bar="curate", ray=ray):
        if result["status"] == "failed":
            failed[result["input"]] = result["error"]
            logger.error("%s", result["error"])
    _remove_others(parts, {job.output for job in jobs if job.output is not None})
    reader = _Parts(pipeline, sources, parts, failed)
    summary = _reduce(pipeline, reader, output / MANIFEST)
    return summary


@dataclass
class _Parts:
    """The rows of all files, in the order of the sources."""

    pipeline: Pipeline
    sources: Sequence[Source]
    folder: Path
    failed: dict[str, str]

    def rows(self) -> Iterator[Row]:
        for source in self.sources:
            if source.reason == UNREADABLE:
                yield self.pipeline.whole_row(source, UNREADABLE, source.problem)
            elif source.name in self.failed:
                yield self.pipeline.whole_row(source, FAILED, self.failed[source.name], "run")
            else:
                path = self.folder / f"{source_key(source)}.jsonl"
                with path.open(encoding="ascii") as lines:
                    for line in lines:
                        yield from_json(line, self.pipeline.columns)


def _reduce(pipeline: Pipeline, parts: _Parts, path: Path) -> Summary:
    """Run the corpus stages, and write the manifest."""
    wanted = pipeline.corpus_columns()
    few = [{name: row[name] for name in wanted} for row in parts.rows()]
    pipeline.reduce(few)
    tally = Tally()

    def merged() -> Iterator[Row]:
        for row, found in zip(parts.rows(), few, strict=True):
            whole = row | found
            tally.add(whole)
            yield whole

    write_rows(path, schema_of(pipeline.columns, pipeline.described()), merged())
    return tally.summary(pipeline.skipped)


def _remove_others(parts: Path, wanted: set[Path]) -> None:
    """Parts of files that are no longer among the inputs."""
    for path in parts.glob("*.jsonl"):
        if path not in wanted and not path.name.startswith("."):
            path.unlink(missing_ok=True)


# --- estimates ------------------------------------------------------------------------------------

_FLAC_BYTES = 20_000  # of a second of speech at 16 kHz, mono, 16 bits
_SAMPLE_FILES, _SAMPLE_SECONDS = 5, 240.0


def estimate(
    sources: Sequence[Source], config: PipelineConfig, *, workers: int | None = None
) -> dict[str, Any]:
    """What a run would give and cost, from the headers of all files and a few that are processed.

    Returns:
        `files`, `hours_in`, `hours_kept`, `hours_of_work`, `disk_gb` (shards), `stages` with what
        each would do, `sampled` files and seconds. Nothing is written.
    """
    from mingtok_audio.core.audio import audio_info

    pipeline = Pipeline(config)
    lengths: list[tuple[Source, float]] = []
    unreadable = 0
    for source in sources:
        try:
            if source.reason:
                raise UserError(source.problem)
            lengths.append((source, audio_info(source.path).seconds))
        except (UserError, OSError):
            unreadable += 1
    total = sum(seconds for _, seconds in lengths)
    fits = [item for item in lengths if item[1] <= _SAMPLE_SECONDS] or sorted(
        lengths, key=lambda item: item[1]
    )[:1]
    step = max(1, len(fits) // _SAMPLE_FILES)
    chosen = fits[::step][:_SAMPLE_FILES]
    pipeline.load()
    began, rows = time.perf_counter(), []
    for source, _ in chosen:
        rows += pipeline.process(source)
    wall = time.perf_counter() - began
    pipeline.reduce(rows)
    seen = sum(seconds for _, seconds in chosen)
    kept = sum(row["seconds"] for row in rows if row["kept"])
    share, cost = (kept / seen, wall / seen) if seen else (0.0, 0.0)
    return {
        "files": len(sources),
        "unreadable": unreadable,
        "hours_in": round(total / 3600, 4),
        "hours_kept": round(total * share / 3600, 4),
        "hours_of_work": round(total * cost / (workers or 1) / 3600, 4),
        "disk_gb": round(total * share * _FLAC_BYTES / 1e9, 4),
        "sampled": {"files": len(chosen), "seconds": round(seen, 1)},
        "stages": [
            {"name": name, "runs": name not in pipeline.skipped, "note": pipeline.skipped.get(name)}
            for name, _ in pipeline.stages
        ],
    }
