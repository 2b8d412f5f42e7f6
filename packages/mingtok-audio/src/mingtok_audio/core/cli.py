"""What every command line of this project shares.

One clear line on stderr and exit code 2 for what the user can mend, never a traceback (but with
`--debug`); results on stdout, everything else on stderr. Typer's public API only. rich, numpy and
torch are imported where they are used: `--help` answers at once.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Protocol

import typer

from mingtok_audio.core.errors import UserError, one_line
from mingtok_audio.core.files import os_reason
from mingtok_audio.core.inputs import Item, collect_inputs, output_paths

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "EXIT_FAILED_ITEMS",
    "EXIT_USAGE",
    "Item",
    "collect_inputs",
    "emit_json",
    "fail",
    "get_console",
    "make_app",
    "output_paths",
    "progress",
    "run",
    "setup_logging",
]

EXIT_FAILED_ITEMS = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
_GLOBAL_FLAGS = ("--debug", "--log-json")
logger = logging.getLogger("mingtok_audio")


def make_app(name: str, help: str, distribution: str | None = None) -> typer.Typer:
    """A Typer application with this project's habits: `-h`, `--version`, `--debug`, `--log-json`.

    Args:
        distribution: whose version `--version` prints; None leaves the option out.
    """
    app = typer.Typer(
        name=name,
        help=help,
        no_args_is_help=False,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    def version(value: bool) -> None:
        if value and distribution is not None:
            from importlib.metadata import version as installed_version

            typer.echo(f"{name} {installed_version(distribution)}")
            raise typer.Exit

    @app.callback(invoke_without_command=True)
    def main(
        context: typer.Context,
        show_version: Annotated[
            bool,
            typer.Option(
                "--version",
                callback=version,
                is_eager=True,
                help="Print the version.",
                hidden=distribution is None,
            ),
        ] = False,
        debug: Annotated[
            bool, typer.Option("--debug", help="Show the traceback of an error.")
        ] = False,
        log_json: Annotated[
            bool, typer.Option("--log-json", help="Log to stderr in JSON, one object a line.")
        ] = False,
    ) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help(), err=True)
            raise typer.Exit(EXIT_USAGE)

    main.__doc__ = help
    return app


def run(app: typer.Typer, args: Sequence[str] | None = None) -> NoReturn:
    """Run `app` and leave with its exit code; the one way into it for a script's `main`.

    `--debug` and `--log-json` are taken wherever they stand before a `--`.
    """
    given = list(sys.argv[1:] if args is None else args)
    cut = given.index("--") if "--" in given else len(given)
    debug = "--debug" in given[:cut]
    log_json = "--log-json" in given[:cut]
    rest = [a for a in given[:cut] if a not in _GLOBAL_FLAGS] + given[cut:]
    setup_logging(log_json=log_json, debug=debug)
    try:
        code = _call(app, rest, debug)
        # Output that cannot be written shows when the buffer is emptied: here, not at shutdown.
        sys.stdout.flush()
    except BrokenPipeError:
        code = _broken_pipe()
    except OSError as error:
        code = _report(f"cannot write to standard output: {os_reason(error)}")
        _silence_stdout()
    sys.exit(code)


def _call(app: typer.Typer, args: list[str], debug: bool) -> int:
    try:
        result = app(args=args, standalone_mode=False)
        return result if isinstance(result, int) and not isinstance(result, bool) else 0
    except UserError as error:
        if debug:
            raise
        return _report(str(error))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except typer.Abort:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return _broken_pipe()
    except Exception as error:
        if hasattr(error, "format_message"):  # what the parser raises for a wrong command line
            return _report(_usage_message(error))
        if debug:
            raise
        if isinstance(error, OSError):
            name = f"{error.filename}: " if error.filename else ""
            return _report(f"{name}{os_reason(error)}")
        if isinstance(error, MemoryError):
            return _report("not enough memory for this input")
        return _report(
            f"internal error: {type(error).__name__}: {error} (this is a bug; run again with "
            "--debug and report what it prints)"
        )


def _usage_message(error: Any) -> str:
    message = one_line(error.format_message()).rstrip(".")
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", None)
    return f"{message}; see {path} --help" if path else message


def _report(message: str) -> int:
    fail(message)
    return EXIT_USAGE


def fail(message: str) -> None:
    """One line on stderr: "error: message"."""
    _log_line(logging.ERROR, message)


def _broken_pipe() -> int:
    _silence_stdout()
    return EXIT_BROKEN_PIPE


def _silence_stdout() -> None:
    """Whoever read our output is gone: the interpreter must not complain at shutdown."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123


# ---------------------------------------------------------------------------------------------
# output


def emit_json(data: Any) -> None:
    """Print `data` as one line of JSON on stdout, UTF-8.

    Dataclasses, paths, numpy scalars and arrays and 0-d tensors are converted; NaN and infinity
    become null, because they are no JSON.
    """
    text = json.dumps(jsonable(data), ensure_ascii=False, allow_nan=False) + "\n"
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:
        sys.stdout.write(text)
    else:
        sys.stdout.flush()
        stream.write(text.encode("utf-8", "surrogateescape"))
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
    if hasattr(value, "tolist"):  # numpy and torch
        return jsonable(value.tolist())
    return str(value)


_console: Console | None = None


def get_console() -> Console:
    """The rich console on stderr."""
    global _console  # noqa: PLW0603 - rich wants one console for all its live displays
    if _console is None:
        from rich.console import Console

        _console = Console(stderr=True, highlight=False)
    return _console


def __getattr__(name: str) -> Any:
    if name == "console":
        return get_console()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
    elif not sys.stderr.isatty() or _state.json_logs:
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
        with Progress(*columns, console=get_console(), transient=True) as live:
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


# ---------------------------------------------------------------------------------------------
# logs


@dataclasses.dataclass
class _State:
    json_logs: bool = False


_state = _State()


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
            if _console is not None and _console.is_terminal:
                _console.out(line, end="", highlight=False)
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
    _state.json_logs = log_json
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
    _log_line(logging.WARNING, str(message))


def _log_line(level: int, message: str) -> None:
    if not logger.handlers:
        setup_logging()
    logger.log(level, "%s", one_line(message))
