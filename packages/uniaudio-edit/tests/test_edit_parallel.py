"""Parallel recordings of emotions and dialects: found in corpora, or said by a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from omni_random import write_omni
from safetensors.torch import load_file, save_file

from mingtok_audio.core.cli import run
from uniaudio_edit.data.build import build_pairs, read_pairs
from uniaudio_edit.data.make import read_sounds
from uniaudio_edit.data.parallel import _SPOKEN, LABELS, from_corpus
from uniaudio_edit.data.parallel_cli import uniaudio_app
from uniaudio_edit.data.recipe import Recipe
from uniaudio_edit.grammar.engine import GrammarParser

RATE = 16000


def say(path: Path, seed: int) -> None:
    """A recording of 1.5 s that no other seed gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(seed).standard_normal(3 * RATE // 2)
    soundfile.write(path, noise.astype(np.float32), RATE)


def manifest(folder: Path, rows: list[dict[str, Any]]) -> Path:
    for n, row in enumerate(rows):
        say(folder / row["audio"], n)
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def call(capsys: pytest.CaptureFixture[str], *args: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        run(uniaudio_app, [str(arg) for arg in args])
    found = capsys.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, found.out, found.err


def test_the_same_words_of_one_speaker_become_pairs(tmp_path: Path) -> None:
    rows = [
        {"audio": "wav/a1.wav", "text": "We go home now.", "speaker": "a", "emotion": "Neutral"},
        {"audio": "wav/a2.wav", "text": "we go home now", "speaker": "a", "emotion": "Happy"},
        {"audio": "more/a3.wav", "text": "We go home now", "speaker": "a", "emotion": "anger"},
        {"audio": "wav/b1.wav", "text": "We go home now", "speaker": "b", "emotion": "sad"},
        {"audio": "wav/a4.wav", "text": "We stay here now", "speaker": "a", "emotion": "sad"},
    ]
    source = manifest(tmp_path, rows)
    out = tmp_path / "out" / "parallel.jsonl"
    found = from_corpus(source, out, "emotion")
    assert found.rows == 3 and found.counts.total() == 6
    written = {row["id"]: row for row in read(out)}
    assert set(written) == {"a1", "a2", "a3"}
    for row in written.values():
        audio = out.parent / row["audio"]
        others = {(audio.parent / p["audio"]).resolve().stem: p["emotion"] for p in row["parallel"]}
        wanted = {"a1": "neutral", "a2": "happy", "a3": "angry"}
        del wanted[row["id"]]
        assert others == wanted and audio.is_file()
    # What edit-data makes of it: instructions that say the target's label, sound for sound.
    build_pairs(out, tmp_path / "pairs", Recipe(tasks={"parallel": 1.0}, seed=3))
    pairs = read_pairs(tmp_path / "pairs")
    assert len(pairs) == 3
    for row in pairs:
        (operation,) = GrammarParser().parse(row["instruction"], row["source_text"]).operations
        assert (operation.type, operation.params["label"]) == ("emotion", row["params"]["label"])
        target = soundfile.read(tmp_path / "pairs" / row["target"])[0]
        labels = {"neutral": "wav/a1.wav", "happy": "wav/a2.wav", "angry": "more/a3.wav"}
        wav = soundfile.read(tmp_path / labels[row["params"]["label"]])[0]
        np.testing.assert_allclose(target, wav, atol=2e-4)
    everybody = from_corpus(source, out, "emotion", any_speaker=True)
    assert everybody.rows == 4 and everybody.counts["sad", "happy"] == 1


def test_the_emotional_speech_dataset_as_it_is_laid_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = {"0001": "今天天气很好", "0011": "The nine the eggs I keep"}
    for speaker, text in lines.items():
        folder = tmp_path / "ESD" / speaker
        rows = []
        for n, emotion in enumerate(("Neutral", "Happy", "Surprise")):
            name = f"{speaker}_{350 * n + 1:06d}"
            say(folder / emotion / "train" / f"{name}.wav", n)
            rows.append(f"{name}\t{text}\t{emotion}")
        rows.append(f"{speaker}_009999\tnot here\tSad")
        (folder / f"{speaker}.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    out = tmp_path / "esd.jsonl"
    code, said, _ = call(capsys, tmp_path / "ESD", "-o", out, "--json")
    assert code == 0 and json.loads(said)["rows"] == 6
    rows = read(out)
    assert {(r["speaker"], r["language"]) for r in rows} == {("0001", "zh"), ("0011", "en")}
    assert all(len(r["parallel"]) == 2 for r in rows)
    assert {p["emotion"] for r in rows for p in r["parallel"]} == {"neutral", "happy", "surprised"}


def test_a_model_says_the_other_emotions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_omni(tmp_path / "model", 3, patch=4, history=32)
    weights = load_file(model / "model.safetensors")
    weights["stop_head.bias"][:] = weights["stop_head.bias"].new_tensor([-9.0, 9.0])
    save_file(weights, model / "model.safetensors")
    source = manifest(tmp_path, [{"audio": "a.wav", "text": "go home", "emotion": "happy"}])
    out = tmp_path / "made" / "parallel.jsonl"
    given = (source, "-o", out, "--model", model)
    code, said, err = call(capsys, *given, "--label", "sad", "--label", "happily", "--json")
    assert code == 0, err
    assert json.loads(said)["pairs"] == [{"from": "happy", "to": "sad", "pairs": 1}]
    (row,) = read(out)
    (made,) = row["parallel"]
    path = (out.parent / row["audio"]).parent / made["audio"]
    assert path.resolve() == (out.parent / "parallel-audio" / "a-sad.flac").resolve()
    before = path.read_bytes()
    assert soundfile.info(path).duration > 0
    # Run again, what is there is kept and what is new is added.
    code, _, err = call(capsys, *given, "--label", "sad", "--label", "angry")
    assert code == 0 and path.read_bytes() == before, err
    assert {p["emotion"] for p in read(out)[0]["parallel"]} == {"sad", "angry"}


def test_what_a_model_is_asked_for_are_labels() -> None:
    known = {label for labels in LABELS.values() for label in labels}
    assert set(_SPOKEN) <= known
    assert set(LABELS["emotion"]) <= set(_SPOKEN)


@pytest.mark.parametrize(
    ("row", "options", "words"),
    [
        ({"emotion": "hungry"}, (), "line 1: 'hungry' is not one of the emotions"),
        ({"emotion": 3}, (), "line 1: emotion must be text"),
        ({}, (), "line 1 has no 'emotion'"),
        ({"emotion": "sad"}, ("--style", "dialect"), "line 1 has no 'dialect'"),
        ({"emotion": "sad"}, ("--style", "mood"), "--style is emotion or dialect"),
        ({"emotion": "sad"}, ("--label", "happy"), "give --model too"),
        ({"emotion": "sad"}, ("--model", "nano", "--any-speaker"), "no effect with --model"),
        ({"emotion": "sad", "speaker": "a"}, (), "no two recordings of one speaker"),
        ({"emotion": "sad"}, ("--any-speaker",), "no two recordings of the same words"),
        ({"emotion": "sad", "text": " "}, (), "line 1 needs 'audio' (a path) and 'text'"),
        ({"emotion": "sad", "id": "../x"}, (), "is not a file name"),
    ],
)
def test_wrong_corpora(
    row: dict[str, Any],
    options: tuple[str, ...],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = manifest(tmp_path, [{"audio": "a.wav", "text": "go home", **row}])
    out = tmp_path / "out.jsonl"
    code, _, err = call(capsys, source, "-o", out, *options)
    assert code == 2 and words in err and err.count("\n") == 1, err
    assert not out.exists()


def test_wrong_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "ESD" / "0001"
    broken.mkdir(parents=True)
    (broken / "0001.txt").write_text("0001_000001 no tabs\n")
    for source, words in (
        (tmp_path / "empty", "not laid out as ESD"),
        (tmp_path / "ESD", "line 1: not 'ID TAB text TAB emotion'"),
        (tmp_path / "nothing", "no such file or folder"),
    ):
        code, _, err = call(capsys, source, "-o", tmp_path / "o.jsonl")
        assert code == 2 and words in err and err.count("\n") == 1, err


def test_noises_of_one_name_are_all_there(tmp_path: Path) -> None:
    names = ("noise/free-sound/noise-0000", "noise/sound-bible/noise-0000", "music/fma/music-01")
    for n, name in enumerate(names):
        say(tmp_path / "musan" / f"{name}.wav", n)
    (tmp_path / "musan" / "noise" / "free-sound" / "ANNOTATIONS").write_text("noise-0000\n")
    found = read_sounds(str(tmp_path / "musan"))
    assert list(found) == ["music-01", "noise-0000", "noise/sound-bible/noise-0000"]
    assert len(set(found.values())) == 3
