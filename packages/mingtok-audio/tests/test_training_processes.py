"""Two processes train like one that accumulates two batches, with whole weights and with cut ones.

On a CPU the launcher is torchrun (`accelerate launch --cpu` starts several processes through MPI
only); accelerate finds its processes in the same environment variables.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mingtok_audio.core.audio import save_audio
from mingtok_audio.core.errors import UserError
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.trainer.loop import OptimConfig
from mingtok_audio.trainer.sharding import check_sharding
from mingtok_audio.training.run import load_config, shipped_config, train

pytest.importorskip("accelerate")


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    """Overrides of the debug stage for a tiny run on two noises."""
    rng = np.random.default_rng(0)
    lines = []
    for i in range(2):
        save_audio(tmp_path / f"{i}.wav", 0.1 * rng.standard_normal(9000).astype("f4"), 16000)
        lines.append(json.dumps({"audio": f"{i}.wav", "seconds": 0.56}) + "\n")
    (tmp_path / "manifest.jsonl").write_text("".join(lines))
    values = [
        f"data.train=[{{manifest: {json.dumps(str(tmp_path / 'manifest.jsonl'))}, split: null}}]",
        "data.batch_size=2",
        "data.crop_seconds=0.2",
        "trainer.max_steps=4",
        "optim.muon_lr=null",
        "optim.eps=0.001",  # or rounding would choose the sign of the smallest updates
        "optim.warmup_steps=1",
    ]
    return [word for value in values for word in ("--set", value)]


def _run(command: list[str]) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def _cuts(kind: str = "FSDP", *, second: bool = True, muon: bool = False, adversary: bool = False):
    accelerator: Any = SimpleNamespace(
        distributed_type=f"DistributedType.{kind}", is_fsdp2=second, is_main_process=True
    )
    return check_sharding(accelerator, OptimConfig(muon_lr=0.01 if muon else None), adversary)


def test_what_fsdp_cannot_do_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert _cuts() and not _cuts("MULTI_CPU", muon=True, adversary=True)
    with pytest.raises(UserError, match="--fsdp_version 2"):
        _cuts(second=False)
    with pytest.raises(UserError, match="muon_lr to null"):
        _cuts(muon=True)
    with pytest.raises(UserError, match="discriminators"):
        _cuts(adversary=True)
    assert not caplog.messages
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")  # as `accelerate launch --use_fsdp` does
    assert not _cuts("MULTI_CPU")
    assert "whole weights" in caplog.text


def test_two_processes_equal_one_that_accumulates(tmp_path: Path, settings: list[str]) -> None:
    script = str(Path(sys.executable).with_name("mingtok"))
    two, one = tmp_path / "two", tmp_path / "one"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launch += ["--nproc_per_node", "2"]
    _run([*launch, script, "train", "debug", "-o", str(two), *settings])
    _run([script, "train", "debug", "-o", str(one), *settings, "--set", "trainer.accumulate=2"])
    a, b = (MingTok.from_pretrained(folder / "model").state_dict() for folder in (two, one))
    for name in a:
        assert torch.allclose(a[name], b[name], atol=2e-5), name
    rows = (two / "log.jsonl").read_text().splitlines()
    assert len(rows) == len(set(rows))  # only one process writes
    assert len(list((two / "checkpoints").iterdir())) == 1


# On a CPU accelerate leaves weights whole though torch could cut them: here it is told otherwise.
_CUT = """
import sys
from accelerate import Accelerator
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from mingtok_audio.trainer import loop
from mingtok_audio.training import run

def cutting(config, unused_parameters):
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        cpu_ram_efficient_loading=True,
        auto_wrap_policy="transformer_based_wrap",
        transformer_cls_names_to_wrap=["Block"],
    )
    accelerator = Accelerator(cpu=True, mixed_precision=config.mixed_precision)
    accelerator.state.distributed_type = DistributedType.FSDP
    accelerator.state.fsdp_plugin = plugin
    return accelerator

loop.make_accelerator = cutting
folder, *changes = sys.argv[1:]
for steps in (2, 4):
    values = [*changes, f"trainer.max_steps={steps}"]
    config = run.load_config(run.shipped_config("debug"), values)
    run.train(config, folder, resume=steps > 2)
task = run.make_task(config)
made = loop.Trainer(task, config.optim, config.trainer, folder)
kinds = {type(value).__name__ for value in made.ema.values()}
assert kinds == {"DTensor"}, kinds
"""


@pytest.mark.slow
def test_cut_weights_train_like_whole_ones(tmp_path: Path, settings: list[str]) -> None:
    """Through a checkpoint, an evaluation and the export."""
    changes = ["loss.adversarial=0", "loss.feature_matching=0", "optim.schedule=constant"]
    changes += ["trainer.evaluate_every=2", f"data.evaluation=[{tmp_path / '0.wav'}]"]
    cut, one = tmp_path / "cut", tmp_path / "one"
    (tmp_path / "cut.py").write_text(_CUT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launch += ["--nproc_per_node", "2", str(tmp_path / "cut.py"), str(cut)]
    _run([*launch, *settings[1::2], *changes])
    script = str(Path(sys.executable).with_name("mingtok"))
    more = [word for value in changes for word in ("--set", value)]
    alone = [script, "train", "debug", "-o", str(one), *settings, *more]
    _run([*alone, "--set", "trainer.accumulate=2"])
    a, b = (MingTok.from_pretrained(folder / "model").state_dict() for folder in (cut, one))
    for name in a:
        assert torch.allclose(a[name], b[name], atol=2e-5), name
    figures = [
        [json.loads(row)["eval/mel"] for row in text.splitlines() if "eval/mel" in row]
        for text in ((folder / "log.jsonl").read_text() for folder in (cut, one))
    ]
    assert figures[0] == pytest.approx(figures[1], rel=1e-3) and len(figures[0]) == 2
    values = [*settings[1::2], *changes, "trainer.max_steps=5"]
    train(load_config(shipped_config("debug"), values), cut, resume=True)  # its checkpoint is whole
    assert any((cut / "checkpoints").glob("*5.safetensors"))
