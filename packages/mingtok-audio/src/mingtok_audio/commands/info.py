"""What a file or folder is: latents, audio, a model or a component. Reads headers; no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mingtok_audio.core.audio import AUDIO_SUFFIXES, audio_info
from mingtok_audio.core.cli import collect_inputs
from mingtok_audio.core.config import from_dict, load_json, to_dict
from mingtok_audio.core.errors import ConfigError, FormatError
from mingtok_audio.core.models.compact import count_of
from mingtok_audio.core.models.hub import (
    TensorInfo,
    read_safetensors_header,
    resolve,
    sha256_of_weights,
    weight_files,
)
from mingtok_audio.mtok import MTOK_SUFFIX, read_header


def describe(inputs: Sequence[str]) -> list[dict[str, Any]]:
    """A description of each input; a folder without a `config.json` gives its files'.

    Raises:
        UserError: in one line, for the first that cannot be described.
    """
    found: list[dict[str, Any]] = []
    for given in inputs:
        path = Path(given)
        if path.is_dir() and not (path / "config.json").is_file():
            items = collect_inputs([given], (MTOK_SUFFIX, *AUDIO_SUFFIXES))
            found += [describe_file(item.path) for item in items if item.path is not None]
        elif path.exists() and not path.is_dir():
            found.append(describe_file(path))
        else:
            found.append(describe_model(given))
    return found


def describe_file(path: Path) -> dict[str, Any]:
    """A `.mtok` file (`kind` "latents") or an audio file (`kind` "audio")."""
    if path.suffix.lower() == ".safetensors":
        raise FormatError(f"{path} is one file of weights; give the folder with its config.json")
    if path.suffix.lower() != MTOK_SUFFIX:
        info = audio_info(path)
        return {"kind": "audio", "bytes": path.stat().st_size, **to_dict(info)}
    header = read_header(path)
    fields = to_dict(header)
    fields |= {
        "lengths": list(header.lengths),
        "num_samples": list(header.num_samples),
        "source_num_samples": (
            None if header.source_num_samples is None else list(header.source_num_samples)
        ),
    }
    posterior = "sampled" if fields.pop("sampled") else "mode"
    return {
        "kind": "latents",
        "path": str(path),
        "bytes": path.stat().st_size,
        "seconds": header.seconds,
        "hop_length": header.hop_length,
        "posterior": posterior,
        **fields,
    }


def describe_model(name_or_path: str) -> dict[str, Any]:
    """A model or component folder, shipped name or hub repository, from its headers."""
    from mingtok_audio.weights import shipped_weights

    source = resolve(name_or_path, kind="model or file", builtin=shipped_weights)
    config = load_json(source.path / "config.json")
    if not isinstance(config, Mapping):
        raise ConfigError(f"{source.path / 'config.json'}: expected an object")
    kind = "component" if "slot" in config else "model"
    tensors = {
        name: info
        for file in weight_files(source.path)
        for name, info in read_safetensors_header(file).items()
        if isinstance(info, TensorInfo)
    }
    shown = _component(config, source.path) if kind == "component" else _model(config, source.path)
    return {
        "kind": kind,
        "id": source.id,
        "path": str(source.path),
        "revision": source.revision,
        **shown,
        "sha256": sha256_of_weights(source.path),
        **_sizes(tensors),
        "parts": {
            part: _sizes({n: t for n, t in tensors.items() if n.partition(".")[0] == part})
            for part in sorted({name.partition(".")[0] for name in tensors})
        },
    }


def _sizes(tensors: Mapping[str, TensorInfo]) -> dict[str, int]:
    return {
        "parameters": sum(count_of(name, info.shape, tensors) for name, info in tensors.items()),
        "bytes": sum(info.end - info.start for info in tensors.values()),
    }


def _component(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    from mingtok_audio.core.models.components import read_component_config

    return to_dict(read_component_config(folder))


def _model(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    from mingtok_audio.config import MingTokConfig
    from mingtok_audio.models.reference import is_published, published_config

    if is_published(config):
        layout, parsed = "published", published_config(config, folder.name)
    elif config.get("model_type") == "mingtok":
        layout, parsed = "mingtok", from_dict(MingTokConfig, config, str(folder / "config.json"))
    else:  # another package's model: what its own config says
        return {"model_type": config.get("model_type"), "config": dict(config)}
    return {
        "model_type": "mingtok",
        "layout": layout,
        "name": parsed.name,
        "sample_rate": parsed.sample_rate,
        "frame_rate": parsed.frame_rate,
        "latent_dim": parsed.latent_dim,
        "feature_dim": parsed.feature_dim,
        "decoder_warmup_frames": parsed.decoder_warmup_frames,
        "config": to_dict(parsed),
    }


def as_text(description: Mapping[str, Any]) -> str:
    """A description for people: a line per field."""
    lines = [f"{description.get('path') or description.get('id')}: {description['kind']}"]
    for key, value in description.items():
        if key in ("kind", "path", "config") or value is None:
            continue
        lines.append(f"  {key}: {_text(value)}")
    return "\n".join(lines)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_text(item)}" for key, item in value.items())
    return str(value)
