"""What a model folder is, from its config and its headers; no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from mingtok_audio.commands.info import describe as describe_any
from mingtok_audio.core.config import load_json
from mingtok_audio.core.models.compact import SCALE_SUFFIX
from mingtok_audio.core.models.hub import (
    TensorInfo,
    read_safetensors_header,
    sha256_of_weights,
    weight_files,
)
from uniaudio_lm.config import PartConfig, parse_config
from uniaudio_lm.weights import NEWEST_NANO, PARTS_FOLDER, shipped_folder

PARTS = {
    "model": "backbone",
    "audio": "tokenizer",
    "flowloss": "generation_head",
    "stop_head": "stop_detector",
    "linear_proj_audio": "compressor",
    "spk_head": "speaker_proj",
}
"""Published prefixes of parameter names, and the slots they belong to."""


def is_published(config: Any) -> bool:
    """Whether a parsed `config.json` is a speech language model's in the published layout."""
    return isinstance(config, Mapping) and {"llm_config", "audio_tokenizer_config"} <= config.keys()


def describe(inputs: Sequence[str]) -> list[dict[str, Any]]:
    """A description of each input; see `mingtok_audio.commands.info.describe`. "nano" is the
    language model here, as for every command of this package; it names its tokenizer.

    Raises:
        UserError: in one line, for the first that cannot be described.
    """
    found: list[dict[str, Any]] = []
    for given in inputs:
        folder = shipped_folder() if given in ("nano", NEWEST_NANO) else Path(given)
        config_path = folder / "config.json"
        if config_path.is_file():
            config = load_json(config_path)
            if is_published(config):
                found.append(_describe_published(folder, config))
                continue
            if isinstance(config, Mapping) and config.get("model_type") == "uniaudio":
                found.append(_describe_own(folder, config))
                continue
        found += describe_any([given])
    return found


def _describe_published(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "backbone": "bailing_moe",
        "compressor": "linear_pooling",
        "generation_head": "dit",
        "stop_detector": "linear",
    }
    if "aggregator_config" in config:  # Ming-omni-tts, Ming-3.0-tts
        names["compressor"] = "aggregator"
        names["backbone"] = "dense" if config.get("model_type") == "dense" else "bailing_moe"
    tensors = _tensors(folder)
    parts = _parts({n: (PARTS.get(n.partition(".")[0], "unknown"), t) for n, t in tensors.items()})
    return _described(folder, "published", names, parts) | {"config": dict(config)}


def _describe_own(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    parsed = parse_config(dict(config), where=str(folder / "config.json"))
    found = {field.name: getattr(parsed, field.name) for field in fields(parsed)}
    names = {slot: part.name for slot, part in found.items() if isinstance(part, PartConfig)}
    tensors = {n: (n.partition(".")[0], t) for n, t in _tensors(folder).items()}
    inner = folder / "tokenizer"
    if inner.is_dir():
        tensors |= {f"tokenizer.{n}": ("tokenizer", t) for n, t in _tensors(inner).items()}
    pinned = parsed.tokenizer
    more = {} if pinned is None else {"tokenizer": {"id": pinned.id, "sha256": pinned.sha256}}
    others = _alternatives(folder)
    more |= {"alternatives": others} if others else {}
    made = _described(folder, "uniaudio", names, _parts(tensors))
    return made | {"name": parsed.name} | more | {"config": dict(config)}


def _alternatives(folder: Path) -> dict[str, list[str]]:
    """Parts that come with the model and can stand in the place of its own, by slot."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob(f"{PARTS_FOLDER}/*/*/config.json")):
        found.setdefault(path.parent.parent.name, []).append(path.parent.name)
    return found


def _described(
    folder: Path, layout: str, plugins: dict[str, str], parts: dict[str, dict[str, int]]
) -> dict[str, Any]:
    return {
        "kind": "model",
        "id": str(folder),
        "path": str(folder),
        "model_type": "uniaudio",
        "layout": layout,
        "sha256": sha256_of_weights(folder),
        "files": [file.name for file in weight_files(folder)],
        "parameters": sum(part["parameters"] for part in parts.values()),
        "bytes": sum(part["bytes"] for part in parts.values()),
        "plugins": plugins,
        "parts": parts,
    }


def _tensors(folder: Path) -> dict[str, TensorInfo]:
    return {
        name: info
        for file in weight_files(folder)
        for name, info in read_safetensors_header(file).items()
        if isinstance(info, TensorInfo)
    }


def _parts(tensors: Mapping[str, tuple[str, TensorInfo]]) -> dict[str, dict[str, int]]:
    parts: dict[str, dict[str, int]] = {}
    for name, (part, info) in tensors.items():
        sizes = parts.setdefault(part, {"parameters": 0, "bytes": 0})
        if not name.endswith(SCALE_SUFFIX):
            sizes["parameters"] += math.prod(info.shape)
        sizes["bytes"] += info.end - info.start
    return parts
