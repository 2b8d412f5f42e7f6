"""Scripts of `recipes/nano` around stage 3: its guide, its runs, and the curves of their logs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from mingtok_audio.training.run import load_config
from uniaudio_lm.parts.backbones.dense import DenseTransformer

FOLDER = Path(__file__).resolve().parents[2] / "recipes" / "nano" / "configs"
Script = Callable[[str], ModuleType]
ABLATIONS = FOLDER.parents[1] / "ablations"
RUNS = sorted([*FOLDER.glob("unified*.yaml"), *ABLATIONS.glob("unified*.yaml")])


@pytest.mark.parametrize("kv_heads", [None, 1])
def test_the_dense_backbone_is_a_llama(kv_heads: int | None, script: Script) -> None:
    pytest.importorskip("transformers")
    guide = script("guide")
    torch.manual_seed(0)
    backbone = DenseTransformer(50, 32, 2, 4, 64, num_kv_heads=kv_heads).eval()
    theirs = guide.llama(backbone, end=3)
    assert guide.difference(backbone, theirs) < 1e-4
    with torch.no_grad():
        backbone.blocks[1].mlp.down.weight.add_(0.1)
    assert guide.difference(backbone, theirs) > 1e-3


@pytest.mark.parametrize("path", RUNS, ids=[path.stem for path in RUNS])
def test_the_ablations_differ_in_what_they_say(path: Path) -> None:
    config, paper = load_config(path), load_config(FOLDER / "unified.yaml")
    assert config.data == paper.data and config.guide_after == "</audio><role>ASSISTANT</role>en\t"
    assert (config.loss.adversarial > 0) == path.stem.endswith("gan")
    assert config.train_acoustic == path.stem.endswith("open")
    assert config.train_semantic != path.stem.endswith(("frozen", "readers"))
    assert path.stem.endswith("readers") or config.trainer == paper.trainer


def test_curves_of_a_log(tmp_path: Path, script: Script) -> None:
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    curves = script("curves")
    rows = [{"step": i, "seconds": i, **dict.fromkeys("abcd", 1 / (i + 1))} for i in range(30)]
    rows.append({"step": 29, "seconds": 30, "eval/a": 0.1, "eval/z": 2.0})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    size = curves.draw(tmp_path, tmp_path / "new/picture.png")
    assert 1000 < size < curves.LIMIT
    with image.open(tmp_path / "new/picture.png") as picture:
        assert picture.size == (1080, 468)  # two rows: z has a panel of its own, eval/a has not
    with pytest.raises(SystemExit, match=r"no log\.jsonl"):
        curves.draw(tmp_path / "new", tmp_path / "other.png")
