"""What the benchmarks share: timing, sizes, and the JSON line at the end."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from mingtok_audio.config import MingTokConfig, TransformerConfig
from mingtok_audio.models.mingtok import MingTok


def interleaved(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each call; the calls take turns, so that noise hits all of them."""
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def cpu_seconds(call: Callable[[], Any], repeats: int) -> float:
    """Median CPU seconds of a call; once before, so that nothing is loaded in it."""
    call()
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)


def mid_size_config() -> MingTokConfig:
    """The mid size of the timing notes: three stacks of 12 x 768, latents of 64 dimensions."""
    part = TransformerConfig(
        dim=768, num_layers=12, num_heads=12, num_kv_heads=4, mlp_dim=3072, window=32
    )
    semantic = TransformerConfig(
        dim=768,
        num_layers=12,
        num_heads=12,
        mlp_dim=3072,
        norm="layer",
        norm_eps=1e-5,
        mlp="gelu",
        linear_bias=True,
        rope_layout="interleaved",
        window=None,
    )
    return MingTokConfig(encoder=part, decoder=part, semantic=semantic)


def with_semantic(config: MingTokConfig) -> MingTokConfig:
    """The nano with a semantic module of its planned size (3 x 256, window 128), random weights."""
    semantic = TransformerConfig(
        dim=256,
        num_layers=3,
        num_heads=4,
        mlp_dim=1024,
        norm="layer",
        norm_eps=1e-5,
        mlp="gelu",
        linear_bias=True,
        rope_layout="interleaved",
        window=128,
    )
    return dataclasses.replace(config, semantic=semantic)


def random_model(config: MingTokConfig) -> MingTok:
    torch.manual_seed(0)
    model = MingTok(config).eval()
    for stack in (model.encoder.transformer, model.decoder.transformer):
        stack.init_weights()
    return model


def report(name: str, results: dict[str, Any]) -> None:
    """Print the one JSON line that ends a benchmark."""
    rounded = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in results.items()}
    row = {
        "benchmark": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "machine": platform.machine(),
        "load": float(f"{os.getloadavg()[0]:.2g}"),
        **rounded,
    }
    print(json.dumps(row))
