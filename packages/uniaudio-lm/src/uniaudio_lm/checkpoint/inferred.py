"""What the weights of the published layout show about a config that does not say it.

Counts and widths are in the shapes; head counts, experts per token, epsilons and the like are not:
those are asked for (`reference`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]

_LAYER = re.compile(r"model\.model\.layers\.(\d+)\.")
_EXPERT = re.compile(r"model\.model\.layers\.0\.mlp\.experts\.(\d+)\.gate_proj\.weight")
_BLOCK = re.compile(r"flowloss\.cfm\.model\.blocks\.(\d+)\.")
_FIRST = "model.model.layers.0"
_HEAD = "flowloss.cfm.model"


def completed(config: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    """A published config with the values that it lacks and the shapes of its tensors show."""
    out = dict(config)
    for section, shown in (("llm_config", _llm), ("ditar_config", _ditar)):
        given = config.get(section)
        if isinstance(given, Mapping):
            out[section] = {**shown(given, shapes), **given}
    return out


def _llm(given: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    embeddings = shapes.get("model.model.word_embeddings.weight")
    if embeddings is not None and len(embeddings) == 2:
        found["vocab_size"], found["hidden_size"] = embeddings
    found |= _count("num_hidden_layers", _LAYER, shapes)
    found |= _count("num_experts", _EXPERT, shapes)
    routed = shapes.get(f"{_FIRST}.mlp.experts.0.gate_proj.weight")
    shared = shapes.get(f"{_FIRST}.mlp.shared_experts.gate_proj.weight")
    if routed is not None:
        found["moe_intermediate_size"] = routed[0]
        found["num_shared_experts"] = 0 if shared is None else shared[0] // max(1, routed[0])
    if found.get("num_hidden_layers"):
        found["multi_gate"] = f"{_FIRST}.mlp.audio_gate.weight" in shapes
        found["use_qkv_bias"] = f"{_FIRST}.attention.query_key_value.bias" in shapes
        found["use_bias"] = f"{_FIRST}.attention.dense.bias" in shapes
        found["tie_word_embeddings"] = "model.lm_head.weight" not in shapes
    heads, groups = given.get("num_attention_heads"), given.get("num_key_value_heads")
    rows = shapes.get(f"{_FIRST}.attention.query_key_value.weight")
    if rows is not None and isinstance(heads, int) and isinstance(groups, int):
        size, rest = divmod(rows[0], max(1, heads + 2 * groups))
        if size and not rest:
            found["head_dim"] = size
    return found


def _ditar(given: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    found = _count("depth", _BLOCK, shapes)
    width = shapes.get(f"{_HEAD}.x_embedder.weight")
    inner = shapes.get(f"{_HEAD}.blocks.0.mlp.ff.0.0.weight")
    if width is not None:
        found["hidden_size"] = width[0]
        if inner is not None and width[0]:
            found["mlp_ratio"] = inner[0] / width[0]
    normed = shapes.get(f"{_HEAD}.blocks.0.attn.q_norm.weight")
    if normed is not None:
        found["qk_norm"] = "rms_norm"
        if width is not None and normed[0]:
            found["num_heads"] = width[0] // normed[0]
    return found


def _count(key: str, pattern: re.Pattern[str], shapes: Shapes) -> dict[str, Any]:
    numbers = [int(match[1]) for name in shapes if (match := pattern.match(name))]
    return {key: max(numbers) + 1} if numbers else {}
