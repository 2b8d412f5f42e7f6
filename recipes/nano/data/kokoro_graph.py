"""The int8 graph of Kokoro-82M as three graphs, of which the middle one can run in bfloat16.

As it comes, the graph quantises its inputs at every convolution: 0.65 of real time on one thread.
In float32 it takes as long, seven eighths of it in the vocoder, which takes less than half of that
in bfloat16 (OpenVINO) where the CPU multiplies that in hardware, and a third more where not; the
harmonic source before it and the inverse STFT after it count phases and stay in float32. Weights
become float32, nothing is quantised any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .common import fast_bfloat16

DURATIONS = "/encoder/Cast_output_0"
_GENERATOR = "/decoder/decoder/generator"
_HIDDEN = "/decoder/decoder/decode.3/Div_4_output_0"
_HARMONICS = f"{_GENERATOR}/Concat_3_output_0"
_STYLE = "/decoder/Slice_output_0"
_SPECTRUM = f"{_GENERATOR}/conv_post/Conv_output_0"


class Vocoder:
    """Tokens, style and speed to a waveform at 24 kHz and each token's units, on one thread."""

    def __init__(self, path: Path) -> None:
        import onnxruntime
        import openvino

        graph = in_floats(onnx.load(str(path)))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3

        def session(model: onnx.ModelProto) -> Any:
            return onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )

        found = [_HIDDEN, _HARMONICS, _STYLE, DURATIONS]
        self._before = session(cut(graph, [], found, {}))
        shapes = {_HIDDEN: [1, 512, None], _HARMONICS: [1, 22, None], _STYLE: [1, 128]}
        middle = cut(graph, found[:3], [_SPECTRUM], shapes)
        self._after = session(
            cut(graph, [_SPECTRUM], [graph.graph.output[0].name], {_SPECTRUM: [1, 22, None]})
        )
        core = openvino.Core()
        self._middle = core.compile_model(
            core.read_model(middle.SerializeToString()),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": 1,
                "INFERENCE_PRECISION_HINT": "bf16" if fast_bfloat16() else "f32",
            },
        )

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The waveform (T,) and the units of each token."""
        *hidden, units = self._before.run(None, dict(feeds))
        spectrum = self._middle(hidden)[0]
        return self._after.run(None, {_SPECTRUM: spectrum})[0].reshape(-1), units.reshape(-1)


def cut(
    model: onnx.ModelProto,
    inputs: Sequence[str],
    outputs: Sequence[str],
    shapes: Mapping[str, list[int | None]],
) -> onnx.ModelProto:
    """The part of a graph that makes `outputs` of `inputs` (and of the graph's own inputs)."""
    graph = model.graph
    made = {name: node for node in graph.node for name in node.output}
    wanted: set[str] = set()
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        node = made.get(name)
        if node is None or name in inputs or node.output[0] in wanted:
            continue
        wanted.add(node.output[0])
        waiting += node.input
    nodes = [node for node in graph.node if node.output[0] in wanted]
    used = {name for node in nodes for name in node.input}

    def described(name: str) -> onnx.ValueInfoProto:
        kind = TensorProto.INT64 if name == DURATIONS else TensorProto.FLOAT
        return helper.make_tensor_value_info(name, kind, shapes.get(name))

    return helper.make_model(
        helper.make_graph(
            nodes,
            "part",
            [described(n) for n in inputs] + [i for i in graph.input if i.name in used],
            [described(n) for n in outputs],
            [tensor for tensor in graph.initializer if tensor.name in used],
        ),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )


def in_floats(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with its weights in float32, in standard operators, and nothing quantised."""
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    values = _Values(tensors)
    plain: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "DynamicQuantizeLinear":
            # Its scale is 1 from here on, so the products after it need no other change.
            plain[node.output[0]] = node.input[0]
            values.add(node.output[1], np.float32(1.0))
        elif node.op_type in {"ConvInteger", "MatMulInteger"}:
            nodes.append(_product(node, plain[node.input[0]], values))
        elif node.op_type == "DynamicQuantizeLSTM":
            nodes.append(_lstm(node, values))
        else:
            nodes += _standard(node, values)
    _leave_biases(nodes)
    del graph.node[:], graph.value_info[:], graph.initializer[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    graph.initializer.extend(t for name, t in tensors.items() if name in used)
    return model


class _Values:
    """Constant tensors by name."""

    def __init__(self, tensors: dict[str, onnx.TensorProto]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> np.ndarray:
        return numpy_helper.to_array(self._tensors[name])

    def add(self, name: str, value: np.ndarray | np.float32) -> str:
        self._tensors[name] = numpy_helper.from_array(np.asarray(value), name)
        return name


def _product(node: onnx.NodeProto, source: str, values: _Values) -> onnx.NodeProto:
    weight = values[node.input[1]].astype(np.float32)
    zero = values[node.input[3]].astype(np.float32) if len(node.input) > 3 else np.zeros(())
    if node.op_type == "ConvInteger" and zero.size > 1:
        zero = zero.reshape(-1, *[1] * (weight.ndim - 1))
    name = values.add(f"{node.input[1]}_float", (weight - zero).astype(np.float32))
    kind = node.op_type.removesuffix("Integer")
    made = helper.make_node(kind, [source, name], list(node.output), node.name)
    made.attribute.extend(node.attribute)
    return made


def _lstm(node: onnx.NodeProto, values: _Values) -> onnx.NodeProto:
    def weights(name: str, scale: str, zero: str) -> str:
        whole = values[name].astype(np.float32) - values[zero].astype(np.float32).reshape(-1, 1, 1)
        whole = (whole * values[scale].reshape(-1, 1, 1)).transpose(0, 2, 1)
        return values.add(f"{node.name}{name}_float", whole.copy())

    given = list(node.input)
    w, r = weights(given[1], given[8], given[9]), weights(given[2], given[10], given[11])
    made = helper.make_node("LSTM", [given[0], w, r, *given[3:7]], list(node.output), node.name)
    made.attribute.extend(a for a in node.attribute if a.name in {"direction", "hidden_size"})
    return made


def _standard(node: onnx.NodeProto, values: _Values) -> Iterable[onnx.NodeProto]:
    """Operators that onnxruntime alone knows, in those of the standard."""
    given = [*node.input, "", "", ""]
    options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    before: list[onnx.NodeProto] = []

    def then(kind: str, inputs: list[str], mark: str, **attributes: Any) -> str:
        before.append(helper.make_node(kind, inputs, [f"{node.name}_{mark}"], **attributes))
        return f"{node.name}_{mark}"

    if node.op_type == "FastGelu":
        source = then("Add", given[:2], "bias") if given[1] else given[0]
        last = helper.make_node("Gelu", [source], node.output, node.name, approximate="tanh")
    elif node.op_type == "SkipLayerNormalization":
        source = then("Add", given[:2], "sum")
        if given[4]:
            source = then("Add", [source, given[4]], "bias")
        inputs = [source, *filter(None, given[2:4])]
        last = helper.make_node(
            "LayerNormalization", inputs, node.output[:1], node.name,
            axis=-1, epsilon=options["epsilon"],
        )  # fmt: skip
    elif node.op_type == "FusedMatMul":
        left, right = given[:2]
        if options.get("transA"):
            left = then("Transpose", [left], "left", perm=[0, 2, 1])
        if options.get("transB"):
            right = then("Transpose", [right], "right", perm=[0, 2, 1])
        alpha = values.add(f"{node.name}_alpha", np.float32(options.get("alpha", 1.0)))
        product = then("MatMul", [left, right], "product")
        last = helper.make_node("Mul", [product, alpha], node.output, node.name)
    else:
        return [node]
    return [*before, last]


def _leave_biases(nodes: list[onnx.NodeProto]) -> None:
    """Biases were rounded to the unit of the product they are added to: not any more."""
    made = {name: node for node in nodes for name in node.output}
    for node in nodes:
        if "quantizedbias_add" not in node.name:
            continue
        for name in node.input:
            source = made.get(name)
            while source is not None and source.op_type in {
                "Cast", "Floor", "Identity", "Reshape", "Unsqueeze",
            }:  # fmt: skip
                if source.op_type == "Floor":
                    source.op_type = "Identity"
                for attribute in source.attribute:
                    if source.op_type == "Cast" and attribute.name == "to":
                        attribute.i = TensorProto.FLOAT
                source = made.get(source.input[0])
