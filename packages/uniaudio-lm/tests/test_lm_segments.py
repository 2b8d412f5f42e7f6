"""Recordings as people have them: levels, offsets, pauses, noises."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mingtok_audio.curation.text import error_rate
from uniaudio_lm import UniAudio
from uniaudio_lm.parts.aligners import load_aligner
from uniaudio_lm.speech_activity import at_level, centred, find_speech, segments
from uniaudio_lm.tasks.asr import TranscriptSegment

RATE = 16000
SENTENCES = [
    "The old man walked down to the river every morning.", "The children liked to follow him.",
    "Then they went home and told their mothers about it.",
]  # fmt: skip


@pytest.fixture(scope="module")
def nano() -> UniAudio:
    model = UniAudio.from_pretrained("nano")
    return model.use_aligner(load_aligner(tokenizer=model.tokenizer))


@pytest.fixture(scope="module")
def said(nano: UniAudio) -> list[np.ndarray]:
    return [made.wav.numpy() for made in nano.synthesize_batch(SENTENCES, seeds=[0, 0, 0])]


def silence(seconds: float) -> np.ndarray:
    return (1e-5 * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype("f4")


def test_sentences_together_are_heard_as_alone(nano: UniAudio, said: list[np.ndarray]) -> None:
    alone = [nano.transcribe(wav, RATE).text for wav in said]
    for pause in (0.3, 3.0):
        parts = [part for wav in said for part in (wav, silence(pause))]
        found = nano.transcribe(np.concatenate([silence(5.0), *parts, silence(4.0)]), RATE)
        # What follows within a second is in the same segment, and may settle a doubtful ending.
        changed = error_rate(" ".join(alone), found.text)
        assert changed is not None
        assert changed == 0 if pause > 1 else changed < 0.1
        starts = [s.start for s in found.segments]
        assert starts == [0.0, *(s.end for s in found.segments[:-1])], "they cover the recording"
        assert not any(s.doubtful for s in found.segments)
        assert found.words is not None
        last = 5.0 + sum(map(len, said)) / RATE + 2 * pause
        assert found.words[-1].end <= last + 0.05
        assert max(w.end - w.start for w in found.words) < 1.2, "no word lies across a pause"


def test_the_same_speech_means_the_same_words(nano: UniAudio, said: list[np.ndarray]) -> None:
    wav = said[1]
    wanted = nano.transcribe(wav, RATE)
    changes: dict[str, Any] = {
        f"{db} dB": wav * np.float32(10 ** (db / 20)) for db in (-40, -20, 6)
    }
    changes |= {f"offset {dc}": wav + np.float32(dc) for dc in (0.05, 0.2, -0.3)}
    changes["quiet, with an offset"] = 0.01 * wav + np.float32(0.1)
    changes["silence before and after"] = np.concatenate([silence(2.0), wav, silence(5.0)])
    for what, changed in changes.items():
        found = nano.transcribe(changed, RATE)
        assert found.text == wanted.text, what
    assert wanted.words is not None
    for gain in (0.01, 2.0):
        found = nano.transcribe(wav * np.float32(gain), RATE).words
        assert found is not None
        assert all(abs(a.end - b.end) < 0.15 for a, b in zip(found, wanted.words, strict=True))


def test_noises_and_tones_have_no_text(nano: UniAudio) -> None:
    rng = np.random.default_rng(1)
    white = 0.1 * rng.standard_normal(3 * RATE)
    time = np.arange(3 * RATE) / RATE
    sounds = {
        "white": white,
        "brown": 0.002 * np.cumsum(white),
        "pink": np.fft.irfft(np.fft.rfft(white) / np.sqrt(1 + np.arange(24001)), len(white)),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * time),
        "hum": 0.3 * np.sign(np.sin(2 * np.pi * 50 * time)),
        "beeps": 0.3 * np.sin(2 * np.pi * 1000 * time) * (time % 0.5 < 0.25),
        "bursts": white * (time % 1.0 < 0.5),
        "offset": np.full(3 * RATE, 0.5),
        "silence": np.zeros(3 * RATE),
    }  # fmt: skip
    for name, wav in sounds.items():
        found = nano.transcribe(wav, RATE, hotwords=["weather"])
        assert (found.text, found.words) == ("", []), name


@given(st.integers(0, 60_000), st.floats(1.0, 9.0), st.floats(0.05, 2.0), st.integers(0, 99))
@settings(deadline=None)
def test_segments_cover_any_recording(count: int, longest: float, pause: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    level = np.repeat(10 ** rng.uniform(-5, 0, count // 800 + 1), 800)[:count]
    wav = (level * rng.standard_normal(count)).astype(np.float32)
    found = segments(wav, RATE, longest, pause)
    assert found[0].start == 0 and found[-1].end == count
    assert all(a.end == b.start for a, b in itertools.pairwise(found))
    for part in found:
        assert part.start <= part.first <= part.last <= part.end or part.first == part.last == 0
        assert (part.last - part.first) / RATE <= longest + 0.45
    assert len(find_speech(wav, RATE)) == max(count // 320, min(count, 1))
    if count > 320:
        loud = [at_level(centred(g * wav), RATE) for g in (np.float32(0.01), np.float32(1.0))]
        assert np.allclose(*loud, rtol=1e-3, atol=1e-4)


def test_words_that_nobody_can_say_are_doubtful() -> None:
    words = "and then the children played in the garden all day "
    assert not TranscriptSegment(0.0, 4.0, words).doubtful
    assert TranscriptSegment(0.0, 4.0, 5 * words).doubtful
    assert TranscriptSegment(0.0, 9.0, "yes").doubtful
    assert not TranscriptSegment(0.0, 9.0, "yes", first=3.0, last=3.6).doubtful
    assert not TranscriptSegment(0.0, 9.0, "").doubtful
