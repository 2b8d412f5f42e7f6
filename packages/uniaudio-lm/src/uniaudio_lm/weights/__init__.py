"""Weights that ship with the package. No torch here: `info` and `doctor` only look at files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

NEWEST_NANO = "nano-v2"
PARTS_FOLDER = "parts"
"""Of a model folder: `parts/SLOT/NAME` holds a component that was trained for this model, and is
what the plugin's name stands for in `from_pretrained(..., SLOT=NAME)`."""


def shipped_folder() -> Path:
    """Where the newest shipped language model lies, whether or not it is there."""
    return Path(str(resources.files("uniaudio_lm") / "weights" / "nano"))
