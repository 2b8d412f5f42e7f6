"""The published layout of Ming-omni-tts and Ming-3.0-tts: config and names, in our terms.

A folder is in this layout when its config has an `aggregator_config` beside `llm_config` and
`audio_tokenizer_config`. The two families share names and shapes; the patch size tells them apart
(or the architecture, where the config names it).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mingtok_audio.config import MingTokConfig
from mingtok_audio.core.errors import ConfigError
from mingtok_audio.models.reference import EncoderLayers
from mingtok_audio.models.reference import published_config as published_tokenizer_config
from mingtok_audio.models.reference import target_of as tokenizer_target
from uniaudio_lm.checkpoint.published import (
    Place,
    assume,
    backbone_options,
    backbone_place,
    head_options,
    head_place,
    inside,
    need,
    section_of,
)
from uniaudio_lm.config import PartConfig, PromptFormat, Sampling, UniAudioConfig

SPEAKER_DIM = 192
MIN_PATCHES = 5
_MAX_PATCHES = {"omni": 200, "ming3": 1000}
_MING3 = "Ming3DenseTTSForConditionalGeneration"


def is_omni(config: Any) -> bool:
    """Whether a parsed `config.json` is in this layout."""
    keys = {"llm_config", "audio_tokenizer_config", "aggregator_config"}
    return isinstance(config, Mapping) and keys <= config.keys()


def omni_config(
    config: Mapping[str, Any], name: str = "published", encoder_layers: EncoderLayers = "all"
) -> tuple[UniAudioConfig, MingTokConfig]:
    """The published config in our terms: the language model's and the tokenizer's.

    Raises:
        ConfigError: names what is missing, or values that contradict each other.
    """
    llm = section_of(config, "llm_config")
    ditar = section_of(config, "ditar_config")
    tokenizer = published_tokenizer_config(
        section_of(config, "audio_tokenizer_config"), name, encoder_layers
    )
    if tokenizer.frames_per_latent == 1:
        raise ConfigError(
            "config.json: audio_tokenizer_config.patch_size is missing or 1, and this family's "
            "tokenizer has one latent per 4 frames"
        )
    patch = _count(ditar, "patch_size")
    history = _count(ditar, "history_patch_size") if "history_patch_size" in ditar else patch
    if history < patch:
        raise ConfigError(
            f"config.json: ditar_config.history_patch_size {history} counts latents, and cannot be "
            f"less than patch_size {patch}"
        )
    if ditar.get("qk_norm") is not None or ditar.get("pe_attn_head") is not None:
        raise ConfigError("config.json: this family's ditar_config has no qk_norm or pe_attn_head")
    kind, backbone = config.get("model_type"), _backbone(config.get("model_type"), llm)
    style = _prompt_format(config, kind, patch, history)
    family = "ming3" if style == "ming3" else "omni"
    stop = {"min_patches": MIN_PATCHES, "max_patches": _MAX_PATCHES[family]}
    return (
        UniAudioConfig(
            backbone=backbone,
            generation_head=PartConfig("dit", head_options(ditar)),
            stop_detector=PartConfig("linear", stop),
            compressor=PartConfig(
                "aggregator",
                {"drop_last": True} | aggregator_options(section_of(config, "aggregator_config")),
            ),
            patch_size=patch,
            history_latents=history,
            audio_input="latent",
            speaker_dim=SPEAKER_DIM,
            prompt_format=style,
            text_normalizer=None,
            sampling=Sampling(num_steps=10, cfg_scale=2.0, temperature=0.0),
            name=name,
        ),
        tokenizer,
    )


def _count(section: Mapping[str, Any], key: str) -> int:
    value = need(section, key, "ditar_config")
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"config.json: ditar_config.{key} is a whole number from 1, not {value}")
    return value


def _prompt_format(config: Mapping[str, Any], kind: Any, patch: int, history: int) -> PromptFormat:
    """Both families say `model_type` "dense": the architecture decides, else patch and history."""
    if kind == "bailingmm":
        return "omni_role"
    ming3 = patch == 1 and history == 1
    named = config.get("architectures") or []
    if named and (_MING3 in named) != ming3:
        expected = "1 and 1" if _MING3 in named else "more than 1"
        raise ConfigError(
            f"config.json: architecture {named[0]} has a patch_size and history_patch_size of "
            f"{expected}, not {patch} and {history}: the config is of the other family"
        )
    return "ming3" if ming3 else "omni_chatml"


def _backbone(kind: Any, llm: Mapping[str, Any]) -> PartConfig:
    if kind == "bailingmm":
        return PartConfig("bailing_moe", backbone_options(llm, "llm_config"))
    if kind != "dense":
        raise ConfigError(f"config.json: model_type is 'dense' or 'bailingmm', not {kind!r}")
    where = "llm_config"
    if llm.get("hidden_act", "silu") != "silu":
        raise ConfigError(f"{where}.hidden_act must be 'silu', not {llm['hidden_act']!r}")
    if llm.get("use_sliding_window", False):
        raise ConfigError(f"{where}.use_sliding_window must be false")
    if llm.get("rope_scaling"):
        raise ConfigError(f"{where}.rope_scaling must be absent")
    dim, heads = int(need(llm, "hidden_size", where)), int(need(llm, "num_attention_heads", where))
    if llm.get("head_dim") not in (None, dim // max(1, heads)):
        raise ConfigError(f"{where}.head_dim must be hidden_size / num_attention_heads")
    return PartConfig(
        "dense",
        {
            "vocab_size": int(need(llm, "vocab_size", where)),
            "dim": dim,
            "num_layers": int(need(llm, "num_hidden_layers", where)),
            "num_heads": heads,
            "num_kv_heads": int(need(llm, "num_key_value_heads", where)),
            "mlp_dim": int(need(llm, "intermediate_size", where)),
            "rope_base": float(assume(llm, "rope_theta", 1000000.0, where)),
            "norm_eps": float(assume(llm, "rms_norm_eps", 1e-6, where)),
            "tie_embeddings": bool(assume(llm, "tie_word_embeddings", True, where)),
            "qkv_bias": True,
        },
    )


def aggregator_options(section: Mapping[str, Any]) -> dict[str, Any]:
    """An aggregator's config as options of the `aggregator` compressor."""
    where = "aggregator_config"
    return {
        "hidden_size": int(need(section, "hidden_size", where)),
        "depth": int(need(section, "depth", where)),
        "num_heads": int(need(section, "num_heads", where)),
        "mlp_ratio": float(assume(section, "mlp_ratio", 4.0, where)),
        "dropout": float(section.get("dropout", 0.1)),
    }


_QWEN_PLAIN = {
    "model.embed_tokens.weight": "embeddings.weight",
    "model.norm.weight": "norm.weight",
    "lm_head.weight": "lm_head.weight",
}
_QWEN_BLOCK = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "mlp_norm",
    "self_attn.o_proj": "attn.out",
    "mlp.down_proj": "mlp.down",
}
_QWEN_LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)\.(weight|bias)")


def qwen_place(name: str, options: Mapping[str, Any]) -> Place | None:
    """Where a name of a Qwen2 language model goes in the `dense` backbone; None for an output
    weight that is tied. Raises KeyError for names that the layout does not have."""
    if name in _QWEN_PLAIN:
        if name.startswith("lm_head") and options["tie_embeddings"]:
            return None
        return Place(_QWEN_PLAIN[name])
    match = _QWEN_LAYER.fullmatch(name)
    if match is None:
        raise KeyError(name)
    prefix, part, kind = f"blocks.{match[1]}", match[2], match[3]
    if part in _QWEN_BLOCK:
        return Place(f"{prefix}.{_QWEN_BLOCK[part]}.{kind}")
    query = int(options["dim"])
    key = query // int(options["num_heads"]) * int(options["num_kv_heads"])
    rows = {
        "self_attn.q_proj": (0, query),
        "self_attn.k_proj": (query, query + key),
        "self_attn.v_proj": (query + key, query + 2 * key),
    }
    if part in rows:
        return Place(f"{prefix}.attn.qkv.{kind}", *rows[part])
    width = int(options["mlp_dim"])
    if part in ("mlp.gate_proj", "mlp.up_proj"):
        start = width if part == "mlp.up_proj" else 0
        return Place(f"{prefix}.mlp.gate_up.{kind}", start, start + width)
    raise KeyError(name)


def omni_place(name: str, config: UniAudioConfig, tokenizer: MingTokConfig) -> Place | None:
    """Where a name of the published checkpoint goes in a `SpeechLM`; None for tensors that are
    computed or unused. Raises KeyError for names that the layout does not have."""
    part, _, rest = name.partition(".")
    if part == "audio":
        target = tokenizer_target(rest, tokenizer)
        if target is None:
            return None
        return Place(f"tokenizer.{target.name}", target.start, target.stop)
    if part == "model":
        place = qwen_place if config.backbone.name == "dense" else backbone_place
        return inside("backbone", place(rest, config.backbone.options))
    if part == "flowloss" and rest.startswith("cfm.model."):
        found = head_place(rest.removeprefix("cfm.model."), config.generation_head.options)
        return inside("generation_head", found)
    if part == "linear_proj_audio":
        return inside("compressor", aggregator_place(rest, config.compressor.options))
    if part == "stop_head":
        return Place(f"stop_detector.{name}")
    if part == "spk_head":
        return Place(f"speaker_proj.{rest}")
    raise KeyError(name)


def aggregator_place(name: str, options: Mapping[str, Any]) -> Place | None:
    """Where a name of the aggregator goes; None for the rotary table, which is computed."""
    if name == "word_embedder.weight":
        return Place(name)
    if name.startswith(("c_embedder", "t_embedder")):
        raise KeyError(name)
    return head_place(name, options)
