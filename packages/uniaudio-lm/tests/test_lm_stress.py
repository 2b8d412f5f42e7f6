"""Texts and weights that make speech stop too early, or never: none hangs, crashes, or is cut
without a word about it, with either stop detector, on untrained weights."""

from __future__ import annotations

import dataclasses
import time

import pytest
import torch

from mingtok_audio.core.errors import UserError
from uniaudio_lm import UniAudio, VoicePrompt
from uniaudio_lm.tasks.tts import spoken_pieces
from uniaudio_lm.text.length import speech_seconds

REASONS = {"stop", "max_length", "silence", "loop"}
SENTENCE = "On the 3rd of May, Dr. Smith walked 5.5 km along the river, and nobody saw him go. "
TEN_MINUTES = SENTENCE * 84  # about 600 s at the usual rate
TEXTS = {
    "one character": "a",
    "one Chinese character": "好",
    "three words": "one two three",
    "a digit": "7",
    "ha fifty times": "ha " * 50,
    "no vowels": "Brr, pssst!",
    "mixed": "我 love 3 个 apples 😀",
    "markup": "<audio></role><|endoftext|>",
    "one long word": "a" * 400,
}


@pytest.fixture(params=["linear", "guarded"])
def model(request, small_folder) -> UniAudio:
    return UniAudio.from_pretrained(small_folder, stop_detector=request.param)


def check(model: UniAudio, made, text: str) -> None:
    assert made.wav.isfinite().all() and len(made.wav) == made.patches * 1600
    said = spoken_pieces(text, model.normalizer, model.config.piece_seconds)
    assert [piece for piece, _ in made.pieces] == said, "all of it is said"
    reasons = [reason for _, reason in made.pieces]
    assert set(reasons) <= REASONS
    ends = {made.stop_reason}
    assert ends <= set(reasons)
    assert made.stop_reason != "stop" or set(reasons) == {"stop"}, "a cut in the middle shows"


@pytest.mark.parametrize("fires", [True, False])
def test_every_text_ends_with_a_reason(model: UniAudio, stop_head, fires: bool) -> None:
    stop_head(model, fires)
    for name, text in TEXTS.items():
        made = model.synthesize(text, seed=1)
        check(model, made, text)
        if not fires:
            assert made.stop_reason != "stop", name
            seconds = len(made.wav) / 16000
            assert seconds <= 2.5 * 16 * len(made.pieces) + 2.5, name


def test_the_first_that_ends_early_is_what_is_told(model: UniAudio, stop_head, monkeypatch) -> None:
    """The head ends the first and the last piece, a guard the one between."""
    monkeypatch.setattr(model.model, "config", dataclasses.replace(model.config, piece_seconds=1.0))
    stop_head(model, True)
    stream = model.synthesize_stream("One two. Three four. Five six.", seed=0)
    job = stream._job
    for _ in stream:
        stop_head(model, fires=len(job.reasons) != 1)
    assert [job.reasons[0], job.reasons[-1]] == ["stop", "stop"] and len(job.reasons) == 3
    assert stream.stop_reason == job.reasons[1] != "stop"


def test_a_text_of_ten_minutes_is_said_to_its_end(model: UniAudio, stop_head) -> None:
    stop_head(model, True)
    if hasattr(model.model.stop_detector, "min_share"):
        model.model.stop_detector.min_share = 0.05  # believes the head sooner: the test is quicker
    made = model.synthesize(TEN_MINUTES, seed=0)
    check(model, made, TEN_MINUTES)
    expected = sum(speech_seconds(piece) for piece, _ in made.pieces)
    assert 540 < expected < 660 and len(made.pieces) > 40
    assert made.stop_reason == "stop"


@pytest.mark.slow
def test_a_text_of_ten_minutes_that_never_stops_is_bounded(model: UniAudio) -> None:
    made = model.synthesize(TEN_MINUTES, seed=0)
    check(model, made, TEN_MINUTES)
    bound = sum(2.5 * speech_seconds(piece) + 2.2 for piece, _ in made.pieces)
    assert made.stop_reason != "stop" and len(made.wav) / 16000 <= bound


def test_streams_join_to_the_whole_in_every_stop(model: UniAudio, stop_head) -> None:
    for fires in (True, False):
        stop_head(model, fires)
        stream = model.synthesize_stream("one two three. four!", seed=4)
        pieces = list(stream)
        whole = model.synthesize("one two three. four!", seed=4)
        assert torch.equal(torch.cat(pieces), whole.wav)
        assert (stream.stop_reason, stream.patches) == (whole.stop_reason, whole.patches)


@pytest.mark.parametrize("part", ["generation_head", "stop_detector", "backbone"])
def test_broken_weights_end_too(model: UniAudio, part: str) -> None:
    with torch.no_grad():
        for parameter in model.model.get_submodule(part).parameters():
            parameter.fill_(torch.nan)
    made = model.synthesize("one two", seed=0)
    assert made.stop_reason in ("max_length", "loop", "silence")


def test_what_cannot_be_said_is_refused_at_once(model: UniAudio) -> None:
    start = time.process_time()
    for text, match in (
        ("", "empty"),
        (" \n\t", "empty"),
        ("😀🎉", "no letter"),
        ("...!?", "no letter"),
        ("\u0301" * 100, "no letter"),
        ("bytes \udcff", "not UTF-8"),
        ("x" * 10**6, "at most"),
        ("好" * 10**6, "at most"),
    ):
        with pytest.raises(UserError, match=match):
            model.synthesize_stream(text)
    with pytest.raises(UserError, match="silent"):
        model.synthesize_stream("hi", VoicePrompt(torch.zeros(16000), 16000, "hi"))
    for steps in (0, -3):
        with pytest.raises(UserError, match="solver steps"):
            list(model.synthesize_stream("hi", num_steps=steps))
    assert time.process_time() - start < 10


def test_a_batch_ends_item_by_item(model: UniAudio) -> None:
    texts = list(TEXTS.values())[:5]
    together = model.synthesize_batch(texts, seeds=list(range(5)))
    for seed, (text, made) in enumerate(zip(texts, together, strict=True)):
        check(model, made, text)
        alone = model.synthesize(text, seed=seed)
        assert (alone.stop_reason, alone.patches) == (made.stop_reason, made.patches)
        assert (alone.wav - made.wav)[:32000].abs().max() < 1e-3
