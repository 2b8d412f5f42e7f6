"""The `edit` command: what it prints, its exit codes, folders, and runs that are killed."""

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
import soundfile

from mingtok_audio.core import files
from mingtok_audio.core.cli import run
from uniaudio_edit.cli import app
from uniaudio_edit.pcm import file_sha256
from uniaudio_edit.receipt import read_receipt, undo_receipt

_TEXT = "one two three"
_TIMES = [
    {"text": t, "start": s, "end": s + 0.3} for t, s in (("one", 0.1), ("two", 0.6), ("three", 1.1))
]


def recording(path: Path, seconds: float = 1.5, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    soundfile.write(path, 0.1 * rng.standard_normal(round(16000 * seconds)), 16000)
    return path


def call(capfd: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        run(app, ["edit", *map(str, args)])
    out, err = capfd.readouterr()
    code = caught.value.code
    return (code if isinstance(code, int) else 0), out, err


@pytest.fixture
def times(tmp_path: Path) -> Path:
    path = tmp_path / "words.json"
    path.write_text(json.dumps(_TIMES), encoding="utf-8")
    return path


def test_edit_prints_the_receipt(
    tmp_path: Path, times: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = recording(tmp_path / "in.wav")
    code, out, _ = call(
        capfd, source, "delete 'two'", "-o", tmp_path / "o.wav", "--words", times, "--json"
    )
    assert code == 0
    printed = json.loads(out)
    assert printed == json.loads((tmp_path / "o.receipt.json").read_text(encoding="utf-8"))
    assert printed["plan"]["edited_text"] == "one three"
    assert {
        "format_version",
        "plan",
        "source",
        "output",
        "changed",
        "check",
        "seed",
        "models",
        "warnings",
        "undo",
    } <= set(printed)
    code, _, _ = call(capfd, "--undo", tmp_path / "o.receipt.json", "-o", tmp_path / "back.wav")
    assert code == 0
    assert (tmp_path / "back.wav").read_bytes() == source.read_bytes()


def test_dry_run_prints_the_plan_and_writes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = recording(tmp_path / "in.wav")
    code, out, err = call(capfd, source, "replace 'two' with 'ten'", "--text", _TEXT, "--dry-run")
    assert code == 0
    plan = json.loads(out)
    assert plan["edited_text"] == "one ten three"
    assert plan["operations"][0]["text_span"] == [1, 2]
    assert {"type", "old", "new", "text_span", "time_span", "params", "backend"} == set(
        plan["operations"][0]
    )
    assert "[-two-]" in err
    assert "{+ten+}" in err
    assert list(tmp_path.iterdir()) == [source]


def test_ambiguous_prints_candidates(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = recording(tmp_path / "in.wav")
    code, out, err = call(capfd, source, "delete 'a'", "--text", "a b a", "--dry-run")
    assert code == 2
    found = json.loads(out)
    assert found["error"] == "ambiguous"
    assert len(found["candidates"]) == 2
    assert len(err.strip().splitlines()) == 1
    code, out, _ = call(capfd, source, "delete 'a'", "--text", "a b a", "--dry-run", "--which", "2")
    assert code == 0
    assert json.loads(out)["edited_text"] == "a b"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "give a recording"),
        (["{in}"], "one instruction"),
        (["{in}", "", "-o", "{dir}/x.wav"], "empty"),
        (["{in}", "louder"], "-o"),
        (["{in}", "louder", "-o", "{in}"], "overwrite"),
        (["{in}", "louder", "-o", "{dir}/x.mp3"], "flac"),
        (["{in}", "delete 'two'", "-o", "{dir}/x.wav", "-m", "nano-v0"], "--text"),
        (
            ["{in}", "delete 'two'", "-o", "{dir}/x.wav", "--text", _TEXT, "--aligner", "nowhere"],
            "nowhere",
        ),
        (
            [
                "{in}",
                "delete 'two'",
                "-o",
                "{dir}/x.wav",
                "--text",
                "two " + "so much is said " * 50,
            ],
            "does not say that",
        ),
        (["{in}", "louder", "-o", "{dir}/x.wav", "--backend", "lm", "-m", "nowhere"], "nowhere"),
        (
            ["{in}", "delete 'two'", "-o", "{dir}/x.wav", "--parser", "lm", "-m", "nano-v0"],
            "--text",
        ),
        (
            [
                "{in}",
                "replace 'two' with 'x'",
                "-o",
                "{dir}/x.wav",
                "--text",
                _TEXT,
                "-m",
                "nano-v0",
            ],
            "needs a voice",
        ),
        (["{in}", "delete 'two'", "-o", "{dir}/x.wav", "--text", " "], "--text is empty"),
        (["{in}", "louder", "-o", "{dir}/x.wav", "--backend", "dps"], "dsp"),
        (["{in}", "louder", "-o", "{dir}/x.wav", "--backend", "splice"], "splice cannot"),
        (["{in}", "add music", "-o", "{dir}/x.wav"], "--sound"),
        (["{in}", "baisse le volume du son", "-o", "{dir}/x.wav"], "not understood"),
        (["{in}", "raise le volume du son", "-o", "{dir}/x.wav"], "not understood"),
        (["{dir}/none.wav", "louder", "-o", "{dir}/x.wav"], "none.wav"),
        (["{bad}", "louder", "-o", "{dir}/x.wav"], "bad.wav"),
        (["{in}", "louder", "-o", "{dir}/x.wav", "--words", "{bad}"], "bad.wav"),
        (["--undo", "{dir}/none.json"], "none.json"),
        (["--undo", "{bad}", "--apply", "{bad}"], "opposites"),
        (["{dir}", "louder", "-o", "{in}"], "folder"),
        (["{in}", "louder", "-o", "{dir}/x.wav", "--workers", "0"], "workers"),
        (["{in}", "louder", "-o", "{dir}/x.wav", "--which", "maybe"], "which"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], args: list[str], words: str
) -> None:
    names = {"in": recording(tmp_path / "in.wav"), "dir": tmp_path, "bad": tmp_path / "bad.wav"}
    names["bad"].write_bytes(b"this is no audio")
    before = sorted(tmp_path.rglob("*"))
    code, _, err = call(capfd, *(a.format(**{k: str(v) for k, v in names.items()}) for a in args))
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert words in err
    assert sorted(tmp_path.rglob("*")) == before


def test_another_recogniser_says_what_is_edited(
    tmp_path: Path,
    times: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from uniaudio_lm.interfaces import Recognized
    from uniaudio_lm.parts.recognizers import whisper
    from uniaudio_lm.speech_activity import Segment
    from uniaudio_lm.tasks import asr

    class Said(whisper.WhisperRecognizer):
        def __init__(self, source: str = "", beams: int = 5) -> None:
            super(whisper.WhisperRecognizer, self).__init__()
            assert source == "some-model"

        def recognize(self, parts, **_: Any) -> list[Recognized]:
            return [Recognized("one two three") for _ in parts]

    monkeypatch.setattr(whisper, "WhisperRecognizer", Said)
    monkeypatch.setattr(asr, "segments", lambda wav, *_: [Segment(0, len(wav), 0, len(wav))])
    source, out = recording(tmp_path / "in.wav"), tmp_path / "o.wav"
    given = (source, "delete 'two'", "-o", out, "--words", times)
    code, printed, err = call(capfd, *given, "--recognizer", "whisper:some-model", "--json")
    assert code == 0, err
    assert json.loads(printed)["plan"]["edited_text"] == "one three"
    for bad in ("whisper", "no-such-one"):
        code, _, err = call(capfd, *given, "--recognizer", bad, "--force")
        assert code == 2 and err.count("\n") == 1


def test_a_file_that_is_there_is_replaced_only_by_force(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, output = recording(tmp_path / "in.wav"), tmp_path / "o.wav"
    output.write_bytes(b"somebody's")
    code, _, err = call(capfd, source, "louder", "-o", output)
    assert (code, output.read_bytes()) == (2, b"somebody's")
    assert "--force" in err
    assert call(capfd, source, "make it louder", "-o", output, "--force")[0] == 0
    first = output.read_bytes()
    code, out, _ = call(capfd, source, "make it louder", "-o", output)
    assert code == 0
    assert "already" in out
    code, _, err = call(capfd, source, "make it softer", "-o", output)
    assert (code, output.read_bytes()) == (2, first)


def test_receipts_have_commands_of_their_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, output = recording(tmp_path / "in.wav"), tmp_path / "o.wav"
    assert call(capfd, source, "- make it louder", "-o", output)[0] == 0
    made, receipt = output.read_bytes(), tmp_path / "o.receipt.json"
    output.unlink()
    with pytest.raises(SystemExit) as caught:
        run(app, ["edit-apply", str(receipt)])
    assert caught.value.code in (0, None)
    assert output.read_bytes() == made
    with pytest.raises(SystemExit) as caught:
        run(app, ["edit-undo", str(receipt), "--json"])
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["same_file"]
    assert (tmp_path / "in.restored.wav").read_bytes() == source.read_bytes()


def test_silence_can_be_cut(tmp_path: Path, times: Path, capfd: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "in.wav", np.zeros(24000), 16000)
    code, _, _ = call(
        capfd, tmp_path / "in.wav", "delete 'two'", "-o", tmp_path / "o.wav", "--words", times
    )
    assert code == 0


def _batch(folder: Path, count: int, seconds: float = 1.5) -> Path:
    rows = []
    for n in range(count):
        recording(folder / f"{n}.wav", seconds, n)
        rows.append({"id": f"item{n}", "audio": f"{n}.wav", "instruction": "make it 10% faster"})
    meta = folder / "meta.jsonl"
    meta.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return meta


def test_folder_with_texts_beside_and_a_bad_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    for name in ("a", "b"):
        recording(folder / f"{name}.wav")
        (folder / f"{name}.txt").write_text(_TEXT, encoding="utf-8")
        (folder / f"{name}.words.json").write_text(json.dumps(_TIMES), encoding="utf-8")
    recording(folder / "c.wav")
    code, out, err = call(capfd, folder, "delete 'two'", "-o", tmp_path / "out", "--json")
    assert code == 1
    results: list[dict[str, Any]] = json.loads(out)
    assert [r["status"] for r in results] == ["ok", "ok", "failed"]
    assert "c.wav" in err
    code, out, _ = call(capfd, folder, "delete 'two'", "-o", tmp_path / "out", "--json")
    assert [r["status"] for r in json.loads(out)] == ["skipped", "skipped", "failed"]
    # A damaged result is made again, another edit only where it is asked to replace it.
    (tmp_path / "out" / "a.wav").write_bytes(b"damaged")
    code, out, _ = call(capfd, folder, "delete 'two'", "-o", tmp_path / "out", "--json")
    assert [r["status"] for r in json.loads(out)] == ["ok", "skipped", "failed"]
    other = (folder, "delete 'one'", "-o", tmp_path / "out", "--json")
    code, out, err = call(capfd, *other)
    assert [r["status"] for r in json.loads(out)] == ["failed", "failed", "failed"]
    assert "--force" in err
    code, out, _ = call(capfd, *other, "--force")
    assert [r["status"] for r in json.loads(out)] == ["ok", "ok", "failed"]


def test_two_results_of_one_name_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recording(tmp_path / "in" / "a.wav")
    recording(tmp_path / "in" / "a.flac")
    code, _, err = call(capfd, tmp_path / "in", "louder", "-o", tmp_path / "out")
    assert code == 2
    assert "both" in err


def test_killed_run_is_taken_up_again(tmp_path: Path) -> None:
    meta = _batch(tmp_path / "in", 16, 20.0)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "uniaudio_edit", "edit", str(meta), "-o", str(out), "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, "--workers", "2"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(list(out.glob("*.receipt.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = {p.name: p.stat().st_mtime_ns for p in out.glob("item*.receipt.json")}
    assert done
    for place in out.glob("item*.wav"):  # whole, though maybe without a receipt yet
        assert len(soundfile.read(place)[0]) == round(20 * 16000 / 1.1)
    # What a process leaves that is killed while it writes.
    mark = f"{files._host()}-{process.pid:x}-01234567"
    for name in (f".item3.{mark}.wav", f".item3.receipt.{mark}.json"):
        (out / name).write_bytes(b"half")
    second = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert second.returncode == 0, second.stderr
    results = json.loads(second.stdout)
    assert len(results) == 16
    assert sum(r["status"] == "skipped" for r in results) == len(done)
    assert all((out / name).stat().st_mtime_ns == when for name, when in done.items())
    # Nothing lost, nothing half written: every result is whole and undoes to its source.
    kinds = ("receipt.json", "undo.safetensors", "wav")
    assert {p.name for p in out.iterdir()} == {f"item{n}.{k}" for n in range(16) for k in kinds}
    for n in range(16):
        receipt = read_receipt(out / f"item{n}.receipt.json")
        assert file_sha256(out / f"item{n}.wav") == receipt.output["sha256"]
    undo_receipt(out / "item7.receipt.json", None, tmp_path / "back.wav")
    assert (tmp_path / "back.wav").read_bytes() == (tmp_path / "in" / "7.wav").read_bytes()


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys, runpy\nsys.argv = ['x', 'edit', '--help']\n"
        "try:\n    runpy.run_module('uniaudio_edit', run_name='__main__')\n"
        "except SystemExit:\n    pass\n"
        "print([m for m in ('torch', 'numpy', 'scipy', 'noisereduce') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
