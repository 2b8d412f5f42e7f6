"""One recording on its way through the file stages: its samples, speech, speakers and segments.

Times are seconds from the start of the recording. Samples are mono float32 at `Recording.rate`.
Short recordings stay in memory; longer ones lie in a temporary file without a name, which the
system removes with its process, so memory does not grow with their length.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import os_reason

FRAME = 0.02
"""Seconds of a frame of `Recording.tracks`."""
_IN_MEMORY = 600.0  # seconds of a recording that is kept in memory
_ITEM = 4  # bytes of a sample


@dataclass(frozen=True)
class Source:
    """One input file and what its owner says of it.

    Attributes:
        name: as the manifest names it.
        path: the file.
        fields: of an input manifest: `text`, `speaker`, `language`, `licence`, `origin`.
        reason: a code for why it is dropped unheard; "" for all others.
        problem: the same in words.
    """

    name: str
    path: Path
    fields: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    problem: str = ""


@dataclass
class Segment:
    """A stretch of a recording, and what the stages found there.

    Attributes:
        start, end: seconds.
        values: columns.
        reason: a code that says why it is dropped; "" while it is kept.
        detail: the same in words.
        stage: that dropped it.
    """

    start: float
    end: float
    values: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""
    stage: str = ""

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start

    def drop(self, reason: str, detail: str = "") -> None:
        """Drop it; the first reason stands."""
        if not self.reason:
            self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Turn:
    """[start, end) in seconds, in which `speaker` (a label within the recording) speaks."""

    start: float
    end: float
    speaker: str


class Recording:
    """What the file stages work on.

    Attributes:
        source: the file.
        rate: of the samples, in Hz; 0 before `fill`.
        values: columns that every segment of the recording gets.
        tracks: arrays (F,) with a value for each frame of `FRAME` seconds.
        speech: (start, end) of speech, in order, without overlap.
        turns: who speaks when; empty where nobody asked.
        segments: what the recording is cut into.
        reason, detail, stage: set where the whole recording is dropped.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.rate = 0
        self.num_samples = 0
        self.values: dict[str, Any] = {}
        self.tracks: dict[str, np.ndarray] = {}
        self.speech: list[tuple[float, float]] = []
        self.turns: list[Turn] = []
        self.segments: list[Segment] = []
        self.reason = self.detail = self.stage = ""
        self._wav: np.ndarray | None = None
        self._file: IO[bytes] | None = None
        self._offset, self._gain = np.float32(0.0), np.float32(1.0)

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.num_samples / self.rate if self.rate else 0.0

    def drop(self, reason: str, detail: str = "") -> None:
        """Drop the whole recording; the first reason stands."""
        if not self.reason:
            self.reason, self.detail = reason, detail

    def fill(self, blocks: Iterable[np.ndarray], rate: int) -> None:
        """Take samples (T,), block by block, in the place of those that are there.

        Raises:
            UserError: the temporary file cannot be written.
        """
        held: list[np.ndarray] = []
        file: IO[bytes] | None = None
        count = 0
        try:
            for block in blocks:
                part = np.ascontiguousarray(block, dtype=np.float32)
                count += len(part)
                held.append(part)
                if count > _IN_MEMORY * rate:
                    file = file or tempfile.TemporaryFile(prefix="curate-")  # noqa: SIM115 - `close`
                    for waiting in held:
                        file.write(waiting.tobytes())
                    held = []
        except OSError as error:
            if file is None:
                raise
            raise UserError(
                f"a long recording cannot be kept in {tempfile.gettempdir()}: {os_reason(error)}"
            ) from error
        self.close()
        self._file = file
        self._wav = None if file else np.concatenate(held) if held else np.zeros(0, np.float32)
        self.rate, self.num_samples = rate, count
        self._offset, self._gain = np.float32(0.0), np.float32(1.0)

    def correct(self, offset: float, gain: float) -> None:
        """Subtract `offset` from every sample that is read from now on, then multiply by `gain`."""
        self._offset, self._gain = np.float32(offset), np.float32(gain)

    def read(self, start: float = 0.0, end: float | None = None) -> np.ndarray:
        """Samples (T,) float32 from `start` to `end` seconds; times outside are clipped."""
        first = min(max(0, round(start * self.rate)), self.num_samples)
        last = self.num_samples if end is None else round(end * self.rate)
        last = min(max(first, last), self.num_samples)
        if self._file is not None:
            self._file.flush()
            self._file.seek(first * _ITEM)
            wav = np.frombuffer(self._file.read((last - first) * _ITEM), dtype=np.float32)
        elif self._wav is not None:
            wav = self._wav[first:last]
        else:
            wav = np.zeros(0, np.float32)
        return (wav - self._offset) * self._gain

    def blocks(self, seconds: float = 30.0) -> Iterator[np.ndarray]:
        """All samples in blocks; each but the last has `round(seconds * rate)`."""
        size = max(1, round(seconds * self.rate))
        for first in range(0, self.num_samples, size):
            yield self.read(first / self.rate, (first + size) / self.rate)

    def track(self, name: str, start: float, end: float) -> np.ndarray:
        """The frames of a track between two times; empty where there is no such track."""
        found = self.tracks.get(name)
        if found is None:
            return np.zeros(0, np.float32)
        return found[max(0, round(start / FRAME)) : max(0, round(end / FRAME))]

    def close(self) -> None:
        """Let the samples go."""
        if self._file is not None:
            self._file.close()
        self._file = self._wav = None
