"""What the built-in judges share."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from importlib import metadata
from pathlib import Path

from audio_eval.interfaces import JudgeUnavailableError


def need(module: str, extra: str = "", install: str = "") -> None:
    """Refuse, with the way to install it, when a package is not there. Imports nothing.

    Raises:
        JudgeUnavailableError: names the package.
    """
    try:
        found = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        how = f"pip install 'audio-eval[{extra}]'" if extra else f"pip install {install or module}"
        raise JudgeUnavailableError(f"the package {module} is not installed ({how})")


def version(distribution: str) -> str:
    """Installed version of a distribution, "?" where it has no metadata."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "?"


@cache
def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
