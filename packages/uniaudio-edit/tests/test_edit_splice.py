"""Deletion: what is not edited stays equal sample for sample, in the source's own numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mingtok_audio.core.errors import UserError
from uniaudio_edit.backends.splice import MARGIN_SECONDS, crossfade
from uniaudio_edit.editor import Editor
from uniaudio_edit.errors import MissingPartError
from uniaudio_edit.interfaces import Word
from uniaudio_edit.parts import Parts
from uniaudio_edit.pcm import Recording, read_recording
from uniaudio_edit.receipt import Receipt

_TEXT = "one two three four five six"
_STARTS = [0.3, 0.8, 1.2, 1.9, 2.4, 2.8]
WORDS = [Word(t, s, s + 0.35) for t, s in zip(_TEXT.split(), _STARTS, strict=True)]
SECONDS = 3.4


def speech(rate: int, channels: int, dtype: type, seconds: float = SECONDS) -> np.ndarray:
    """Bursts where the words are, faint noise between: (T, C) in the type's own range."""
    rng = np.random.default_rng(rate + channels)
    n = round(seconds * rate)
    time = np.arange(n) / rate
    wave = 0.002 * rng.standard_normal((n, channels))
    for k, word in enumerate(WORDS):
        inside = (time >= word.start) & (time < word.end)
        tone = np.sin(2 * np.pi * (140 + 35 * k) * time[inside])
        wave[inside] += (0.3 * tone * np.hanning(inside.sum()))[:, None]
    if np.dtype(dtype).kind == "f":
        return wave.astype(dtype)
    return np.rint(wave * np.iinfo(dtype).max).astype(dtype)


def make_file(path: Path, rate: int, channels: int, subtype: str, seconds: float = SECONDS) -> Path:
    dtype = {"PCM_16": np.int16, "PCM_24": np.int32, "FLOAT": np.float32, "PCM_U8": np.int16}[
        subtype
    ]
    soundfile.write(path, speech(rate, channels, dtype, seconds), rate, subtype=subtype)
    return path


def outside_is_equal(source: Recording, output: Recording, receipt: Receipt) -> bool:
    """Whether every sample that is not declared as changed is where it was, unchanged."""
    s = o = 0
    spans = [*receipt.changed, {"source": [len(source.pcm)] * 2, "output": [len(output.pcm)] * 2}]
    for item in spans:
        (a, b), (c, d) = item["source"], item["output"]
        if not np.array_equal(source.pcm[s:a], output.pcm[o:c]):
            return False
        s, o = b, d
    return source.pcm.dtype == output.pcm.dtype


@pytest.mark.parametrize(
    ("rate", "channels", "subtype", "suffix"),
    [
        (16000, 1, "PCM_16", ".wav"),
        (44100, 2, "PCM_16", ".flac"),
        (48000, 1, "PCM_24", ".wav"),
        (44100, 2, "PCM_24", ".flac"),
        (8000, 1, "PCM_U8", ".wav"),
        (16000, 2, "FLOAT", ".wav"),
    ],
)
def test_everything_outside_stays_equal(
    tmp_path: Path, rate: int, channels: int, subtype: str, suffix: str
) -> None:
    path = make_file(tmp_path / f"in{suffix}", rate, channels, subtype)
    receipt = Editor().edit_file(
        path, "delete 'two' and the fifth word", tmp_path / f"out{suffix}", text=_TEXT, words=WORDS
    )
    source, output = read_recording(path), read_recording(tmp_path / f"out{suffix}")
    assert len(receipt.changed) == 2
    assert outside_is_equal(source, output, receipt)
    assert (output.sample_rate, output.subtype) == (source.sample_rate, source.subtype)
    for item, word in zip(receipt.changed, (WORDS[1], WORDS[4]), strict=True):
        a, b = (x / rate for x in item["source"])
        assert word.start - MARGIN_SECONDS - 1e-3 <= a <= word.start + 0.01
        assert word.end - 0.01 <= b <= word.end + MARGIN_SECONDS + 1e-3
        assert item["output"][1] - item["output"][0] <= 0.01 * rate
    # The words are gone, and their neighbours are whole.
    assert len(output.pcm) < len(source.pcm) - 0.65 * rate


def test_ends_of_the_recording(tmp_path: Path) -> None:
    path = make_file(tmp_path / "in.wav", 16000, 1, "PCM_16")
    source = read_recording(path)
    for instruction in ("delete the first word", "delete the last two words"):
        receipt = Editor().edit_file(path, instruction, tmp_path / "out.wav", words=WORDS)
        output = read_recording(tmp_path / "out.wav")
        assert outside_is_equal(source, output, receipt)


def test_ten_minutes_many_sites(tmp_path: Path) -> None:
    rate, seconds = 16000, 600.0
    rng = np.random.default_rng(0)
    pcm = rng.integers(-3000, 3000, (int(seconds * rate), 1)).astype(np.int16)
    path = tmp_path / "long.wav"
    soundfile.write(path, pcm, rate)
    words = [Word(f"w{n}", n * 0.5 + 0.1, n * 0.5 + 0.45) for n in range(1190)]
    receipt = Editor().edit_file(
        path, "delete 'w3', 'w600' and 'w1100'", tmp_path / "out.wav", words=words
    )
    assert len(receipt.changed) == 3
    output = read_recording(tmp_path / "out.wav")
    assert outside_is_equal(read_recording(path), output, receipt)
    declared = sum(b - a for a, b in (c["source"] for c in receipt.changed)) / rate
    assert declared <= 3 * (0.35 + 2 * MARGIN_SECONDS)


def test_joins_do_not_click(tmp_path: Path) -> None:
    rate = 16000
    path = make_file(tmp_path / "in.wav", rate, 1, "PCM_16")
    receipt = Editor().edit_file(path, "delete 'three'", tmp_path / "out.wav", words=WORDS)
    source, output = read_recording(path).pcm[:, 0], read_recording(tmp_path / "out.wav").pcm[:, 0]
    jumps = np.abs(np.diff(source.astype(int)))
    (c, d) = receipt.changed[0]["output"]
    assert np.abs(np.diff(output[c - 8 : d + 8].astype(int))).max() <= jumps.max()


def test_crossfade_stays_between_its_sides() -> None:
    left = np.full((64, 2), 32767, np.int16)
    right = np.full((64, 2), -32768, np.int16)
    mixed = crossfade(left, right, 16)
    assert mixed.dtype == np.int16
    assert np.all(np.diff(mixed[:, 0].astype(int)) <= 0)
    assert np.array_equal(crossfade(left, left, 16), left)
    fine = crossfade(left.astype(np.int32) << 16, right.astype(np.int32) << 16, 24)
    assert not np.any(fine & 0xFF)


def test_what_is_missing_is_named() -> None:
    wav = speech(16000, 1, np.float32)[:, 0]
    editor = Editor(parts=Parts("nano-v0"))
    plan = editor.plan(wav, 16000, "replace 'two' with 'ten'", text=_TEXT)
    with pytest.raises(MissingPartError, match="voice"):
        editor.apply(wav, 16000, plan, words=WORDS)
    plan = editor.plan(wav, 16000, "change the emotion to sad")
    with pytest.raises(MissingPartError, match="edit model"):
        editor.apply(wav, 16000, plan)


def test_word_times_of_another_recording_or_text_are_refused() -> None:
    wav = speech(16000, 1, np.float32)[:, 0]
    editor = Editor()
    late = [Word(w.text, w.start + 100, w.end + 100) for w in WORDS]
    with pytest.raises(UserError, match="another recording"):
        editor.plan(wav, 16000, "delete 'two'", text=_TEXT, words=late)
    with pytest.raises(UserError, match="do not match"):
        editor.plan(wav, 16000, "delete 'two'", text="one two thirty four", words=WORDS)
    with pytest.raises(UserError, match="end before"):
        editor.plan(wav, 16000, "delete 'two'", text=f"{_TEXT} seven", words=WORDS)


def test_python_interface() -> None:
    wav = speech(16000, 1, np.float32)[:, 0]
    editor = Editor()
    plan = editor.plan(wav, 16000, "delete 'two'", words=WORDS)
    assert plan.original_text == _TEXT
    assert plan.operations[0].time_span == (0.8, 1.15)
    edited = editor.apply(wav, 16000, plan, words=WORDS)
    (a, b), (c, d) = (edited.receipt.changed[0][k] for k in ("source", "output"))
    assert np.array_equal(edited.wav, np.concatenate([wav[:a], edited.wav[c:d], wav[b:]]))


def test_chinese_words_of_several_characters(tmp_path: Path) -> None:
    path = make_file(tmp_path / "in.wav", 16000, 1, "PCM_16")
    words = [Word("今天", 0.3, 0.9), Word("天气", 1.0, 1.6), Word("很好", 1.9, 2.5)]
    receipt = Editor().edit_file(path, "删除“天气”", tmp_path / "out.wav", words=words)
    assert receipt.plan["edited_text"] == "今天很好"
    a, b = (x / 16000 for x in receipt.changed[0]["source"])
    assert 0.85 <= a <= 1.01
    assert 1.59 <= b <= 1.76
    assert any("shared out" in note for note in receipt.warnings)
