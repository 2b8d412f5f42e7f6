"""Where a run starts: a fresh model, or one that was trained before."""

from __future__ import annotations

from dataclasses import replace

import torch

from mingtok_audio.config import MingTokConfig, TransformerConfig
from mingtok_audio.core.errors import ConfigError
from mingtok_audio.models.mingtok import MingTok


def start_from(init: str | None, fresh: MingTokConfig | None) -> MingTok:
    """The model of `init` ("nano", a folder, a Hub id), or a fresh one of the given config.

    Raises `ConfigError` unless exactly one of them is given.
    """
    if (init is None) == (fresh is None):
        raise ConfigError("give either `model` (a fresh model) or `init` (trained weights)")
    if fresh is not None:
        model = MingTok(fresh)
        init_weights(model)
        return model
    model = MingTok.from_pretrained(str(init))
    return model.train()


def with_semantic(
    model: MingTok, semantic: TransformerConfig | None, decoder_input: str | None, name: str | None
) -> MingTok:
    """The same encoder and decoder, with a semantic module of the given shape (kept if equal).

    `decoder_input` "unified" adds the projection from the features to the decoder.
    """
    changes: dict[str, object] = {}
    if semantic is not None and semantic != model.config.semantic:
        changes["semantic"] = semantic
    if decoder_input is not None and decoder_input != model.config.decoder_input:
        changes["decoder_input"] = decoder_input
    if name is not None:
        changes["name"] = name
    if not changes:
        return model
    try:
        grown = MingTok(replace(model.config, **changes))  # type: ignore[arg-type]
    except ValueError as error:
        raise ConfigError(str(error)) from error
    init_weights(grown)
    fitting = {
        k: v
        for k, v in model.state_dict().items()
        if "semantic" not in changes or not k.startswith("semantic.")
    }
    grown.load_state_dict(fitting, strict=False)
    return grown.train()


def init_weights(model: MingTok) -> None:
    """Small weights for a fresh model, and a head that starts near the level of speech."""
    for transformer in (model.encoder.transformer, model.decoder.transformer):
        transformer.init_weights()
    if model.semantic is not None:
        model.semantic.transformer.init_weights()
    # A narrow posterior at first: the decoder learns what the latents say before it learns noise.
    dim = model.config.latent_dim
    torch.nn.init.zeros_(model.encoder.posterior_proj.bias)
    torch.nn.init.constant_(model.encoder.posterior_proj.bias[dim:], -3.0)
    head = model.decoder.head.out
    torch.nn.init.normal_(head.weight, std=0.02)
    torch.nn.init.zeros_(head.bias)
    torch.nn.init.constant_(head.bias[: model.config.n_fft // 2 + 1], -1.0)
