"""Loading a tokenizer, ours or in the published layout: streamed into place, each name checked."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from mingtok_audio.config import MingTokConfig
from mingtok_audio.core.config import from_dict, load_json
from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.core.models.fit import Account, Place
from mingtok_audio.core.models.hub import load_tensors, resolve, sha256_of_weights
from mingtok_audio.core.runtime import select_device, select_dtype
from mingtok_audio.models.reference import (
    AGGREGATOR_LAYERS,
    PART_OF_MODEL,
    EncoderLayers,
    implied_zero_rows,
    is_dropped_layer,
    is_published,
    published_config,
    target_of,
    tokenizer_section,
)
from mingtok_audio.weights import NEWEST_NANO, shipped_weights

logger = logging.getLogger("mingtok_audio.loading")


class Tokenizer(Protocol):
    """What loading needs of a model: it is an `nn.Module` made from its config."""

    config: MingTokConfig
    model_id: str
    model_hash: str

    def __init__(self, config: MingTokConfig) -> None: ...


Loaded = TypeVar("Loaded", bound=Tokenizer)


def read_config(
    folder: Path, name: str, encoder_layers: EncoderLayers = "all"
) -> tuple[MingTokConfig, bool]:
    """(config, whether the folder is in the published layout)."""
    path = folder / "config.json"
    data = load_json(path)
    if not isinstance(data, Mapping):
        raise ConfigError(f"{path}: expected an object, got {type(data).__name__}")
    section = data if is_published(data) else tokenizer_section(data)
    if section is not None:
        try:
            return published_config(section, name, encoder_layers), True
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error
    if "slot" in data:
        raise ConfigError(
            f"{path}: this is a component for slot {data['slot']!r}, not a tokenizer: "
            "pass it to the option that takes that slot"
        )
    return from_dict(MingTokConfig, data, where=str(path)), False


def load_model(
    cls: type[Loaded],
    name_or_path: str | Path,
    *,
    device: str | torch.device,
    dtype: str | torch.dtype | None,
    window_keys: int | None = None,
    window_layers: int | None = None,
    full_attention: bool = False,
    max_frames: int | None = None,
    encoder_layers: EncoderLayers = "all",
) -> Loaded:
    """See `MingTok.from_pretrained`. `dtype` None keeps that of the file."""
    source = resolve(
        str(name_or_path),
        kind="tokenizer",
        builtin=shipped_weights,
        known=("nano", NEWEST_NANO),
    )
    if encoder_layers not in ("all", "published"):
        raise UserError(f"encoder_layers is 'all' or 'published', not {encoder_layers!r}")
    config, published = read_config(source.path, source.id, encoder_layers)
    config = override_windows(config, window_keys, window_layers, full_attention)
    if max_frames is not None:
        config = dataclasses.replace(config, max_frames=max_frames)
    place = select_device(str(device))
    with torch.device("meta"):
        model = cls(config)
    if isinstance(dtype, torch.dtype):
        kind: torch.dtype | None = dtype
    else:
        kind = None if dtype is None else select_dtype(dtype, place)
    module = cast(nn.Module, model)
    tensors: Iterable[tuple[str, Tensor]] = load_tensors(source.path)
    if published:
        tensors = published_tensors(source.path, config, tensors)
    fill(module, tensors, place, kind, published=config if published else None)
    # "nano" is an alias of the newest shipped set: files say which one that was.
    shipped = shipped_weights(str(name_or_path)) is not None
    model.model_id = config.name if shipped else source.id
    model.model_hash = sha256_of_weights(source.path)
    module.eval()
    return model


def published_tensors(
    folder: Path, config: MingTokConfig, tensors: Iterable[tuple[str, Tensor]]
) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a published folder that are the tokenizer's, under its own names.

    Layers that `encoder_layers` "published" drops are left out; how many run is logged in one
    line.
    """
    data = load_json(folder / "config.json")
    section = tokenizer_section(data)
    prefix = "" if section is None else PART_OF_MODEL
    layers = (data if section is None else section)["enc_kwargs"]["backbone"]["num_hidden_layers"]
    if config.aggregator is not None and layers > AGGREGATOR_LAYERS:
        report_encoder_layers(config, layers)
    for name, tensor in tensors:
        own = name.removeprefix(prefix)
        if not name.startswith(prefix) or is_dropped_layer(own, config, layers):
            continue
        yield own, tensor


def report_encoder_layers(config: MingTokConfig, layers: int) -> None:
    """Log how many of the `layers` of AudioVAE's encoder run, which its config does not show."""
    logger.warning(
        "%d of the encoder's %d layers run; the published code runs %d or all, depending on its "
        "transformers version (encoder_layers='published' or 'all')",
        config.encoder.num_layers,
        layers,
        AGGREGATOR_LAYERS,
    )


def override_windows(
    config: MingTokConfig, keys: int | None, first_layer: int | None, full: bool
) -> MingTokConfig:
    """Change the attention window of all parts but the semantic module."""
    if full and (keys is not None or first_layer is not None):
        raise UserError("full attention has no window: leave out its keys and layers")
    changes: dict[str, Any] = {}
    if full:
        changes["window"] = None
    if keys is not None:
        changes["window"] = keys
    if first_layer is not None:
        changes["first_windowed_layer"] = first_layer
    if not changes:
        return config
    try:
        return dataclasses.replace(
            config,
            encoder=dataclasses.replace(config.encoder, **changes),
            aggregator=(
                None
                if config.aggregator is None
                else dataclasses.replace(config.aggregator, **changes)
            ),
            decoder=dataclasses.replace(config.decoder, **changes),
        )
    except ValueError as error:
        raise UserError(str(error)) from error


def fill(
    model: nn.Module,
    tensors: Iterable[tuple[str, Tensor]],
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    *,
    published: MingTokConfig | None = None,
) -> None:
    """Copy named tensors into a model made on the meta device, one at a time.

    `published` is the model's config where the names are those of the published layout.

    Raises `FormatError` listing every name that is missing or left over and every shape that does
    not fit. The published layout's unused parameters are skipped by name.
    """
    account = _account(model, published)
    ready = False
    for name, tensor in tensors:
        target = account.accept(name, tuple(tensor.shape))
        if target is None:
            continue
        if not ready:
            kind = tensor.dtype if dtype is None else dtype
            model.to(kind).to_empty(device=device)
            for rows in () if published is None else implied_zero_rows(published).values():
                model.get_parameter(rows.name).data[rows.start : rows.stop] = 0
            ready = True
        parameter = model.get_parameter(target.name).data
        parameter[target.start : target.stop].copy_(tensor)
    account.finish()


def check_names(
    model: nn.Module, config: MingTokConfig, shapes: Mapping[str, Iterable[int]]
) -> None:
    """Check the published names and shapes against a model (on the meta device); see `fill`."""
    account = _account(model, config)
    for name, shape in shapes.items():
        account.accept(name, tuple(shape))
    account.finish()


def _account(model: nn.Module, published: MingTokConfig | None) -> Account:
    def place(name: str) -> Place | None:
        return Place(name) if published is None else target_of(name, published)

    account = Account(model, place)
    if published is not None:
        account.zeros(implied_zero_rows(published).values())
    return account
