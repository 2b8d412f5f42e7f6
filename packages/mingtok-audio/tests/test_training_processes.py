"""Two processes train like one that accumulates two batches.

On a CPU the launcher is torchrun (`accelerate launch --cpu` starts several processes through MPI
only); accelerate finds its processes in the same environment variables.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mingtok_audio.core.audio import save_audio
from mingtok_audio.models.mingtok import MingTok

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
