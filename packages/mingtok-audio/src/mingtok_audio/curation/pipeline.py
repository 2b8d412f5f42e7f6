"""Stages in their order: a config, the stages made of it, and a recording's way through them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from mingtok_audio.core.audio import audio_info
from mingtok_audio.core.config.files import load_yaml, parse_yaml
from mingtok_audio.core.config.schema import from_dict, near
from mingtok_audio.core.errors import ConfigError, PluginError, UserError, one_line
from mingtok_audio.core.files import os_reason
from mingtok_audio.core.runtime import set_threads
from mingtok_audio.curation.interfaces import (
    ColumnType,
    CorpusStage,
    FileStage,
    Row,
    SegmentStage,
    Stage,
)
from mingtok_audio.curation.manifest import CORE
from mingtok_audio.curation.recording import Recording, Segment, Source
from mingtok_audio.curation.sources import UNREADABLE, source_key
from mingtok_audio.plugins import get_host

SLOT = "curation_stage"
VERSION = 3  # part of every record: another number makes all parts again
FAILED = "failed"
DEFAULT = (
    "standardise", "separate", "vad", "speakers", "segments",
    "language", "recognise", "cross_check", "align", "quality", "clean_text", "fingerprint",
    "duplicates", "filters", "splits",
)  # fmt: skip
"""The built-in stages in their order."""
_CORPUS_CORE = ("id", "source", "start", "seconds", "kept", "reason", "detail", "stage")


@dataclass(frozen=True)
class StageConfig:
    """A stage by its name in the slot, and its options."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PipelineConfig:
    """The stages of a run, in order: file stages, segment stages, corpus stages."""

    stages: tuple[StageConfig, ...] = tuple(StageConfig(name) for name in DEFAULT)


def load_config(path: str | None, overrides: Sequence[str] = (), preset: str | None = None):
    """The config of a run.

    Args:
        path: a YAML file (`stages: [{name, options}]`); None takes the built-in stages.
        overrides: "STAGE.OPTION=VALUE", the value in YAML.
        preset: of the stage `filters`.

    Raises:
        ConfigError: an unknown key or stage, or a wrong value.
    """
    config = PipelineConfig()
    if path is not None:
        config = from_dict(PipelineConfig, load_yaml(path), path)
    stages = {stage.name: stage for stage in config.stages}
    if len(stages) < len(config.stages):
        raise ConfigError(f"{path}: a stage appears twice")
    given = [*overrides, *([f"filters.preset={preset}"] if preset else [])]
    for text in given:
        match = re.fullmatch(r"(\w+)\.(\w+)=(.*)", text, re.DOTALL)
        if match is None:
            raise ConfigError(f"--set {text}: expected STAGE.OPTION=VALUE")
        name, option, value = match.groups()
        if name not in stages:
            raise ConfigError(f"--set {text}: there is no stage '{name}'{near(name, stages)}")
        options = stages[name].options
        known = preset if text == f"filters.preset={preset}" else parse_yaml(value, f"--set {text}")
        stages[name] = replace(stages[name], options={**options, option: known})
    return PipelineConfig(tuple(stages.values()))


class Pipeline:
    """The stages of a config.

    Attributes:
        columns: all columns of the manifest, in order, with their types.
        skipped: stages that cannot work here, and why.

    Raises:
        UserError: an unknown stage, wrong options, a wrong order, or two stages with one column.
    """

    def __init__(self, config: PipelineConfig) -> None:
        self.config = config
        self.stages: list[tuple[str, Stage]] = []
        self.skipped: dict[str, str] = {}
        self.columns: dict[str, ColumnType] = dict(CORE)
        host = get_host()
        rank = 0
        for stage in config.stages:
            made = cast(Stage, host.create(SLOT, stage.name, **_plain(stage.options)))
            now = [isinstance(made, kind) for kind in (FileStage, SegmentStage, CorpusStage)]
            if not any(now):
                raise PluginError(f"the stage {stage.name} is no file, segment or corpus stage")
            if now.index(True) < rank:
                raise ConfigError(
                    f"the stage {stage.name} comes too late: file stages stand before segment "
                    "stages, and those before corpus stages"
                )
            rank = now.index(True)
            for column, kind in made.columns.items():
                if column in self.columns:
                    raise ConfigError(f"the column {column} of {stage.name} is there already")
                self.columns[column] = kind
            self.stages.append((stage.name, made))
            reason = made.missing() or _partly(made)
            if reason:
                self.skipped[stage.name] = reason
        for name, stage in self.stages:
            needed = stage.needed() if isinstance(stage, CorpusStage) else ()
            for column in needed:
                if column not in self.columns:
                    raise ConfigError(
                        f"{name}: there is no column '{column}'{near(column, self.columns)}"
                    )

    def active(self, kind: type) -> list[tuple[str, Any]]:
        """The stages of a kind that can work here."""
        return [(n, s) for n, s in self.stages if isinstance(s, kind) and not s.missing()]

    def load(self) -> None:
        """Read the models of the file and segment stages."""
        set_threads(1)  # workers share the cores, and results must not depend on their number
        for _, stage in [*self.active(FileStage), *self.active(SegmentStage)]:
            stage.load()

    def identity(self) -> dict[str, Any]:
        """What the rows of a file depend on, besides the file."""
        stages = [
            [name, _jsonable(_options(self.config, name)), dict(stage.identity())]
            for name, stage in [*self.active(FileStage), *self.active(SegmentStage)]
        ]
        return {"curation": VERSION, "stages": stages, "skipped": sorted(self.skipped)}

    def described(self) -> dict[str, Any]:
        """What the manifest says of the pipeline."""
        return {
            "stages": [
                {"name": name, "options": _jsonable(_options(self.config, name))}
                for name, _ in self.stages
            ],
            "skipped": self.skipped,
        }

    # -- a file ---------------------------------------------------------------------------------

    def process(self, source: Source) -> list[Row]:
        """The rows of a file: of its segments, or one that says why there are none."""
        recording = Recording(source)
        try:
            if source.reason:
                return [self.whole_row(source, source.reason, source.problem)]
            for name, stage in self.active(FileStage):
                try:
                    stage.run(recording)
                except (UserError, OSError) as error:
                    recording.drop(FAILED if recording.rate else UNREADABLE, _words(error))
                if recording.reason:
                    recording.stage = name
                    return [self._row(recording, _whole(recording))]
            for segment in recording.segments:
                self._segment(recording, segment)
            return [self._row(recording, segment) for segment in recording.segments]
        finally:
            recording.close()

    def _segment(self, recording: Recording, segment: Segment) -> None:
        if segment.reason:
            segment.stage = "segments"
            return
        wav = recording.read(segment.start, segment.end)
        wav.flags.writeable = False
        for name, stage in self.active(SegmentStage):
            try:
                stage.run(segment, wav, recording)
            except (UserError, OSError) as error:
                segment.drop(FAILED, f"{name}: {_words(error)}")
            if segment.reason:
                segment.stage = name
                return

    def whole_row(self, source: Source, reason: str, detail: str, stage: str = "inputs") -> Row:
        """The row of a file that was not processed."""
        recording = Recording(source)
        recording.drop(reason, detail)
        recording.stage = stage
        try:
            seconds = audio_info(source.path).seconds if reason != UNREADABLE else 0.0
        except (UserError, OSError):
            seconds = 0.0
        whole = Segment(0.0, round(seconds, 3), {}, reason, one_line(detail, 500), stage)
        return self._row(recording, whole)

    def _row(self, recording: Recording, segment: Segment) -> Row:
        source = recording.source
        key = source_key(source)
        values = {**recording.values, **segment.values}
        unknown = sorted(set(values) - set(self.columns))
        if unknown:
            raise PluginError(f"a stage wrote the column '{unknown[0]}', which none declares")
        speaker = values.get("speaker")
        given = source.fields.get("speaker")
        row: Row = dict.fromkeys(self.columns)
        row |= values
        row |= {
            "id": f"{key}-{round(segment.start * 1000):09d}",
            "source": source.name,
            "path": str(source.path.absolute()).encode("utf-8", "backslashreplace").decode(),
            "start": round(segment.start, 3),
            "end": round(segment.end, 3),
            "seconds": round(segment.end - segment.start, 3),
            "speaker": given or (f"{key}/{speaker}" if speaker is not None else None),
            "kept": not segment.reason,
            "reason": segment.reason or None,
            "detail": segment.detail or None,
            "stage": segment.stage or None,
            "licence": source.fields.get("licence"),
            "origin": source.fields.get("origin"),
        }
        return row

    # -- all files ------------------------------------------------------------------------------

    def corpus_columns(self) -> list[str]:
        """What the corpus stages read and write."""
        used: dict[str, None] = dict.fromkeys(_CORPUS_CORE)
        for _, stage in self.active(CorpusStage):
            used |= dict.fromkeys((*stage.needed(), *stage.columns, *stage.writes_core))
        return list(used)

    def reduce(self, rows: Sequence[Row]) -> None:
        """Run the corpus stages on rows that have the `corpus_columns`."""
        for name, stage in self.active(CorpusStage):
            before = [row["kept"] for row in rows]
            stage.load()
            stage.run(rows)
            for was, row in zip(before, rows, strict=True):
                if was and not row["kept"]:
                    row["stage"] = name


def _whole(recording: Recording) -> Segment:
    return Segment(
        0.0, round(recording.seconds, 3), {}, recording.reason, recording.detail, recording.stage
    )


def _words(error: Exception) -> str:
    text = os_reason(error) if isinstance(error, OSError) else str(error)
    return one_line(text, 500)


def _partly(stage: Stage) -> str:
    part = getattr(stage, "skipped_part", None)
    return "" if part is None else part()


def _options(config: PipelineConfig, name: str) -> dict[str, Any]:
    return next(stage.options for stage in config.stages if stage.name == name)


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}


def _jsonable(options: Mapping[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in sorted(options.items())}
