"""Two processes train like one that accumulates two batches."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lm_training_data import make_config, make_corpus, make_tokenizer

from mingtok_audio.core.config import to_dict
from mingtok_audio.core.models.hub import write_json
from uniaudio_lm.checkpoint.load import load_model

pytest.importorskip("accelerate")


@pytest.mark.slow
def test_two_processes_equal_one_that_accumulates(tmp_path: Path) -> None:
    make_corpus(tmp_path)
    make_tokenizer(tmp_path / "tokenizer")
    config = make_config(
        tmp_path, "trainer.max_steps=6", "data.ratio=[1,2]", "loss.draws=2", "optim.eps=0.001",
        "loss.history_noise=0.1", "optim.warmup_steps=1", "trainer.ema_decay=0.5",
    )  # fmt: skip
    # JSON is YAML.
    write_json(tmp_path / "run.yaml", to_dict(config))
    command = ["-m", "uniaudio_lm.cli", "train", str(tmp_path / "run.yaml")]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    _run([*launch, *command, "-o", str(tmp_path / "two")])
    _run([*command, "-o", str(tmp_path / "one"), "--set", "trainer.accumulate=2"])
    a, b = (load_model(tmp_path / run / "model").state_dict() for run in ("two", "one"))
    assert all(torch.allclose(a[name], b[name], atol=2e-5) for name in a)
    rows = (tmp_path / "two" / "log.jsonl").read_text().splitlines()
    steps = [json.loads(row)["step"] for row in rows if "eval/flow" not in row]
    assert steps == [1, 2, 3, 4, 5, 6]  # only one process writes


def _run(command: list[str]) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_the_debug_stages_follow_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each stage starts from the one before; the semantic module moves in the last one only."""
    from uniaudio_lm.training.run import load_config, shipped_config, train

    monkeypatch.chdir(Path(__file__).resolve().parents[3])
    short = [
        "trainer.max_steps=7", f"data.latents.cache={tmp_path / 'latents'}",
        "evaluation.sentences=[]", "evaluation.recordings=[]",
    ]  # fmt: skip
    states = []
    before: list[str] = []
    for name in ("debug", "debug-anneal", "debug-full", "debug-lora"):
        train(load_config(shipped_config(name), [*short, *before]), tmp_path / name)
        states.append(load_model(tmp_path / name / "model").state_dict())
        before = [f"init={tmp_path / name / 'model'}"]
    moved = [
        {n for n in old if not torch.equal(old[n], new[n])}
        for old, new in itertools.pairwise(states)
    ]
    semantic = [any(n.startswith("tokenizer.semantic.") for n in names) for names in moved]
    assert semantic == [False, True, False]
    assert all(any(n.startswith("backbone.") for n in names) for names in moved)
    assert not any(n.startswith("generation_head.") for n in moved[2])  # adapters and stop head
