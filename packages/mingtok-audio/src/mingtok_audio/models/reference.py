"""The published layouts of MingTok-Audio and AudioVAE: config and parameter names, in our terms.

A folder is in the published layout when its config has `enc_kwargs` and `dec_kwargs`. Nothing
here needs the weights: the maps work on names and shapes alone, so that the full-size model can be
checked on the meta device.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal

from mingtok_audio.config import MingTokConfig, TransformerConfig
from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.core.models.fit import Place

EncoderLayers = Literal["all", "published"]
"""How many layers of AudioVAE's encoder run; see `published_config`."""

# Of AudioVAE's aggregator. The published code sets the number on a config object that it shares
# with the encoder, so that newer versions of its library run as many layers of the encoder too.
AGGREGATOR_LAYERS = 4


# Parameters that the published files hold and the published code never uses.
UNUSED = (
    re.compile(r"encoder\.norm\.(weight|bias)"),
    re.compile(r"(encoder\.encoder|encoder\.aggregator|decoder\.decoder)\.embed_tokens\.weight"),
    re.compile(r"decoder\.head\.istft\.window"),
)

_PLAIN = {
    "encoder.fc1": "encoder.frame_proj",
    "encoder.fc2": "encoder.hidden_proj",
    "encoder.fc3": "encoder.posterior_proj",
    "decoder.fc1": "latent_proj",
    "decoder.fc2": "semantic.input_proj",
    "decoder.fc3": "feature_proj",
    "decoder.head.out": "decoder.head.out",
    "decoder.semantic_model.ln_post": "semantic.transformer.norm",
}
_QWEN = {
    "self_attn.o_proj": "attn.out",
    "mlp.down_proj": "mlp.down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "mlp_norm",
}
_WHISPER = {
    "attn.out": "attn.out",
    "attn_ln": "attn_norm",
    "mlp.0": "mlp.up",
    "mlp.2": "mlp.down",
    "mlp_ln": "mlp_norm",
}
_QKV = {
    "self_attn.q_proj": "q",
    "self_attn.k_proj": "k",
    "self_attn.v_proj": "v",
    "attn.query": "q",
    "attn.key": "k",
    "attn.value": "v",
}
_STACKS = r"(encoder\.encoder|encoder\.aggregator|decoder\.decoder)"
_QWEN_LAYER = re.compile(_STACKS + r"\.layers\.(\d+)\.(.+)\.(weight|bias)")
_QWEN_NORM = re.compile(_STACKS + r"\.norm\.weight")
_WHISPER_LAYER = re.compile(r"decoder\.semantic_model\.blocks\.(\d+)\.(.+)\.(weight|bias)")
_STACK = {
    "encoder.encoder": "encoder.transformer",
    "encoder.aggregator": "encoder.aggregator",
    "decoder.decoder": "decoder.transformer",
}


def is_published(config: Mapping[str, Any]) -> bool:
    """Whether a parsed `config.json` is in the published layout."""
    return "enc_kwargs" in config and "dec_kwargs" in config


PART_OF_MODEL = "audio."
"""Prefix of the tokenizer's tensors in a published file that holds the language model too."""


def tokenizer_section(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The tokenizer's section of a published config that describes the language model too."""
    section = config.get("audio_tokenizer_config")
    return section if isinstance(section, Mapping) and is_published(section) else None


_ENCODER_LAYER = re.compile(r"encoder\.encoder\.layers\.(\d+)\..+")


def parse_encoder_layers(given: str) -> EncoderLayers:
    """The option of that name. Raises `UserError` for another word."""
    for known in ("all", "published"):
        if given == known:
            return known
    raise UserError(f"--encoder-layers is all or published, not {given!r}")


def is_dropped_layer(name: str, config: MingTokConfig, layers: int) -> bool:
    """Whether a published tensor is of an encoder layer that `encoder_layers` "published" drops.

    Args:
        layers: of the encoder, as the published config states them.
    """
    match = _ENCODER_LAYER.fullmatch(name)
    return match is not None and config.encoder.num_layers <= int(match[1]) < layers


def published_config(
    config: Mapping[str, Any], name: str = "published", encoder_layers: EncoderLayers = "all"
) -> MingTokConfig:
    """The published config in our terms. Raises `ConfigError` naming the key that is missing.

    The published code of AudioVAE (Ming-omni-tts) runs the first 4 layers of its encoder under
    transformers 4.52 and later, and all of them under 4.46. `encoder_layers` "published" drops
    the layers after the 4th; "all" keeps them. It changes nothing in MingTok-Audio.
    """
    encoder = _need(config, "enc_kwargs", "the config")
    decoder = _need(config, "dec_kwargs", "the config")
    semantic = (config.get("semantic_module_kwargs") or {}).get("whisper_encoder")
    frame_length = int(_need(encoder, "input_dim", "enc_kwargs"))
    hop_length = int(encoder.get("hop_size", 320))
    output_dim = int(_need(decoder, "output_dim", "dec_kwargs"))
    group = max(1, int(config.get("patch_size", -1)))
    rate = int(_need(config, "sample_rate", "the config") if group > 1 else 16000)
    if group > 1 and output_dim != hop_length:
        raise ConfigError(
            f"dec_kwargs.output_dim {output_dim} must be enc_kwargs.hop_size {hop_length}"
        )
    if group > 1 and (rate < hop_length or rate % hop_length):
        raise ConfigError(
            f"sample_rate {rate} gives no whole number of frames of {hop_length} samples per "
            "second: the published model has 44100 and 882"
        )
    stack = _qwen(_need(encoder, "backbone", "enc_kwargs"), "enc_kwargs.backbone")
    aggregator = dataclasses.replace(stack, num_layers=AGGREGATOR_LAYERS) if group > 1 else None
    if aggregator is not None and encoder_layers == "published":
        stack = dataclasses.replace(stack, num_layers=min(stack.num_layers, AGGREGATOR_LAYERS))
    try:
        return MingTokConfig(
            encoder=stack,
            aggregator=aggregator,
            frames_per_latent=group,
            sample_rate=rate,
            decoder=_qwen(_need(decoder, "backbone", "dec_kwargs"), "dec_kwargs.backbone"),
            semantic=None if semantic is None else _whisper(semantic),
            latent_dim=int(_need(encoder, "latent_dim", "enc_kwargs")),
            hop_length=hop_length * group,
            frame_length=frame_length,
            n_fft=4 * output_dim,
            name=name,
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(f"not the config of a tokenizer: {error}") from error


def _need(section: Any, key: str, where: str) -> Any:
    if not isinstance(section, Mapping) or key not in section:
        raise ConfigError(
            f"{where}.{key} is missing, and the weights cannot show it: add it to the file"
        )
    return section[key]


def _qwen(backbone: Mapping[str, Any], where: str) -> TransformerConfig:
    """A Qwen2 config; the window as the attention implementation named there would apply it.

    sdpa and eager: `sliding_window` keys in every layer. flash_attention_2: one key more, and only
    from `max_window_layers` on.
    """
    window, first = None, 0
    if backbone.get("use_sliding_window", False):
        window = int(_need(backbone, "sliding_window", where))
        if backbone.get("_attn_implementation") == "flash_attention_2":
            window, first = window + 1, int(backbone.get("max_window_layers", 28))
    if backbone.get("hidden_act", "silu") != "silu":
        raise ConfigError(f"{where}.hidden_act must be 'silu', got {backbone['hidden_act']!r}")
    heads = int(_need(backbone, "num_attention_heads", where))
    return TransformerConfig(
        dim=int(_need(backbone, "hidden_size", where)),
        num_layers=int(_need(backbone, "num_hidden_layers", where)),
        num_heads=heads,
        num_kv_heads=int(backbone.get("num_key_value_heads") or heads),
        mlp_dim=int(_need(backbone, "intermediate_size", where)),
        norm_eps=float(backbone.get("rms_norm_eps", 1e-6)),
        rope_base=float(backbone.get("rope_theta", 10000.0)),
        window=window,
        first_windowed_layer=first,
    )


def _whisper(section: Mapping[str, Any]) -> TransformerConfig:
    where = "semantic_module_kwargs.whisper_encoder"
    dim = int(_need(section, "n_state", where))
    return TransformerConfig(
        dim=dim,
        num_layers=int(_need(section, "n_layer", where)),
        num_heads=int(_need(section, "n_head", where)),
        mlp_dim=4 * dim,
        norm="layer",
        norm_eps=1e-5,
        mlp="gelu",
        linear_bias=True,
        rope_layout="interleaved",
        window=None,
    )


def target_of(name: str, config: MingTokConfig) -> Place | None:
    """Where a published parameter goes; None for one that is unused here.

    Raises `KeyError` for a name that the published layout does not have.
    """
    if any(pattern.fullmatch(name) for pattern in UNUSED):
        return None
    if name == "encoder.cls_embed" and config.aggregator is not None:
        return Place(name)
    stem, _, kind = name.rpartition(".")
    if stem in _PLAIN:
        if stem == "decoder.fc3" and config.decoder_input == "latent":
            return None
        return Place(f"{_PLAIN[stem]}.{kind}")
    if match := _QWEN_NORM.fullmatch(name):
        return Place(f"{_STACK[match[1]]}.norm.weight")
    if match := _QWEN_LAYER.fullmatch(name):
        stack = _STACK[match[1]]
        part = {"encoder.transformer": config.encoder, "encoder.aggregator": config.aggregator}.get(
            stack, config.decoder
        )
        if part is None:
            raise KeyError(name)
        return _layer_target(f"{stack}.blocks.{match[2]}", match[3], match[4], part, _QWEN)
    if (match := _WHISPER_LAYER.fullmatch(name)) and config.semantic is not None:
        prefix = f"semantic.transformer.blocks.{match[1]}"
        return _layer_target(prefix, match[2], match[3], config.semantic, _WHISPER)
    raise KeyError(name)


def _layer_target(
    prefix: str, part: str, kind: str, config: TransformerConfig, names: Mapping[str, str]
) -> Place:
    if part in names:
        return Place(f"{prefix}.{names[part]}.{kind}")
    if part in _QKV:
        query, key = config.dim, config.kv_heads * config.head_dim
        start, size = {"q": (0, query), "k": (query, key), "v": (query + key, key)}[_QKV[part]]
        return Place(f"{prefix}.attn.qkv.{kind}", start, start + size)
    if part == "mlp.gate_proj":
        return Place(f"{prefix}.mlp.up.{kind}", 0, config.mlp_dim)
    if part == "mlp.up_proj":
        return Place(f"{prefix}.mlp.up.{kind}", config.mlp_dim, 2 * config.mlp_dim)
    raise KeyError(f"{prefix}.{part}.{kind}")


def implied_zero_rows(config: MingTokConfig) -> dict[str, Place]:
    """Rows that the published layout leaves out and that are zero: Whisper's keys have no bias."""
    if config.semantic is None:
        return {}
    dim = config.semantic.dim
    names = (
        f"semantic.transformer.blocks.{i}.attn.qkv.bias" for i in range(config.semantic.num_layers)
    )
    return {name: Place(name, dim, 2 * dim) for name in names}
