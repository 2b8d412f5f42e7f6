"""Where a model's parameters live: over several devices, host memory and disk, through
accelerate's device maps (extra `[accelerate]`).

Only the backbone's layers are spread: they are nine tenths of a large model, and each needs no
more than what the layer before it gives. Everything else stays on the main device.
"""

from __future__ import annotations

import json
import logging
import re
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mingtok_audio.core.config import load_json
from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.core.runtime import select_device

MODES = ("auto", "balanced")
Memory = Mapping[str | int, str | int]
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B|B)?", re.IGNORECASE)


class Placement:
    """A device for every parameter, and what goes to disk.

    Args:
        model: on the meta device.
        device_map: "auto" fills one device after the other, "balanced" all graphics cards alike; a
            JSON file or a mapping names a place ("cuda:1", "cpu", "disk") for the backbone's
            layers by their module name, or for a part of the names before that ("backbone").
        max_memory: most bytes ("20GB") to use of a device (0, "cpu").
        main: device of everything else.
        dtype: that the weights are loaded in.
        folder: for what goes to disk; by default a temporary one.

    Raises:
        UserError: accelerate is missing, a map that does not fit, or too little memory.
    """

    def __init__(  # noqa: PLR0917
        self,
        model: nn.Module,
        device_map: str | Path | Mapping[str, str | int],
        max_memory: Memory | None,
        main: torch.device,
        dtype: torch.dtype,
        folder: str | Path | None = None,
    ) -> None:
        _accelerate()
        if main.type == "cuda" and main.index is None:
            main = torch.device("cuda", torch.cuda.current_device())
        self.main = main
        prefix, layers = backbone_layers(model)
        if isinstance(device_map, str) and device_map in MODES:
            places = _computed(model, prefix, layers, device_map, max_memory, main, dtype)
        else:
            if max_memory is not None:
                raise UserError("a memory limit goes with the device map auto or balanced")
            places = _given(device_map, prefix, len(layers), main)
        self.map: dict[str, str] = dict.fromkeys(_others(model, prefix), str(main))
        self.map |= {f"{prefix}.{i}": place for i, place in enumerate(places)}
        self._layers = f"{prefix}."
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self.folder: Path | None = None
        if "disk" in places:
            if folder is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="uniaudio-offload-")
                folder = self._temporary.name
            self.folder = Path(folder)
            self.folder.mkdir(parents=True, exist_ok=True)
        self._index: dict[str, Any] = {}
        self._host: dict[str, Tensor] = {}

    @property
    def offloads(self) -> bool:
        """Whether some weights are brought to the main device only while they are used."""
        away = {"disk"} if self.main.type == "cpu" else {"disk", "cpu"}
        return bool(away & set(self.map.values()))

    def place_of(self, name: str) -> str:
        """The place of a parameter by name."""
        if not name.startswith(self._layers):
            return str(self.main)
        number = name.removeprefix(self._layers).partition(".")[0]
        return self.map[self._layers + number]

    def device_of(self, name: str) -> torch.device:
        """The device to read a parameter on."""
        place = self.place_of(name)
        return torch.device("cpu" if place == "disk" else place)

    def keep(self, name: str, tensor: Tensor) -> Tensor | None:
        """Put a whole parameter away; None where it waits outside the model."""
        place = self.place_of(name)
        if place == "disk":
            from accelerate.utils import offload_weight

            offload_weight(tensor.contiguous(), name, str(self.folder), self._index)
            return None
        if place == "cpu" and self.main.type != "cpu":
            self._host[name] = tensor
            return None
        return tensor

    def dispatch(self, model: nn.Module) -> None:
        """Let the model bring inputs and weights to where they are needed."""
        from accelerate import dispatch_model
        from accelerate.utils import save_offload_index

        if self.folder is not None:
            save_offload_index(self._index, str(self.folder))
        if set(self.map.values()) != {str(self.main)}:
            with _quiet("accelerate.big_modeling"):
                dispatch_model(
                    model,
                    dict(self.map),
                    # As a text: "cpu" decides what counts as offloaded.
                    main_device=str(self.main),  # type: ignore[arg-type]
                    state_dict=self._host or None,
                    offload_dir=None if self.folder is None else str(self.folder),
                )
        # The temporary folder lives as long as the model.
        model.placement = self  # type: ignore[assignment]


def backbone_layers(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """The backbone's layers, with their name: its longest list of modules.

    Raises:
        UserError: it has none.
    """
    lists = [
        (f"backbone.{name}", part)
        for name, part in model.get_submodule("backbone").named_modules()
        if isinstance(part, nn.ModuleList)
    ]
    if not lists:
        raise UserError("this model's backbone has no list of layers to spread over devices")
    return max(lists, key=lambda found: (len(found[1]), -len(found[0])))


def parse_memory(text: str) -> dict[str | int, str | int]:
    """ "0=20GB,cpu=60GB" as a mapping. Raises `UserError`."""
    found: dict[str | int, str | int] = {}
    for part in text.split(","):
        name, _, size = part.strip().partition("=")
        if not name or not _SIZE.fullmatch(size.strip()):
            raise UserError(
                f"'{part.strip()}' is not a memory limit: write a device and a size, as in "
                "0=20GB,cpu=60GB"
            )
        found[int(name) if name.isdigit() else name] = size.strip()
    return found


def parse_size(size: str | int) -> int | None:
    """Bytes of "20GB", "512MiB" or a number; None if it is not a size."""
    if isinstance(size, int):
        return size if size >= 0 and not isinstance(size, bool) else None
    match = _SIZE.fullmatch(str(size).strip())
    if match is None:
        return None
    unit = (match[2] or "B").upper()
    return int(float(match[1]) * (1024 if "I" in unit else 1000) ** "BKMGT".index(unit[0]))


def _bytes(size: str | int, device: str | int) -> int:
    found = parse_size(size)
    if found is None:
        raise UserError(f"'{size}' is not a memory size for {device}: write it as 20GB")
    return found


def _others(model: nn.Module, prefix: str) -> list[str]:
    """The modules and parameters beside the layers and what holds them."""
    above = {prefix.rsplit(".", k)[0] for k in range(prefix.count(".") + 1)}
    names = []
    for holder in sorted({"", *above} - {prefix}):
        owner = model.get_submodule(holder)
        lead = f"{holder}." if holder else ""
        names += [lead + n for n, _ in owner.named_children() if lead + n not in above]
        names += [lead + n for n, _ in owner.named_parameters(recurse=False)]
        names += [lead + n for n, _ in owner.named_buffers(recurse=False)]
    return names


def _computed(  # noqa: PLR0917
    model: nn.Module,
    prefix: str,
    layers: nn.ModuleList,
    mode: str,
    max_memory: Memory | None,
    main: torch.device,
    dtype: torch.dtype,
) -> list[str]:
    """A place for each layer, by accelerate's rules."""
    from accelerate import infer_auto_device_map
    from accelerate.utils import get_balanced_memory, get_max_memory

    given: dict[int | str, int | str] | None = None
    if max_memory is not None:
        given = {device: _bytes(size, device) for device, size in max_memory.items()}
        known: set[str | int] = {*range(torch.cuda.device_count()), "cpu", "mps", "disk"}
        wrong = [str(device) for device in given if device not in known]
        if wrong:
            raise UserError(f"max_memory names {wrong[0]}, which is not a device of this machine")
    memory: dict[int | str, Any] = dict(get_max_memory(given))
    own: str | int = (main.index or 0) if main.type == "cuda" else main.type
    if main.type == "cpu":
        memory = {k: v for k, v in memory.items() if k in ("cpu", "disk")}
    elif own in memory:  # filled first
        memory = {own: memory[own], **memory}
    inside = {f"{prefix}.{n}" for n, _ in layers.named_parameters()}
    fixed = sum(p.numel() for n, p in model.named_parameters() if n not in inside) * dtype.itemsize
    if memory.get(own, 0) < fixed:
        raise UserError(
            f"the parts that stay on {main} need {fixed / 1e6:,.1f} MB, and "
            f"{memory.get(own, 0) / 1e6:,.1f} MB may be used: choose another device or dtype"
        )
    memory[own] -= fixed
    kinds = sorted({type(layer).__name__ for layer in layers})
    with _quiet("accelerate.utils.modeling"):
        if mode == "balanced":
            balanced: Any = get_balanced_memory(layers, memory, kinds, dtype)
            memory = dict(balanced)
        found = infer_auto_device_map(layers, memory, kinds, dtype)
    whole = found.get("")
    places = [found.get(str(i), whole) for i in range(len(layers))]
    return [f"cuda:{place}" if isinstance(place, int) else str(place) for place in places]


def _given(
    device_map: str | Path | Mapping[str, str | int], prefix: str, count: int, main: torch.device
) -> list[str]:
    if isinstance(device_map, Mapping):
        table: Any = device_map
        where = "the device map"
    else:
        where = str(device_map)
        if not Path(where).is_file():
            raise UserError(
                f"a device map is {', '.join(MODES)} or a JSON file; there is no file '{where}'"
            )
        table = load_json(where)
    if not isinstance(table, Mapping) or not table:
        raise ConfigError(f"{where} must name a device for each module, in an object")
    layers = [f"{prefix}.{i}" for i in range(count)]
    for name, value in table.items():
        covers = [layer for layer in layers if f"{layer}.".startswith(f"{name}." if name else "")]
        if not covers and _place(value, where) != str(main):
            raise ConfigError(
                f"{where}: '{name}' holds no layer of the backbone ({prefix}.0 to "
                f"{layers[-1]}); only those can leave the main device {main}"
            )
    places = []
    for layer in layers:
        holders = [n for n in table if not n or f"{layer}.".startswith(f"{n}.")]
        if not holders:
            raise ConfigError(f"{where} has no device for {layer}")
        places.append(_place(table[max(holders, key=len)], where))
    return places


def _place(value: Any, where: str) -> str:
    if value == "disk":
        return "disk"
    name = f"cuda:{value}" if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(name, str) or name == "auto":
        raise ConfigError(f"{where}: {json.dumps(value)} is not a device")
    return str(select_device(name))


def _accelerate() -> None:
    try:
        import accelerate  # noqa: F401
    except ImportError as error:
        raise UserError("a device map needs accelerate: pip install accelerate") from error


@contextmanager
def _quiet(name: str):
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
