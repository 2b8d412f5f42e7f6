"""The conformance kit of the slot `curation_stage`, run by `mingtok plugins validate NAME`.

Whoever writes a stage can call `check_stage(MyStage)` in a test of their own.
"""

from __future__ import annotations

import copy
import json
import re
import tempfile
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mingtok_audio.core.audio import save_audio
from mingtok_audio.core.plugins import CheckResult
from mingtok_audio.core.plugins.conformance import require, run_checks
from mingtok_audio.curation.interfaces import (
    ColumnType,
    CorpusStage,
    FileStage,
    Row,
    SegmentStage,
    Stage,
)
from mingtok_audio.curation.manifest import CORE
from mingtok_audio.curation.recording import FRAME, Recording, Segment, Source

_RATE = 16000
_SECONDS = 8.0
_TYPES = typing.get_args(ColumnType)
_FIXED = ("id", "source", "path", "start", "end", "seconds", "licence", "origin")


def check_stage(stage: type, **options: Any) -> list[CheckResult]:
    """Check a stage class against the rules of `curation.interfaces`.

    A stage that cannot work here (`missing`) is checked only as far as it says.

    Returns:
        One result a check: columns, identity, and, by its kind, that it writes what it declares,
        gives the same twice, copes with silence and with what is very short, or does not depend on
        the order of the rows.
    """
    kit = _Kit(stage, options)
    checks: list[tuple[str, Callable[[], str | None]]] = [
        ("kind", kit.kind),
        ("columns", kit.columns),
        ("identity", kit.identity),
    ]
    try:
        reason = kit.build().missing()
    except Exception:
        reason = ""  # the first check says what is wrong
    if reason:
        checks.append(("available", lambda: f"not here, so not run: {reason}"))
        return run_checks(checks)
    if issubclass(stage, FileStage | SegmentStage):
        checks += [
            ("writes what it declares", kit.writes),
            ("same input, same output", kit.repeat),
            ("input unchanged", kit.unchanged),
            ("silence and short inputs", kit.hard),
        ]
    else:
        checks += [
            ("writes what it declares", kit.corpus_writes),
            ("any order of rows", kit.order),
            ("no row comes or goes", kit.rows_stay),
            ("no rows", kit.no_rows),
        ]
    return run_checks(checks)


def _voice(seconds: float = _SECONDS, level: float = 0.1) -> np.ndarray:
    """Something like two voices in turns, with pauses: harmonics under a syllable's envelope."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * _RATE)) / _RATE
    pitch = np.where(time < seconds / 2, 110.0, 220.0) * (1 + 0.05 * np.sin(2 * np.pi * 0.7 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / _RATE
    wav = sum(np.sin(k * phase) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 3.5 * time), 0, None) ** 0.5
    pauses = (np.sin(2 * np.pi * time / 2.6) > -0.7).astype(float)
    return (level * wav * syllables * pauses + 1e-4 * rng.normal(size=len(time))).astype(np.float32)


class _Kit:
    def __init__(self, stage: type, options: dict[str, Any]) -> None:
        self._class, self._options = stage, options

    def build(self) -> Any:
        return self._class(**self._options)

    def kind(self) -> str:
        stage = self.build()
        require(isinstance(stage, Stage), "it is not a mingtok_audio.curation.interfaces.Stage")
        kinds = [k for k in (FileStage, SegmentStage, CorpusStage) if isinstance(stage, k)]
        require(len(kinds) == 1, "it is not one of FileStage, SegmentStage and CorpusStage")
        return kinds[0].__name__

    def columns(self) -> str:
        for name, kind in self._class.columns.items():
            require(re.fullmatch(r"[a-z][a-z0-9_]*", name) is not None, f"the column name '{name}'")
            require(kind in _TYPES, f"the type '{kind}' of {name}; known: {', '.join(_TYPES)}")
            require(name not in CORE, f"the column {name} is a core column: see writes_core")
        for name in self._class.writes_core:
            require(name in CORE, f"there is no core column {name}")
            require(name not in _FIXED, f"the core column {name} is not a stage's to write")
        return ", ".join(self._class.columns) or "none"

    def identity(self) -> None:
        first, second = self.build().identity(), self.build().identity()
        require(dict(first) == dict(second), "two instances have two identities")
        try:
            json.dumps(dict(first), allow_nan=False)
        except (TypeError, ValueError) as error:
            require(False, f"the identity is not plain JSON: {error}")

    # -- file and segment stages ------------------------------------------------------------------

    def _recording(self, wav: np.ndarray) -> Recording:
        recording = Recording(Source("voice.wav", Path("voice.wav"), {"text": "one two three"}))
        recording.fill([wav], _RATE)
        frames = -(-len(wav) // round(FRAME * _RATE))
        recording.tracks["clipped"] = np.zeros(frames, np.float32)
        recording.tracks["level"] = np.full(frames, -30.0, np.float32)
        recording.tracks["speech"] = np.ones(frames, np.float32)
        recording.speech = [(0.0, recording.seconds)]
        return recording

    def _given(self, wav: np.ndarray) -> tuple[Recording, Segment]:
        """What the stage made of samples: the recording, and its segment."""
        stage = self.build()
        stage.load()
        recording = self._recording(wav)
        segment = Segment(0.0, recording.seconds, {"text": "one two three", "language": "en"})
        if isinstance(stage, SegmentStage):
            samples = recording.read()
            samples.flags.writeable = False
            stage.run(segment, samples, recording)
            return recording, segment
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "voice.wav"
            save_audio(path, wav if len(wav) else np.zeros(1, np.float32), _RATE)
            recording.source = Source("voice.wav", path, {"text": "one two three"})
            stage.run(recording)
        for made in recording.segments:
            require(
                0 <= made.start < made.end <= recording.seconds + 0.001,
                f"a segment from {made.start} to {made.end} s of {recording.seconds} s",
            )
        for before, after in zip(recording.segments, recording.segments[1:], strict=False):
            require(before.end <= after.start + 1e-6, "two segments overlap")
        return recording, segment

    def _check_values(self, values: dict[str, Any]) -> None:
        allowed = {**self._class.columns, **{name: CORE[name] for name in self._class.writes_core}}
        for name, value in values.items():
            require(name in allowed, f"it writes the column {name}, which it does not declare")
            require(_fits(value, allowed[name]), f"{name} is {value!r}, not {allowed[name]}")

    def writes(self) -> None:
        recording, segment = self._given(_voice())
        self._check_values(recording.values)
        for made in recording.segments:
            self._check_values(made.values)
        given = {"text": "one two three", "language": "en"}
        changed = {k: v for k, v in segment.values.items() if given.get(k) != v}
        self._check_values(changed)

    def repeat(self) -> None:
        first, second = self._given(_voice()), self._given(_voice())
        require(_shown(*first) == _shown(*second), "the same recording gives two results")

    def unchanged(self) -> None:
        stage = self.build()
        if not isinstance(stage, SegmentStage):
            return
        stage.load()
        recording = self._recording(_voice())
        before, length = recording.read(), len(recording.segments)
        samples = before.copy()
        stage.run(Segment(0.0, recording.seconds, {"language": "en"}), samples, recording)
        require(np.array_equal(samples, before), "it changes the samples that it was given")
        require(len(recording.segments) == length, "it changes the recording's segments")

    def hard(self) -> None:
        for wav in (np.zeros(2 * _RATE, np.float32), _voice(0.05), _voice(0.001)):
            self._given(wav)

    # -- corpus stages ----------------------------------------------------------------------------

    def _rows(self) -> list[Row]:
        columns = {**CORE, **self._class.columns}
        rows: list[Row] = []
        for i in range(12):
            row: Row = dict.fromkeys([*columns, *self.build().needed()])
            row |= {
                "id": f"r{i:02d}", "source": f"s{i % 5}.wav", "start": 3.0 * (i // 5),
                "end": 3.0 * (i // 5) + 3.0, "seconds": 3.0, "speaker": f"v{i % 3}",
                "text": "one two three four", "snr": 10.0 + i, "kept": i % 4 != 3,
                "reason": "silent" if i % 4 == 3 else None,
            }  # fmt: skip
            rows.append(row)
        return rows

    def _reduced(self, rows: list[Row]) -> dict[str, Row]:
        stage = self.build()
        stage.load()
        stage.run(rows)
        return {row["id"]: row for row in rows}

    def corpus_writes(self) -> None:
        before = {row["id"]: row for row in self._rows()}
        after = self._reduced(self._rows())
        free = {"kept", "reason", "detail", *self._class.columns, *self._class.writes_core}
        for name, row in after.items():
            for key, value in row.items():
                require(
                    key in free or (key in before[name] and before[name][key] == value),
                    f"it changes {key}, which it does not declare",
                )
                if key in self._class.columns:
                    kind = self._class.columns[key]
                    require(_fits(value, kind), f"{key} is {value!r}, not {kind}")
            if not before[name]["kept"]:
                kept = (row["kept"], row["reason"])
                require(kept == (False, before[name]["reason"]), "it takes back another's drop")
            elif not row["kept"]:
                require(bool(row["reason"]), "it drops a row without a reason")

    def order(self) -> None:
        forward = self._reduced(self._rows())
        backward = self._reduced(self._rows()[::-1])
        require(forward == backward, "the order of the rows changes what it gives")

    def rows_stay(self) -> None:
        rows = self._rows()
        ids = [row["id"] for row in rows]
        stage = self.build()
        stage.load()
        stage.run(rows)
        require([row["id"] for row in rows] == ids, "it moves, adds or removes rows")

    def no_rows(self) -> None:
        self._reduced([])


def _shown(recording: Recording, segment: Segment) -> str:
    parts = (
        recording.values, recording.speech, recording.turns, recording.reason,
        copy.copy(recording.segments), {k: v.tolist() for k, v in recording.tracks.items()},
        recording.read().tolist(), segment,
    )  # fmt: skip
    return repr(parts)


def _fits(value: Any, kind: str) -> bool:
    if value is None:
        return True
    checks: dict[str, Callable[[Any], bool]] = {
        "text": lambda v: isinstance(v, str),
        "float": lambda v: (
            isinstance(v, float | int) and not isinstance(v, bool) and np.isfinite(v)
        ),
        "int": lambda v: isinstance(v, int) and not isinstance(v, bool),
        "bool": lambda v: isinstance(v, bool),
        "floats": lambda v: all(isinstance(x, float) for x in v),
        "bytes": lambda v: isinstance(v, bytes),
        "words": lambda v: all(set(x) == {"text", "start", "end", "score"} for x in v),
    }
    return checks[kind](value)
