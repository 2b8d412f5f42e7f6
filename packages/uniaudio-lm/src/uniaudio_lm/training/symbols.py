"""Embeddings of phonemes: a model reads them until it learns to read audio, and its compressor then
learns to make them.

Axes: B items, P patches, C phonemes, D width.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mingtok_audio.core.errors import ConfigError
from mingtok_audio.core.models.hub import save_tensors
from uniaudio_lm.training.losses import relative_error

logger = logging.getLogger(__name__)
SYMBOLS = "symbols.safetensors"
_SCALE = 0.02  # of fresh embeddings, as of the tokens'


def fresh_symbols(count: int, dim: int) -> Tensor:
    """Random embeddings (C, D)."""
    return _SCALE * torch.randn(count, dim)


def symbols_said(table: Tensor, shares: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """Embeddings (B, P, D) of the phonemes in each patch: a table (C, D) by shares (B, P, C).

    `noise` is its largest level relative to the table; each item has one of its own.
    """
    patches = shares.to(table) @ table
    level = noise * torch.rand(len(patches), 1, 1, generator=generator)
    drawn = torch.randn(patches.shape, generator=generator) * level
    return patches + drawn.to(patches) * table.detach().square().mean().sqrt()


def symbol_error(table: Tensor, shares: Tensor, patches: Tensor) -> Tensor:
    """How far audio (B, P, D) is from the embeddings of what is said in it."""
    shares = shares.to(patches)
    known = shares.sum(dim=-1) > 0
    return relative_error(patches[known], shares[known] @ table.to(patches))


def known_symbols(path: Path, names: Sequence[str]) -> list[str]:
    """The phonemes among `names` that have an embedding; the others are named in a warning, and are
    no part of any patch then.

    Raises:
        ConfigError: no such file, or none of them has one.
    """
    found = read_symbols(path)
    missing = [name for name in names if name not in found]
    if len(missing) == len(names):
        raise ConfigError(f"symbols: {path} holds none of the manifests' phonemes")
    if missing:
        logger.warning("symbols: %s has no embedding of %s", path, " ".join(missing))
    return [name for name in names if name in found]


def read_table(path: Path, names: Sequence[str], dim: int) -> Tensor:
    """The embeddings (C, D) of the phonemes `names`.

    Raises:
        ConfigError: no such file, another width, or a phoneme that it does not hold.
    """
    found = read_symbols(path)
    missing = [name for name in names if name not in found]
    if missing:
        raise ConfigError(f"symbols: {path} has no embedding of {missing[0]!r}")
    table = torch.stack([found[name] for name in names])
    if table.shape[1] != dim:
        raise ConfigError(f"symbols: width {table.shape[1]}, the model's {dim}")
    return table


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
