"""What the commands of this package share around `mingtok_audio.core.jobs`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import typer

from mingtok_audio.core.cli import EXIT_FAILED_ITEMS, EXIT_USAGE, fail
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import os_reason
from mingtok_audio.core.jobs import Result

RECORD_NAME = ".uniaudio.jsonl"
"""The record of finished results in an output folder."""


def make_folder(folder: Path) -> None:
    """Make a folder. Raises `UserError` where the file system refuses."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {os_reason(error)}") from error


def finish(results: Sequence[Result], single: bool) -> None:
    """Tell what failed, and leave with the exit code for it."""
    bad = [result for result in results if result["status"] == "failed"]
    if not bad:
        return
    if single:
        raise UserError(bad[0]["error"])
    for result in bad:
        fail(result["error"])
    raise typer.Exit(EXIT_USAGE if len(bad) == len(results) else EXIT_FAILED_ITEMS)


def is_folder(output: str, several: bool) -> bool:
    """Whether an output is meant as a folder: it is one, is written like one, or has no suffix
    and takes several results."""
    target = Path(output)
    if target.is_dir() or output.endswith(("/", os.sep)):
        return True
    return several and not target.suffix[1:2].isalpha()  # "take-2.5" is not a file name
