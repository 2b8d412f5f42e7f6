"""Folders in the published layout of Ming-omni-tts with any sizes and random weights.

Names and shapes follow the published patterns (`names/omni_0.5b_patterns.json`); a test checks
that they do at the full size.
"""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden"
Shapes = dict[str, tuple[int, ...]]


def qwen_config(dim: int, layers: int, heads: int, kv: int, mlp: int, **more: Any) -> dict:
    return {
        "model_type": "qwen2", "vocab_size": 4, "hidden_size": dim, "intermediate_size": mlp,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv,
        "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0,
        "attention_dropout": 0.0, "tie_word_embeddings": False,
    } | more  # fmt: skip


def omni_config(
    *,
    rate: int = 44100,
    hop: int = 882,
    latent: int = 8,
    patch: int = 4,
    history: int = 32,
    lm: tuple[int, int, int, int, int] = (32, 2, 4, 2, 48),
    encoder: tuple[int, int, int, int, int] = (16, 5, 2, 1, 24),
    decoder: tuple[int, int, int, int, int] = (24, 2, 4, 2, 32),
    head: tuple[int, int, int] = (32, 2, 4),
    aggregator: tuple[int, int, int] = (24, 2, 4),
    window: int = 8,
    tied: bool = True,
    vocabulary: int = 315,
) -> dict[str, Any]:
    """Sizes are (width, layers, heads[, kv heads, inner width])."""
    more = {"sliding_window": window}
    return {
        "model_type": "dense",
        "llm_config": qwen_config(
            *lm, vocab_size=vocabulary, use_sliding_window=False, rope_theta=1e6,
            tie_word_embeddings=tied,
        ),
        "audio_tokenizer_config": {
            "sample_rate": rate,
            "patch_size": 4,
            "enc_kwargs": {
                "backbone": qwen_config(*encoder, **more),
                "input_dim": hop, "hop_size": hop, "latent_dim": latent,
            },
            "dec_kwargs": {
                "backbone": qwen_config(*decoder, **more), "output_dim": hop, "latent_dim": latent,
            },
            "semantic_module_kwargs": None,
        },
        "ditar_config": {
            "patch_size": patch, "history_patch_size": history, "hidden_size": head[0],
            "depth": head[1], "num_heads": head[2], "mlp_ratio": 4.0, "cfg_dropout_prob": 0.1,
        },
        "aggregator_config": {
            "hidden_size": aggregator[0], "depth": aggregator[1], "num_heads": aggregator[2],
            "mlp_ratio": 4.0,
        },
    }  # fmt: skip


def _qwen(prefix: str, c: Mapping[str, Any], layers: int | None = None) -> Shapes:
    dim, mlp = c["hidden_size"], c["intermediate_size"]
    kv = dim // c["num_attention_heads"] * c["num_key_value_heads"]
    out: Shapes = {f"{prefix}embed_tokens.weight": (c["vocab_size"], dim)}
    for i in range(c["num_hidden_layers"] if layers is None else layers):
        at = f"{prefix}layers.{i}."
        for name, rows in (("q", dim), ("k", kv), ("v", kv)):
            out[f"{at}self_attn.{name}_proj.weight"] = (rows, dim)
            out[f"{at}self_attn.{name}_proj.bias"] = (rows,)
        out |= {
            f"{at}self_attn.o_proj.weight": (dim, dim),
            f"{at}mlp.gate_proj.weight": (mlp, dim),
            f"{at}mlp.up_proj.weight": (mlp, dim),
            f"{at}mlp.down_proj.weight": (dim, mlp),
            f"{at}input_layernorm.weight": (dim,),
            f"{at}post_attention_layernorm.weight": (dim,),
        }
    return out | {f"{prefix}norm.weight": (dim,)}


def _linear(name: str, out: int, inside: int) -> Shapes:
    return {f"{name}.weight": (out, inside), f"{name}.bias": (out,)}


def _blocks(prefix: str, c: Mapping[str, Any]) -> Shapes:
    dim = c["hidden_size"]
    inner = int(dim * c["mlp_ratio"])
    out: Shapes = {f"{prefix}rotary_embed.inv_freq": (dim // c["num_heads"] // 2,)}
    for i in range(c["depth"]):
        at = f"{prefix}blocks.{i}."
        for name in ("to_q", "to_k", "to_v", "to_out.0"):
            out |= _linear(f"{at}attn.{name}", dim, dim)
        out |= {f"{at}norm1.weight": (dim,), f"{at}norm2.weight": (dim,)}
        out |= _linear(f"{at}mlp.ff.0.0", inner, dim) | _linear(f"{at}mlp.ff.2", dim, inner)
    return out


def published_shapes(config: Mapping[str, Any]) -> Shapes:
    """Every name of the published layout, and its shape."""
    llm, audio = config["llm_config"], config["audio_tokenizer_config"]
    encoder, decoder = audio["enc_kwargs"]["backbone"], audio["dec_kwargs"]["backbone"]
    hop, latent = audio["enc_kwargs"]["hop_size"], audio["enc_kwargs"]["latent_dim"]
    dim, wide, width = llm["hidden_size"], encoder["hidden_size"], decoder["hidden_size"]
    out = _qwen("model.model.", llm)
    if not llm["tie_word_embeddings"]:
        out["model.lm_head.weight"] = (llm["vocab_size"], dim)
    at = "audio.encoder."
    out[f"{at}cls_embed"] = (1, 1, wide)
    out |= _qwen(f"{at}encoder.", encoder) | _qwen(f"{at}aggregator.", encoder, 4)
    out[f"{at}fc1.weight"] = (wide, audio["enc_kwargs"]["input_dim"])
    out |= _linear(f"{at}fc2", wide, wide) | _linear(f"{at}fc3", 2 * latent, wide)
    out |= {f"{at}norm.weight": (wide,), f"{at}norm.bias": (wide,)}
    at = "audio.decoder."
    out |= _qwen(f"{at}decoder.", decoder) | _linear(f"{at}fc1", width, latent)
    out |= _linear(f"{at}head.out", 4 * hop + 2, width)
    out[f"{at}head.istft.window"] = (4 * hop,)
    at, c = "linear_proj_audio.", config["aggregator_config"]
    size = c["hidden_size"]
    out |= _blocks(at, c) | _linear(f"{at}x_embedder", size, latent)
    out |= {f"{at}word_embedder.weight": (1, size), f"{at}final_layer.norm_final.weight": (size,)}
    out |= _linear(f"{at}final_layer.linear", dim, size)
    at, c = "flowloss.cfm.model.", config["ditar_config"]
    size = c["hidden_size"]
    out |= _blocks(at, c) | _linear(f"{at}x_embedder", size, latent)
    out |= _linear(f"{at}t_embedder.time_mlp.0", size, 256)
    out |= _linear(f"{at}t_embedder.time_mlp.2", size, size)
    out |= _linear(f"{at}c_embedder.cond_embedder", size, dim)
    out[f"{at}final_layer.norm_final.weight"] = (size,)
    out |= _linear(f"{at}final_layer.linear", latent, size)
    return out | _linear("stop_head", 2, dim) | _linear("spk_head", dim, 192)


def random_weights(shapes: Shapes, seed: int) -> dict[str, torch.Tensor]:
    """Numbers of a size at which every layer matters; buffers as the published code has them."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for name, shape in shapes.items():
        if name.endswith("inv_freq"):
            n = shape[0]
            out[name] = 1.0 / 10000.0 ** (torch.arange(n, dtype=torch.float32) / n)
        elif name.endswith("istft.window"):
            out[name] = torch.hann_window(shape[0])
        elif "norm" in name and name.endswith("weight"):
            out[name] = 1 + 0.1 * torch.randn(shape, generator=generator)
        elif name.endswith("bias"):
            out[name] = 0.05 * torch.randn(shape, generator=generator)
        else:
            scale = 1.0 if len(shape) < 2 else 1 / math.sqrt(shape[-1])
            out[name] = scale * torch.randn(shape, generator=generator)
    # Magnitudes are exponentials: quiet enough to be sound.
    key = "audio.decoder.head.out"
    out[f"{key}.weight"] *= 0.3
    out[f"{key}.bias"][: shapes[f"{key}.bias"][0] // 2] -= 1.0
    return out


def write_omni(folder: Path, seed: int = 0, **sizes: Any) -> Path:
    """A model folder; returns it. See `omni_config` for the sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    config = omni_config(**sizes)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(random_weights(published_shapes(config), seed), folder / "model.safetensors")
    shutil.copy(GOLDEN / "omni_lm" / "tokenizer.json", folder / "tokenizer.json")
    return folder


def random_sizes(seed: int) -> dict[str, Any]:
    """Sizes that no known folder has."""
    draw = random.Random(seed)

    def qwen(most_layers: int) -> tuple[int, int, int, int, int]:
        kv, groups = draw.choice([1, 2, 3]), draw.choice([1, 2, 3])
        size = draw.choice([4, 6, 8, 10])
        return (kv * groups * size, draw.randint(1, most_layers), kv * groups, kv,
                draw.randint(3, 20) * 4)  # fmt: skip

    def dit() -> tuple[int, int, int]:
        heads = draw.choice([1, 2, 4])
        return heads * draw.choice([8, 12, 16]), draw.randint(1, 3), heads

    hop, patch = draw.choice([64, 100, 160, 240, 882]), draw.choice([1, 1, 2, 3, 4, 5])
    return {
        "rate": hop * 50, "hop": hop, "latent": draw.randint(3, 20), "patch": patch,
        "history": 1 if patch == 1 else patch * draw.randint(1, 5) + draw.choice([0, 1]),
        "lm": qwen(4), "encoder": qwen(7), "decoder": qwen(4), "head": dit(), "aggregator": dit(),
        "window": draw.randint(2, 12), "tied": draw.random() < 0.6,
        "vocabulary": 315 + draw.choice([0, 5, 41]),
    }  # fmt: skip


def vae_folder(model: Path, target: Path, seed: int) -> Path:
    """The tokenizer of a model folder alone, as golden/omni_vae is laid out, and random inputs."""
    from safetensors.torch import load_file

    target.mkdir(parents=True)
    config = json.loads((model / "config.json").read_text())["audio_tokenizer_config"]
    (target / "config.json").write_text(json.dumps(config))
    weights = load_file(model / "model.safetensors")
    ours = {k.removeprefix("audio."): v for k, v in weights.items() if k.startswith("audio.")}
    save_file(ours, target / "model.safetensors")
    generator = torch.Generator().manual_seed(seed)
    hop, latent = config["enc_kwargs"]["hop_size"], config["enc_kwargs"]["latent_dim"]
    io: dict[str, torch.Tensor] = {}
    for run, latents, missing, batch in (("a", 9, 0, 1), ("b", 4, 2 * hop + 7, 1), ("d", 5, 3, 2)):
        length = latents * 4 * hop - missing
        io[f"{run}.waveform"] = 0.1 * torch.randn(batch, length, generator=generator)
        io[f"{run}.waveform_length"] = torch.full((batch,), length)
        io[f"{run}.noise_bdt"] = torch.randn(batch, latent, latents, generator=generator)
    for name, chunks in {"one": [1] * 9, "mixed": [4, 1, 4], "whole": [9]}.items():
        io[f"a.stream_{name}.chunk_frames"] = torch.tensor(chunks)
    save_file(io, target / "io.safetensors")
    return target


def add_lm_io(model: Path, seed: int) -> Path:
    """Give a model folder `layout.json` and random inputs, as golden/omni_lm has them."""
    config = json.loads((model / "config.json").read_text())
    latent = config["audio_tokenizer_config"]["enc_kwargs"]["latent_dim"]
    hop = config["audio_tokenizer_config"]["enc_kwargs"]["hop_size"]
    patch, generator = config["ditar_config"]["patch_size"], torch.Generator().manual_seed(seed)
    task = "Please generate speech based on the following description.\n"
    base = {
        "prompt": task, "text": "Hello there.", "prompt_text": None, "instruction": None,
        "speakers": 0, "zero_speaker": False, "stop_bias": [6.0, -6.0], "cfg": 2.0, "sigma": 0.25,
        "temperature": 0, "max_decode_steps": 7,
    }  # fmt: skip
    spoken = {"prompt_text": "Ja.", "speakers": 1, "stop_bias": [-6.0, 6.0]}
    runs: dict[str, Any] = {
        "plain": base,
        "clone": base | spoken,
        "noisy": base | {"cfg": 4.5, "sigma": 0.3, "temperature": 2.5, "max_decode_steps": 3},
        "named": base | {"instruction": {"IP": "灵小甄"}, "speakers": 1, "zero_speaker": True},
        "two": base | {"speakers": 2},
        "rewrite": {"prompt": task, "text": "H2O", "max_new_tokens": 3},
    }
    io: dict[str, torch.Tensor] = {}
    for name, run in runs.items():
        if "max_new_tokens" in run:
            continue
        steps = run["max_decode_steps"]
        if run["prompt_text"]:
            length = hop * 4 * patch * 2 - 5
            io[f"{name}.clip"] = 0.1 * torch.randn(1, length, generator=generator)
            io[f"{name}.enc_noise_bdt"] = torch.randn(1, latent, 2 * patch, generator=generator)
        if run["speakers"] and not run["zero_speaker"]:
            io[f"{name}.speaker"] = torch.randn(run["speakers"], 192, generator=generator)
        io[f"{name}.init_noise_bct"] = torch.randn(steps, 1, latent, patch, generator=generator)
        io[f"{name}.step_noise"] = torch.randn(steps, 10, 1, patch, latent, generator=generator)
    save_file(io, model / "io.safetensors")
    (model / "layout.json").write_text(json.dumps({"runs": runs}))
    return model
