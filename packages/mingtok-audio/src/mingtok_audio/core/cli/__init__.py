"""What every command line of this project shares: inputs, output, logs, errors, exit codes."""

from mingtok_audio.core.cli.app import (
    EXIT_FAILED_ITEMS,
    EXIT_USAGE,
    fail,
    make_app,
    make_group,
    run,
)
from mingtok_audio.core.cli.inputs import Item, collect_inputs, output_paths, spooled_stdin
from mingtok_audio.core.cli.logs import setup_logging
from mingtok_audio.core.cli.output import Bar, emit_json, get_console, jsonable, progress

__all__ = [
    "EXIT_FAILED_ITEMS",
    "EXIT_USAGE",
    "Bar",
    "Item",
    "collect_inputs",
    "emit_json",
    "fail",
    "get_console",
    "jsonable",
    "make_app",
    "make_group",
    "output_paths",
    "progress",
    "run",
    "setup_logging",
    "spooled_stdin",
]
