"""What a curation stage is. A plugin for the slot `curation_stage` extends one of three classes.

- `FileStage` sees a whole recording, in blocks: levels, speech, speakers, cuts.
- `SegmentStage` sees one segment and its samples: language, text, quality.
- `CorpusStage` sees the rows of all segments, without audio: duplicates, filters, splits.

File and segment stages run where the file is, in any process and in any order of files, so what
they give may depend on their options and on the file alone. Corpus stages run once, at the end,
and what they give may not depend on the order of the rows. `mingtok plugins validate NAME` checks
both. A stage writes only the columns that it declares.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from mingtok_audio.curation.recording import Recording, Segment

ColumnType = Literal["text", "float", "int", "bool", "floats", "bytes", "words"]
"""`floats` is a list of numbers; `words` a list of `{"text", "start", "end", "score"}`."""

Row = dict[str, Any]
"""A segment in the corpus stages: `id`, `kept`, `reason`, and the columns that the stage needs."""


class Stage(ABC):  # noqa: B024 - its three kinds have the abstract methods
    """One step. A constructor has a default for every option.

    Attributes:
        columns: that it writes, and their types.
        writes_core: core columns (`manifest.CORE`) that it may write as well: "speaker",
            "language", "text", ...
    """

    columns: ClassVar[Mapping[str, ColumnType]] = {}
    writes_core: ClassVar[tuple[str, ...]] = ()

    def missing(self) -> str:
        """Why it cannot work here (a package or a model that is not installed, and what to do);
        "" where it can. A stage with a reason is skipped, and the run says so."""
        return ""

    def load(self) -> None:  # noqa: B027 - most stages have nothing to load
        """Read models, once in each process. Raises `UserError`."""

    def identity(self) -> Mapping[str, Any]:
        """What results depend on besides the options: versions, weights. Plain JSON values."""
        return {}


class FileStage(Stage):
    """A stage that sees a recording."""

    @abstractmethod
    def run(self, recording: Recording) -> None:
        """Add to `recording`: values, tracks, speech, turns or segments; or drop it.

        Raises `UserError` where the recording cannot be used: its row then says why.
        """


class SegmentStage(Stage):
    """A stage that sees a segment that nothing has dropped yet."""

    @abstractmethod
    def run(self, segment: Segment, wav: np.ndarray, recording: Recording) -> None:
        """Add to `segment.values`, or drop it.

        Args:
            wav: (T,) float32 at `recording.rate`: the segment's samples, not to be changed.
            recording: what the file stages found; its segments are not to be touched.
        """


class CorpusStage(Stage):
    """A stage that sees all rows.

    Attributes:
        needs: columns that it reads, beyond `id`, `source`, `start`, `seconds`, `kept`, `reason`.
    """

    needs: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def run(self, rows: Sequence[Row]) -> None:
        """Set its columns in `rows`, for each row by its id; drop rows with `drop_row`."""

    def needed(self) -> tuple[str, ...]:
        """The columns that it reads with the options that it has."""
        return self.needs


def drop_row(row: Row, reason: str, detail: str = "") -> None:
    """Drop a row; the first reason stands."""
    if row["kept"]:
        row["kept"], row["reason"], row["detail"] = False, reason, detail
