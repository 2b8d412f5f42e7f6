"""The training guide's way from a folder of recordings to one's own voice works as printed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "packages" / "uniaudio-lm" / "docs" / "train.md").read_text("utf-8")
GOLDEN = ROOT / "tests" / "data" / "golden" / "unified"


def block(language: str, holding: str) -> str:
    """The fenced block that holds a phrase, unindented."""
    for indent, text in re.findall(rf"^( *)```{language}\n(.*?)^ *```$", GUIDE, re.M | re.S):
        if holding in text:
            return "\n".join(line[len(indent) :] for line in text.splitlines()) + "\n"
    raise AssertionError(f"no {language} block with {holding}")


def test_the_guides_configuration_is_one(tmp_path: Path) -> None:
    from uniaudio_lm.training.run import load_config

    path = tmp_path / "voice.yaml"
    path.write_text(block("yaml", "base: lora"))
    config = load_config(path)
    assert config.lora is not None and config.data.ratio == (0, 1)
    assert config.data.generation.continued == 0.3


@pytest.mark.slow
def test_from_a_manifest_to_a_voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("accelerate")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recordings").mkdir()
    for suffix in (".wav", ".txt"):
        shutil.copy(ROOT / "examples" / "data" / f"librivox_0880{suffix}", tmp_path / "recordings")
    bin_folder = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", bin_folder, prepend=":")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    subprocess.run(["bash", "-ec", block("sh", "voice.jsonl")], check=True, timeout=120)
    (row,) = [json.loads(line) for line in Path("voice.jsonl").read_text().splitlines()]
    assert row["seconds"] > 1 and row["text"] and row["split"] == "train"
    config = block("yaml", "base: lora").replace("MODEL", str(GOLDEN))
    Path("voice.yaml").write_text(config)
    short = " --set trainer.max_steps=2 --set trainer.log_every=1"
    commands = block("sh", "--dry-run").replace("voice.yaml -o", f"voice.yaml{short} -o")
    subprocess.run(["bash", "-ec", commands], check=True, timeout=300)
    assert Path("said.wav").is_file() and Path("run/model/model.safetensors").is_file()
    assert Path("run/adapter/adapter.json").is_file() and Path("run/samples/00.wav").is_file()


def test_the_guide_names_every_shipped_configuration() -> None:
    from uniaudio_lm.training.run import load_config, shipped_config

    folder = shipped_config("stage1").parent
    for path in folder.glob("*.yaml"):
        assert f"`{path.stem}`" in GUIDE or f" {path.stem} " in GUIDE, path.stem
        load_config(path)
