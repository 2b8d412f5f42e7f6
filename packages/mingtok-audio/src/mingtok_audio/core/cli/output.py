"""Results on stdout as JSON, progress on stderr."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from mingtok_audio.core.cli import logs

if TYPE_CHECKING:
    from rich.console import Console

logger = logging.getLogger("mingtok_audio")


def emit_json(data: Any) -> None:
    """Print `data` as one line of JSON on stdout, UTF-8.

    Dataclasses, paths, numpy scalars and arrays and 0-d tensors are converted; NaN and infinity
    become null, because JSON has no such numbers.
    """
    text = json.dumps(jsonable(data), ensure_ascii=False, allow_nan=False) + "\n"
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:
        sys.stdout.write(text)
    else:
        sys.stdout.flush()
        # A byte of a file name that is not UTF-8 becomes an escape, which is JSON.
        stream.write(text.encode("utf-8", "backslashreplace"))
        stream.flush()


def jsonable(value: Any) -> Any:
    """`value` made of what JSON has."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item) for item in value]
    tolist = getattr(value, "tolist", None)  # numpy and torch
    if tolist is not None:
        return jsonable(tolist())
    return str(value)


def get_console() -> Console:
    """The rich console on stderr."""
    if logs.state.console is None:
        from rich.console import Console

        logs.state.console = Console(stderr=True, highlight=False)
    return logs.state.console


class Bar(Protocol):
    """What `progress` gives."""

    def advance(self, amount: float = 1.0) -> None:
        """`amount` more is done."""
        ...

    def describe(self, description: str) -> None:
        """Show another text, for example the file at hand."""
        ...


@contextmanager
def progress(
    description: str, total: float | None = None, unit: str = "", enabled: bool = True
) -> Iterator[Bar]:
    """A progress bar on stderr: a live one on a terminal, else a plain line every ten seconds.

    Args:
        total: how much there is to do, in `unit`s; None where that is not known.
        enabled: False shows nothing (short jobs, `--quiet`).
    """
    if not enabled:
        yield _PlainBar(description, total, unit, every=math.inf)
    elif not sys.stderr.isatty() or logs.state.json_lines:
        yield _PlainBar(description, total, unit)
    else:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        # rich would send what is printed meanwhile to stderr, even where stdout is a file.
        on_screen = sys.stdout.isatty()
        with Progress(
            *columns, console=get_console(), transient=True, redirect_stdout=on_screen
        ) as live:
            task = live.add_task(description, total=total)

            class LiveBar:
                def advance(self, amount: float = 1.0) -> None:
                    live.advance(task, amount)

                def describe(self, description: str) -> None:
                    live.update(task, description=description)

            yield LiveBar()


class _PlainBar:
    def __init__(
        self, description: str, total: float | None, unit: str, every: float = 10.0
    ) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._done, self._every, self._last = 0.0, every, time.monotonic()

    def advance(self, amount: float = 1.0) -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._last >= self._every:
            self._last = now
            of = f"/{self._total:g}" if self._total is not None else ""
            logger.info("%s: %s%s %s", self._description, f"{self._done:.0f}", of, self._unit)

    def describe(self, description: str) -> None:
        self._description = description
