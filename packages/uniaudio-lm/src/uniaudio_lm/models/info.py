"""What a model folder is, from its config and its headers; no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mingtok_audio.commands.info import describe as describe_any
from mingtok_audio.core.config import load_json
from mingtok_audio.core.hub import (
    TensorInfo,
    read_safetensors_header,
    sha256_of_weights,
    weight_files,
)

PARTS = {
    "model": "backbone",
    "audio": "tokenizer",
    "flowloss": "generation_head",
    "stop_head": "stop_detector",
    "linear_proj_audio": "compressor",
}
"""Published prefixes of parameter names, and the slots they belong to."""


def is_published(config: Any) -> bool:
    """Whether a parsed `config.json` is a speech language model's in the published layout."""
    return isinstance(config, Mapping) and {"llm_config", "audio_tokenizer_config"} <= config.keys()


def describe(inputs: Sequence[str]) -> list[dict[str, Any]]:
    """A description of each input; see `mingtok_audio.commands.info.describe`.

    Raises:
        UserError: in one line, for the first that cannot be described.
    """
    found: list[dict[str, Any]] = []
    for given in inputs:
        config_path = Path(given) / "config.json"
        if config_path.is_file():
            config = load_json(config_path)
            if is_published(config):
                found.append(_describe_published(Path(given), config))
                continue
        found += describe_any([given])
    return found


def _describe_published(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    tensors = {
        name: info
        for file in weight_files(folder)
        for name, info in read_safetensors_header(file).items()
        if isinstance(info, TensorInfo)
    }
    parts: dict[str, dict[str, int]] = {}
    for name, info in tensors.items():
        part = PARTS.get(name.partition(".")[0], "unknown")
        sizes = parts.setdefault(part, {"parameters": 0, "bytes": 0})
        sizes["parameters"] += math.prod(info.shape)
        sizes["bytes"] += info.end - info.start
    return {
        "kind": "model",
        "id": str(folder),
        "path": str(folder),
        "model_type": "uniaudio",
        "layout": "published",
        "sha256": sha256_of_weights(folder),
        "parameters": sum(part["parameters"] for part in parts.values()),
        "bytes": sum(part["bytes"] for part in parts.values()),
        "parts": parts,
        "config": dict(config),
    }
