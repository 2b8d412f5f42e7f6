"""The audio-eval command: exit codes, one line per fault, JSON alone on stdout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mingtok_audio.core.audio import save_audio

GOLDEN = Path(__file__).parent / "data" / "edit_scores.json"


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(*words: Any, cwd: Path | None = None, **variables: str) -> Done:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **variables}
    environment.pop("AUDIO_EVAL_JUDGES", None)
    command = [sys.executable, "-c", "from audio_eval.cli import main; main()"]
    done = subprocess.run(
        [*command, *map(str, words)], capture_output=True, text=True, cwd=cwd, env=environment
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def folders(tmp_path):
    for folder in ("refs", "hyps"):
        (tmp_path / folder).mkdir()
        for k in range(3):
            wav = np.random.default_rng(k).normal(0, 0.1, 8000).astype(np.float32)
            save_audio(tmp_path / folder / f"{k}.wav", wav, 16000)
    return tmp_path


def score(folders: Path, *more: Any) -> Done:
    words = ("score", "reconstruction", "--refs", folders / "refs", "--hyps", folders / "hyps")
    metrics = ("--metrics", "mel_distance,duration")
    return run(*words, "-o", folders / "out", *metrics, *more, cwd=folders)


def test_score_and_its_exit_codes(folders):
    done = score(folders, "--json")
    assert done.code == 0, done.err
    assert done.json["metrics"]["mel_distance"]["value"] == 0.0
    assert done.json["metrics"]["duration"]["value"] == 0.5
    (folders / "hyps" / "1.wav").write_bytes(b"no wav")
    (folders / "hyps" / "2.wav").unlink()
    done = score(folders, "--json")
    assert done.code == 1
    assert (done.json["failed"], done.json["metrics"]["mel_distance"]["n"]) == (2, 3)
    assert "failed: 1: " in done.err
    assert "failed: 2: no output" in done.err
    assert "Traceback" not in done.err


def test_unknown_names_are_refused_in_one_line(folders):
    for words, message in (
        (("--metrics", "peskq"), "peskq"),
        (("--compat", "other"), "--compat"),
        (("--judge", "nonsense"), "ROLE=NAME"),
        (("--judges", "nowhere"), "judges --assemble"),
        (("--baselines", "magic"), "no baseline 'magic'"),
        (("--system", "folder:x"), "--hyps and --system"),
    ):
        done = score(folders, *words)
        assert done.code == 2, (words, done)
        assert message in done.err
        assert len(done.err.strip().splitlines()) == 1, done.err


def test_no_overlap_is_one_line(folders):
    for path in (folders / "hyps").iterdir():
        path.rename(path.with_name(f"other-{path.name}"))
    done = score(folders)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "nothing in it matches" in done.err


def test_systems_make_outputs(folders):
    copy = "import shutil,sys; shutil.copy(*sys.argv[1:3])"
    command = f'command:{sys.executable} -c "{copy}" {{reference}} {{out}}'
    given = ("score", "reconstruction", "--refs", folders / "refs", "--metrics", "mel_distance,rtf")
    done = run(*given, "--system", command, "-o", folders / "made", "--json", cwd=folders)
    assert done.code == 0, done.err
    assert done.json["metrics"]["mel_distance"]["value"] == 0.0
    assert done.json["metrics"]["rtf"]["n"] == 3
    failing = f"command:{sys.executable} -c \"raise SystemExit('went wrong')\" {{out}}"
    done = run(*given, "--system", failing, "-o", folders / "bad", "--json", cwd=folders)
    assert done.code == 1
    assert done.json["failed"] == 3
    assert "went wrong" in done.err
    (folders / "mysys.py").write_text("def same(item, folder):\n    return item.reference\n")
    done = run(
        *given, "--system", "python:mysys:same", "-o", folders / "py", "--json", cwd=folders,
        PYTHONPATH=str(folders),
    )  # fmt: skip
    assert done.json["metrics"]["mel_distance"]["value"] == 0.0


def test_score_transcripts_json():
    done = run("score-transcripts", GOLDEN, "--compat", "ming", "--json", "--per-item")
    assert done.code == 0
    row = done.json["zh_sub_open"]
    assert row["wer_macro_percent"] == 12.485
    assert len(row["per_utterance_wer"]) == 25
    done = run("score-transcripts", GOLDEN, "--json")
    assert "ci95" in done.json["en_del_basic"]
    assert run("score-transcripts", "nope.jsonl").code == 2


def test_metrics_judges_systems_plugins_lists():
    metrics = {row["name"]: row for row in run("metrics", "--json").json}
    assert {"wer", "cer", "sim", "pesq", "stoi", "dnsmos", "distillmos", "rde", "rae", "acc",
            "pitch_error", "no_edit_wer", "ne_wer", "ne_fnr", "mel_distance", "rtf", "duration",
            "preservation", "boundary_click", "emotion_acc", "dialect_acc",
    } <= set(metrics)  # fmt: skip
    assert metrics["pesq"]["needs_reference"] is True
    assert metrics["wer"]["higher_is_better"] is False
    judges = {row["name"]: row["role"] for row in run("judges", "--json").json}
    assert judges["whisper_ct2"] == "asr"
    assert judges["resemblyzer"] == "speaker"
    names = {row["name"] for row in run("systems", "--json").json}
    assert names >= {"folder", "command", "python"}  # other packages may add theirs
    rows = run("plugins", "list", "--json").json
    assert all(row["status"] == "ok" for row in rows)
    assert {row["slot"] for row in rows} == {"metric", "judge", "system"}
    assert run("plugins", "validate", "rde").code == 0


def test_doctor_and_info(folders):
    report = run("doctor", "--json", cwd=folders).json
    assert {"extras", "offline_judges", "packages"} <= set(report)
    assert run("info", "--json").json["kind"] == "package"
    assert run("info", "edit_semantic", "--json").json["kind"] == "suite"
    assert run("info", folders / "refs" / "0.wav", "--json").json["kind"] == "audio"
    assert run("info", folders / "refs", "--json").json["items"] == 3
    assert run("info", "nonsense").code == 2
    score(folders)
    assert run("info", folders / "out", "--json").json["suite"] == "reconstruction"


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from audio_eval.cli import app; import typer.testing as t;"
        "r = t.CliRunner().invoke(app, ['score', '--help']); assert r.exit_code == 0;"
        "bad = {'torch', 'transformers', 'librosa', 'scipy', 'onnxruntime', 'faster_whisper',"
        " 'numba', 'matplotlib', 'resemblyzer'} & set(sys.modules); assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
