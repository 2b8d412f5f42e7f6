"""Pauses and SSML in texts, and the times of spoken words."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError
from uniaudio_lm import UniAudio
from uniaudio_lm.checks import check_text
from uniaudio_lm.text.ssml import MAX_PAUSE, Part, spoken_parts, without_marks
from uniaudio_lm.watermarking import DEFAULT_WATERMARK


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Hello.", [Part("Hello.")]),
        ("One [pause 0.5s] two", [Part("One ", 0.5), Part(" two")]),
        ("One[PAUSE 250 ms]", [Part("One", 0.25)]),
        ("[pause] [pause 1m] a <b>", [Part("[pause] [pause 1m] a <b>")]),
        ("<speak>Hi <break time='1s'/>you</speak>", [Part("Hi", 1.0), Part("you")]),
        ("<speak><p>A b.</p> <p>C.</p></speak>", [Part("A b.", 0.6), Part("C.", 0.6)]),
        ("<speak><s>A.</s>\n<s>B.</s></speak>", [Part("A.", 0.0), Part("B.", 0.0)]),
        ("<speak>a<break/><break strength='none'/>b</speak>", [Part("a", 0.4), Part("b")]),
        (
            "<speak>Call <say-as interpret-as='digits'>1-12</say-as>, "
            "<say-as interpret-as='characters'>bbc</say-as>, "
            "<say-as interpret-as='ordinal'>112</say-as>.</speak>",
            [Part("Call 1 1 2, B, B, C, 112th.")],
        ),
        (
            "<?xml version='1.0'?><speak version='1.1' xmlns='http://www.w3.org/2001/10/synthesis'>"
            "a &amp; b</speak>",
            [Part("a & b")],
        ),
    ],
)
def test_marks_are_read(text: str, parts: list[Part]) -> None:
    assert spoken_parts(text) == parts


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {b} "&{a};&{a};&{a};">' for a, b in pairwise("abcdefgh"))
    + "]><speak>&h;</speak>"
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<speak>a", "cannot be read"),
        ("<speak>&nbsp;</speak>", "cannot be read"),
        ("<speak><voice>a</voice></speak>", "<voice>"),
        ("<speak><break time='soon'/>a</speak>", "500ms or 0.5s"),
        ("<speak><break time='11s'/>a</speak>", "at most 10 s"),
        ("<speak><break strength='huge'/>a</speak>", "strength"),
        ("<speak><say-as interpret-as='song'>a</say-as></speak>", "interpret-as"),
        ("<speak><say-as interpret-as='digits'><p/></say-as></speak>", "holds only text"),
        ("<speak><break>a</break></speak>", "in <break>"),
        ("<speak>" + "<p>" * 40 + "a" + "</p>" * 40 + "</speak>", "in one another"),
        ("a [pause 99s]", "at most 10 s"),
        ("a [pause 10s]" * 61, "in all"),
        ("<!DOCTYPE speak><speak>a</speak>", "document type"),
        (BOMB, "document type"),
        ("<speak><!DOCTYPE x></speak>", "cannot be read"),
        ("<speak><break time='1s'/></speak>", "no letter or digit"),
        ("[pause 1s]", "no letter or digit"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(text: str, told: str) -> None:
    with pytest.raises(UserError) as refused:
        check_text(text, None, (), "nano")
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text(alphabet="ab <>/&;[]'\"=!-?1s.pausebrktim", max_size=60), st.booleans())
def test_any_text_is_read_or_refused(text: str, ssml: bool) -> None:
    try:
        parts = spoken_parts(f"<speak>{text}</speak>" if ssml else text)
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert all(part.pause >= 0 for part in parts)
    if not ssml and "[pause" not in text.lower():
        assert parts == [Part(text)]


@given(
    st.lists(
        st.tuples(st.sampled_from(["Yes", "two words"]), st.integers(0, int(1000 * MAX_PAUSE))),
        min_size=1,
        max_size=20,
    )
)
def test_both_ways_of_writing_pauses_are_the_same(parts: list[tuple[str, int]]) -> None:
    plain = " ".join(f"{text} [pause {ms}ms]" for text, ms in parts)
    ssml = "".join(f"{text} <break time='{ms}ms'/>" for text, ms in parts)
    one, other = spoken_parts(plain), spoken_parts(f"<speak>{ssml}</speak>")
    assert [(p.text.strip(), p.pause) for p in one] == [(p.text, p.pause) for p in other]
    assert without_marks(plain).split() == " ".join(text for text, _ in parts).split()


@pytest.fixture(scope="module")
def nano() -> UniAudio:
    return UniAudio.from_pretrained("nano")


@pytest.mark.parametrize("watermark", [None, DEFAULT_WATERMARK])
@pytest.mark.parametrize("checked", [False, True])
def test_pauses_are_silence_of_their_length(
    nano: UniAudio, checked: bool, watermark: str | None
) -> None:
    nano.use_watermark(watermark)
    text = "[pause 100ms] Good morning. [pause 0.5s] Where is the station? [pause 0.25s]"
    stream = nano.synthesize_stream(text, seed=2, checked=checked)
    wav = np.concatenate([w.numpy() for w in stream])
    (a, b), (c, d) = stream.spans
    assert (a, c - b, len(wav) - d) == (1600, 8000, 4000)
    assert not wav[:a].any() and not wav[b:c].any() and not wav[d:].any()
    assert wav[a:b].any() and wav[c:d].any()
    assert [text for text, _ in stream.pieces] == ["Good morning.", "Where is the station?"]
    words = nano.word_times(stream, wav)
    assert [w.text.lower().strip(".?") for w in words] == [
        "good",
        "morning",
        "where",
        "is",
        "the",
        "station",
    ]
    times = [t for w in words for t in (w.start, w.end)]
    assert times == sorted(times)
    assert words[1].end <= b / 16000 and words[2].start >= c / 16000
    if checked and watermark is None:  # a mark depends on the place in the recording
        first = nano.synthesize("Good morning.", seed=2)
        assert np.array_equal(first.wav.numpy(), wav[a:b])
        assert first.spans == [(0, b - a)]


def test_the_command_writes_words(uniaudio, tmp_path: Path) -> None:
    wav = tmp_path / "a.wav"
    ran = uniaudio("tts", "Good morning.", "-o", wav, "--words", tmp_path / "w" / "a.json")
    assert ran.code == 0
    words = json.loads((tmp_path / "w" / "a.json").read_text())
    assert [w["text"].strip(".").lower() for w in words] == ["good", "morning"]
    assert 0 <= words[0]["start"] < words[1]["end"] <= len(load_audio(wav, 16000)[0]) / 16000
    ran = uniaudio("tts", "Good morning.", "-o", wav, "--words", tmp_path / "a.srt")
    assert ran.code == 0 and (tmp_path / "a.srt").read_text().count(" --> ") == 2
    ran = uniaudio("tts", "Good.", "-o", wav, "--words", tmp_path / "a.doc")
    assert ran.code == 2 and ".json, .srt, .vtt" in ran.err
    ran = uniaudio("tts", "Good.", "Bye.", "-o", tmp_path, "--words", tmp_path / "a.srt")
    assert ran.code == 2 and "one text" in ran.err
    ran = uniaudio("tts", "<speak><audio/></speak>", "-o", tmp_path / "b.wav")
    assert ran.code == 2 and "<audio>" in ran.err and not (tmp_path / "b.wav").exists()
