"""The published implementation's numbers, reproduced."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from uniaudio_lm import parity

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden"
WANTED = {
    "head": ("out", "trajectory", "out_masked", "time_emb", "pred", "loss"),
    "llm": ("hidden", "logits", "router_logits", "router_topk", "hidden_last"),
    "pooling": (),
}


@pytest.mark.parametrize("kind", WANTED)
def test_golden_outputs_match(kind: str, tmp_path: Path) -> None:
    written = tmp_path / "out.safetensors"
    assert parity.main([str(GOLDEN / kind), "-o", str(written), "--check"]) == 0
    computed, expected = load_file(written), load_file(GOLDEN / kind / "io.safetensors")
    wanted = {k for k in expected if k.rpartition(".")[2] in WANTED[kind]} - {"attn0.out"}
    assert wanted <= computed.keys()
    assert {k for k in expected if k.startswith("timesteps")} <= computed.keys()


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
