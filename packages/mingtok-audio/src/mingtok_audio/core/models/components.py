"""Component weights that travel alone: a folder or hub repository with `config.json` and
`model.safetensors`.

    {"format_version": 1, "slot": "compressor", "name": "pooling", "api_version": 1,
     "options": {...}, "trained_with": {"tokenizer": {"id": "nano-v1", "sha256": "..."}}}

`name` picks code that is installed here; a class path is never read from a config. A component
that does not fit - its slot, its shapes, what it was trained with - is refused in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mingtok_audio.core.config import from_dict, load_json, to_dict
from mingtok_audio.core.errors import FormatError, PluginError
from mingtok_audio.core.models.hub import CONFIG_NAME, resolve
from mingtok_audio.core.models.weights import (
    INDEX_NAME,
    WEIGHTS_NAME,
    load_tensors,
    save_tensors,
    write_json,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mingtok_audio.core.plugins import PluginHost

FORMAT_VERSION = 1


@dataclass(frozen=True)
class PinnedModel:
    """A model by its id and the SHA-256 of its weights."""

    id: str
    sha256: str

    def __post_init__(self) -> None:
        digits = set("0123456789abcdef")
        if len(self.sha256) != 64 or not set(self.sha256) <= digits:
            raise ValueError("sha256 must be 64 hexadecimal digits")


@dataclass(frozen=True)
class ComponentConfig:
    """The `config.json` of a component folder."""

    format_version: int
    slot: str
    name: str
    api_version: int
    options: dict[str, Any] = field(default_factory=dict)
    trained_with: dict[str, PinnedModel] = field(default_factory=dict)


def read_component_config(folder: str | Path) -> ComponentConfig:
    """The checked config of a component folder.

    Raises:
        ConfigError: unreadable, an unknown key, a wrong type.
        FormatError: a format version that this code does not know.
    """
    path = Path(folder) / CONFIG_NAME
    data = load_json(path)
    if isinstance(data, dict):
        version = data.get("format_version")
        if type(version) is int and version != FORMAT_VERSION:
            raise FormatError(
                f"{path} has component format {version}; this version reads {FORMAT_VERSION}: "
                "update the package"
            )
    return from_dict(ComponentConfig, data, str(path))


@contextmanager
def float32_default() -> Iterator[None]:
    """Parts are made in float32, whatever the user's program has set as torch's default."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def load_component(
    host: PluginHost,
    slot: str,
    source: str | Path,
    *,
    expected: Mapping[str, PinnedModel] | None = None,
) -> nn.Module:
    """Build the component that `source` describes and give it its weights.

    Args:
        source: a folder, "org/name" or "hf://org/name@revision".
        expected: what it will work with here, for example {"tokenizer": PinnedModel(...)}; a
            component trained with another one is refused.

    Returns:
        The module in eval mode on the CPU, with `component_options` and `component_config`.

    Raises:
        HubError, ConfigError, FormatError: the source cannot be found or read.
        PluginError: another slot, an implementation that is not installed, options or weights
            that do not fit it, or another model that it was trained with.
    """
    found = resolve(source, kind=f"{slot} component", weights=False)
    config = read_component_config(found.path)
    where = f"component {source}"
    if config.slot != slot:
        raise PluginError(f"{where} is a {config.slot}, not a {slot}")
    definition = host.slots.get(slot)
    if definition is not None and config.api_version != definition.api_version:
        raise PluginError(
            f"{where} is for version {config.api_version} of the {slot} interface; this package "
            f"has version {definition.api_version}"
        )
    _check_trained_with(config, expected or {}, where)
    with float32_default():
        component = host.create(slot, config.name, **config.options)
    component.component_config = config
    has_weights = any((found.path / name).exists() for name in (WEIGHTS_NAME, INDEX_NAME))
    if has_weights or component.state_dict():
        load_weights(component, found.path, where)
    return component.eval()


def save_component(
    folder: str | Path,
    component: nn.Module,
    *,
    slot: str,
    name: str,
    options: Mapping[str, Any] | None = None,
    api_version: int = 1,
    trained_with: Mapping[str, PinnedModel] | None = None,
) -> None:
    """Write a component folder (made if needed): its weights, then `config.json`.

    Args:
        options: the constructor's arguments; default: those that `PluginHost.create` kept.

    Raises:
        PluginError: no options are known.
        UserError: the file system refuses.
    """
    if options is None:
        options = getattr(component, "component_options", None)
        if options is None:
            raise PluginError(f"cannot save the {slot} '{name}': say which options built it")
    config = ComponentConfig(
        FORMAT_VERSION, slot, name, api_version, dict(options), dict(trained_with or {})
    )
    root = Path(folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PluginError(f"cannot make the folder {root}: {error.strerror}") from error
    state = component.state_dict()
    if state:
        save_tensors(root / WEIGHTS_NAME, state, {"format": "pt"})
    write_json(root / CONFIG_NAME, to_dict(config))


def load_weights(module: nn.Module, folder: Path, where: str) -> None:
    """Copy a folder's tensors into `module`: every name, every shape, nothing left over.

    Raises:
        PluginError: lists what is missing, unknown or of another shape.
    """
    state: dict[str, torch.Tensor] = dict(load_tensors(folder))
    wanted = module.state_dict()
    missing = sorted(set(wanted) - set(state))
    unknown = sorted(set(state) - set(wanted))
    shapes = [
        f"{name} is {tuple(state[name].shape)}, expected {tuple(wanted[name].shape)}"
        for name in sorted(set(wanted) & set(state))
        if state[name].shape != wanted[name].shape
    ]
    problems = []
    if missing:
        problems.append(f"missing: {_some(missing)}")
    if unknown:
        problems.append(f"unknown: {_some(unknown)}")
    if shapes:
        problems.append(f"wrong shapes: {_some(shapes)}")
    if problems:
        raise PluginError(f"the weights of {where} do not fit its options: {'; '.join(problems)}")
    module.load_state_dict(state)


def _some(names: list[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _check_trained_with(
    config: ComponentConfig, expected: Mapping[str, PinnedModel], where: str
) -> None:
    for part, pinned in config.trained_with.items():
        here = expected.get(part)
        if here is not None and here.sha256 != pinned.sha256:
            raise PluginError(
                f"{where} was trained with the {part} {pinned.id} (sha256 {pinned.sha256[:12]}…), "
                f"and this {part} is {here.id} (sha256 {here.sha256[:12]}…): its outputs would be "
                "wrong; use the matching one"
            )
