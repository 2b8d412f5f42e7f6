"""`mingtok curate --ray`: the manifest of a local run, byte for byte, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from curation_audio import chords, silence, speech, write

pytestmark = pytest.mark.slow

# Stages whose models may or may not be installed would make the two runs slower, not different.
_OPTIONS = (
    "--set",
    "vad.engine=energy",
    "--set",
    "recognise.model=null",
    "--set",
    "quality.dnsmos=off",
)


def _command(cwd: Path, *words: str) -> subprocess.Popen[str]:
    code = "from mingtok_audio.cli import main; main()"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, "curate", *words, "--json", *_OPTIONS],
        cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _summary(process: subprocess.Popen[str]) -> dict:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return {k: v for k, v in json.loads(out).items() if k != "output"}


def test_local_and_ray_give_one_manifest_with_a_worker_killed_in_the_middle(
    head: str, kill_worker: Callable[[str], bool], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    for k in range(8):
        first, second = speech(4.0, 110 + 3 * k, seed=k), speech(5.0, 210 + 3 * k, seed=k + 50)
        write(folder / f"{k}.wav", silence(0.5), first, silence(1.0), second, chords(3.0, k))
    write(folder / "copy.wav", np.float32(0.5) * speech(6.0, 150, seed=99), silence(1.0))
    write(folder / "original.wav", silence(0.7), speech(6.0, 150, seed=99))
    (folder / "bad.wav").write_text("not audio")
    local = _summary(_command(tmp_path, "in", "-o", "local"))
    assert local["kept"] and local["bad_files"] == 1
    process = _command(tmp_path, "in", "-o", "ray", "--ray", head)
    parts, limit = tmp_path / "ray" / "parts", time.monotonic() + 120
    killed = False
    while not killed:
        assert process.poll() is None and time.monotonic() < limit, "no worker could be killed"
        killed = bool(list(parts.glob("*.jsonl"))) and kill_worker(head)
        time.sleep(0.02)
    assert _summary(process) == local
    names = {p.name for p in (tmp_path / "local").rglob("*")}
    assert {p.name for p in (tmp_path / "ray").rglob("*")} == names  # nothing half written
    for name in names:
        (one,) = (tmp_path / "local").rglob(name)
        (two,) = (tmp_path / "ray").rglob(name)
        if one.is_file():
            # Of the record, only the order of the lines depends on who was ready first.
            assert sorted(one.read_bytes().split(b"\n")) == sorted(two.read_bytes().split(b"\n"))
    manifest = "manifest.parquet"
    assert (tmp_path / "ray" / manifest).read_bytes() == (
        tmp_path / "local" / manifest
    ).read_bytes()
    again = _command(tmp_path, "in", "-o", "local", "--ray", head)
    assert _summary(again) == local
