"""Takes that do not say their text are found, made again, and reported."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uniaudio_lm import UniAudio
from uniaudio_lm.interfaces import Aligner, Word
from uniaudio_lm.tasks.guard import cut, judge, limited, overdriven
from uniaudio_lm.text.length import SYLLABLES_PER_SECOND, speech_seconds
from uniaudio_lm.text.words import split_words

TEXT = "He carried a small basket. Nobody knew where he came from."
RATE = 16000


class Scored(Aligner):
    """Words spread over the first `share` of the recording; `scores` of each sentence's words."""

    def __init__(self, share: float = 1.0, scores: dict[str, float] | None = None) -> None:
        super().__init__()
        self.share, self.scores = share, scores or {}

    def align(self, wav: np.ndarray, text: str, language: str) -> list[Word]:
        words = split_words(text)
        step = self.share * len(wav) / RATE / len(words)
        return [
            Word(w, i * step, (i + 1) * step, self.scores.get(w, 0.9)) for i, w in enumerate(words)
        ]


def take(share: float, level: float = 0.1, text: str = TEXT) -> torch.Tensor:
    return torch.full((round(share * speech_seconds(text) * RATE),), level)


def verdict(wav: torch.Tensor, reason: str = "stop", aligner: Aligner | None = None, text=TEXT):
    return judge(text, wav, RATE, reason, SYLLABLES_PER_SECOND, lambda: aligner)


def test_a_take_is_judged_by_its_length_its_level_and_its_words() -> None:
    good = Scored()
    assert verdict(take(1.0), aligner=good).problem == ""
    assert verdict(take(0.4), aligner=good).problem == "short"
    assert verdict(take(0.0), aligner=good).problem == "short", "nothing at all"
    assert verdict(take(0.6), aligner=good).problem == "", "the aligner finds every word"
    assert verdict(take(0.6)).problem == "short", "and without one it is not believed"
    missing = Scored(scores=dict.fromkeys(["Nobody", "knew", "where", "he", "came", "from"], 0.05))
    assert verdict(take(0.9), aligner=missing).problem == "unclear", "a sentence is missing"
    long = verdict(take(2.5), "max_length", Scored(0.4))
    assert long.problem == "long" and long.end == pytest.approx(speech_seconds(TEXT) + 0.2)
    assert verdict(take(1.0, level=1.4), aligner=good).problem == "clipped"
    order = [
        verdict(take(1.0), aligner=good), verdict(take(1.0, 1.4), aligner=good),
        verdict(take(2.5), "max_length", Scored(0.4)), verdict(take(0.9), aligner=missing),
        verdict(take(0.3), aligner=good),
    ]  # fmt: skip
    assert [v.badness for v in order] == sorted(v.badness for v in order)


@given(
    st.lists(st.floats(-4, 4, width=32), max_size=60), st.floats(0.0, 0.02),
)  # fmt: skip
def test_the_limiter_bends_only_what_is_loud(samples: list[float], end: float) -> None:
    wav = torch.tensor(samples, dtype=torch.float32)
    out = limited(wav)
    quiet = wav.abs() <= 0.9
    assert torch.equal(out[quiet], wav[quiet]) and bool((out.abs() <= 1.0).all())
    assert bool((torch.sign(out) == torch.sign(wav)).all()) and overdriven(out) == 0
    order = wav.sort().indices
    assert bool((out[order].diff() >= -1e-6).all()), "louder stays louder"
    short = cut(wav, RATE, end)
    assert len(short) == min(len(wav), round(end * RATE))


@pytest.fixture
def guarded(small: UniAudio) -> UniAudio:
    """A model that never stops by itself, and whose takes are checked."""
    small.model.config = dataclasses.replace(small.config, attempts=3)
    return small.use_aligner(Scored(0.3))


def test_bad_takes_are_made_again_and_the_best_is_kept(
    guarded: UniAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    from uniaudio_lm.model.generation import Generation

    seen: list[int] = []
    inner = Generation.join

    def watched(generation: Generation, items: Any) -> Any:
        if items:
            seen.append(len(items))
        return inner(generation, items)

    monkeypatch.setattr(Generation, "join", watched)
    made = guarded.synthesize("Yes.", seed=0)
    assert seen == [1, 1, 1], "all takes ran to the limit"
    assert made.stop_reason == "max_length"
    bound = guarded.config.patch_size / guarded.tokenizer.frame_rate
    assert len(made.wav) / made.sample_rate <= 0.3 * (2.0 * speech_seconds("Yes.") + 1.3) + 0.3
    assert made.patches == math.ceil(len(made.wav) / made.sample_rate / bound)
    assert float(made.wav.abs().max()) <= 1.0
    pair = guarded.synthesize_batch(["Yes.", "One two three."], seeds=[0, 4])
    assert torch.allclose(pair[0].wav, made.wav, atol=1e-5), "a batch gives what one gives alone"
    alone = guarded.synthesize("One two three.", seed=4)
    assert torch.allclose(pair[1].wav, alone.wav, atol=1e-5)
    streamed = torch.cat(list(guarded.synthesize_stream("Yes.", seed=0, checked=True)))
    assert torch.equal(streamed, made.wav)


def test_speech_that_stops_at_once_is_reported(guarded: UniAudio, stop_head) -> None:
    stop_head(guarded, fires=True)
    made = guarded.synthesize(TEXT, seed=1)
    assert made.stop_reason == "short" and made.pieces == [(TEXT, "short")]
    stream = guarded.synthesize_stream(TEXT, seed=1)
    assert len(torch.cat(list(stream))) and stream.stop_reason == "short"


def test_the_command_reports_missing_words(
    guarded: UniAudio, stop_head, uniaudio, tmp_path: Path
) -> None:
    stop_head(guarded, fires=True)
    folder = guarded.save_pretrained(tmp_path / "model")
    wav = tmp_path / "said.wav"
    ran = uniaudio("tts", TEXT, "-o", wav, "-m", folder, "--json")
    assert ran.code == 1 and wav.is_file()
    assert ran.json["stop_reason"] == "short"
    assert ran.json["problems"] == [{"text": TEXT, "reason": "short"}]
    assert "too short: words must be missing" in ran.err and ran.err.count("\n") == 1
    (tmp_path / "lines.txt").write_text(f"{TEXT}\n{TEXT}\n")
    lines = f"@{tmp_path / 'lines.txt'}"
    ran = uniaudio("tts", lines, "--lines", "-o", tmp_path / "out", "-m", folder)
    assert ran.code == 1 and ran.err.count("words must be missing") == 2


def test_short_texts_of_the_nano_are_short() -> None:
    nano = UniAudio.from_pretrained("nano")
    texts = ["Yes", "Hmm.", "OK", "a", "5"]
    for text, made in zip(texts, nano.synthesize_batch(texts, seeds=range(5)), strict=True):
        longest = 2.2 if made.stop_reason == "stop" else 3.0  # the others are reported
        assert 0.2 < len(made.wav) / made.sample_rate < longest, text
        assert float(made.wav.abs().max()) <= 1.0
