"""A tiny corpus, tokenizer and configuration for the tests of training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from mingtok_audio.core.audio import save_audio
from mingtok_audio.core.config import apply_overrides, from_dict
from uniaudio_lm.training.settings import JointConfig

TEXTS = ("one two", "three", "two one three", "hello two", "no more", "one")


def make_corpus(folder: Path) -> Path:
    """Six recordings of 0.5 to 1 s with texts and phoneme times, two speakers; one is damaged."""
    rng = np.random.default_rng(0)
    rows = []
    for i, text in enumerate(TEXTS):
        count = 8000 + 1600 * i
        t = np.arange(count) / 16000
        wav = 0.3 * np.sin(2 * np.pi * (150 + 70 * i) * t) + 0.01 * rng.standard_normal(count)
        save_audio(folder / f"{i}.wav", wav.astype(np.float32), 16000)
        phonemes = list("_" + text.replace(" ", "") + "_")[:3]
        seconds = count / 16000
        rows.append({
            "id": str(i), "audio": f"{i}.wav", "seconds": seconds, "text": text, "language": "en",
            "speaker": "ab"[i % 2], "phonemes": phonemes, "durations": [seconds / 3] * 3,
        })  # fmt: skip
    (folder / "broken.wav").write_bytes(b"RIFF but not audio")
    rows.append({"id": "x", "audio": "broken.wav", "seconds": 0.5, "text": "one", "language": "en"})
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return manifest


def make_tokenizer(folder: Path) -> Path:
    """A tokenizer with random weights and a semantic module."""
    from mingtok_audio.config import MingTokConfig, TransformerConfig
    from mingtok_audio.models.mingtok import MingTok

    torch.manual_seed(0)
    part = TransformerConfig(dim=32, num_layers=1, num_heads=2, mlp_dim=48, window=8)
    config = MingTokConfig(encoder=part, decoder=part, semantic=part, latent_dim=8)
    return MingTok(config).save_pretrained(folder)


def make_config(folder: Path, *overrides: str) -> JointConfig:
    """A joint run on `folder`'s manifest with a dense backbone of two layers."""
    source = {"manifest": str(folder / "manifest.jsonl"), "split": None}
    task = {"train": [source], "valid": [source], "max_tokens": 120}
    values = {
        "model": {
            "tokenizer": str(folder / "tokenizer"),
            "text_pieces": 20,
            "backbone": {
                "name": "dense",
                "options": {"dim": 32, "num_layers": 2, "num_heads": 2, "mlp_dim": 48},
            },
            "compressor": {"name": "linear_pooling", "options": {"out_dim": 24}},
            "generation_head": {"name": "mlp", "options": {"width": 32, "depth": 1}},
        },
        "data": {
            "understanding": dict(task),
            "generation": dict(task),
            "ratio": [1, 1],
            "latents": {"cache": str(folder / "latents")},
        },
        "optim": {"lr": 0.003, "beta1": 0.9, "warmup_steps": 2},
        "trainer": {"max_steps": 10, "log_every": 1, "evaluate_every": 1000, "device": "cpu"},
    }
    return from_dict(JointConfig, apply_overrides(values, overrides), where="test")
