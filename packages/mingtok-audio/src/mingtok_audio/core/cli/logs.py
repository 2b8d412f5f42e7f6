"""Logs and warnings on stderr, one line each, as text or JSON."""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

from mingtok_audio.core.errors import one_line

if TYPE_CHECKING:
    from rich.console import Console

logger = logging.getLogger("mingtok_audio")


@dataclasses.dataclass
class _State:
    json_lines: bool = False
    console: Console | None = None  # rich wants one for all its live displays


state = _State()


class _PlainFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = one_line(record.getMessage())
        if record.levelno >= logging.WARNING:
            text = f"{record.levelname.lower()}: {text}"
        return (
            text if record.exc_info is None else f"{text}\n{self.formatException(record.exc_info)}"
        )


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info is not None:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


class _StderrHandler(logging.StreamHandler):
    """Writes to whatever sys.stderr is now, and above a live progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
            if state.console is not None and state.console.is_terminal:
                state.console.out(line, end="", highlight=False)
            else:
                sys.stderr.write(line)
                sys.stderr.flush()
        except (OSError, ValueError):
            return  # nobody reads stderr any more; the work goes on


def setup_logging(log_json: bool = False, debug: bool = False) -> None:
    """Send this project's logs and Python's warnings to stderr, one line each.

    Args:
        log_json: `{"time", "level", "logger", "message"}` a line instead of text.
        debug: also debug messages.
    """
    state.json_lines = log_json
    handler = _StderrHandler()
    handler.setFormatter(_JsonFormatter() if log_json else _PlainFormatter())
    for name in ("mingtok_audio", "uniaudio_lm", "uniaudio_edit", "audio_eval"):
        ours = logging.getLogger(name)
        ours.handlers = [handler]
        ours.setLevel(logging.DEBUG if debug else logging.INFO)
        ours.propagate = False
    warnings.showwarning = _show_warning


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, DeprecationWarning | PendingDeprecationWarning | FutureWarning):
        return  # for developers of our dependencies, not for whoever runs a command
    log_line(logging.WARNING, str(message))


def log_line(level: int, message: str) -> None:
    """Log one line, whether or not `setup_logging` was called."""
    if not logger.handlers:
        setup_logging()
    logger.log(level, "%s", one_line(message))
