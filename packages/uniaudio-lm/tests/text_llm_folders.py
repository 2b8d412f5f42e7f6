"""Tiny folders of text language models with random weights, as their own libraries write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

WORDS = ["one", "two", "three", "hello", "no", "more", "what", "is", "said", "here", "and", "there"]
FAMILIES = ("qwen2", "qwen2-tied", "qwen3", "llama", "bailing_moe")


def write_tokenizer(folder: Path, pieces: int = 20) -> int:
    """A byte-level `tokenizer.json` without any token of ours but the end of a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + 1 + pieces,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(WORDS * 3, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer.get_vocab_size()


def write_folder(family: str, folder: Path, *, rows: int | None = None, **options: Any) -> Path:
    """A model of `family`; its vocabulary has `rows`, by default as many as its tokenizer."""
    size = write_tokenizer(folder)
    torch.manual_seed(0)
    if family == "bailing_moe":
        return _write_ling(folder, rows or size, **options)
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {
        "vocab_size": rows or size, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "bos_token_id": 0, "eos_token_id": 0, "tie_word_embeddings": family.endswith("-tied"),
    }  # fmt: skip
    name = family.partition("-")[0]
    if name == "qwen3":
        sizes["head_dim"] = 16
    config = AutoConfig.for_model(name, **{**sizes, **options})
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def ling_config(rows: int, **options: Any) -> dict[str, Any]:
    """The `config.json` of a tiny Ling."""
    return {
        "architectures": ["BailingMoeForCausalLM"], "model_type": "bailing_moe",
        "vocab_size": rows, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_act": "silu",
        "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
        "num_shared_experts": 1, "norm_topk_prob": True, "first_k_dense_replace": 0,
        "rms_norm_eps": 1e-6, "rope_theta": 600000, "rope_scaling": None, "norm_head": True,
        "tie_word_embeddings": False, "use_bias": False, "use_qkv_bias": False,
        "bos_token_id": 0, "eos_token_id": 0, **options,
    }  # fmt: skip


def _write_ling(folder: Path, rows: int, **options: Any) -> Path:
    """Named as the published code names them; no library at hand writes this family."""
    config = ling_config(rows, **options)
    dim, width, heads, groups = 32, 16, 4, 2
    head = dim // heads

    def draw(*shape: int) -> torch.Tensor:
        return 0.1 * torch.randn(*shape)

    tensors = {
        "model.word_embeddings.weight": draw(rows, dim),
        "model.norm.weight": 1 + draw(dim),
        "lm_head.weight": draw(rows, dim),
    }
    for i in range(2):
        layer = f"model.layers.{i}"
        tensors |= {
            f"{layer}.input_layernorm.weight": 1 + draw(dim),
            f"{layer}.post_attention_layernorm.weight": 1 + draw(dim),
            f"{layer}.attention.query_key_value.weight": draw((heads + 2 * groups) * head, dim),
            f"{layer}.attention.dense.weight": draw(dim, heads * head),
            f"{layer}.mlp.gate.weight": draw(4, dim),
        }
        experts = [f"experts.{e}" for e in range(4)] + ["shared_experts"]
        for expert in experts:
            tensors |= {
                f"{layer}.mlp.{expert}.gate_proj.weight": draw(width, dim),
                f"{layer}.mlp.{expert}.up_proj.weight": draw(width, dim),
                f"{layer}.mlp.{expert}.down_proj.weight": draw(dim, width),
            }
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def change(folder: Path, **values: Any) -> Path:
    """Change keys of a folder's `config.json`; None removes one."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for key, value in values.items():
        if value is None:
            config.pop(key, None)
        else:
            config[key] = value
    path.write_text(json.dumps(config))
    return folder
