"""Weights that ship with the package. No torch here: `info` and `doctor` only look at files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

NEWEST_NANO = "nano-v2"


def shipped_folder() -> Path:
    """Where the newest shipped set lies, whether or not it is there."""
    return Path(str(resources.files("mingtok_audio") / "weights" / "nano"))


def shipped_weights(name: str) -> Path | None:
    """Folder of weights that ship with the package: "nano" (the newest set) or its version."""
    if name not in ("nano", NEWEST_NANO):
        return None
    folder = shipped_folder()
    return folder if (folder / "config.json").is_file() else None
