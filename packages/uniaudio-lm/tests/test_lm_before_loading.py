"""Everything that needs no model is checked before one is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from uniaudio_lm.commands.models import ModelChoice


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(16000), 16000)
    return path


@pytest.fixture(autouse=True)
def never_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: ModelChoice) -> None:
        pytest.fail("the model was loaded first")

    monkeypatch.setattr(ModelChoice, "load", load)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tts", "hello", "-o", "out.m4a"], ["out.m4a", "must end in"]),
        (["tts", "hello", "-o", "o.wav", "--speaker", "nobody"], ["no speaker 'nobody'", "hibari"]),
        (["tts", "hello", "-o", "o.wav", "--voice", "none.wav"], ["none.wav"]),
        (["tts", "你好吗", "-o", "o.wav"], ["speaks en", "'zh'"]),
        (["tts", "?!", "-o", "o.wav"], ["no letter or digit"]),
        (["tts", "hello", "-o", "o.wav", "--steps", "0"], ["solver steps"]),
        (["tts", "hello", "-o", "o.wav", "--noise-scale", "9"], ["noise scale"]),
        (["tts", "hello", "-o", "o.wav", "--language", "klingon language"], ["not a code such as"]),
        (["asr", "none.wav"], ["none.wav"]),
        (["asr", "WAV", "--language", "klingon"], ["klingon", "recognises en"]),
        (["asr", "WAV", "--hotwords", "a\nb"], ["hotword"]),
        (["asr", "WAV", "--beams", "0"], ["beams", "1 to 64"]),
        (["asr", "WAV", "--word-weight", "11"], ["word model", "0 to 10"]),
        (["ask", "WAV", "Who?"], ["nano", "not trained to answer questions"]),
    ],
)
def test_wrong_calls_are_refused_at_once(
    uniaudio: Callable, wav: Path, tmp_path: Path, *, arguments: list[str], words: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    ran = uniaudio(*[str(wav) if a == "WAV" else a for a in arguments])
    assert ran.code == 2 and ran.err.count("\n") == 1 and ran.out == ""
    assert all(word in ran.err for word in words), ran.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.wav"], "nothing is left behind"
