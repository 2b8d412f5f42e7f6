"""The published implementation's numbers, reproduced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mingtok_audio.core.errors import FormatError
from mingtok_audio.core.models.fit import check_names
from uniaudio_lm import parity
from uniaudio_lm.checkpoint.load import tokenizer_zeros
from uniaudio_lm.checkpoint.published import model_place, published_config
from uniaudio_lm.model.speech_lm import SpeechLM

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden"
WANTED = {
    "head": ("out", "trajectory", "out_masked", "time_emb", "pred", "loss"),
    "llm": ("hidden", "logits", "router_logits", "router_topk", "hidden_last"),
    "pooling": (),
    "unified": ("z_diff", "stop_logits", "latents", "wave", "generated_ids", "input_ids"),
}


@pytest.mark.parametrize("kind", WANTED)
def test_golden_outputs_match(kind: str, tmp_path: Path) -> None:
    written = tmp_path / "out.safetensors"
    assert parity.main([str(GOLDEN / kind), "-o", str(written), "--check"]) == 0
    computed, expected = load_file(written), load_file(GOLDEN / kind / "io.safetensors")
    wanted = {k for k in expected if k.rpartition(".")[2] in WANTED[kind]} - {"attn0.out"}
    assert wanted <= computed.keys()
    assert {k for k in expected if k.startswith("timesteps")} <= computed.keys()


def test_full_size_model_accepts_every_published_name_and_shape() -> None:
    names = json.loads((GOLDEN / "names" / "unified_names.json").read_text())
    assumed = json.loads((GOLDEN / "names" / "assumed_config.json").read_text())
    config, tokenizer = published_config(assumed)
    with torch.device("meta"):
        model = SpeechLM(config, tokenizer)
    zeros = tokenizer_zeros(tokenizer)

    def check(shapes: dict[str, list[int]]) -> None:
        check_names(model, shapes, lambda name: model_place(name, config, tokenizer), zeros)

    check(names)
    gone = "model.model.layers.27.mlp.experts.63.up_proj.weight"
    with pytest.raises(FormatError, match=r"missing: backbone\.blocks\.27\.mlp\.gate_up"):
        check({k: v for k, v in names.items() if k != gone})
    with pytest.raises(FormatError, match=r"not part of this model: model\.surplus"):
        check({**names, "model.surplus": [1]})
    with pytest.raises(FormatError, match=r"expected \[1408, 2048\]"):
        check({**names, gone: [1408, 2047]})
    experts = sum(p.numel() for p in model.backbone.parameters())
    assert experts == 16_809_314_304


def test_wrong_numbers_do_not_match(tmp_path: Path) -> None:
    recorded = load_file(GOLDEN / "llm" / "io.safetensors")
    recorded["rope3d.text.logits"] = recorded["rope3d.text.logits"] + 1e-3
    changed = tmp_path / "io.safetensors"
    save_file(recorded, changed)
    assert parity.main([str(GOLDEN / "llm"), "--check", "--io", str(changed)]) == 1


def test_normalised_head_leaves_its_weight_alone() -> None:
    model = parity.load_backbone(GOLDEN / "llm")
    before = model.lm_head.weight.detach().clone()
    model.norm_head = True
    hidden = torch.randn(1, 3, model.dim)
    with torch.no_grad():
        first = model.logits(hidden)
        assert torch.equal(model.lm_head.weight, before)
        model.lm_head.weight.mul_(2.0)
        assert torch.allclose(model.logits(hidden), first, atol=1e-5)
