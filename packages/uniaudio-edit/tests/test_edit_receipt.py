"""Receipts repeat and undo exactly, chain, and refuse what does not belong to them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mingtok_audio.core.errors import UserError
from uniaudio_edit.editor import Editor
from uniaudio_edit.interfaces import Word
from uniaudio_edit.pcm import file_sha256
from uniaudio_edit.receipt import Names, apply_receipt, read_receipt, undo_receipt

_WORDS = [Word("one", 0.1, 0.4), Word("two", 0.6, 0.9), Word("three", 1.1, 1.4)]


def recording(path: Path, subtype: str = "PCM_16", channels: int = 1) -> Path:
    rng = np.random.default_rng(3)
    wave = 0.1 * rng.standard_normal((24000, channels))
    with soundfile.SoundFile(path, "w", 16000, channels, subtype) as file:
        file.title = "a chunk that has to come back too"
        file.write(wave)
    return path


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("instruction", ["delete 'two'", "make it 10% faster and delete 'two'"])
def test_undo_gives_the_file_back_byte_for_byte(
    tmp_path: Path, subtype: str, instruction: str
) -> None:
    source = recording(tmp_path / "in.wav", subtype, 2)
    names = Names.of(tmp_path / "out.wav")
    receipt = Editor().edit_file(source, instruction, names.output, words=_WORDS)
    assert read_receipt(names.receipt) == receipt
    found = undo_receipt(names.receipt, None, None)
    assert found["same_file"]
    assert Path(found["output"]).read_bytes() == source.read_bytes()
    again = apply_receipt(names.receipt, None, tmp_path / "again.wav")
    assert again["same_file"]
    assert (tmp_path / "again.wav").read_bytes() == names.output.read_bytes()


def test_flac_comes_back_sample_for_sample(tmp_path: Path) -> None:
    source = recording(tmp_path / "in.flac", "PCM_24")
    Editor().edit_file(source, "delete 'two'", tmp_path / "out.flac", words=_WORDS)
    undo_receipt(tmp_path / "out.receipt.json", None, tmp_path / "back.flac")
    one, two = (soundfile.read(tmp_path / n, dtype="int32")[0] for n in ("in.flac", "back.flac"))
    assert np.array_equal(one, two)


def test_edits_chain(tmp_path: Path) -> None:
    source = recording(tmp_path / "a.wav")
    Editor().edit_file(source, "delete 'two'", tmp_path / "b.wav", words=_WORDS)
    second = Editor().edit_file(tmp_path / "b.wav", "turn it down by 6 dB", tmp_path / "c.wav")
    assert second.previous == {
        "receipt": "b.receipt.json",
        "sha256": file_sha256(tmp_path / "b.receipt.json"),
    }
    assert undo_receipt(tmp_path / "c.receipt.json", None, tmp_path / "b2.wav")["same_file"]
    found = undo_receipt(tmp_path / "b.receipt.json", tmp_path / "b2.wav", tmp_path / "a2.wav")
    assert found["same_file"]
    assert (tmp_path / "a2.wav").read_bytes() == source.read_bytes()


def test_what_does_not_belong_is_refused(tmp_path: Path) -> None:
    source = recording(tmp_path / "in.wav")
    Editor().edit_file(source, "delete 'two'", tmp_path / "out.wav", words=_WORDS)
    place = tmp_path / "out.receipt.json"
    with pytest.raises(UserError, match="not the source"):
        apply_receipt(place, tmp_path / "out.wav", tmp_path / "x.wav")
    with pytest.raises(UserError, match="not the output"):
        undo_receipt(place, source, tmp_path / "x.wav")
    data = json.loads(place.read_text(encoding="utf-8"))
    for change, words in (
        ({"format_version": 99}, "format_version"),
        ({"changed": [{"source": [5, 2], "output": [0, 1], "operation": 0}]}, "spans"),
        ({"changed": [{"source": [0, 10**9], "output": [0, 1], "operation": 0}]}, "spans"),
        ({"surprise": 1}, "surprise"),
    ):
        (tmp_path / "bad.receipt.json").write_text(json.dumps({**data, **change}), encoding="utf-8")
        with pytest.raises(UserError, match=words):
            undo_receipt(tmp_path / "bad.receipt.json", tmp_path / "out.wav", tmp_path / "x.wav")
    undo = tmp_path / "out.undo.safetensors"
    undo.write_bytes(undo.read_bytes()[:40])
    with pytest.raises(UserError, match="damaged"):
        undo_receipt(place, None, tmp_path / "x.wav")
    undo.unlink()
    with pytest.raises(UserError, match="missing"):
        apply_receipt(place, None, tmp_path / "x.wav")
    assert not (tmp_path / "x.wav").exists()


@pytest.mark.parametrize("name", ["out.mp3", "out.ogg", "out", "nowhere/out.wav"])
def test_formats_that_lose_samples_are_refused_and_nothing_is_left(
    tmp_path: Path, name: str
) -> None:
    source = recording(tmp_path / "in.wav")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError):
        Editor().edit_file(source, "make it louder", tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before
