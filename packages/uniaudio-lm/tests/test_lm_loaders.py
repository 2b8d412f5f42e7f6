"""What curation finds of this package by its entry points."""

from __future__ import annotations

from pathlib import Path

import pytest

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import PluginError
from mingtok_audio.curation.loaders import find_loader, load_from_plugin
from mingtok_audio.curation.recording import Recording, Segment, Source
from mingtok_audio.curation.stages.align import Align
from mingtok_audio.curation.stages.recognise import CrossCheck, Recognise

RECORDING = Path(__file__).parents[3] / "examples" / "data" / "librivox_0880.wav"
RIGHT = "He was not an ill-disposed young man"
WRONG = "they sold the old mill to a stranger"


def test_every_kind_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("recognizer", "aligner", "text_normalizer"):
        entry = find_loader(kind)
        assert entry is not None and entry.distribution == "uniaudio-lm"
    normaliser = load_from_plugin("text_normalizer")
    assert "two" in normaliser.normalize("2 cats", "en")
    monkeypatch.setenv("UNIAUDIO_DISABLE_PLUGINS", "uniaudio-lm")
    assert find_loader("aligner") is None
    with pytest.raises(PluginError, match="no installed package offers the model 'aligner'"):
        load_from_plugin("aligner")


def test_texts_are_recognised_checked_and_aligned() -> None:
    wav, rate = load_audio(RECORDING, sample_rate=16000)
    found: dict[str, dict] = {}
    recognise, align, check = Recognise(), Align(), CrossCheck()
    for text in (RIGHT, WRONG):
        recording = Recording(Source("x", RECORDING, {"text": text}))
        recording.fill([wav], rate)
        recording.speech = [(0.0, recording.seconds)]
        segment = Segment(0.0, recording.seconds, {"language": "en"})
        for stage in (recognise, check, align):
            stage.run(segment, wav, recording)
        found[text] = segment.values
    right, wrong = found[RIGHT], found[WRONG]
    assert right["text"] == RIGHT and right["text_by"] == "given"
    assert right["cross_wer"] < 0.8 < wrong["cross_wer"]
    assert right["align_score"] > wrong["align_score"]
    assert [w["text"] for w in right["words"]] == RIGHT.split()
