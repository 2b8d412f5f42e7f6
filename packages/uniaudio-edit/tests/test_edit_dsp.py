"""Sound edits hit what was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mingtok_audio.core.errors import UserError
from uniaudio_edit.editor import Edited, Editor
from uniaudio_edit.errors import MissingPartError
from uniaudio_edit.operations.levels import CEILING_DB, limit, true_peak

_RATE = 16000


def tone(seconds: float = 2.0, hz: float = 220.0, level: float = 0.2) -> np.ndarray:
    time = np.arange(round(seconds * _RATE)) / _RATE
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 1.5 * time)
    wave = sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 6))
    return (level * swell * wave).astype(np.float32)


def edit(wav: np.ndarray, instruction: str, **options: Any) -> Edited:
    editor = Editor(options=options)
    return editor.apply(wav, _RATE, editor.plan(wav, _RATE, instruction))


def pitch(wav: np.ndarray) -> float:
    middle = wav[len(wav) // 4 : -len(wav) // 4].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 20))
    return float(np.argmax(spectrum)) * _RATE / (1 << 20)


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.3, 1.7])
def test_speed_changes_length_and_not_pitch(factor: float) -> None:
    wav = tone()
    made = edit(wav, f"adjusts the speed to {factor}").wav
    assert len(made) == round(len(wav) / factor)
    assert abs(12 * np.log2(pitch(made) / pitch(wav))) < 0.1


@pytest.mark.parametrize("semitones", [-5, -1, 3, 6])
def test_pitch_changes_pitch_and_not_length(semitones: int) -> None:
    wav = tone()
    made = edit(wav, f"shifts the pitch by {semitones} steps").wav
    assert len(made) == len(wav)
    assert abs(12 * np.log2(pitch(made) / pitch(wav)) - semitones) < 0.1


@pytest.mark.parametrize("factor", [0.0, 0.3, 0.6, 1.5])
def test_volume_is_a_factor(factor: float) -> None:
    wav = tone()
    made = edit(wav, f"adjusts the volume to {factor}").wav
    assert np.abs(made).mean() == pytest.approx(factor * np.abs(wav).mean(), rel=1e-3)


def test_raised_volume_stays_under_the_true_peak() -> None:
    edited = edit(tone(), "make it 12 dB louder")
    ceiling = 10 ** (CEILING_DB / 20)
    assert true_peak(edited.wav[:, None].astype(np.float64)).max() <= ceiling * 1.02
    assert any("dBTP" in note for note in edited.receipt.warnings)
    quiet = tone(level=0.01)[:, None].astype(np.float64)
    assert limit(quiet, _RATE)[0] is quiet


def test_denoise_lowers_the_noise_and_keeps_the_tone() -> None:
    rng = np.random.default_rng(0)
    wav = np.concatenate([np.zeros(_RATE, np.float32), tone(), np.zeros(_RATE, np.float32)])
    noisy = (wav + 0.01 * rng.standard_normal(len(wav))).astype(np.float32)
    made = edit(noisy, "denoise the audio").wav
    assert len(made) == len(noisy)
    assert np.std(made[: _RATE // 2]) < 0.4 * np.std(noisy[: _RATE // 2])
    body = slice(_RATE + 4000, 3 * _RATE - 4000)
    assert np.corrcoef(made[body], wav[body])[0, 1] > 0.98


def test_fades_and_background() -> None:
    wav = tone()
    made = edit(wav, "fade in over 0.5 seconds and fade out over 0.25 seconds").wav
    assert np.abs(made[:80]).max() < 0.01
    assert np.abs(made[-40:]).max() < 0.01
    assert np.array_equal(made[_RATE : _RATE + 100], wav[_RATE : _RATE + 100])
    rainy = edit(wav, "add rain").wav
    added = rainy.astype(np.float64) - wav
    assert 10 < 20 * np.log10(np.std(wav) / np.std(added)) < 20
    again = edit(wav, "add rain").wav
    assert np.array_equal(rainy, again)


def test_background_from_a_file_at_a_given_level(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    soundfile.write(tmp_path / "cafe.wav", 0.1 * rng.standard_normal(12000), 24000)
    wav = tone(level=0.1)
    made = edit(wav, "add music", sound=str(tmp_path / "cafe.wav"), snr_db=20.0).wav
    added = made.astype(np.float64) - wav
    assert 20 * np.log10(np.std(wav) / np.std(added)) == pytest.approx(20.0, abs=1.0)
    with pytest.raises(MissingPartError, match="--sound"):
        edit(wav, "add music")


def test_integer_samples_stay_integers() -> None:
    wav = np.rint(tone() * 32767).astype(np.int16)
    edited = edit(wav, "make it 10% slower")
    assert edited.wav.dtype == np.int16
    assert edited.receipt.changed == [
        {"source": [0, len(wav)], "output": [0, len(edited.wav)], "operation": 0}
    ]
    stereo = np.stack([wav, wav // 2])
    assert edit(stereo, "shift the pitch by 2 semitones").wav.shape == stereo.shape


def test_silence_and_short_recordings() -> None:
    silence = np.zeros(_RATE, np.float32)
    for instruction in (
        "denoise",
        "make it faster",
        "make it louder",
        "shift the pitch by 2 steps",
    ):
        assert not edit(silence, instruction).wav.any()
    with pytest.raises(UserError, match="silence"):
        edit(silence, "add rain")
    short = tone(0.01)
    assert len(edit(short, "adjust the speed to 2").wav) == round(len(short) / 2)
    with pytest.raises(UserError, match="too short"):
        edit(short, "denoise")
