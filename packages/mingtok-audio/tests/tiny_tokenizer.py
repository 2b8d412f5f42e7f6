"""Tiny tokenizers with random weights, for tests."""

from __future__ import annotations

import torch

from mingtok_audio.config import MingTokConfig, TransformerConfig


def tiny_config(**changes: object) -> MingTokConfig:
    """Two layers of width 32 with a window of 5 frames, and a windowed semantic module."""
    part = TransformerConfig(
        dim=32, num_layers=2, num_heads=4, num_kv_heads=2, mlp_dim=48, window=5
    )
    semantic = TransformerConfig(
        dim=24,
        num_layers=2,
        num_heads=2,
        mlp_dim=40,
        norm="layer",
        norm_eps=1e-5,
        mlp="gelu",
        linear_bias=True,
        rope_layout="interleaved",
        window=9,
    )
    values: dict = {"encoder": part, "decoder": part, "semantic": semantic, "latent_dim": 8}
    return MingTokConfig(**(values | changes))


def tiny_model(seed: int = 0, **changes: object):
    from mingtok_audio.models.mingtok import MingTok

    torch.manual_seed(seed)
    model = MingTok(tiny_config(**changes)).eval()
    for parameter in model.parameters():
        # Larger than usual, so that a wrong frame or position shows in the output.
        torch.nn.init.normal_(parameter, std=0.2)
    return model
