"""The watermark: pieces, spans, damage, false alarms; every exit of synthetic speech has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mingtok_audio.core.errors import PluginError, UserError
from uniaudio_lm import UniAudio
from uniaudio_lm.conformance.watermarks import check_watermark, speech_like
from uniaudio_lm.parts.watermarks.spectral import SpectralWatermark, pattern
from uniaudio_lm.watermarking import Detection, Marker, Watermark

MARK = SpectralWatermark()
TEXT = "The weather was good all day."


def test_the_built_in_passes_its_kit_and_a_mark_that_does_nothing_fails() -> None:
    assert all(result.ok for result in check_watermark(SpectralWatermark))
    failed = {result.check for result in check_watermark(_Nothing) if not result.ok}
    assert "found in half a second" in failed and "outside the spans nothing changes" in failed


class _Silent(Marker):
    def push(self, samples: np.ndarray) -> np.ndarray:
        return samples

    def flush(self) -> np.ndarray:
        return np.zeros(0, np.float32)


class _Nothing(Watermark):
    def new_marker(self, sample_rate: int) -> Marker:
        return _Silent()

    def detect(self, samples: np.ndarray, sample_rate: int) -> Detection:
        return Detection(False, 0.0, 0.0, 1.0, 1e-3)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([8000, 16000, 22050, 48000]),
    st.integers(1, 2),
    st.lists(st.integers(0, 3000), min_size=1, max_size=8),
    st.integers(0, 2**31),
)
def test_pieces_of_any_length_give_the_same_samples(
    rate: int, channels: int, sizes: list[int], seed: int
) -> None:
    wav = np.random.default_rng(seed).uniform(-1.2, 1.2, (sum(sizes), channels))
    wav = wav.astype(np.float32)
    wav[len(wav) // 3 : len(wav) // 2] = 0
    marker, parts, at = MARK.new_marker(rate), [], 0
    for size in sizes:
        parts.append(marker.push(wav[at : at + size]))
        at += size
    parts.append(marker.flush())
    whole = MARK.mark(wav, rate)
    assert whole.shape == wav.shape and whole.dtype == wav.dtype
    assert np.array_equal(np.concatenate(parts), whole)
    assert np.all(np.abs(whole) <= np.maximum(1.0, np.abs(wav)))
    assert not whole[wav == 0].any(), "digital silence stays digital silence"


@pytest.mark.parametrize("speed", [0.9, 0.95, 0.99, 1.01, 1.05, 1.1])
def test_found_at_other_speeds_and_the_speed_is_told(speed: float) -> None:
    marked = MARK.mark(speech_like(4.0), 16000)
    found = MARK.detect(soxr.resample(marked, 16000 * speed, 16000), 16000)
    assert found.found and found.speed is not None
    assert abs(found.speed - speed) < 0.006


def test_a_span_of_half_a_second_is_found_where_it_is() -> None:
    wav = speech_like(14.0)
    marked = MARK.mark_spans(wav, 16000, [(9 * 16000, 9 * 16000 + 9600)])
    found = MARK.detect(marked, 16000)
    assert found.found and len(found.spans) == 1
    (start, end) = found.spans[0]
    assert abs(start - 9.0) < 0.15 and abs(end - 9.6) < 0.15
    assert not MARK.detect(wav, 16000).found


def test_another_key_finds_nothing_and_a_rate_must_be_one() -> None:
    marked = MARK.mark(speech_like(), 16000)
    others = [SpectralWatermark(f"key {n}").detect(marked, 16000) for n in range(3)]
    assert not any(found.found for found in others)
    assert SpectralWatermark("key 1").detect(SpectralWatermark("key 1").mark(speech_like(), 16000),
                                             16000).found  # fmt: skip
    assert abs(pattern("").mean()) < 0.05
    for rate in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(UserError, match="false_alarm_rate"):
            SpectralWatermark(false_alarm_rate=rate)


def test_scores_of_wrong_keys_stay_within_the_bound() -> None:
    """The bound holds for random keys: of 60 searches at the rate 0.05, 3 alarms are expected at
    most, and 8 or more have a probability of 0.01."""
    wav = speech_like(0.5)
    rate = 0.05
    alarms = sum(
        SpectralWatermark(f"n{n}", false_alarm_rate=rate).detect(wav, 16000).found
        for n in range(60)
    )
    assert alarms <= 7


@pytest.fixture(scope="module")
def nano() -> UniAudio:
    return UniAudio.from_pretrained("nano")


def test_whole_stream_and_batch_are_marked_alike(nano: UniAudio) -> None:
    whole = nano.synthesize(TEXT, seed=1, num_steps=2)
    found = MARK.detect(whole.wav.numpy(), 16000)
    assert found.found and found.spans[0][0] < 0.2
    pieces = list(nano.synthesize_stream(TEXT, seed=1, num_steps=2, checked=True))
    assert torch.equal(torch.cat(pieces), whole.wav)
    batch = nano.synthesize_batch([TEXT, "Good."], seeds=[1, 2], num_steps=2)
    assert (batch[0].wav - whole.wav).abs().max() < 1e-3
    bare = nano.synthesize_batch([TEXT], seeds=[1], num_steps=2, marked=False)[0]
    assert torch.equal(torch.from_numpy(MARK.mark(bare.wav.numpy(), 16000)), whole.wav)
    assert not MARK.detect(bare.wav.numpy(), 16000).found
    off = UniAudio(nano.model, watermark=None).synthesize(TEXT, seed=1, num_steps=2)
    assert torch.equal(off.wav, bare.wav)
    with pytest.raises(PluginError, match="nonesuch"):
        nano.use_watermark("nonesuch")


def test_the_commands_mark_and_detect(uniaudio: Callable, tmp_path: Path) -> None:
    said = ("tts", TEXT, "--steps", 2, "--json", "-o")
    ran = uniaudio(*said, tmp_path / "a.wav")
    assert ran.code == 0 and ran.json["watermark"] == "spectral"
    ran = uniaudio(*said, tmp_path / "b.wav", "--no-watermark")
    assert ran.code == 0 and ran.json["watermark"] is None
    ran = uniaudio("tts", TEXT, "Good evening to all of you.", "--steps", 2, "-o", tmp_path / "c")
    assert ran.code == 0, ran.err
    one = uniaudio("detect", tmp_path / "a.wav", "--json")
    assert one.code == 0 and one.json["found"] and one.json["spans"]
    assert one.json["confidence"] > 0.999
    none = uniaudio("detect", tmp_path / "b.wav", "--json")
    assert none.code == 0 and not none.json["found"] and none.json["spans"] == []
    assert "no watermark found" in uniaudio("detect", tmp_path / "b.wav").out
    (tmp_path / "c" / "bad.wav").write_bytes(b"RIFF nothing")
    folder = uniaudio("detect", tmp_path / "c", "--json")
    assert folder.code == 1 and folder.err.count("\n") == 1
    assert [row.get("found") for row in folder.json].count(True) == 2
    bad = uniaudio("detect", tmp_path / "c" / "bad.wav")
    assert bad.code == 2 and bad.err.startswith("error: ") and not bad.raw


def test_found_in_a_stereo_file_at_another_rate(uniaudio: Callable, tmp_path: Path) -> None:
    wav = np.stack([speech_like(2.0, 44100), 0.5 * speech_like(2.0, 44100)], axis=1)
    soundfile.write(tmp_path / "x.flac", MARK.mark(wav, 44100), 44100)
    assert uniaudio("detect", tmp_path / "x.flac", "--json").json["found"]
