"""The training guide's way from a folder of wavs to a fine-tuned tokenizer works as printed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mingtok_audio.training.run import STAGES, load_config, shipped_config

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "packages" / "mingtok-audio" / "docs" / "train.md").read_text("utf-8")


def block(language: str, holding: str) -> str:
    """The fenced block that holds a phrase, unindented."""
    for indent, text in re.findall(rf"^( *)```{language}\n(.*?)^ *```$", GUIDE, re.M | re.S):
        if holding in text:
            return "\n".join(line[len(indent) :] for line in text.splitlines()) + "\n"
    raise AssertionError(f"no {language} block with {holding}")


def test_from_a_folder_of_wavs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("accelerate")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recordings").mkdir()
    for name in ("recordings/a.wav", "one-held-out.wav"):
        shutil.copy(ROOT / "examples" / "data" / "librivox_0880.wav", tmp_path / name)
    bin_folder = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", bin_folder, prepend=":")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    subprocess.run(["bash", "-ec", block("sh", "recordings.jsonl")], check=True, timeout=120)
    (row,) = [json.loads(line) for line in Path("recordings.jsonl").read_text().splitlines()]
    assert row["seconds"] > 1
    Path("finetune.yaml").write_text(block("yaml", "stage: acoustic"))
    short = " --set trainer.max_steps=2 --set data.batch_size=1 --set trainer.threads=1"
    commands = block("sh", "--dry-run").replace("finetune.yaml -o", f"finetune.yaml{short} -o")
    subprocess.run(["bash", "-ec", commands], check=True, timeout=300)
    assert Path("copy.wav").is_file() and Path("run/model/model.safetensors").is_file()
    assert {p.name for p in Path("run/samples").iterdir()} >= {"one-held-out.wav"}


def test_the_table_names_the_stages_and_their_files() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| `(\w+)` \|$", GUIDE, re.M)
    assert [stage for stage, _ in rows] == list(STAGES.stages)
    for stage, name in rows:
        assert load_config(shipped_config(name)).stage == stage
