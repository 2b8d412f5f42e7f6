"""Word times, cutting at quiet places, baselines, and items whose target is a recording."""

from __future__ import annotations

import json

import numpy as np
import pytest

from audio_eval.build import (
    BuildOptions,
    Cell,
    build,
    ground_truth,
    oracle_splice,
    source_unchanged,
)
from audio_eval.build.align import Word, unit_times
from audio_eval.build.baselines import deleted_spans
from audio_eval.build.splice import cut_points
from audio_eval.build.units import parse_text
from audio_eval.interfaces import Item
from audio_eval.scoring.manifest import read_manifest
from mingtok_audio.core.audio import load_audio, save_audio
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.speech import cut_out, quietest

RATE = 16000
WORD, GAP = 0.20, 0.08
#: A tone per word: what is left of a recording can be told from its pitches.
_SENTENCE = "please press one two three to hear the new message again now"
_WORDS = _SENTENCE.split()
PITCH = {word: 300 + 60 * place for place, word in enumerate(_WORDS)}


def _say(text):
    """Tones with gaps, one per word, and the true times."""
    pieces, times, at = [np.zeros(int(GAP * RATE), np.float32)], [], GAP
    for word in text.lower().replace(",", "").replace(".", "").split():
        time = np.arange(int(WORD * RATE)) / RATE
        pieces.append((0.4 * np.sin(2 * np.pi * PITCH[word] * time)).astype(np.float32))
        pieces.append(np.zeros(int(GAP * RATE), np.float32))
        times.append((at, at + WORD))
        at += WORD + GAP
    return np.concatenate(pieces), times


def _hear_words(wav):
    """Which words a recording of tones holds, by the loudest pitch of each loud stretch."""
    loud = np.convolve(np.abs(wav), np.ones(320) / 320, "same") > 0.05
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
    heard = []
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if last - first < 0.05 * RATE:
            continue
        spectrum = np.abs(np.fft.rfft(wav[first:last], 1 << 15))
        hertz = np.argmax(spectrum) * RATE / (1 << 15)
        word = min(PITCH, key=lambda w: abs(PITCH[w] - hertz))
        heard.append(Word(word, first / RATE, last / RATE))
    return heard


def _hear(path, language):
    wav, _ = load_audio(path)
    return _hear_words(wav)


def _text_of(path):
    return " ".join(word.text for word in _hear(path, "en"))


def test_times_survive_what_a_recogniser_gets_wrong():
    units = parse_text("Please press one to hear the new message.", "en").cores()
    heard = [
        Word("Please", 0.0, 0.3),
        Word("press", 0.3, 0.6),
        Word("1", 0.6, 0.8),  # another spelling
        Word("to", 0.8, 0.9),
        # "hear" was missed
        Word("the", 1.3, 1.4),
        Word("newmessage.", 1.4, 2.0),  # two words as one
    ]
    times = unit_times(units, heard, 2.2, "en")
    assert times[2] == (0.6, 0.8)
    assert times[4] == (0.9, 1.3)
    assert times[6][0] == 1.4 and times[7][1] == pytest.approx(2.0)
    assert times[6][1] == times[7][0]
    with pytest.raises(UserError, match="only 18% of"):
        unit_times(units, heard[:1], 2.2, "en")


def test_chinese_words_are_shared_out_to_characters():
    units = parse_text("今天下雨了。", "zh").cores()
    times = unit_times(units, [Word("今天", 0.0, 0.4), Word("下雨了", 0.5, 1.1)], 1.2, "zh")
    assert times[1] == pytest.approx((0.2, 0.4))
    assert times[4] == pytest.approx((0.9, 1.1))


def test_the_quietest_place_is_in_the_gap():
    wav, times = _say("please press one")
    found = quietest(wav, RATE, int(times[0][0] * RATE), int(times[1][1] * RATE))
    assert times[0][1] * RATE < found < times[1][0] * RATE


def test_cut_points_forgive_times_that_are_off():
    wav, times = _say("please press one to hear")
    late = [(a + 0.05, b + 0.05) for a, b in times]
    first, last = cut_points(wav, RATE, late, 1, 3)
    assert times[0][1] * RATE <= first <= times[1][0] * RATE
    assert times[2][1] * RATE <= last <= times[3][0] * RATE
    assert cut_points(wav, RATE, times, 0, 1)[0] == 0
    assert cut_points(wav, RATE, times, 3, 5)[1] == len(wav)
    left = cut_out(wav, RATE, [(first, last)])
    assert [w.text for w in _hear_words(left)] == ["please", "to", "hear"]
    assert len(wav) - len(left) == last - first + int(0.008 * RATE)


@pytest.mark.parametrize(
    ("original", "edited", "spans"),
    [
        ("Please press one, to hear.", "Please press one.", [(3, 5)]),
        ("press one to hear one", "press to one", [(1, 2), (3, 4)]),
    ],
)
def test_what_was_deleted_follows_from_the_texts(original, edited, spans):
    item = Item("a", text=edited, original_text=original, language="en", task="deletion")
    assert deleted_spans(item, parse_text(original, "en")) == spans


def test_no_spans_for_what_is_no_deletion():
    item = Item("a", text="press nine", original_text="press one", language="en")
    with pytest.raises(UserError, match="not the original with something"):
        deleted_spans(item, parse_text("press one", "en"))


def test_baselines_write_what_they_can_and_say_why_not(tmp_path):
    wav, _ = _say("please press one to hear the new message")
    save_audio(tmp_path / "a.wav", wav, RATE)
    save_audio(tmp_path / "b.flac", wav, RATE)
    text = "Please press one to hear the new message."
    items = [
        Item("a", source=tmp_path / "a.wav", reference=tmp_path / "b.flac", task="deletion",
             original_text=text, text="Please press one to hear the message.", language="en"),
        Item("b", source=tmp_path / "b.flac", task="insertion", original_text=text,
             text=text + " now", language="en"),
        Item("c", source=tmp_path / "none.wav", task="deletion", original_text=text,
             text="Please press one.", language="en"),
    ]  # fmt: skip
    unchanged = source_unchanged(items, tmp_path / "u")
    assert unchanged.written == ["a", "b"] and unchanged.skipped == {"c": "has no source"}
    assert (tmp_path / "u" / "a.wav").read_bytes() == (tmp_path / "a.wav").read_bytes()
    truth = ground_truth(items, tmp_path / "g")
    assert truth.written == ["a"] and "reference" in truth.skipped["b"]
    oracle = oracle_splice(items, tmp_path / "o", _hear)
    assert oracle.written == ["a"]
    assert "cannot be done by cutting" in oracle.skipped["b"]
    assert _text_of(tmp_path / "o" / "a.wav") == "please press one to hear the message"


def test_recorded_targets_are_the_recording_and_the_source_says_what_its_text_says(tmp_path):
    texts = [
        "Please press one to hear the new message.",
        "To hear the message again, press two now.",
        "Press three to hear the new message again.",
        "Please hear the message now, please press one.",
        "Press one now to hear the new message again.",
        "To hear one new message, press three again.",
    ]
    rows = []
    for k, text in enumerate(texts):
        save_audio(tmp_path / f"r{k}.wav", _say(text)[0], RATE)
        row = {"id": f"r{k}", "audio": f"r{k}.wav", "text": text, "language": "en"}
        rows.append(json.dumps({**row, "speaker": "s"}))
    (tmp_path / "m.jsonl").write_text("\n".join(rows))
    counts = {Cell("en", t, "full", "index"): 2 for t in ("deletion", "insertion", "substitution")}
    report = build(
        BuildOptions(
            tmp_path / "m.jsonl", tmp_path / "s", counts, targets="recorded", hear=_hear, seed=4
        )
    )
    assert report.missing == {}
    for item in read_manifest(tmp_path / "s" / "items.jsonl"):
        original = [c.casefold() for c in parse_text(item.original_text, "en").cores()]
        edited = [c.casefold() for c in parse_text(item.text, "en").cores()]
        assert _text_of(item.source).split() == original
        assert _text_of(item.reference).split() == edited
        recording, _ = load_audio(tmp_path / f"{item.parameters['recording']}.wav")
        np.testing.assert_array_equal(recording, load_audio(item.reference)[0])


def test_recorded_targets_without_another_recording_say_so(tmp_path):
    save_audio(tmp_path / "r.wav", _say("please press one to hear")[0], RATE)
    row = {"id": "r", "audio": "r.wav", "text": "please press one to hear", "language": "en"}
    (tmp_path / "m.jsonl").write_text(json.dumps(row))
    counts = {Cell("en", "deletion", "full", "index"): 1}
    options = BuildOptions(
        tmp_path / "m.jsonl", tmp_path / "s", counts, targets="recorded", hear=_hear
    )
    with pytest.raises(UserError, match="no_donor"):
        build(options)
