"""A pretrained text language model as the start: logits of texts, training, bad input."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_training_data import make_config, make_corpus, make_tokenizer
from safetensors.torch import load_file, save_file
from text_llm_folders import FAMILIES, change, write_folder, write_tokenizer

from mingtok_audio.core.config import apply_overrides, from_dict, to_dict
from mingtok_audio.core.models.hub import write_json
from uniaudio_lm import UniAudio
from uniaudio_lm.checkpoint.fit import fill
from uniaudio_lm.checkpoint.published import backbone_options, backbone_place
from uniaudio_lm.checkpoint.read import read_tensors
from uniaudio_lm.checkpoint.text_llm import read_text_llm
from uniaudio_lm.parts.backbones.bailing_moe import BailingMoe
from uniaudio_lm.training.initial import SPECIALS, start_model
from uniaudio_lm.training.run import train
from uniaudio_lm.training.settings import JointConfig

TEXTS = ("one two", "what is said there", "Hello, 你好! \n\ttabs", "a" * 40)


def logits_before(folder: Path, ids: torch.Tensor) -> torch.Tensor:
    """Logits of a folder as it is: transformers' own, or our Ling's with one router."""
    config = json.loads((folder / "config.json").read_text())
    with torch.no_grad():
        if config["model_type"] != "bailing_moe":
            from transformers import AutoModelForCausalLM

            return AutoModelForCausalLM.from_pretrained(folder)(ids).logits.float()
        options = backbone_options(config)
        with torch.device("meta"):
            model = BailingMoe(**options)
        fill(model, read_tensors(folder), lambda name: backbone_place(name, options))
        return model.logits(model(model.embed(ids)))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("padding", [0, 7, 50])
def test_texts_have_the_same_logits_after_the_extension(
    family: str, padding: int, tmp_path: Path
) -> None:
    folder = write_folder(family, tmp_path / family)
    if padding:  # rows that pad the vocabulary: too few for all new tokens, and enough
        rows = read_text_llm(folder).rows + padding
        folder = write_folder(family, tmp_path / "padded", rows=rows)
    plain = read_text_llm(folder)
    llm = plain.extended(SPECIALS, ["<|ph|>"])
    backbone = llm.load().eval()
    new = [llm.text.special(token) for token in (*SPECIALS, "<|ph|>")]
    assert len(set(new)) == len(SPECIALS) + 1
    assert len(llm.new) == len(SPECIALS)  # the end of a text was there
    assert backbone.vocab_size == max(llm.rows, max(new) + 1)
    for text in TEXTS:
        ids = torch.tensor([llm.text.encode(text)])
        assert ids.tolist() == [plain.text.encode(text)]
        with torch.no_grad():
            found = backbone.logits(backbone(backbone.embed(ids)))
        expected = logits_before(folder, ids)[..., : llm.known]
        torch.testing.assert_close(found[..., : llm.known], expected, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        rows = backbone.embed(torch.tensor(llm.new))
    assert torch.isfinite(rows).all() and len(torch.unique(rows, dim=0)) == len(llm.new)
    known = backbone.embed(torch.arange(llm.known)).detach()
    assert (rows - known.mean(0)).abs().max() < 0.6 * known.std(0).max()


def test_a_ling_routes_audio_as_it_routes_text(tmp_path: Path) -> None:
    backbone = read_text_llm(write_folder("bailing_moe", tmp_path)).extended(SPECIALS).load()
    embeds = torch.randn(1, 9, 32)
    with torch.no_grad():
        plain, mixed = backbone(embeds), backbone(embeds, audio_mask=torch.arange(9)[None] < 5)
    torch.testing.assert_close(plain, mixed)


def test_shards_and_half_precision_are_read(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = write_folder("qwen2", tmp_path / "one")
    model = AutoModelForCausalLM.from_pretrained(folder).bfloat16()
    write_tokenizer(tmp_path / "many")
    model.save_pretrained(tmp_path / "many", max_shard_size="20KB")
    assert len(list((tmp_path / "many").glob("model-*.safetensors"))) > 2
    backbone = read_text_llm(tmp_path / "many").extended(SPECIALS).load()
    expected = model.model.embed_tokens.weight.float()
    assert torch.equal(
        backbone.get_parameter("model.model.embed_tokens.weight")[: len(expected)], expected
    )


def config_for(folder: Path, **top: Any) -> JointConfig:
    values = to_dict(make_config(folder))
    for key in ("backbone", "text_pieces"):
        values["model"].pop(key)
    values["model"]["compressor"] = {"name": "pooling", "options": {}}
    return from_dict(JointConfig, {**values, **top}, where="test")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_starts_a_run(family: str, data: Path, tmp_path: Path) -> None:
    folder = write_folder(family, tmp_path / family)
    config = config_for(data, init=str(folder))
    model = start_model(config)
    assert model.config.backbone.name in ("hf_causal_lm", "bailing_moe")
    expected = read_text_llm(folder).extended(SPECIALS).load()
    for name, value in expected.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], value), name
    assert model.text_tokenizer.special("[MASK]") < model.backbone.vocab_size
    saved = UniAudio(model.eval()).save_pretrained(tmp_path / "saved")
    again = UniAudio.from_pretrained(saved)
    for name, value in model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name


def test_it_replaces_the_backbone_of_a_trained_model(data: Path, tmp_path: Path) -> None:
    first = start_model(config_for(data, init=str(write_folder("qwen2", tmp_path / "a"))))
    folder = UniAudio(first.eval()).save_pretrained(tmp_path / "first")
    llama = write_folder("llama", tmp_path / "b")
    config = from_dict(
        JointConfig,
        {**to_dict(make_config(data)), "model": None, "init": str(folder),
         "parts": {"backbone": str(llama)}},
        where="test",
    )  # fmt: skip
    model = start_model(config)
    assert model.config.backbone.options["config"]["model_type"] == "llama"
    head, old = model.generation_head.state_dict(), first.generation_head.state_dict()
    assert all(torch.equal(head[name], value) for name, value in old.items())
    wide = write_folder("llama", tmp_path / "c", hidden_size=64)
    with pytest.raises(Exception, match="its width is 64, the model's 32"):
        start_model(
            from_dict(JointConfig, {**to_dict(config), "parts": {"backbone": str(wide)}}, where="t")
        )


def test_phonemes_become_tokens_of_a_text_model(data: Path, tmp_path: Path) -> None:
    folder = write_folder("qwen2", tmp_path / "llm")
    values = to_dict(config_for(data, init=str(folder)))
    model = start_model(
        from_dict(
            JointConfig, apply_overrides(values, ["data.generation.text=phonemes"]), where="t"
        )
    )
    assert model.text_tokenizer.next_id > read_text_llm(folder).extended(SPECIALS).text.next_id


def cached(folder: Path, cache: Path, repo: str) -> None:
    """Put a folder where the hub's client keeps what it fetched."""
    home, commit = cache / f"models--{repo.replace('/', '--')}", "a" * 40
    shutil.copytree(folder, home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)


def test_qwen_is_extended_trained_saved_and_transcribes_from_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    cached(write_folder("qwen2-tied", tmp_path / "qwen"), cache, "someone/tiny-qwen2")
    make_corpus(tmp_path)
    make_tokenizer(tmp_path / "tokenizer")
    lines = (tmp_path / "manifest.jsonl").read_text().splitlines()
    (tmp_path / "manifest.jsonl").write_text(lines[3] + "\n")  # "hello two"
    config = config_for(tmp_path, init="someone/tiny-qwen2")
    values = apply_overrides(
        to_dict(config),
        ["trainer.max_steps=50", "data.ratio=[4,1]", "optim.lr=0.01", "data.latents.draw=mean",
         "trainer.ema_decay=0"],
    )  # fmt: skip
    train(from_dict(JointConfig, values, where="test"), tmp_path / "run")
    cached(tmp_path / "run" / "model", cache, "someone/tiny-speech")
    model = UniAudio.from_pretrained("someone/tiny-speech")
    from mingtok_audio.core.audio import load_audio

    wav, rate = load_audio(tmp_path / "3.wav")
    assert model.transcribe(wav, rate).text == "hello two"


def damaged(name: str, folder: Path) -> Path:
    """A tiny folder with one thing wrong with it."""
    family = "bailing_moe" if name.startswith("ling") else "qwen2"
    write_folder(family, folder)
    config = json.loads((folder / "config.json").read_text())
    weights = folder / "model.safetensors"
    changes: dict[str, dict[str, Any]] = {
        "family": {"model_type": "mistral"},
        "family-moe": {"model_type": "qwen2_moe"},
        "ling-v2": {"model_type": "bailing_moe_v2"},
        "family-number": {"model_type": 3},
        "family-missing": {"model_type": None},
        "quantised": {"quantization_config": {"bits": 4}},
        "vocab-large": {"vocab_size": config["vocab_size"] + 9},
        "vocab-small": {"vocab_size": config["vocab_size"] - 9},
        "vocab-huge": {"vocab_size": 2 * config["vocab_size"] + 2},
        "vocab-text": {"vocab_size": str(config["vocab_size"])},
        "vocab-zero": {"vocab_size": 0},
        "vocab-missing": {"vocab_size": None},
        "width-float": {"hidden_size": 32.0},
        "width-wrong": {"hidden_size": 64},
        "width-missing": {"hidden_size": None},
        "layers-bool": {"num_hidden_layers": True},
        "layers-many": {"num_hidden_layers": 3},
        "layers-few": {"num_hidden_layers": 1},
        "layers-huge": {"num_hidden_layers": 10**9},
        "heads": {"num_attention_heads": 5},
        "tie-text": {"tie_word_embeddings": "no"},
        "tie-wrong": {"tie_word_embeddings": None, "num_key_value_heads": 4},
        "eps": {"rms_norm_eps": -1},
        "eos": {"eos_token_id": 10**6},
        "eos-text": {"eos_token_id": "0"},
        "ling-dense": {"first_k_dense_replace": 1},
        "ling-act": {"hidden_act": "gelu"},
        "ling-rope": {"rope_scaling": {"type": "yarn"}},
        "ling-experts": {"num_experts": 5},
        "ling-topk": {"num_experts_per_tok": 9},
        "ling-tied": {"tie_word_embeddings": True},
    }  # fmt: skip
    if name in changes:
        return change(folder, **changes[name])
    if name == "tokenizer-missing":
        (folder / "tokenizer.json").unlink()
    elif name == "tokenizer-larger":
        write_tokenizer(folder, pieces=25)
    elif name == "tokenizer-broken":
        (folder / "tokenizer.json").write_text("{}")
    elif name == "weights-missing":
        weights.unlink()
    elif name == "weights-pickle":
        weights.rename(folder / "pytorch_model.bin")
    elif name == "weights-cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif name == "tensor-missing":
        tensors = load_file(weights)
        del tensors["model.layers.1.mlp.up_proj.weight"]
        save_file(tensors, weights, metadata={"format": "pt"})
    elif name == "tensor-more":
        tensors = {**load_file(weights), "model.layers.1.mlp.extra": torch.zeros(2)}
        save_file(tensors, weights, metadata={"format": "pt"})
    elif name == "shard-missing":
        tensors = load_file(weights)
        table = {n: "model-1.safetensors" if i % 2 else "model-2.safetensors"
                 for i, n in enumerate(tensors)}  # fmt: skip
        first = {n: t for n, t in tensors.items() if table[n] == "model-1.safetensors"}
        save_file(first, folder / "model-1.safetensors")
        write_json(folder / "model.safetensors.index.json", {"weight_map": table})
        weights.unlink()
    elif name == "config-list":
        (folder / "config.json").write_text("[]")
    elif name == "config-missing":
        (folder / "config.json").unlink()
    elif name == "config-broken":
        (folder / "config.json").write_text("{")
    return folder


WRONG = (
    "family", "family-moe", "ling-v2", "family-number", "family-missing", "quantised",
    "vocab-large", "vocab-small", "vocab-huge", "vocab-text", "vocab-zero", "vocab-missing",
    "width-float", "width-wrong", "width-missing", "layers-bool", "layers-many", "layers-few",
    "layers-huge", "heads", "tie-text", "tie-wrong", "eps", "eos", "eos-text", "ling-dense",
    "ling-act", "ling-rope", "ling-experts", "ling-topk", "ling-tied", "tokenizer-missing",
    "tokenizer-larger", "tokenizer-broken", "weights-missing", "weights-pickle", "weights-cut",
    "tensor-missing", "tensor-more", "shard-missing", "config-list", "config-missing",
    "config-broken",
)  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_folder_is_one_line_and_exit_code_2(
    name: str, data: Path, tmp_path: Path, uniaudio: Callable[..., Any]
) -> None:
    folder = damaged(name, tmp_path / "llm")
    config, run = tmp_path / "run.yaml", tmp_path / "run"
    write_json(config, to_dict(config_for(data, init=str(folder))))
    bad = uniaudio("train", config, "-o", run, "--dry-run")
    assert bad.code == 2, bad.err
    assert bad.err.count("\n") == 1 and str(folder) in bad.err, bad.err
    assert not run.exists()


def test_what_does_not_go_together_is_refused(
    data: Path, tmp_path: Path, uniaudio: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    folder = write_folder("qwen2", tmp_path / "llm")
    config = tmp_path / "run.yaml"
    plain = to_dict(config_for(data, init=str(folder)))
    dense = {"name": "dense", "options": {"dim": 32, "num_layers": 1, "num_heads": 2, "mlp_dim": 8}}
    for changed, words in (
        ({"model": None}, "neither recognises nor speaks"),
        ({"init": None}, "model.backbone"),
        ({"init": None, "model": None}, "give `model`"),
        ({"model": {**plain["model"], "backbone": dense}}, "not both"),
        ({"model": {**plain["model"], "text_pieces": 40}}, "brings its own tokenizer"),
        ({"model": {**plain["model"], "text_tokenizer": "x.json"}}, "brings its own tokenizer"),
        ({"parts": {"compressor": "pooling"}}, "parts replaces parts"),
        ({"init": "nano"}, "speech language model"),
        ({"init": str(data / "tokenizer")}, "not a language model"),
        ({"init": str(tmp_path / "nothing")}, "nothing"),
        ({"init": "no-one/no-such-model"}, "no-one/no-such-model"),
        ({"init": None, "model": {**plain["model"], "backbone": 3}}, "backbone"),
    ):
        write_json(config, {**plain, **changed})
        bad = uniaudio("train", config, "-o", tmp_path / "run", "--dry-run")
        assert bad.code == 2 and words in bad.err, (changed, bad.err)
        assert bad.err.count("\n") == 1 and not (tmp_path / "run").exists(), bad.err
