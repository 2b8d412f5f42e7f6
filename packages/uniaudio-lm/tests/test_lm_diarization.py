"""`asr --speakers`: who says which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mingtok_audio.core.audio import load_audio, resample
from mingtok_audio.core.errors import UserError
from uniaudio_lm.commands.asr import cues, turns
from uniaudio_lm.interfaces import Word
from uniaudio_lm.tasks.asr import Transcript
from uniaudio_lm.tasks.diarization import speaker_count, speakers_of

RATE = 16_000
DATA = Path(__file__).resolve().parents[3] / "examples" / "data"
CLIPS = [DATA / "librivox_0880.wav", DATA / "librispeech_1089-134686-0000.flac"]


@pytest.fixture(scope="module")
def dialogue() -> tuple[np.ndarray, list[Word], list[int]]:
    """Two readers in turns, one of them played faster and so higher, with made-up words of 0.4 s,
    and who says each."""
    parts, words, who, at = [], list[Word](), list[int](), 0.0
    for turn in range(4):
        wav = load_audio(CLIPS[turn % 2], sample_rate=RATE)[0].reshape(-1)[: 5 * RATE]
        wav = resample(wav, round(1.3 * RATE), RATE) if turn % 2 else wav
        for k in range(int(len(wav) / RATE / 0.5)):
            words.append(Word(f"w{len(words)}", at + 0.5 * k, at + 0.5 * k + 0.4, 1.0))
            who.append(turn % 2)
        parts += [wav, np.zeros(RATE, np.float32)]
        at += len(wav) / RATE + 1.0
    return np.concatenate(parts), words, who


@pytest.mark.parametrize("count", [None, 2])
def test_two_readers_are_told_apart(
    dialogue: tuple[np.ndarray, list[Word], list[int]], count: int | None
) -> None:
    wav, words, who = dialogue
    names = speakers_of(wav, RATE, words, [w.text for w in words], count)
    assert names == [f"SPEAKER_{i + 1}" for i in who]
    transcript = Transcript(" ".join(w.text for w in words), "en", [], words)
    said = turns(transcript, names)
    assert [turn["speaker"] for turn in said] == ["SPEAKER_1", "SPEAKER_2"] * 2
    assert " ".join(turn["text"] for turn in said) == transcript.text
    shown = [text for _, _, text in cues(transcript, names)]
    assert sum(text.startswith("SPEAKER_") for text in shown) == 4


def test_one_speaker_and_no_words(dialogue: tuple[np.ndarray, list[Word], list[int]]) -> None:
    wav, words, _ = dialogue
    assert set(speakers_of(wav, RATE, words, [w.text for w in words], 1)) == {"SPEAKER_1"}
    assert speakers_of(wav, RATE, [], [], None) == []


def test_the_command_names_speakers(uniaudio: Callable, tmp_path: Path) -> None:
    ran = uniaudio("asr", CLIPS[0], "--speakers", "1")
    assert ran.code == 0 and ran.out.startswith("SPEAKER_1: ")
    out = tmp_path / "a.json"
    assert uniaudio("asr", CLIPS[0], "--speakers", "auto", "--format", "json", "-o", out).code == 0
    found = json.loads(out.read_text())
    assert all(word["speaker"].startswith("SPEAKER_") for word in found["words"])
    assert " ".join(turn["text"] for turn in found["speaker_turns"]) == found["text"]
    refused = uniaudio("asr", CLIPS[0], "--speakers", "2", "--aligner", "none")
    assert refused.code == 2 and "words' times" in refused.err


@pytest.mark.parametrize("text", ["many", "0", "21", "-1", "2.0", "二", ""])
def test_what_is_no_number_of_speakers_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--speakers is auto or a number"):
        speaker_count(text)
