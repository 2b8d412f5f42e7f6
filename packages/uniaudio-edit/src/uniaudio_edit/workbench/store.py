"""Where the recordings of the server's users lie: in a folder of its own, under its own names.

Every step of a recording's history keeps its file, so nothing is ever overwritten: step 0 is the
upload, byte for byte.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uniaudio_lm.server.errors import ApiError

MAX_AGE = 24 * 3600.0
"""Seconds after its last use for which a recording is kept."""
MAX_RECORDINGS = 20  # of one owner
MAX_STEPS = 200
MAX_BYTES = 8 << 30  # of all owners
_MAX_PLANS = 100
_PREFIX = "uniaudio-recordings-"


@dataclass
class Step:
    """One state of a recording.

    Attributes:
        number: 0 is the upload.
        path: its file.
        parent: the step that it was made from; None for the upload.
        info: `{seconds, sample_rate, channels, num_samples, subtype, format, bytes, sha256}`.
        text: what is said; None while nobody knows.
        words: `[{text, start, end, score, from, to}]`: seconds, a score in [0, 1], and the place of
            the word in `text`; None where no times are known.
        notes: warnings about the words.
        made: `{plan, receipt, equal, compared}` of the edit that made it.
    """

    number: int
    path: Path
    parent: int | None
    info: dict[str, Any]
    text: str | None = None
    words: list[dict[str, Any]] | None = None
    notes: list[str] = field(default_factory=list)
    made: dict[str, Any] | None = None

    @property
    def wave(self) -> Path:
        """One channel of int16 as an array file, for views."""
        return self.path.with_name(f"{self.number}.npy")

    def public(self) -> dict[str, Any]:
        """As JSON, without paths."""
        rest = ("number", "parent", "info", "text", "words", "notes", "made")
        return {name: getattr(self, name) for name in rest}


@dataclass
class Work:
    """A recording and its history."""

    id: str
    owner: str
    name: str
    folder: Path
    steps: dict[int, Step] = field(default_factory=dict)
    used: float = field(default_factory=time.monotonic)
    _next: int = 0
    _plans: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)

    def reserve(self) -> int:
        """The number of the next step.

        Raises:
            ApiError: the history is full.
        """
        if self._next >= MAX_STEPS:
            raise ApiError(f"a recording has at most {MAX_STEPS} steps: open a new one", 409)
        self._next += 1
        return self._next - 1

    def step(self, number: int) -> Step:
        """A step that is there.

        Raises:
            ApiError: with status 404.
        """
        if number not in self.steps:
            raise ApiError(f"the recording has no step {number}", 404, code="no_such_step")
        return self.steps[number]

    def keep_plan(self, number: int, plan: dict[str, Any]) -> str:
        """The name under which `plan` finds a plan for a step; the last ones are kept."""
        id = secrets.token_urlsafe(9)
        self._plans[id] = (number, plan)
        while len(self._plans) > _MAX_PLANS:
            del self._plans[next(iter(self._plans))]
        return id

    def plan(self, number: int, id: str) -> dict[str, Any]:
        """A plan that was made for this step.

        Raises:
            ApiError: with status 404.
        """
        of, plan = self._plans.get(id, (-1, {}))
        if of != number:
            raise ApiError("no such plan for this step: ask for it first", 404, code="no_such_plan")
        return plan

    def public(self) -> dict[str, Any]:
        """As JSON."""
        steps = [self.steps[n].public() for n in sorted(self.steps)]
        return {"id": self.id, "name": self.name, "steps": steps}

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        total = 0
        with contextlib.suppress(OSError):
            for entry in os.scandir(self.folder):
                total += entry.stat().st_size
        return total


class Store:
    """The recordings of one server process; they go when it ends.

    Args:
        clock: seconds, for the age of recordings.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._works: dict[str, Work] = {}
        _remove_orphans()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))

    def of(self, owner: str) -> list[Work]:
        """The recordings of an owner, the last used first."""
        self._forget_old()
        mine = [work for work in self._works.values() if work.owner == owner]
        return sorted(mine, key=lambda work: -work.used)

    def get(self, owner: str, id: str) -> Work:
        """A recording of this owner.

        Raises:
            ApiError: with status 404; also for a recording of another owner.
        """
        self._forget_old()
        work = self._works.get(id)
        given = owner.encode("utf-8", "replace")
        if work is None or not secrets.compare_digest(work.owner.encode(), given):
            raise ApiError(
                "no such recording: it was removed, is too old, or the server was restarted",
                404,
                code="no_such_recording",
            )
        work.used = self._clock()
        return work

    def new(self, owner: str, name: str) -> Work:
        """An empty recording, which `add` then shows.

        Raises:
            ApiError: the owner has too many, or the disk space for all is used up.
        """
        if len(self.of(owner)) >= MAX_RECORDINGS:
            raise ApiError(f"{MAX_RECORDINGS} recordings are kept at most: remove one first", 409)
        self.check_space()
        id = secrets.token_urlsafe(12)
        folder = self.folder / id
        folder.mkdir()
        return Work(id, owner, name, folder, used=self._clock())

    def check_space(self) -> None:
        """Refuse to grow beyond `MAX_BYTES` (`ApiError`)."""
        if sum(work.size for work in self._works.values()) > MAX_BYTES:
            raise ApiError("the server's space for recordings is used up: remove some", 507)

    def add(self, work: Work) -> None:
        """Show a recording that is complete."""
        self._works[work.id] = work

    def remove(self, work: Work) -> None:
        """Delete a recording and its files."""
        self._works.pop(work.id, None)
        shutil.rmtree(work.folder, ignore_errors=True)

    def close(self) -> None:
        """Delete everything."""
        self._works.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _forget_old(self) -> None:
        for work in list(self._works.values()):
            if self._clock() - work.used > MAX_AGE:
                self.remove(work)


def _remove_orphans() -> None:
    """Delete what servers left that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not pid.isdecimal() or int(pid) == os.getpid():
            continue
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            if not folder.is_symlink():
                shutil.rmtree(folder, ignore_errors=True)
        except (OSError, OverflowError):
            continue  # it lives, and belongs to someone else
