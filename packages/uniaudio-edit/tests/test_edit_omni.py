"""Splice edits with the voice of a model that only speaks (Ming-omni-tts) at 44.1 kHz."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from omni_random import write_omni
from safetensors.torch import load_file, save_file

from mingtok_audio.core.errors import HubError
from uniaudio_edit.backends.judging import ModelJudge
from uniaudio_edit.backends.splice import MARGIN_SECONDS
from uniaudio_edit.cli import app
from uniaudio_edit.editor import Editor
from uniaudio_edit.interfaces import Word
from uniaudio_edit.parts import Parts, Take
from uniaudio_edit.pcm import read_recording
from uniaudio_edit.receipt import Names, apply_receipt, undo_receipt
from uniaudio_lm import UniAudio

RATE = 44100
TEXT = "one two three four"
WORDS = [Word(t, 0.3 + 0.6 * n, 0.75 + 0.6 * n) for n, t in enumerate(TEXT.split())]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_omni(tmp_path_factory.mktemp("omni") / "model", 3, patch=4, history=32)
    weights = load_file(made / "model.safetensors")
    weights["stop_head.bias"][:] = weights["stop_head.bias"].new_tensor([-9.0, 9.0])
    weights["audio.decoder.head.out.bias"][:1765] += 4.0  # loud enough to be heard
    save_file(weights, made / "model.safetensors")
    return made


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    time = np.arange(round(3.0 * RATE)) / RATE
    wave = 0.002 * rng.standard_normal((len(time), 2))
    for n, word in enumerate(WORDS):
        inside = (time >= word.start) & (time < word.end)
        tone = np.sin(2 * np.pi * (140 + 35 * n) * time[inside]) * np.hanning(inside.sum())
        wave[inside] += 0.3 * tone[:, None]
    soundfile.write(tmp_path / "in.wav", wave, RATE, subtype="PCM_24")
    return tmp_path / "in.wav"


@pytest.mark.parametrize(
    "instruction", ["replace 'three' with 'eight'", "insert 'nine' after 'two'"]
)
def test_new_words_at_the_recordings_rate_and_nothing_else(
    folder: Path, recorded: Path, tmp_path: Path, instruction: str
) -> None:
    words = tmp_path / "words.json"
    words.write_text(json.dumps([{"text": w.text, "start": w.start, "end": w.end} for w in WORDS]))
    names = Names.of(tmp_path / "out.wav")
    from mingtok_audio.core.cli import run

    with pytest.raises(SystemExit) as left:
        run(app, ["edit", str(recorded), instruction, "-o", str(names.output), "-m", str(folder),
                  "--text", TEXT, "--words", str(words), "--candidates", "2"])  # fmt: skip
    assert left.value.code == 0
    receipt = json.loads(names.receipt.read_text())
    source, output = read_recording(recorded), read_recording(names.output)
    (change,) = receipt["changed"]
    (a, b), (c, d) = change["source"], change["output"]
    assert source.sample_rate == output.sample_rate == RATE
    assert np.array_equal(source.pcm[:a], output.pcm[:c])
    assert np.array_equal(source.pcm[b:], output.pcm[d:])
    start, end = receipt["plan"]["operations"][0]["time_span"]
    assert a / RATE >= start - MARGIN_SECONDS - 1e-3 and b / RATE <= end + MARGIN_SECONDS + 1e-3
    assert (d - c) / RATE > 0.2 and np.abs(output.pcm[c:d].astype(float)).max() > 0
    # The model speaks at this rate: nothing is resampled.
    assert not any("Hz" in note for note in receipt["warnings"])
    assert apply_receipt(names.receipt, None, tmp_path / "again.wav")["same_file"]
    assert undo_receipt(names.receipt, None, tmp_path / "back.wav")["same_file"]
    assert (tmp_path / "back.wav").read_bytes() == recorded.read_bytes()


def test_the_shipped_model_listens_where_the_model_only_speaks(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = UniAudio.from_pretrained(folder)
    assert not model.listens
    parts = Parts(model)
    listener = parts.listener("to tell takes apart")
    assert listener.listens and listener is parts.listener("again")
    judge = ModelJudge(model, listener=listener)
    assert judge.understands("four") and not judge.understands("四个")
    wav = 0.1 * np.sin(np.arange(RATE) * 0.05).astype(np.float32)
    take = Take(wav, RATE, "four", wav, "four", wav, "stop", 1.0)
    alone = ModelJudge(model)
    assert not alone.understands("four")
    assert alone(take) == pytest.approx(0.5, abs=1e-4)  # the same voice, and nothing understood
    assert alone(take) <= judge(take) <= judge.most

    def missing(*args: object, **options: object) -> UniAudio:
        raise HubError("no such model")

    monkeypatch.setattr(UniAudio, "from_pretrained", missing)
    with pytest.raises(Exception, match="only speaks, and the shipped model"):
        Parts(model).recognize(wav, RATE)


def test_takes_that_nobody_understands_are_marked(
    folder: Path, recorded: Path, tmp_path: Path
) -> None:
    said = ["一", "二", "三", "四"]
    times = [Word(t, w.start, w.end) for t, w in zip(said, WORDS, strict=True)]
    editor = Editor(model=str(folder), options={"candidates": 1})
    receipt = editor.edit_file(
        recorded, "把“三”换成“八”", tmp_path / "o.wav", text="一二三四", words=times
    )
    assert any("by voice and length alone" in note for note in receipt.warnings)
