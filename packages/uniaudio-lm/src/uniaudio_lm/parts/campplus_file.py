"""CAM++ from its published ONNX file.

The file's graph is the published network, but for normalisations: one that follows a convolution
may be folded into it, and most weights then have numbers for names. So weights are matched by the
order of their operations; sizes and dilations are read from the shapes and attributes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mingtok_audio.core.errors import FormatError, UserError
from uniaudio_lm.parts.campplus import Affine, CampPlus, CampPlusConfig
from uniaudio_lm.parts.onnx_file import OnnxGraph, OnnxNode, read_onnx
from uniaudio_lm.weights import SPEAKER_MODEL

_FRONT = 12  # two-dimensional convolutions
_SHAPING = ("Squeeze", "Unsqueeze", "Identity", "Reshape")
_EPS = 1e-5  # of normalisations whose node does not say it


@dataclass
class _Layer:
    """A convolution with the normalisation after it, or a normalisation alone."""

    weight: np.ndarray | None
    bias: np.ndarray | None
    dilation: int = 1
    norm: tuple[np.ndarray, np.ndarray] | None = None
    """Scale and shift."""


def load_campplus(path: str | Path) -> CampPlus:
    """The speaker model of an ONNX file.

    Raises:
        FormatError: no ONNX file, or another network.
    """
    file = Path(path)
    found = _layers(read_onnx(file), file)
    config = _config([layer for layer in found if layer.weight is not None], file)
    with torch.device("meta"):
        model = CampPlus(config)
    wanted = list(model.layers())
    if len(wanted) != len(found):
        raise _other(file, f"{len(found)} layers, not {len(wanted)}")
    for number, (module, layer) in enumerate(zip(wanted, found, strict=True)):
        if isinstance(module, Affine):
            if layer.weight is not None or layer.norm is None:
                raise _other(file, f"layer {number} is not a normalisation")
            scale, shift = layer.norm
            given = {"scale": scale, "shift": shift}
        else:
            if layer.weight is None:
                raise _other(file, f"layer {number} is not a convolution")
            given = _folded(layer)
        for name, array in given.items():
            place = getattr(module, name)
            if tuple(place.shape) != array.shape:
                raise _other(
                    file, f"layer {number} is {list(array.shape)}, not {list(place.shape)}"
                )
            tensor: Tensor = torch.from_numpy(np.array(array, dtype=np.float32))
            if not bool(torch.isfinite(tensor).all()):
                raise FormatError(f"{file}: the weights of layer {number} are not finite")
            module.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
    return model.eval()


@lru_cache(maxsize=2)
def _cached(path: str, _stamp: int) -> CampPlus:
    return load_campplus(path)


def speaker_model_of(folder: Path | None, model: str) -> CampPlus:
    """The speaker model beside a model's weights, read once.

    Raises:
        UserError: the file is not there (and what to do), or (`FormatError`) is not such a model.
    """
    path = None if folder is None else folder / SPEAKER_MODEL
    if path is None or not path.is_file():
        where = "its folder" if folder is None else str(folder)
        raise UserError(
            f"model {model} has no speaker model: put {SPEAKER_MODEL} (in the published "
            f"repository) into {where}, say what the voice's recording says (--voice-text), or "
            "give the voice's speaker embedding (VoicePrompt.speaker)"
        )
    return _cached(str(path), path.stat().st_mtime_ns)


def has_speaker_model(folder: Path | None) -> bool:
    """Whether a model folder holds the speaker model."""
    return folder is not None and (folder / SPEAKER_MODEL).is_file()


def _other(file: Path, how: str) -> FormatError:
    return FormatError(f"{file} is not the CAM++ speaker model: {how}")


def _layers(graph: OnnxGraph, file: Path) -> list[_Layer]:
    """The graph's convolutions and normalisations, in order."""
    out: list[_Layer] = []
    made: dict[str, _Layer] = {}  # a convolution's output, also through operations of shape
    for node in graph.nodes:
        if node.op == "Conv":
            weight = _constant(graph, node, 1, file)
            bias = _constant(graph, node, 2, file) if len(node.inputs) > 2 else None
            dilation = node.attributes.get("dilations", [1])[0]
            layer = _Layer(weight, bias, dilation)
            out.append(layer)
            made[node.outputs[0]] = layer
        elif node.op == "BatchNormalization":
            parts = [_constant(graph, node, i, file).astype(np.float64) for i in range(1, 5)]
            gain, offset, mean, variance = parts
            scale = gain / np.sqrt(variance + node.floats.get("epsilon", _EPS))
            norm = (scale, offset - mean * scale)
            before = made.get(node.inputs[0])
            if before is not None and _only_use(graph, node.inputs[0]):
                before.norm = norm
            else:
                out.append(_Layer(None, None, norm=norm))
        elif node.op in _SHAPING:
            given = node.inputs[0] if node.inputs else ""
            if given in made and _only_use(graph, given):
                made[node.outputs[0]] = made[given]
    return out


def _only_use(graph: OnnxGraph, name: str) -> bool:
    return sum(node.inputs.count(name) for node in graph.nodes) == 1


def _constant(graph: OnnxGraph, node: OnnxNode, place: int, file: Path) -> np.ndarray:
    name = node.inputs[place] if place < len(node.inputs) else ""
    if name not in graph.constants:
        raise _other(file, f"input {place} of a {node.op} is not a constant")
    return graph.constants[name]


def _config(convolutions: list[_Layer], file: Path) -> CampPlusConfig:
    """Sizes, from the convolutions' shapes: one-dimensional ones come in fours (a dense layer,
    whose second has a kernel) and alone (between blocks)."""
    shapes = [layer.weight.shape for layer in convolutions if layer.weight is not None]
    if len(shapes) < _FRONT + 7 or any(len(shape) != 4 for shape in shapes[:_FRONT]):
        raise _other(file, f"{len(shapes)} convolutions")
    if any(len(shape) != 3 for shape in shapes[_FRONT:]):
        raise _other(file, "two-dimensional convolutions where one-dimensional ones belong")
    first = shapes[_FRONT]
    layers, kernels, dilations = [], [], []
    growth = bottleneck = 0
    at = _FRONT + 1
    while at + 4 < len(shapes):
        count = 0
        while at + 4 < len(shapes) and shapes[at + 1][2] > 1:
            bottleneck, growth = shapes[at][0], shapes[at + 1][0]
            count, kernel, dilation = count + 1, shapes[at + 1][2], convolutions[at + 1].dilation
            at += 4
            if count == 1:
                kernels.append(kernel)
                dilations.append(dilation)
        if not count:
            raise _other(file, "no dense layer where one belongs")
        layers.append(count)
        at += 1
    front = shapes[0][0]
    if first[1] % max(1, front):
        raise _other(file, f"{first[1]} channels after the front end of {front}")
    return CampPlusConfig(
        mel_bins=first[1] // front * 8,
        front_channels=front,
        channels=first[0],
        growth=growth,
        bottleneck=bottleneck,
        layers=tuple(layers),
        kernels=tuple(kernels),
        dilations=tuple(dilations),
        first_kernel=first[2],
        dim=shapes[-1][0],
    )


def _folded(layer: _Layer) -> dict[str, np.ndarray]:
    """A convolution's weight and bias with the normalisation after it."""
    assert layer.weight is not None
    weight = layer.weight.astype(np.float64)
    bias = np.zeros(weight.shape[0]) if layer.bias is None else layer.bias.astype(np.float64)
    if layer.norm is not None:
        scale, shift = layer.norm
        if scale.shape != bias.shape:
            return {"weight": np.zeros(0), "bias": bias}  # refused by its shape
        weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        bias = bias * scale + shift
    return {"weight": weight, "bias": bias}
