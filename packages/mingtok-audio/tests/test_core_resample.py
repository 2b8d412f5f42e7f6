"""Sample-rate conversion: the length rule, and a stream that equals the whole."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mingtok_audio.core.audio.resampler import StreamResampler, resample
from mingtok_audio.core.errors import AudioError

RATES = [1000, 8000, 11_025, 16_000, 16_001, 22_050, 24_000, 44_100, 48_000, 96_000, 768_000]


@settings(max_examples=80, deadline=None)
@given(
    rates=st.tuples(st.sampled_from(RATES), st.sampled_from(RATES)),
    length=st.integers(0, 6000),
    cuts=st.lists(st.integers(0, 6000), max_size=12),
    seed=st.integers(0, 1000),
)
def test_any_chunking_equals_the_whole(
    rates: tuple[int, int], length: int, cuts: list[int], seed: int
) -> None:
    source, target = rates
    wav = np.random.default_rng(seed).uniform(-1, 1, length).astype(np.float32)
    whole = resample(wav, source, target)
    assert whole.dtype == np.float32
    assert len(whole) == -(-length * target // source)
    stream = StreamResampler(source, target)
    edges = [0, *sorted(min(c, length) for c in cuts), length]
    pieces = [stream.push(wav[a:b]) for a, b in pairwise(edges)]
    pieces.append(stream.finish())
    assert np.array_equal(np.concatenate(pieces), whole)


def test_one_sample_at_a_time() -> None:
    wav = np.random.default_rng(0).uniform(-1, 1, 700).astype(np.float32)
    stream = StreamResampler(44_100, 16_000)
    pieces = [stream.push(wav[i : i + 1]) for i in range(len(wav))]
    pieces.append(stream.finish())
    assert np.array_equal(np.concatenate(pieces), resample(wav, 44_100, 16_000))


def test_a_long_stream_holds_little(recwarn: pytest.WarningsRecorder) -> None:
    """An hour at 48 kHz in seconds: what waits inside stays a filter's length."""
    stream = StreamResampler(48_000, 16_000)
    block = np.zeros(48_000 * 20, dtype=np.float32)
    held = []
    for i in range(30):
        stream.push(block)
        held.append(len(block) * (i + 1) / 3 - stream._emitted)
    assert max(held) < 16_000 and held[-1] <= held[0] + 1
    assert not recwarn.list


@pytest.mark.parametrize(("source", "target"), [(16_000, 24_000), (44_100, 16_000), (8000, 16_000)])
def test_a_tone_keeps_frequency_phase_and_level(source: int, target: int) -> None:
    def tone(rate: int) -> np.ndarray:
        return np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)

    difference = np.abs(resample(tone(source), source, target) - tone(target))
    assert difference[500:-500].max() < 1e-4


def test_what_lies_above_the_new_nyquist_frequency_goes() -> None:
    high = np.sin(2 * np.pi * 10_000 * np.arange(48_000) / 48_000).astype(np.float32)
    assert np.abs(resample(high, 48_000, 16_000)[500:-500]).max() < 1e-4


def test_channels_and_equal_rates() -> None:
    wav = np.random.default_rng(0).uniform(-1, 1, (2, 1000)).astype(np.float32)
    assert np.array_equal(resample(wav, 16_000, 16_000), wav)
    both = resample(wav, 16_000, 8000)
    assert both.shape == (2, 500) and np.array_equal(both[1], resample(wav[1], 16_000, 8000))


@pytest.mark.parametrize("rate", [0, -1, 999, 768_001, 44_100.5, "16k", True])
def test_absurd_rates(rate: object) -> None:
    with pytest.raises(AudioError, match=r"sample rate"):
        resample(np.zeros(10), rate, 16_000)  # type: ignore[arg-type]
    with pytest.raises(AudioError, match=r"sample rate"):
        StreamResampler(16_000, rate)  # type: ignore[arg-type]


def test_a_finished_stream_is_over() -> None:
    stream = StreamResampler(16_000, 8000)
    stream.push(np.zeros(10))
    stream.finish()
    for again in (lambda: stream.push(np.zeros(1)), stream.finish):
        with pytest.raises(AudioError, match=r"finished"):
            again()
    with pytest.raises(AudioError, match=r"shape"):
        StreamResampler(16_000, 8000).push(np.zeros((2, 2, 2)))
