"""The published layout of Ming-UniAudio: its config and its parameter names, in our terms.

A folder is in the published layout when its config has `llm_config` and `audio_tokenizer_config`.
The maps work on names and shapes alone: the full-size model is checked on the meta device.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from mingtok_audio.config import MingTokConfig
from mingtok_audio.core.errors import ConfigError
from mingtok_audio.core.models.fit import Place
from mingtok_audio.models.reference import published_config as published_tokenizer_config
from mingtok_audio.models.reference import target_of as tokenizer_target
from uniaudio_lm.config import PartConfig, Sampling, UniAudioConfig
from uniaudio_lm.parts.stop.linear import PUBLISHED_MIN_PATCHES

logger = logging.getLogger("uniaudio_lm.reference")

PATCH_SIZE = 5
# The published generation.
SAMPLING = Sampling(num_steps=10, cfg_scale=2.0, temperature=1.5)


def published_config(
    config: Mapping[str, Any], name: str = "published"
) -> tuple[UniAudioConfig, MingTokConfig]:
    """The published config in our terms: the language model's and the tokenizer's.

    Raises:
        ConfigError: names the value that is missing and that the weights cannot show.
    """
    llm = section_of(config, "llm_config")
    tokenizer = published_tokenizer_config(section_of(config, "audio_tokenizer_config"), name)
    if tokenizer.feature_dim is None:
        raise ConfigError("config.json: audio_tokenizer_config has no semantic module")
    return (
        UniAudioConfig(
            backbone=PartConfig("bailing_moe", backbone_options(llm, "llm_config")),
            generation_head=PartConfig("dit", head_options(section_of(config, "ditar_config"))),
            stop_detector=PartConfig("linear", {"min_patches": PUBLISHED_MIN_PATCHES}),
            compressor=PartConfig("linear_pooling", {"drop_last": True}),
            patch_size=PATCH_SIZE,
            sampling=SAMPLING,
            name=name,
        ),
        tokenizer,
    )


def section_of(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A section of a published config. Raises `ConfigError` where it is missing."""
    section = config.get(key)
    if not isinstance(section, Mapping):
        raise ConfigError(f"config.json lacks the section {key}: add it to the file")
    return section


# What the published 16.8 B model has, as far as it is known: told to who has to fill a gap.
_LIKELY = {
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "num_experts_per_tok": 6,
    "norm_topk_prob": True,
    "num_heads": 16,
}


def need(section: Mapping[str, Any], key: str, where: str) -> Any:
    """A value that the weights cannot show. Raises `ConfigError` where it is missing."""
    if key not in section:
        likely = _LIKELY.get(key)
        known = "" if likely is None else f" (likely {json.dumps(likely)} in the 16.8 B model)"
        raise ConfigError(
            f"config.json lacks {where}.{key}, which the weights cannot show: add it to the "
            f"file{known}"
        )
    return section[key]


def assume(section: Mapping[str, Any], key: str, value: Any, where: str) -> Any:
    """A value that the weights cannot show, or the usual one, with a warning."""
    if key not in section:
        logger.warning(
            "config.json lacks %s.%s, which the weights cannot show; assuming %s",
            where,
            key,
            json.dumps(value),
        )
        return value
    return section[key]


def backbone_options(llm: Mapping[str, Any], where: str = "config.json") -> dict[str, Any]:
    """A BailingMoe config as options of the `bailing_moe` backbone."""
    if llm.get("hidden_act", "silu") != "silu":
        raise ConfigError(f"{where}.hidden_act must be 'silu', not {llm['hidden_act']!r}")
    if llm.get("first_k_dense_replace", 0):
        raise ConfigError(
            f"{where}.first_k_dense_replace must be 0: the published code has experts in every "
            "layer and fails otherwise"
        )
    dim, heads = (
        int(need(llm, "hidden_size", where)),
        int(need(llm, "num_attention_heads", where)),
    )
    scaling = llm.get("rope_scaling")
    rope = "plain"
    if scaling:
        kind = scaling.get("type") if isinstance(scaling, Mapping) else scaling
        if kind not in ("3D", "video_rope"):
            raise ConfigError(f"{where}.rope_scaling.type must be '3D' or absent, not {kind!r}")
        rope = "3d"
    return {
        "vocab_size": int(need(llm, "vocab_size", where)),
        "dim": dim,
        "num_layers": int(need(llm, "num_hidden_layers", where)),
        "num_heads": heads,
        "num_kv_heads": int(need(llm, "num_key_value_heads", where)),
        "head_dim": int(llm.get("head_dim") or dim // heads),
        "num_experts": int(need(llm, "num_experts", where)),
        "experts_per_token": int(need(llm, "num_experts_per_tok", where)),
        "moe_dim": int(need(llm, "moe_intermediate_size", where)),
        "num_shared_experts": int(llm.get("num_shared_experts") or 0),
        "norm_topk_prob": bool(need(llm, "norm_topk_prob", where)),
        "multi_gate": bool(llm.get("multi_gate", False)),
        "rope_base": float(assume(llm, "rope_theta", 600000.0, where)),
        "rope": rope,
        "norm_eps": float(assume(llm, "rms_norm_eps", 1e-5, where)),
        "norm_head": bool(assume(llm, "norm_head", False, where)),
        "tie_embeddings": bool(llm.get("tie_word_embeddings", False)),
        "qkv_bias": bool(llm.get("use_qkv_bias", False)),
        "bias": bool(llm.get("use_bias", False)),
    }


def head_options(ditar: Mapping[str, Any], where: str = "ditar_config") -> dict[str, Any]:
    """A DiT config as options of the `dit` generation head."""
    norm = ditar.get("qk_norm")
    if norm not in (None, "rms_norm"):
        raise ConfigError(f"{where}.qk_norm must be 'rms_norm' or absent, not {norm!r}")
    return {
        "hidden_size": int(need(ditar, "hidden_size", where)),
        "depth": int(need(ditar, "depth", where)),
        "num_heads": int(need(ditar, "num_heads", where)),
        "mlp_ratio": float(assume(ditar, "mlp_ratio", 4.0, where)),
        "qk_norm": norm is not None,
        "rotary_heads": ditar.get("pe_attn_head"),
        "dropout": float(ditar.get("dropout", 0.1)),
        "cond_dropout": float(ditar.get("cfg_dropout_prob", 0.1)),
    }


_HEAD_PLAIN = {
    "t_embedder.time_mlp.0": "time_in",
    "t_embedder.time_mlp.2": "time_out",
    "c_embedder.cond_embedder": "cond_embedder",
    "x_embedder": "x_embedder",
    "final_layer.norm_final": "norm_final",
    "final_layer.linear": "linear",
}
_HEAD_BLOCK = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.to_out.0": "attn.out",
    "attn.q_norm": "attn.q_norm",
    "attn.k_norm": "attn.k_norm",
    "mlp.ff.0.0": "up",
    "mlp.ff.2": "down",
}
_HEAD_LAYER = re.compile(r"blocks\.(\d+)\.(.+)\.(weight|bias)")


def head_place(name: str, options: Mapping[str, Any]) -> Place | None:
    """Where a name of the DiT (after `cfm.model.`) goes; None for the rotary table, which is
    computed. Raises KeyError for others."""
    if name == "rotary_embed.inv_freq":
        return None
    stem, _, kind = name.rpartition(".")
    if stem in _HEAD_PLAIN:
        return Place(f"{_HEAD_PLAIN[stem]}.{kind}")
    match = _HEAD_LAYER.fullmatch(name)
    if match is None:
        raise KeyError(name)
    prefix, part, kind = f"blocks.{match[1]}", match[2], match[3]
    if part in _HEAD_BLOCK:
        return Place(f"{prefix}.{_HEAD_BLOCK[part]}.{kind}")
    if part in ("attn.to_q", "attn.to_k", "attn.to_v"):
        size = int(options["hidden_size"])
        start = "qkv".index(part[-1]) * size
        return Place(f"{prefix}.attn.qkv.{kind}", start, start + size)
    raise KeyError(name)


_LLM_PLAIN = {
    "model.word_embeddings.weight": "embeddings.weight",
    "model.norm.weight": "norm.weight",
    "lm_head.weight": "lm_head.weight",
}
_LLM_BLOCK = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "mlp_norm",
    "attention.query_key_value": "attn.qkv",
    "attention.dense": "attn.out",
    "mlp.shared_experts.down_proj": "mlp.shared.down",
}
_LLM_LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)\.(weight|bias)")
_EXPERT = re.compile(r"mlp\.experts\.(\d+)\.(gate_proj|up_proj|down_proj)")
_GATES = {"mlp.gate": 0, "mlp.audio_gate": 1, "mlp.image_gate": 2}


def backbone_place(name: str, options: Mapping[str, Any]) -> Place | None:
    """Where a name of the language model (`model.layers...`, `lm_head`) goes; None for a tied
    output weight. Raises KeyError for names that the published layout does not have."""
    if name in _LLM_PLAIN:
        if name.startswith("lm_head") and options["tie_embeddings"]:
            return None
        return Place(_LLM_PLAIN[name])
    match = _LLM_LAYER.fullmatch(name)
    if match is None:
        raise KeyError(name)
    prefix, part, kind = f"blocks.{match[1]}", match[2], match[3]
    if part in _LLM_BLOCK:
        return Place(f"{prefix}.{_LLM_BLOCK[part]}.{kind}")
    width = int(options["moe_dim"])
    if expert := _EXPERT.fullmatch(part):
        index = int(expert[1])
        if index >= int(options["num_experts"]):
            raise KeyError(name)
        if expert[2] == "down_proj":
            return Place(f"{prefix}.mlp.down", expert=index)
        start = width if expert[2] == "up_proj" else 0
        return Place(f"{prefix}.mlp.gate_up", start, start + width, index)
    if part in ("mlp.shared_experts.gate_proj", "mlp.shared_experts.up_proj"):
        size = width * int(options["num_shared_experts"])
        start = size if "up_proj" in part else 0
        return Place(f"{prefix}.mlp.shared.gate_up.{kind}", start, start + size)
    if part in _GATES:
        if _GATES[part] and not options["multi_gate"]:
            raise KeyError(name)
        size = int(options["num_experts"])
        start = _GATES[part] * size
        return Place(f"{prefix}.mlp.router.weight", start, start + size)
    raise KeyError(name)


def model_place(name: str, config: UniAudioConfig, tokenizer: MingTokConfig) -> Place | None:
    """Where a name of the whole published checkpoint goes in a `SpeechLM`; None for tensors that
    are computed or unused. Raises KeyError for names that the layout does not have."""
    part, _, rest = name.partition(".")
    if part == "audio":
        target = tokenizer_target(rest, tokenizer)
        if target is None:
            return None
        return Place(f"tokenizer.{target.name}", target.start, target.stop)
    if part == "model":
        return inside("backbone", backbone_place(rest, config.backbone.options))
    if part == "flowloss":
        if not rest.startswith("cfm.model."):
            raise KeyError(name)
        inner = head_place(rest.removeprefix("cfm.model."), config.generation_head.options)
        return inside("generation_head", inner)
    if part == "linear_proj_audio":
        return Place(f"compressor.{rest}")
    if part == "stop_head":
        return Place(f"stop_detector.{name}")
    raise KeyError(name)


def inside(part: str, place: Place | None) -> Place | None:
    """A place in a part as a place in the model."""
    if place is None:
        return None
    return Place(f"{part}.{place.name}", place.start, place.stop, place.expert)
