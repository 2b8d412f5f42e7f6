"""Texts must say all of a recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from uniaudio_lm.checkpoint.load import _replace_parts
from uniaudio_lm.config import CoverageConfig, PartConfig, RecognitionConfig, UniAudioConfig
from uniaudio_lm.recognition.coverage import SLACK, Heard, speech_patches

PATCHES = 12


def looking(*places: float) -> Heard:
    """After tokens that were said in these patches."""
    heard = Heard(np.zeros(PATCHES))
    for place in places:
        attention = np.zeros(PATCHES)
        attention[int(place)] += 1 - place % 1
        attention[min(int(place) + 1, PATCHES - 1)] += place % 1
        heard = heard.follow(attention)
    return heard


SPEECH = np.ones(PATCHES, dtype=bool)


def test_a_text_that_says_all_has_no_faults() -> None:
    assert looking(*range(PATCHES)).faults(SPEECH, ended=True) == 0
    assert looking(*range(1, PATCHES, 3)).faults(SPEECH, ended=True) == 0  # a token is wide
    assert looking(*np.arange(0, PATCHES - 1, 0.7)).faults(SPEECH, ended=True) == 0


def test_what_is_left_out_counts_where_it_is_passed() -> None:
    early = looking(0, 1, 2)
    assert early.faults(SPEECH, ended=False) == 0
    assert early.faults(SPEECH, ended=True) == PATCHES - 4 - SLACK
    skipped = looking(0, 1, 2, 10, 11)
    assert skipped.faults(SPEECH, ended=False) == 5 - SLACK
    late = looking(8, 9, 10, 11)
    assert late.faults(SPEECH, ended=False) == late.faults(SPEECH, ended=True) == 7 - SLACK


def test_silence_need_not_be_said() -> None:
    speech = SPEECH.copy()
    speech[3:10] = False
    assert looking(0, 1, 2, 10, 11).faults(speech, ended=True) == 0
    assert Heard(np.zeros(0)).faults(np.zeros(0, dtype=bool), ended=True) == 0


def test_going_round_in_circles_is_a_fault() -> None:
    once = looking(0, 1, 2, 3, 4, 5, 6)
    circles = looking(0, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6)
    assert once.faults(SPEECH, ended=False) == 0
    assert circles.faults(SPEECH, ended=False) > 3
    stuck = looking(*[3] * 9)
    assert stuck.faults(SPEECH, ended=False) >= 6


def test_silence_is_told_by_its_level() -> None:
    wav = np.zeros(1000)
    wav[200:300], wav[600:700] = 0.5, 0.001
    assert speech_patches(wav, 10, 100).tolist() == [i == 2 for i in range(10)]
    assert not speech_patches(np.zeros(50), 3, 100).any()
    assert speech_patches(np.ones(950), 10, 100).all()


def test_wrong_configs_are_refused() -> None:
    for fault in ({"layer": -1}, {"heads": []}, {"weight": -1.0}, {"heads": [-2]}):
        given = {"layer": 1, "heads": [0], "weight": 1.0} | fault
        with pytest.raises(ValueError, match="coverage"):
            CoverageConfig(**given)  # type: ignore[arg-type]


def test_another_backbone_has_not_learned_to_look(tmp_path: Path) -> None:
    config = UniAudioConfig(
        *(PartConfig(name) for name in ("dense", "mlp", "linear", "pooling")),
        recognition=RecognitionConfig(coverage=CoverageConfig(1, [0])),
    )
    same, _ = _replace_parts(config, {"backbone": "dense", "generation_head": "dit"}, tmp_path)
    assert same.recognition == config.recognition
    other, _ = _replace_parts(config, {"backbone": "bailing_moe"}, tmp_path)
    assert other.recognition.coverage is None
