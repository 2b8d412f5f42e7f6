"""Channels and streamed containers, and the shared tools that cut and join speech."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import AudioError
from mingtok_audio.core.speech import active_level, cut_out, join, quietest, trim

RATE = 16000


def speech(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    """Modulated tones at about -21 dBFS, with pauses."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    wav = sum(np.sin(2 * np.pi * f * t + rng.uniform(0, 6)) for f in (150, 450, 1300))
    gate = np.clip(np.sin(2 * np.pi * 1.5 * t), 0, None)
    wav = wav * gate + 1e-4 * rng.standard_normal(len(t))
    return (wav * 10 ** (-21 / 20) / active_level(wav)).astype(np.float32)


def stored(path: Path, channels: list[np.ndarray]) -> Path:
    soundfile.write(path, np.stack(channels, axis=1), RATE, subtype="FLOAT")
    return path


@pytest.mark.parametrize("place", range(6))
def test_speech_in_one_of_six_channels_keeps_its_level(tmp_path: Path, place: int) -> None:
    wav = speech()
    channels = [np.zeros_like(wav)] * 6
    channels[place] = wav
    assert np.array_equal(load_audio(stored(tmp_path / "a.wav", channels))[0], wav)


@pytest.mark.parametrize("gain", [1.0, 0.9, 0.5])
def test_cancelling_channels_are_not_averaged(tmp_path: Path, gain: float) -> None:
    wav = speech()
    path = stored(tmp_path / "a.wav", [wav, -gain * wav])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = load_audio(path)[0]
    assert active_level(found) > 0.2 * active_level(wav)
    if gain > 0.7:
        assert "cancel" in str(said[0].message)
        assert np.array_equal(found, wav)


def test_ordinary_stereo_is_the_mean_and_blocks_agree(tmp_path: Path) -> None:
    from mingtok_audio.core.audio import iter_audio_blocks

    left, right = speech(), speech(seed=1)
    path = stored(tmp_path / "a.wav", [left, right])
    whole = load_audio(path)[0]
    assert np.array_equal(whole, np.stack([left, right], axis=1).mean(axis=1))
    assert np.array_equal(np.concatenate(list(iter_audio_blocks(path, 0.3))), whole)
    # A part is mixed as the whole is, even where one channel is silent in it.
    right[: RATE // 2] = 0
    path = stored(tmp_path / "b.wav", [left, right])
    whole = load_audio(path)[0]
    assert np.array_equal(load_audio(path, end=0.4)[0], whole[: round(0.4 * RATE)])


def wav_bytes(wav: np.ndarray, **sizes: int) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, wav, RATE, format="WAV", subtype="PCM_16")
    data = bytearray(stream.getvalue())
    if "riff" in sizes:
        data[4:8] = struct.pack("<I", sizes["riff"])
    if "data" in sizes:
        at = data.index(b"data") + 4
        data[at : at + 4] = struct.pack("<I", sizes["data"])
    return bytes(data)


@pytest.mark.parametrize("riff", [0, 0xFFFFFFFF, 36])
@pytest.mark.parametrize("data", [0, 0xFFFFFFFF])
def test_a_streamed_wav_is_read_to_its_end(tmp_path: Path, riff: int, data: int) -> None:
    wav = speech(0.5)
    whole = load_audio(wav_bytes(wav))[0]
    given = wav_bytes(wav, riff=riff, data=data)
    assert np.array_equal(load_audio(given)[0], whole)
    path = tmp_path / "a.wav"
    path.write_bytes(given)
    assert np.array_equal(load_audio(path)[0], whole)


def test_an_empty_wav_is_still_empty() -> None:
    data = wav_bytes(np.zeros(0, np.float32))
    with pytest.raises(AudioError, match="no samples"):
        load_audio(data)
    with pytest.raises(AudioError, match="no samples"):
        load_audio(data + b"LIST" + struct.pack("<I", 4) + b"INFO")


def test_mp3_in_a_wav_container_may_be_a_frame_short() -> None:
    """As ffmpeg writes it: the header counts what went into the coder."""
    stream = io.BytesIO()
    try:
        soundfile.write(stream, speech(1.0), RATE, format="WAV", subtype="MPEG_LAYER_III")
    except soundfile.LibsndfileError:
        pytest.skip("this libsndfile does not write mp3 into wav")
    data = stream.getvalue()
    at = data.find(b"fact")
    if at >= 0:
        count = struct.unpack("<I", data[at + 8 : at + 12])[0]
        data = data[: at + 8] + struct.pack("<I", count + 600) + data[at + 12 :]
    assert len(load_audio(data)[0]) > 0.9 * RATE


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 400), max_size=6),
    seed=st.integers(0, 9),
)
def test_join_says_where_each_piece_lies(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    pieces = [rng.standard_normal(n).astype(np.float32) for n in sizes]
    out, spans = join(pieces, RATE)
    assert [b - a for a, b in spans] == sizes
    assert len(out) == (spans[-1][1] if spans else 0)
    fade = round(0.008 * RATE)
    for piece, (a, b) in zip(pieces, spans, strict=True):
        if b - a > 2 * fade:
            assert np.array_equal(out[a + fade : b - fade], piece[fade:-fade])


@settings(max_examples=40, deadline=None)
@given(low=st.integers(-10, 5000), high=st.integers(-10, 5000), seed=st.integers(0, 9))
def test_quietest_stays_in_its_bounds(low: int, high: int, seed: int) -> None:
    wav = np.random.default_rng(seed).standard_normal(4000).astype(np.float32)
    wav[2000:2400] *= 1e-3
    found = quietest(wav, RATE, low, high)
    assert 0 <= found <= len(wav)
    if 0 <= low < high <= len(wav):
        assert low <= found <= high
    if low < 1900 and high > 2500:
        assert 2000 <= found <= 2400


def test_cut_out_and_trim() -> None:
    wav = np.concatenate([np.zeros(8000), speech(1.0), np.zeros(8000)]).astype(np.float32)
    short = trim(wav, RATE)
    assert RATE * 0.3 < len(short) < RATE * 1.1
    assert not len(trim(np.zeros(1000, np.float32), RATE))
    assert len(cut_out(wav, RATE, [(1000, 2000)])) == len(wav) - 1000 - round(0.008 * RATE)


def test_joins_are_smooth() -> None:
    loud = np.full(4000, 0.5, np.float32)
    joined = join([loud, -loud], RATE)[0]
    assert np.max(np.abs(np.diff(joined))) < 0.02
    assert len(join([loud[:10], loud[:3]], RATE)[0]) == 10


def test_silence_around_speech_goes() -> None:
    loud = 0.2 * np.sin(2 * np.pi * 200 * np.arange(RATE // 2) / RATE)
    wav = np.concatenate([np.zeros(RATE), loud, np.zeros(RATE)]).astype(np.float32)
    assert abs(len(trim(wav, RATE)) / RATE - 0.56) < 0.02
    assert len(trim(np.zeros(RATE, np.float32), RATE)) == 0
    assert len(trim(np.full(RATE, np.nan, np.float32), RATE)) == 0
