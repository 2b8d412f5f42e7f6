"""What every command line of this project shares.

One clear line on stderr and exit code 2 for what the user can mend, never a traceback (but with
`--debug`); results on stdout, everything else on stderr. Typer's public API only. rich, numpy and
torch are imported where they are used: `--help` answers at once.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

from mingtok_audio.core.cli.logs import log_line, setup_logging
from mingtok_audio.core.cli.output import get_console
from mingtok_audio.core.errors import UserError, one_line
from mingtok_audio.core.files import os_reason

EXIT_FAILED_ITEMS = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
EXIT_TERMINATED = 143
_GLOBAL_FLAGS = ("--debug", "--log-json")


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
        # Not Annotated: a local callback is out of reach of annotations that are texts.
        show_version: bool = typer.Option(
            False,
            "--version",
            callback=version,
            is_eager=True,
            help="Print the version.",
            hidden=distribution is None,
        ),
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


def make_group(name: str, help: str) -> typer.Typer:
    """A group of subcommands (`mingtok plugins ...`) with the same habits."""
    group = typer.Typer(
        name=name,
        help=help,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @group.callback(invoke_without_command=True)
    def main(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help(), err=True)
            raise typer.Exit(EXIT_USAGE)

    main.__doc__ = help
    return group


def run(app: typer.Typer, args: Sequence[str] | None = None) -> NoReturn:
    """Run `app` and leave with its exit code; the one way into it for a script's `main`.

    `--debug` and `--log-json` are taken wherever they stand before a `--`.
    """
    _repair_streams()
    given = list(sys.argv[1:] if args is None else args)
    cut = given.index("--") if "--" in given else len(given)
    debug = "--debug" in given[:cut]
    log_json = "--log-json" in given[:cut]
    rest = [a for a in given[:cut] if a not in _GLOBAL_FLAGS] + given[cut:]
    setup_logging(log_json=log_json, debug=debug)
    _end_by_exception_on_sigterm()
    if "--json" in given[:cut]:
        _keep_stdout_for_json()
    code = 0
    try:
        code = _call(app, rest, debug)
        # Output that cannot be written shows when the buffer is emptied: here, not at shutdown.
        sys.stdout.flush()
    except BrokenPipeError:
        code = _broken_pipe()
    except OSError as error:
        # What could not be written is still in the buffer: a command that failed has said why.
        code = code or _report(f"cannot write to standard output: {os_reason(error)}")
        _silence_stdout()
    sys.exit(code)


def _repair_streams() -> None:
    """Streams that a command can write to: closed ones go nowhere, and a file name that the
    terminal's encoding does not know is escaped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell: >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _keep_stdout_for_json() -> None:
    """Standard output is for our JSON alone: what a library or a plugin writes to file descriptor
    1 goes to stderr."""
    try:
        if sys.stdout.fileno() != 1:
            return
        sys.stdout.flush()
        ours = os.dup(1)
        os.dup2(2, 1)
    except (OSError, ValueError, AttributeError):
        return  # no such descriptor, or standard output is an object of the caller's
    old = sys.stdout
    sys.stdout = open(  # noqa: SIM115, PTH123
        ours, "w", encoding=old.encoding, errors=old.errors, buffering=1 if old.isatty() else -1
    )


def _end_by_exception_on_sigterm() -> None:
    """A terminated command removes its half-written files as one that fails does."""

    def stop(*_: Any) -> NoReturn:
        sys.exit(EXIT_TERMINATED)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)


def _call(app: typer.Typer, args: list[str], debug: bool) -> int:
    try:
        result = app(args=args, prog_name=app.info.name, standalone_mode=False)
        return result if isinstance(result, int) and not isinstance(result, bool) else 0
    except UserError as error:
        if debug:
            raise
        return _report(str(error))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except typer.Abort:
        return EXIT_INTERRUPTED
    except SystemExit as error:
        # The parser turns a broken pipe into sys.exit(1), which here means something else.
        if isinstance(error.__context__, BrokenPipeError):
            return _broken_pipe()
        raise
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # its message is the whole help
            sys.stderr.write(f"{error}\n")
            return EXIT_USAGE
        if hasattr(error, "format_message"):  # what the parser raises for a wrong command line
            return _report(_usage_message(error))
        if debug:
            raise
        from mingtok_audio.core.jobs import explain

        return _report(explain(error))


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
    log_line(logging.ERROR, message)


def _broken_pipe() -> int:
    _silence_stdout()
    return EXIT_BROKEN_PIPE


def _silence_stdout() -> None:
    """Whoever read our output is gone: the interpreter must not complain at shutdown."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123


def __getattr__(name: str) -> Any:
    if name == "console":
        return get_console()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
