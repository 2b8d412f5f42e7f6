"""Reading an ONNX file's nodes and weights, without the onnx package.

An ONNX file is one protocol buffer. Only what a loader of weights asks for is read: each node's
operator, inputs, outputs and numeric attributes, and the initialisers (constants given by nodes
count as such).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mingtok_audio.core.errors import FormatError
from mingtok_audio.core.files import os_reason

MAX_BYTES = 1 << 30
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_TYPES = {1: "<f4", 6: "<i4", 7: "<i8", 10: "<f2", 11: "<f8"}
"""Of `TensorProto.data_type`; weights have no others."""
Value = int | memoryview


@dataclass(frozen=True)
class OnnxNode:
    """One operation: `op` of the values named in `inputs`. `attributes` are those of whole
    numbers, `floats` those of one other number."""

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, list[int]] = field(default_factory=dict)
    floats: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class OnnxGraph:
    """Nodes in the order in which they are carried out, and the constants by name."""

    nodes: list[OnnxNode]
    constants: dict[str, np.ndarray]


def read_onnx(path: str | Path) -> OnnxGraph:
    """The graph of an ONNX file.

    Raises:
        FormatError: no such file, not ONNX, cut short, weights in files of their own, or in a type
            that weights do not have.
    """
    file = Path(path)
    try:
        if file.stat().st_size > MAX_BYTES:
            raise FormatError(f"{file} is over {MAX_BYTES} bytes: too large for this model")
        data = memoryview(file.read_bytes())
    except OSError as error:
        raise FormatError(f"cannot read {file}: {os_reason(error)}") from error
    try:
        graph = [value for number, value in _fields(data) if number == 7]
        if len(graph) != 1:
            raise ValueError("it holds no graph")
        return _graph(_bytes(graph[0]))
    except (ValueError, IndexError, struct.error) as error:
        raise FormatError(f"{file} is not an ONNX file, or is damaged ({error})") from error


def _graph(data: memoryview) -> OnnxGraph:
    nodes: list[OnnxNode] = []
    constants: dict[str, np.ndarray] = {}
    for number, value in _fields(data):
        if number == 1:
            node, constant = _node(_bytes(value))
            if constant is not None and node.outputs:
                constants[node.outputs[0]] = constant
            else:
                nodes.append(node)
        elif number == 5:
            name, array = _tensor(_bytes(value))
            constants[name] = array
    return OnnxGraph(nodes, constants)


def _node(data: memoryview) -> tuple[OnnxNode, np.ndarray | None]:
    inputs: list[str] = []
    outputs: list[str] = []
    attributes: dict[str, list[int]] = {}
    floats: dict[str, float] = {}
    op, constant = "", None
    for number, value in _fields(data):
        if number == 1:
            inputs.append(_text(value))
        elif number == 2:
            outputs.append(_text(value))
        elif number == 4:
            op = _text(value)
        elif number == 5:
            name, numbers, single, tensor = _attribute(_bytes(value))
            if numbers:
                attributes[name] = numbers
            if single is not None:
                floats[name] = single
            if tensor is not None and name == "value":
                constant = tensor
    made = OnnxNode(op, inputs, outputs, attributes, floats)
    return made, constant if op == "Constant" else None


def _attribute(data: memoryview) -> tuple[str, list[int], float | None, np.ndarray | None]:
    name, numbers, single, tensor = "", [], None, None
    for number, value in _fields(data):
        if number == 1:
            name = _text(value)
        elif number == 2:
            single = struct.unpack("<f", _bytes(value))[0]
        elif number in (3, 8):
            numbers += [value] if isinstance(value, int) else list(_varints(value))
        elif number == 5:
            tensor = _tensor(_bytes(value))[1]
    return name, [_signed(n) for n in numbers], single, tensor


def _tensor(data: memoryview) -> tuple[str, np.ndarray]:
    shape: list[int] = []
    kind, name, raw = 0, "", None
    floats, integers = bytearray(), []
    for number, value in _fields(data):
        if number == 1:
            shape += [value] if isinstance(value, int) else list(_varints(value))
        elif number == 2:
            kind = value if isinstance(value, int) else 0
        elif number == 4:
            floats += _bytes(value)
        elif number in (5, 7):
            integers += [value] if isinstance(value, int) else list(_varints(value))
        elif number == 8:
            name = _text(value)
        elif number == 9:
            raw = _bytes(value)
        elif number == 14 and value:
            raise ValueError("its weights lie in another file")
    if kind not in _TYPES:
        return name, np.zeros(0, dtype=np.float32)  # text, truth values: no weights
    if raw is not None:
        array = np.frombuffer(raw, dtype=_TYPES[kind])
    elif kind == 1:
        array = np.frombuffer(bytes(floats), dtype="<f4")
    else:
        array = np.array([_signed(n) for n in integers], dtype=np.int64).astype(_TYPES[kind])
    if array.size != int(np.prod(shape, dtype=np.int64)):
        raise ValueError(f"{name} has {array.size} numbers for the shape {shape}")
    return name, array.reshape(shape)


# --- protocol buffers ----------------------------------------------------------------------------


def _fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """(field number, value) of a message; a value is a whole number, or bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"field {number} has the unknown wire type {kind}")
        if at + size > len(data):
            raise ValueError("it is cut short")
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("it is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _varints(data: memoryview) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a message was expected, and a number was found")
    return value


def _text(value: Value) -> str:
    return bytes(_bytes(value)).decode()
