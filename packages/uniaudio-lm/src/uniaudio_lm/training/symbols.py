"""Embeddings of phonemes, kept beside a model that learned from phonemes in the place of audio."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mingtok_audio.core.errors import ConfigError
from mingtok_audio.core.hub import save_tensors

SYMBOLS = "symbols.safetensors"


def write_symbols(path: Path, names: Sequence[str], table: Tensor) -> Path:
    """Write the embeddings (C, D) of the phonemes `names`, atomically."""
    save_tensors(path, {"symbols": table.detach().cpu()}, {"names": json.dumps(list(names))})
    return path


def read_symbols(path: Path) -> dict[str, Tensor]:
    """The embedding (D,) of each phoneme.

    Raises:
        ConfigError: no such file, or another one.
    """
    try:
        with safe_open(path, "pt") as file:
            table = file.get_tensor("symbols").float()
            names = json.loads(file.metadata()["names"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"symbols: {path} cannot be read: {error}") from error
    return dict(zip(names, torch.unbind(table), strict=True))
