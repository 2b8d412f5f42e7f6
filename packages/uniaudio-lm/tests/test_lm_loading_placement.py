"""Device maps: layers in host memory and on disk, limits, and what is refused. CPU only."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mingtok_audio.core.errors import ConfigError, UserError
from uniaudio_lm import UniAudio
from uniaudio_lm.checkpoint.place import parse_memory, parse_size
from uniaudio_lm.config import PartConfig, UniAudioConfig
from uniaudio_lm.model.speech_lm import SpeechLM

pytest.importorskip("accelerate")
GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden" / "unified"


def load(*source: Any, **options: Any) -> SpeechLM:
    return UniAudio.from_pretrained(*source, **options).model


LAYERS = [f"backbone.blocks.{i}" for i in range(3)]
QUICK = {"num_steps": 1, "cfg_scale": 1.0}


@pytest.fixture(scope="module")
def whole() -> SpeechLM:
    return load(GOLDEN)


def places(model: SpeechLM) -> list[str]:
    return [model.placement.map[layer] for layer in LAYERS]


def same(model: SpeechLM, whole: SpeechLM) -> bool:
    x = torch.randn(2, 7, whole.dim, generator=torch.Generator().manual_seed(0))
    state, wanted_state = (
        model.backbone.new_state(2, 16),
        whole.backbone.new_state(2, 16),
    )
    with torch.no_grad():
        for part in (x[:, :5], x[:, 5:6], x[:, 6:]):
            made, wanted = (
                model.backbone(part, state),
                whole.backbone(part, wanted_state),
            )
            if not torch.allclose(made, wanted, atol=1e-5):
                return False
        return torch.allclose(model.backbone.logits(made), whole.backbone.logits(wanted), atol=1e-5)


@pytest.mark.parametrize("given", ["mapping", "file"])
def test_layers_on_disk_give_the_same(whole: SpeechLM, tmp_path: Path, given: str) -> None:
    table = {"": "cpu", "backbone.blocks.1": "disk", "backbone.blocks.2": "disk"}
    (tmp_path / "map.json").write_text(json.dumps(table))
    chosen = table if given == "mapping" else str(tmp_path / "map.json")
    folder = tmp_path / "away"
    model = load(GOLDEN, device_map=chosen, offload_folder=folder)
    assert places(model) == ["cpu", "disk", "disk"]
    away = [n for n, p in model.named_parameters() if p.is_meta]
    assert away and all(
        name.startswith(("backbone.blocks.1.", "backbone.blocks.2.")) for name in away
    )
    assert {f.stem for f in folder.glob("*.dat")} == set(away)
    assert same(model, whole)
    assert all(p.is_meta for n, p in model.named_parameters() if n in away)  # away again
    made, wanted = (
        UniAudio(model).synthesize("ha", **QUICK),
        UniAudio(whole).synthesize("ha", **QUICK),
    )
    assert made.patches == wanted.patches and torch.allclose(made.wav, wanted.wav, atol=1e-4)
    with pytest.raises(UserError, match=r"cannot be saved: .* is offloaded"):
        UniAudio(model).save_pretrained(tmp_path / "never")


def test_computed_maps_keep_to_the_memory_that_is_given(whole: SpeechLM) -> None:
    layer = sum(p.nbytes for p in whole.backbone.blocks[0].parameters())
    fixed = sum(p.nbytes for n, p in whole.named_parameters() if not n.startswith(LAYERS[0][:16]))
    # Room for one layer, and for another one that is brought in.
    limit = fixed + int(2.5 * layer)
    for mode in ("auto", "balanced"):
        model = load(GOLDEN, device_map=mode, max_memory={"cpu": limit})
        assert places(model) == ["cpu", "disk", "disk"]
        temporary = model.placement.folder
        assert temporary is not None and temporary.is_dir()
        assert same(model, whole)
        del model
    all_in = load(GOLDEN, device_map="auto")
    assert places(all_in) == ["cpu"] * 3 and same(all_in, whole)
    half = load(GOLDEN, device_map="auto", max_memory={"cpu": limit}, dtype=torch.bfloat16)
    assert places(half) == ["cpu"] * 3  # half the bytes
    with pytest.raises(UserError, match="the parts that stay on cpu need"):
        load(GOLDEN, device_map="auto", max_memory={"cpu": "1MB"})


def test_half_precision_comes_back_from_disk_as_it_was(whole: SpeechLM) -> None:
    options = {"dtype": torch.bfloat16}
    table = {"backbone": "disk"}
    x = torch.randn(1, 6, whole.dim, generator=torch.Generator().manual_seed(0)).bfloat16()
    with torch.no_grad():
        here = load(GOLDEN, **options).backbone(x)
        away = load(GOLDEN, device_map=table, **options).backbone(x)
    assert torch.equal(here, away)


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ({"backbone.blocks.0": "cpu"}, r"no device for backbone\.blocks\.1"),
        ({"backbone": "cpu", "tokenizer": "disk"}, "'tokenizer' holds no layer"),
        ({"backbone": "cpu", "backbone.block.1": "disk"}, "holds no layer"),
        ({"backbone": "gpu"}, "unknown device 'gpu'"),
        ({"backbone": "cuda:99"}, "'cuda:99' is not"),
        ({"backbone": True}, "true is not a device"),
        ({}, "must name a device"),
        ("somewhere", "auto, balanced or a JSON file"),
    ],
)
def test_maps_that_do_not_fit(table, match: str) -> None:
    with pytest.raises((UserError, ConfigError), match=match):
        load(GOLDEN, device_map=table)


def test_what_does_not_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="need a device map"):
        load(GOLDEN, max_memory={"cpu": "1GB"})
    with pytest.raises(UserError, match="goes with the device map auto"):
        load(GOLDEN, device_map={"": "cpu"}, max_memory={"cpu": "1GB"})
    with pytest.raises(UserError, match="max_memory names tpu"):
        load(GOLDEN, device_map="auto", max_memory={"tpu": "1GB"})
    with pytest.raises(UserError, match="can be quantised to int8, not 'int3'"):
        load(GOLDEN, quantize="int3")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(UserError, match=r"pip install accelerate"):
        load(GOLDEN, device_map="auto")
    monkeypatch.setitem(sys.modules, "torchao", None)
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    with pytest.raises(UserError, match=r"pip install torchao"):
        load(GOLDEN, quantize="int8")


def test_sizes_and_limits_are_read() -> None:
    assert parse_size("20GB") == 20 * 10**9 and parse_size("1.5 MiB") == 3 * 2**19
    assert parse_size("7") == parse_size(7) == 7
    assert parse_size("many") is parse_size(-1) is parse_size(True) is None
    assert parse_memory("0=20GB, cpu=60GB") == {0: "20GB", "cpu": "60GB"}
    for text in ("", "cpu", "cpu=lots", "=1GB"):
        with pytest.raises(UserError, match="is not a memory limit"):
            parse_memory(text)


def test_a_temporary_folder_goes_with_its_model() -> None:
    model = load(GOLDEN, device_map={"backbone": "disk"})
    folder = model.placement.folder
    assert any(os.scandir(folder))
    model.placement._temporary.cleanup()
    assert not folder.exists()


def test_the_commands_place_a_model(tmp_path: Path, whole: SpeechLM) -> None:
    from uniaudio_lm.commands.models import ModelChoice

    (tmp_path / "map.json").write_text('{"backbone": "disk"}')
    choice = ModelChoice(str(GOLDEN), "cpu", "float32", device_map=str(tmp_path / "map.json"))
    assert places(choice.load().model) == ["disk"] * 3
    memory = f"cpu={sum(p.nbytes for p in whole.parameters()) * 3}B"
    choice = ModelChoice(str(GOLDEN), "cpu", "float32", device_map="auto", max_memory=memory)
    assert places(choice.load().model) == ["cpu"] * 3
    with pytest.raises(UserError, match="is not a memory limit"):
        ModelChoice(str(GOLDEN), device_map="auto", max_memory="much").load()


@pytest.mark.parametrize("quantize", [None, "int8"])
def test_a_transformers_backbone_is_placed_and_quantised(
    whole: SpeechLM, tmp_path: Path, quantize: str | None
) -> None:
    if quantize is not None:
        pytest.importorskip("torchao.quantization")
    small = {
        "model_type": "qwen2", "vocab_size": 304, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": True,
    }  # fmt: skip
    torch.manual_seed(0)
    config = UniAudioConfig(
        backbone=PartConfig("hf_causal_lm", {"config": small}),
        generation_head=PartConfig("mlp", {"width": 16, "depth": 1}),
        stop_detector=PartConfig("linear"),
        compressor=PartConfig("pooling"),
    )
    made = SpeechLM(config, whole.tokenizer.config, whole.text).eval()
    folder = UniAudio(made).save_pretrained(tmp_path / "model")
    x = torch.randn(2, 6, 32)
    with torch.no_grad():
        wanted = made.backbone(x)
        if quantize is None:
            loaded = load(folder, device_map={"backbone": "disk"})
            assert all(p.is_meta for p in loaded.backbone.model.model.layers.parameters())
            assert torch.allclose(loaded.backbone(x), wanted, atol=1e-5)
        else:
            loaded = load(folder, quantize=quantize)
            assert (
                loaded.backbone.model.model.layers[0].mlp.up_proj.weight.qdata.dtype == torch.int8
            )
            error = (loaded.backbone(x) - wanted).norm() / wanted.norm()
            assert 0 < error < 0.05
        assert loaded.backbone.logits(wanted).allclose(made.backbone.logits(wanted), atol=1e-5)
