"""Folders: structure, taking a run up again, workers, and one bad file among good ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cli_helpers import Cli, environment, results, script, tree, write_wav

NAMES = ["a.wav", "deep/b.flac", "deep/er/c.wav"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    for seed, name in enumerate(NAMES):
        write_wav(folder / name, 0.2 + 0.1 * seed, seed=seed)
    (folder / "notes.txt").write_text("no audio")
    write_wav(folder / ".hidden" / "d.wav")
    return folder


def statuses(rows: list[dict]) -> dict[str, str]:
    return {Path(row["input"]).name: row["status"] for row in rows}


def test_a_folder_keeps_its_structure(cli: Cli, tiny: Path, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = cli("encode", corpus, "-o", out, "-m", tiny, "--json")
    assert (done.code, done.err) == (0, "")
    assert [row["status"] for row in done.json] == ["ok"] * 3
    assert list(results(out, ".mtok")) == ["a.mtok", "deep/b.mtok", "deep/er/c.mtok"]
    alone = tmp_path / "alone.mtok"
    cli("encode", corpus / "deep" / "b.flac", "-o", alone, "-m", tiny)
    assert (out / "deep" / "b.mtok").read_bytes() == alone.read_bytes()

    done = cli("decode", out, "-o", tmp_path / "wavs", "-m", tiny)
    assert done.code == 0
    assert done.out.splitlines()[-1] == "3 written, 0 skipped, 0 failed"
    assert list(results(tmp_path / "wavs", ".wav")) == ["a.wav", "deep/b.wav", "deep/er/c.wav"]
    done = cli("reconstruct", corpus, "-o", tmp_path / "same", "-m", tiny)
    assert results(tmp_path / "same", ".wav") == results(tmp_path / "wavs", ".wav")


def test_without_output_latents_go_beside_their_audio(cli: Cli, tiny: Path, corpus: Path) -> None:
    assert cli("encode", corpus, "-m", tiny).code == 0
    assert list(results(corpus, ".mtok")) == ["a.mtok", "deep/b.mtok", "deep/er/c.mtok"]


def test_what_is_done_is_skipped_and_what_is_damaged_is_made_again(
    cli: Cli, tiny: Path, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = cli("encode", corpus, "-o", out, "-m", tiny, "--json").json
    good = results(out, ".mtok")
    again = cli("encode", corpus, "-o", out, "-m", tiny, "--json").json
    assert statuses(again) == {"a.wav": "skipped", "b.flac": "skipped", "c.wav": "skipped"}
    for one, two in zip(first, again, strict=True):
        assert one["num_samples"] == two["num_samples"] > 0
        assert one["frames"] == two["frames"]

    raw = bytearray(good["a.mtok"])
    raw[-1] ^= 1  # as long as before
    (out / "a.mtok").write_bytes(raw)
    (out / "deep" / "b.mtok").write_bytes(good["deep/b.mtok"][:100])
    (out / "deep" / "er" / "c.mtok").unlink()
    done = cli("encode", corpus, "-o", out, "-m", tiny, "--json")
    assert statuses(done.json) == {"a.wav": "ok", "b.flac": "ok", "c.wav": "ok"}
    assert results(out, ".mtok") == good

    write_wav(corpus / "a.wav", 0.4, seed=9)
    done = cli("encode", corpus, "-o", out, "-m", tiny, "--json")
    assert statuses(done.json) == {"a.wav": "ok", "b.flac": "skipped", "c.wav": "skipped"}


@pytest.mark.parametrize(
    "change",
    [["--sample"], ["--storage", "int8"], ["--channel", "0"], ["--force"], ["--model", "other"]],
)
def test_other_options_make_everything_again(
    *, cli: Cli, tiny: Path, other: Path, corpus: Path, tmp_path: Path, change: list[str]
) -> None:
    out = tmp_path / "out"
    cli("encode", corpus, "-o", out, "-m", tiny)
    change = [str(other) if word == "other" else word for word in change]
    done = cli("encode", corpus, "-o", out, "-m", tiny, *change, "--json")
    assert [row["status"] for row in done.json] == ["ok"] * 3


def test_decode_and_reconstruct_skip_too(
    cli: Cli, tiny: Path, corpus: Path, tmp_path: Path
) -> None:
    cli("encode", corpus, "-o", tmp_path / "mtok", "-m", tiny)
    for command, source in (("decode", tmp_path / "mtok"), ("reconstruct", corpus)):
        out = tmp_path / command
        cli(command, source, "-o", out, "-m", tiny)
        good = results(out, ".wav")
        (out / "a.wav").write_bytes(good["a.wav"][:-2])
        done = cli(command, source, "-o", out, "-m", tiny)
        assert done.out.splitlines()[-1] == "1 written, 2 skipped, 0 failed"
        assert "deep/b.wav (unchanged, skipped)" in done.out
        assert results(out, ".wav") == good
    done = cli("decode", tmp_path / "mtok", "-o", tmp_path / "decode", "-m", tiny, "--end", 0.1)
    assert done.out.splitlines()[-1] == "3 written, 0 skipped, 0 failed"


@pytest.mark.parametrize("text", ["", "{", "[]\n{}\n", "\xff\n", '{"output": 1}\n', "[" * 100000])
def test_a_damaged_record_only_means_work(
    cli: Cli, tiny: Path, corpus: Path, tmp_path: Path, text: str
) -> None:
    out = tmp_path / "out"
    cli("encode", corpus, "-o", out, "-m", tiny)
    good = results(out, ".mtok")
    (out / ".mingtok.jsonl").write_text(text, encoding="latin-1")
    done = cli("encode", corpus, "-o", out, "-m", tiny, "--json")
    assert statuses(done.json) == {"a.wav": "ok", "b.flac": "skipped", "c.wav": "skipped"}
    assert results(out, ".mtok") == good


def test_a_run_that_was_killed_is_taken_up(
    cli: Cli, tiny: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mingtok_audio.commands import transcode

    out = tmp_path / "out"
    kept = transcode.encode_file
    calls = []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return kept(*args)

    monkeypatch.setitem(transcode.TRANSCODERS, "encode", interrupted)
    assert cli("encode", corpus, "-o", out, "-m", tiny).code == 130
    assert [name for name in tree(out) if not name.startswith(".")] == ["a.mtok"]
    monkeypatch.setitem(transcode.TRANSCODERS, "encode", kept)
    done = cli("encode", corpus, "-o", out, "-m", tiny, "--json")
    assert statuses(done.json) == {"a.wav": "skipped", "b.flac": "ok", "c.wav": "ok"}


def test_one_bad_file_does_not_stop_the_others(
    cli: Cli, tiny: Path, corpus: Path, tmp_path: Path
) -> None:
    (corpus / "bad.wav").write_text("not audio")
    write_wav(corpus / "late" / "z.wav")
    out = tmp_path / "out"
    done = cli("encode", corpus, "-o", out, "-m", tiny, "--json")
    assert done.code == 1
    assert len(done.lines) == 1
    assert str(corpus / "bad.wav") in done.err
    rows = {Path(row["input"]).name: row for row in done.json}
    assert rows["bad.wav"]["status"] == "failed"
    assert rows["bad.wav"]["error"] in done.err
    assert [name for name, row in rows.items() if row["status"] == "ok"] == [
        "a.wav", "b.flac", "c.wav", "z.wav",
    ]  # fmt: skip
    assert "bad.mtok" not in tree(out)


def test_when_nothing_works_the_input_is_unusable(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"")
    done = cli("encode", tmp_path / "in", "-o", tmp_path / "out", "-m", tiny)
    assert done.code == 2
    assert len(done.lines) == 2
    assert not (tmp_path / "out").exists()


def test_several_inputs_and_an_input_named_twice(
    cli: Cli, tiny: Path, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = cli("encode", corpus / "a.wav", corpus / "deep", "-o", out, "-m", tiny, "--json")
    assert done.code == 0
    assert list(results(out, ".mtok")) == ["a.mtok", "b.mtok", "er/c.mtok"]
    done = cli("encode", corpus / "a.wav", corpus / "a.wav", "-o", tmp_path / "one", "-m", tiny)
    assert list(results(tmp_path / "one", ".mtok")) == ["a.mtok"]


def test_results_inside_the_input_folder_are_not_inputs(cli: Cli, tiny: Path, corpus: Path) -> None:
    out = corpus / "reconstructed"
    assert cli("reconstruct", corpus, "-o", out, "-m", tiny).code == 0
    done = cli("reconstruct", corpus, "-o", out, "-m", tiny)
    assert done.out.splitlines()[-1] == "0 written, 3 skipped, 0 failed"


def test_workers_give_the_same_bytes(cli: Cli, tiny: Path, corpus: Path, tmp_path: Path) -> None:
    (corpus / "bad.wav").write_text("not audio")
    cli("encode", corpus, "-o", tmp_path / "one", "-m", tiny)
    done = cli("encode", corpus, "-o", tmp_path / "two", "-m", tiny, "--workers", 2, "--json")
    assert done.code == 1
    assert [Path(row["input"]).name for row in done.json] == ["a.wav", "bad.wav", "b.flac", "c.wav"]
    assert [row["status"] for row in done.json] == ["ok", "failed", "ok", "ok"]
    # A slow machine may add a line of progress.
    assert [line for line in done.lines if "error" in line] == done.lines[-1:]
    assert results(tmp_path / "one", ".mtok") == results(tmp_path / "two", ".mtok")
    done = cli("encode", corpus, "-o", tmp_path / "two", "-m", tiny, "--json")
    assert [row["status"] for row in done.json] == ["skipped", "failed", "skipped", "skipped"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs process groups")
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_leaves_nothing_unfinished(tiny: Path, tmp_path: Path, workers: int) -> None:
    first = write_wav(tmp_path / "in" / "0.wav", 600.0, 8000)
    for number in range(1, 4):
        os.link(first, first.with_name(f"{number}.wav"))
    out = tmp_path / "out"
    args = ["encode", tmp_path / "in", "-o", out, "-m", tiny, "--workers", workers]
    process = subprocess.Popen(
        script(args), env=environment(), start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not any(path.suffix == ".mtok" for path in out.rglob(".*")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not any(path.suffix == ".mtok" for path in out.rglob(".*"))


def test_logs_in_json(cli: Cli, tiny: Path, other: Path, corpus: Path, tmp_path: Path) -> None:
    cli("encode", corpus, "-o", tmp_path / "mtok", "-m", tiny)
    (tmp_path / "mtok" / "bad.mtok").write_bytes(b"")
    done = cli("decode", tmp_path / "mtok", "-o", tmp_path / "w", "-m", other, "--log-json")
    assert done.code == 1
    rows = [json.loads(line) for line in done.lines]
    assert [row["level"] for row in rows] == ["warning", "error"]
    assert "made by model" in rows[0]["message"]
    assert "bad.mtok" in rows[1]["message"]
