"""Files on a Ray cluster: the results, records and errors of local processes, byte for byte."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cluster_works import Upper, jobs_of

from mingtok_audio.core.audio import save_audio
from mingtok_audio.core.jobs import run_jobs

pytestmark = pytest.mark.slow


def _run(module: str, *words: Any, cwd: Path) -> tuple[int, str, str]:
    command = [sys.executable, "-c", f"from {module} import main; main()", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    made = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)
    return made.returncode, made.stdout, made.stderr


def _files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder; of records, the order of the lines does not count."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        found[name] = b"".join(sorted(data.splitlines(True))) if ".jsonl" in name else data
    return found


def _recordings(folder: Path, count: int) -> None:
    folder.mkdir()
    for k in range(count):
        noise = np.random.default_rng(k).normal(0, 0.1, 12000 + 100 * k)
        save_audio(folder / f"{k}.wav", noise.astype(np.float32), 16000)


def test_encode_and_decode_give_the_same_bytes_and_records_as_local_processes(
    head: str, tmp_path: Path
) -> None:
    _recordings(tmp_path / "in", 5)
    (tmp_path / "in" / "bad.wav").write_text("not audio")
    main = "mingtok_audio.cli"
    # Relative paths: workers see them from the folder of the command.
    local = _run(main, "encode", "in", "-o", "local", "--json", cwd=tmp_path)
    on_ray = _run(main, "encode", "in", "-o", "ray", "--json", "--ray", head, cwd=tmp_path)
    assert (local[0], on_ray[0]) == (1, 1)
    for one, two in zip(json.loads(local[1]), json.loads(on_ray[1]), strict=True):
        for row in (one, two):
            del row["output"], row["wall_seconds"]
        assert one == two
    assert local[2] == on_ray[2]  # the error of bad.wav, and nothing of Ray's
    assert _files(tmp_path / "local") == _files(tmp_path / "ray")
    again = _run(main, "encode", "in", "-o", "local", "--json", "--ray", head, cwd=tmp_path)
    assert [r["status"] for r in json.loads(again[1])] == ["skipped"] * 5 + ["failed"]
    for folder, more in (("w1", ()), ("w2", ("--ray", head))):
        code, _, said = _run(main, "decode", "local", "-o", folder, *more, cwd=tmp_path)
        assert code == 0, said
    assert _files(tmp_path / "w1") == _files(tmp_path / "w2")
    piped = _run(main, "encode", "in/0.wav", "-o", "-", "--ray", head, cwd=tmp_path)
    assert piped[0] == 2 and "--ray" in piped[2]


def test_score_gives_the_same_bytes_as_this_process(head: str, tmp_path: Path) -> None:
    _recordings(tmp_path / "refs", 5)
    _recordings(tmp_path / "hyps", 4)
    (tmp_path / "hyps" / "1.wav").write_bytes((tmp_path / "hyps" / "2.wav").read_bytes())
    words = ("score", "reconstruction", "--refs", "refs", "--hyps", "hyps", "-o", "out")
    words = (*words, "--metrics", "mel_distance,duration", "--baselines", "ground_truth")
    found = []
    for more in ((), ("--ray", head)):
        if more:
            (tmp_path / "out").rename(tmp_path / "first")
        code, _, said = _run("audio_eval.cli", *words, *more, cwd=tmp_path)
        assert code == 1 and "failed: 4: no output" in said
        found.append(_files(tmp_path / "out"))
    assert found[0].keys() >= {"results.json", "per_item.jsonl", "cache/metrics.jsonl"}
    assert found[0] == found[1]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Outputs, and notes of each try."""
    out, notes = tmp_path / "out", tmp_path / "notes"
    out.mkdir()
    notes.mkdir()
    return out, notes


def test_what_a_killed_worker_had_in_hand_is_done_again(
    head: str, folders: tuple[Path, Path]
) -> None:
    out, notes = folders
    texts = ["a", "dies once", "bad", "b", "dies always", *"cdefgh"]
    jobs = jobs_of(texts, out)
    results = list(run_jobs(Upper(notes), jobs, ray=head))
    assert [r["input"] for r in results] == [job.name for job in jobs]
    failures = {r["input"]: r["error"] for r in results if r["status"] == "failed"}
    assert failures.keys() == {"item 2", "item 4"}
    assert "died" in failures["item 4"]
    assert len(list(notes.glob("4.txt-*"))) == 3  # not for ever
    assert (out / "1.txt").read_text() == "DIES ONCE!"
    assert len(list(notes.glob("1.txt-*"))) == 2
    # Nothing half written is left, and what is done is not made again.
    wanted = {f"{i}.txt" for i in range(len(texts)) if i not in (2, 4)} | {".upper.jsonl"}
    assert {p.name for p in out.iterdir()} == wanted
    tries = len(list(notes.iterdir()))
    list(run_jobs(Upper(notes), [j for i, j in enumerate(jobs) if i not in (2, 4)], ray=head))
    assert len(list(notes.iterdir())) == tries


def test_a_killed_run_resumes(head: str, folders: tuple[Path, Path], tmp_path: Path) -> None:
    out, notes = folders
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from cluster_works import Upper, jobs_of\n"
        "from mingtok_audio.core.jobs import run_jobs\n"
        "jobs = jobs_of(['slow'] * 12, Path(sys.argv[1]))\n"
        "print([r['status'] for r in run_jobs(Upper(Path(sys.argv[2])), jobs, ray=sys.argv[3])])\n"
    )
    command = [sys.executable, str(script), str(out), str(notes), head]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(command, env=environment)
    limit = time.monotonic() + 60
    record = out / ".upper.jsonl"
    while not record.is_file() or record.read_text().count("\n") < 2:
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    statuses = json.loads(made.stdout.replace("'", '"'))
    assert sorted(set(statuses)) == ["ok", "skipped"]
    assert statuses.count("skipped") >= 2
    assert {p.name for p in out.iterdir()} == {f"{i}.txt" for i in range(12)} | {".upper.jsonl"}
