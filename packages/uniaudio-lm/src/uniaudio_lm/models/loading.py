"""Loading a speech language model, ours or in the published layout, with parts replaced."""

from __future__ import annotations

import dataclasses
import inspect
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mingtok_audio.config import MingTokConfig
from mingtok_audio.core.components import PinnedModel, load_component, read_component_config
from mingtok_audio.core.config import from_dict, load_json
from mingtok_audio.core.errors import ConfigError, HubError, PluginError
from mingtok_audio.core.hub import ResolvedSource, load_tensors, resolve, sha256_of_weights
from mingtok_audio.core.runtime import select_device, select_dtype
from mingtok_audio.models.loading import read_config as read_tokenizer_config
from mingtok_audio.models.reference import implied_zero_rows
from mingtok_audio.plugins import get_host as tokenizer_host
from mingtok_audio.weights import shipped_weights as shipped_tokenizer
from uniaudio_lm.config import PartConfig, UniAudioConfig
from uniaudio_lm.models.filling import Placer, fill
from uniaudio_lm.models.info import is_published
from uniaudio_lm.models.reference import Place, model_place, published_config
from uniaudio_lm.plugins import get_host
from uniaudio_lm.text.tokenizer import TOKENIZER_NAME, TextTokenizer

if TYPE_CHECKING:
    from mingtok_audio.core.plugins import PluginHost
    from uniaudio_lm.models.uniaudio import UniAudio

TOKENIZER_FOLDER = "tokenizer"

logger = logging.getLogger("uniaudio_lm.loading")


def shipped_weights(name: str) -> Path | None:
    """Folder of a shipped model. This release ships none; "nano" says so in words."""
    if name == "nano" or name.startswith("nano-"):
        raise HubError(
            f"this release ships no language model weights, so there is no '{name}' yet: give a "
            "model folder or hf://org/name"
        )
    return None


def load_model(
    cls: type[UniAudio],
    name_or_path: str | Path,
    *,
    device: str | torch.device,
    dtype: str | torch.dtype | None,
    parts: Mapping[str, str | Path],
) -> Any:
    """See `UniAudio.from_pretrained`. `dtype` None keeps that of the file."""
    source = resolve(name_or_path, kind="model", builtin=shipped_weights, files=(TOKENIZER_NAME,))
    place = select_device(str(device))
    kind = dtype if dtype is None or isinstance(dtype, torch.dtype) else select_dtype(dtype, place)
    config, tokenizer, tensors, placer, zeros = _read(source)
    own = config
    config, components = _replace_parts(config, parts)
    text = TextTokenizer.from_file(source.path / TOKENIZER_NAME)
    with torch.device("meta"):
        model = cls(config, tokenizer, text)
        before = cls(own, tokenizer) if config != own else model
    given = _place_components(model, before, components, parts)
    fill(model, tensors, placer, device=place, dtype=kind, zeros=zeros, given=given)
    model.to(place)
    if kind is not None:
        model.to(kind)
    _check_vocabulary(model)
    model.model_id = source.id
    model.tokenizer.model_id = tokenizer.name
    return model.eval()


def _read(
    source: ResolvedSource,
) -> tuple[UniAudioConfig, MingTokConfig, Iterator[tuple[str, Tensor]], Placer, list[Place]]:
    """Configs, tensors, where they go, and rows that no tensor holds."""
    path = source.path / "config.json"
    data = load_json(path)
    if not isinstance(data, Mapping):
        raise ConfigError(f"{path}: expected an object, got {type(data).__name__}")
    if is_published(data):
        config, tokenizer = published_config(data, source.id)
        zeros = tokenizer_zeros(tokenizer)
        return (
            config, tokenizer, load_tensors(source.path),
            lambda name: model_place(name, config, tokenizer), zeros,
        )  # fmt: skip
    if "slot" in data:
        raise ConfigError(
            f"{path}: this is a component for slot {data['slot']!r}, not a model: pass it to the "
            "option that takes that slot"
        )
    if data.get("model_type") == "mingtok" or "enc_kwargs" in data:
        raise ConfigError(f"{path}: this is a speech tokenizer, not a language model")
    config = from_dict(UniAudioConfig, data, where=str(path))
    folder = source.path / TOKENIZER_FOLDER
    if not folder.is_dir():
        pinned = config.tokenizer
        if pinned is None:
            raise ConfigError(
                f"{source.path} has no folder {TOKENIZER_FOLDER}/, and its config.json names no "
                "tokenizer"
            )
        folder = resolve(pinned.id, kind="tokenizer", builtin=shipped_tokenizer).path
        _check_pin(pinned, folder, source.id)
    elif config.tokenizer is not None:
        _check_pin(config.tokenizer, folder, source.id)
    tokenizer, layout_published = read_tokenizer_config(folder, folder.name)
    if layout_published:
        raise ConfigError(f"{folder}: convert this tokenizer first (mingtok convert)")

    def tensors() -> Iterator[tuple[str, Tensor]]:
        yield from load_tensors(source.path)
        for name, tensor in load_tensors(folder):
            yield f"tokenizer.{name}", tensor

    return config, tokenizer, tensors(), Place, []


def _check_pin(pinned: PinnedModel, folder: Path, model: str) -> None:
    found = sha256_of_weights(folder)
    if found != pinned.sha256:
        raise ConfigError(
            f"model {model} was trained with the tokenizer {pinned.id} (sha256 "
            f"{pinned.sha256[:12]}…), and {folder} has {found[:12]}…: its features would be wrong; "
            "use the matching one"
        )


def tokenizer_zeros(tokenizer: MingTokConfig) -> list[Place]:
    """Rows that the published tokenizer leaves out; see `mingtok_audio.models.reference`."""
    return [
        Place(f"tokenizer.{rows.name}", rows.start, rows.stop)
        for rows in implied_zero_rows(tokenizer).values()
    ]


def _replace_parts(
    config: UniAudioConfig, parts: Mapping[str, str | Path]
) -> tuple[UniAudioConfig, dict[str, nn.Module]]:
    """The config with other parts, and those that bring their own weights."""
    components: dict[str, nn.Module] = {}
    changes: dict[str, Any] = {}
    expected = {} if config.tokenizer is None else {"tokenizer": config.tokenizer}
    for slot, part in parts.items():
        host = _host_of(slot)
        if isinstance(part, str) and part in host.names(slot):
            old = getattr(config, slot)
            if part != old.name:
                changes[slot] = _renamed(host, slot, part, old)
            continue
        source = resolve(part, kind=f"{slot} component", weights=False, known=host.names(slot))
        components[slot] = load_component(host, slot, source.path, expected=expected)
        found = read_component_config(source.path)
        changes[slot] = PartConfig(found.name, dict(found.options))
    return dataclasses.replace(config, **changes), components


def _renamed(host: PluginHost, slot: str, name: str, old: PartConfig) -> PartConfig:
    """Another plugin in a slot, with those of the old one's options that it knows."""
    known = inspect.signature(host.resolve(slot, name)).parameters
    if slot in ("stop_detector", "compressor"):
        return PartConfig(name, {k: v for k, v in old.options.items() if k in known})
    return PartConfig(name, {})


def _host_of(slot: str) -> PluginHost:
    return tokenizer_host() if slot == "compressor" else get_host()


def _place_components(
    model: UniAudio,
    before: UniAudio,
    components: Mapping[str, nn.Module],
    parts: Mapping[str, str | Path],
) -> list[str]:
    """Put parts with weights of their own in place. Returns the prefixes whose weights the model's
    files are not asked for."""
    given = []
    for slot in parts:
        built = model.get_submodule(slot)
        component = components.get(slot)
        if component is not None:
            if _shapes(component) != _shapes(built):
                raise PluginError(
                    f"the {slot} that was given does not fit this model: "
                    f"{_difference(component, built)}"
                )
            setattr(model, slot, component)
            given.append(slot)
        elif _shapes(before.get_submodule(slot)) != _shapes(built):
            # A plugin by name has no weights; the old part's fit only one of the same shapes.
            _materialize(built)
            given.append(slot)
            if next(built.parameters(), None) is not None:
                logger.warning("the %s '%s' has random weights: train it", slot, parts[slot])
    if "compressor" in given:
        given.append("adapter")
        if next(model.adapter.parameters(), None) is not None:
            _materialize(model.adapter)
            logger.warning("the adapter behind the compressor has random weights: train it")
    return given


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    sizes: dict[str, Any] = {name: tuple(p.shape) for name, p in module.named_parameters()}
    for name in ("cond_dim", "latent_dim", "patch_size", "in_dim", "out_dim", "dim"):
        value = getattr(module, name, None)
        if isinstance(value, int):
            sizes[name] = (value,)
    return sizes


def _difference(component: nn.Module, built: nn.Module) -> str:
    ours, theirs = _shapes(built), _shapes(component)
    for name in ("cond_dim", "latent_dim", "patch_size", "in_dim", "out_dim", "dim", *ours):
        if name in ours and ours[name] != theirs.get(name):
            there = theirs.get(name)
            shown = "missing" if there is None else list(there)
            return f"its {name} is {shown}, the model needs {list(ours[name])}"
    return "it has parameters that the model has no place for"


def _materialize(module: nn.Module) -> None:
    """Random weights for a part made on the meta device: initialised by its own constructors."""
    options = getattr(module, "component_options", None)
    if options is not None:
        fresh = type(module)(**options)
    elif isinstance(module, nn.Linear):
        fresh = nn.Linear(module.in_features, module.out_features)
    else:
        raise PluginError(f"{type(module).__name__} cannot be built again without its options")
    for name, parameter in fresh.named_parameters():
        owner, _, leaf = name.rpartition(".")
        module.get_submodule(owner).register_parameter(leaf, nn.Parameter(parameter.detach()))


def _check_vocabulary(model: UniAudio) -> None:
    if model.text is not None and model.text.vocab_size > model.backbone.vocab_size:
        raise ConfigError(
            f"the text tokenizer has {model.text.vocab_size} tokens, the backbone embeds "
            f"{model.backbone.vocab_size}: {TOKENIZER_NAME} belongs to another model"
        )
