"""Live transcripts: the text of the whole recording, whatever pieces the sound comes in."""

from __future__ import annotations

import numpy as np
import pytest

from mingtok_audio.core.errors import AudioError, UserError
from uniaudio_lm import UniAudio
from uniaudio_lm.live import LiveTranscriber, stable_words

RATE = 16_000


@pytest.fixture(scope="module")
def nano() -> UniAudio:
    return UniAudio.from_pretrained("nano")


@pytest.fixture(scope="module")
def sound(nano: UniAudio) -> np.ndarray:
    text = "Good morning. [pause 1.5s] Where is the station? [pause 1s]"
    return np.concatenate([w.numpy() for w in nano.synthesize_stream(text, seed=2)])


@pytest.mark.parametrize("size", [1000, 7321, 10**9])
def test_the_text_in_the_end_is_that_of_the_recording(
    nano: UniAudio, sound: np.ndarray, size: int
) -> None:
    live = LiveTranscriber(nano, RATE, interval=0.5)
    told = [h for at in range(0, len(sound), size) for h in live.push(sound[at : at + size])]
    told += live.finish()
    final = [h for h in told if h.final]
    whole = nano.transcribe(sound, RATE)
    assert live.text == whole.text == " ".join(h.text for h in final)
    assert live.seconds == pytest.approx(len(sound) / RATE)
    assert len(final) == len(whole.segments) == 2
    assert all(h.stable == len(h.text.split()) for h in final)
    times = [t for h in final for t in (h.start, h.end)]
    assert times == sorted(times) and times[-1] <= live.seconds + 1e-6
    if size < 10**9:  # it was told before it was over
        assert any("morning" in h.text.lower() for h in told if not h.final)


def test_what_is_no_sound_or_no_interval_is_refused(nano: UniAudio) -> None:
    live = LiveTranscriber(nano, RATE)
    assert live.finish() == [] and live.text == ""
    for bad in (np.zeros((2, 5)), np.array([np.nan])):
        with pytest.raises(AudioError, match="finite samples"):
            live.push(bad)
    for bad_interval in (0.0, -1.0, float("nan")):
        with pytest.raises(UserError, match="interval"):
            LiveTranscriber(nano, RATE, interval=bad_interval)


def test_stable_words_are_those_at_the_beginning() -> None:
    assert stable_words(["Good", "morning."], "good morning to you") == 2
    assert stable_words(["Good", "evening"], "Good morning") == 1
    assert stable_words([], "Good") == 0
