"""`uniaudio tts`, `asr`, `ask` and `voices`: files, folders, pipes, resuming, bad inputs."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError
from uniaudio_lm import UniAudio
from uniaudio_lm.commands import asr as asr_command
from uniaudio_lm.commands.batch import is_folder
from uniaudio_lm.commands.sinks import GrowingWav
from uniaudio_lm.interfaces import Word
from uniaudio_lm.tasks.asr import Transcript, TranscriptSegment
from uniaudio_lm.text.words import split_words

TTS_FIELDS = {
    "output", "seconds", "sample_rate", "stop_reason", "patches", "seed", "voice", "first_audio_ms",
    "rtf", "model", "problems", "overdriven_samples", "watermark",
}  # fmt: skip
ASR_FIELDS = {"input", "text", "language", "words", "segments", "model"}


@pytest.fixture
def wavs(tmp_path: Path, speech) -> Path:
    """A folder of two recordings and one that is none."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    soundfile.write(folder / "a.wav", speech(0.4).numpy(), 16000)
    soundfile.write(folder / "sub" / "b.flac", speech(0.6, 24000).numpy(), 24000)
    (folder / "broken.wav").write_bytes(b"RIFF nothing")
    return folder


def one_line(ran, *words: str) -> None:
    """Exit code 2, one clear line, nothing on standard output."""
    assert ran.code == 2, ran.err
    assert ran.err.startswith("error: ") and ran.err.count("\n") == 1, ran.err
    assert not ran.raw
    for word in words:
        assert word in ran.err, ran.err


def test_tts_says_what_it_wrote(uniaudio: Callable, small_folder: Path, tmp_path: Path) -> None:
    wav = tmp_path / "said.wav"
    ran = uniaudio("tts", "one two", "-o", wav, "-m", small_folder, "--seed", 3, "--json")
    assert ran.code == 0, ran.err
    report = ran.json
    assert set(report) == TTS_FIELDS
    samples, rate = load_audio(wav)
    assert len(samples) / rate == report["seconds"] and rate == report["sample_rate"]
    assert len(samples) == report["patches"] * 1600
    assert report["first_audio_ms"] > 0 and report["rtf"] > 0 and report["seed"] == 3
    assert "ended by a guard" in ran.err, "a cut is never silent"
    whole = UniAudio.from_pretrained(small_folder).synthesize("one two", seed=3)
    assert np.abs(samples - whole.wav.numpy()).max() <= 1 / 32768


def test_streams_to_a_file_and_to_a_pipe(
    uniaudio: Callable, small_folder: Path, tmp_path: Path
) -> None:
    said = ("tts", "one two", "-m", small_folder)
    assert uniaudio(*said, "-o", tmp_path / "whole.wav").code == 0
    whole, rate = load_audio(tmp_path / "whole.wav")
    assert uniaudio(*said, "-o", tmp_path / "grown.wav", "--stream").code == 0
    grown, _ = load_audio(tmp_path / "grown.wav")
    assert np.array_equal(whole, grown)
    assert (tmp_path / "grown.wav").read_bytes() == (tmp_path / "whole.wav").read_bytes()
    for stream in ((), ("--stream",)):
        piped = uniaudio(*said, "-o", "-", *stream)
        assert piped.code == 0 and piped.raw[:4] == b"RIFF"
        heard, piped_rate = load_audio(piped.raw)
        assert np.array_equal(heard, whole) and piped_rate == rate
        assert "ended by" in piped.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["grown.wav", "whole.wav"]


def test_a_growing_wav_can_be_read_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    with GrowingWav(path, 16000) as sink:
        for count in (1, 2, 3):
            sink.write(np.full(800, 0.25 * count, dtype=np.float32))
            heard, rate = load_audio(tmp_path / "out.wav.part")
            assert len(heard) == 800 * count and rate == 16000 and heard[-1] == 0.25 * count
            assert not path.exists()
    assert soundfile.info(path).frames == 2400
    with pytest.raises(RuntimeError), GrowingWav(path, 16000) as sink:
        sink.write(np.zeros(10))
        raise RuntimeError
    assert soundfile.info(path).frames == 2400, "what was there stays"
    assert [p.name for p in tmp_path.iterdir()] == ["out.wav"]


def test_lines_of_a_file_are_said_taken_up_again_and_repaired(
    uniaudio: Callable, small_folder: Path, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("hello\n\nfirst\tone 2\n😀\n好\n", encoding="utf-8")
    out = tmp_path / "out"
    call = ("tts", f"@{texts}", "-o", out, "-m", small_folder, "--lines", "--batch-size", 2)
    ran = uniaudio(*call, "--json")
    assert ran.code == 1, ran.err
    status = {row["input"].rpartition(" ")[2]: row["status"] for row in ran.json}
    assert status == {"1": "ok", "3": "ok", "4": "failed", "5": "ok"}
    assert all(set(row) >= TTS_FIELDS for row in ran.json if row["status"] == "ok")
    assert "texts.txt, line 4" in ran.err and "no letter" in ran.err
    made = sorted(p.name for p in out.iterdir())
    assert made == [".uniaudio.jsonl", "first.wav", "texts-0001.wav", "texts-0005.wav"]
    alone = UniAudio.from_pretrained(small_folder).synthesize("one 2")
    heard, _ = load_audio(out / "first.wav")
    assert np.abs(heard[:32000] - alone.wav.numpy()[:32000]).max() < 1e-3
    before = {p.name: p.stat().st_mtime_ns for p in out.glob("*.wav")}
    data = (out / "first.wav").read_bytes()
    (out / "first.wav").write_bytes(data[:-100])  # damaged
    texts.write_text("hello\n\nfirst\tone 2\ntwo\nother\n", encoding="utf-8")
    again = uniaudio(*call, "--json")
    assert again.code == 0, again.err
    status = {row["input"].rpartition(" ")[2]: row["status"] for row in again.json}
    assert status == {"1": "skipped", "3": "ok", "4": "ok", "5": "ok"}
    assert all(set(row) >= TTS_FIELDS for row in again.json)
    repaired, _ = load_audio(out / "first.wav")  # beside another text than before
    assert len(repaired) == len(heard) and np.abs(repaired[:32000] - heard[:32000]).max() < 1e-3
    assert (out / "texts-0001.wav").stat().st_mtime_ns == before["texts-0001.wav"]
    other = uniaudio(*call, "--seed", 1, "--json").json
    assert {row["status"] for row in other} == {"ok"}, "other options are other results"


def test_folders_of_texts_and_several_texts(
    uniaudio: Callable, small_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "b.txt").write_text("second\nline")
    (folder / "a.txt").write_text("\ufefffirst", encoding="utf-8")
    (folder / "bad.txt").write_bytes(b"\xff\xfe\xff")
    ran = uniaudio("tts", f"@{folder}", "-o", tmp_path / "out", "-m", small_folder)
    one_line(ran, "bad.txt", "UTF-8")
    (folder / "bad.txt").unlink()
    ran = uniaudio("tts", f"@{folder}", "third", "-o", tmp_path / "out", "-m", small_folder)
    assert ran.code == 0, ran.err
    assert sorted(p.name for p in (tmp_path / "out").glob("*.wav")) == [
        "0002.wav",
        "a.wav",
        "b.wav",
    ]
    one_line(
        uniaudio("tts", "hello", "world", "-o", tmp_path / "x.wav", "-m", small_folder),
        "output folder", "quote",
    )  # fmt: skip


def test_recordings_of_a_folder_with_workers(
    uniaudio: Callable, small_folder: Path, wavs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    call = ("asr", wavs, "-o", out, "-m", small_folder, "--format", "json", "--json")
    ran = uniaudio(*call, "--workers", 2, "--batch-size", 1)
    assert ran.code == 1 and ran.err.count("error: ") == 1 and "broken.wav" in ran.err
    rows = {Path(row["input"]).name: row for row in ran.json}
    assert {n: r["status"] for n, r in rows.items()} == {
        "a.wav": "ok", "b.flac": "ok", "broken.wav": "failed",
    }  # fmt: skip
    kept = json.loads((out / "sub" / "b.json").read_text())
    assert set(kept) >= ASR_FIELDS and kept["text"] == rows["b.flac"]["text"]
    model = UniAudio.from_pretrained(small_folder)
    assert kept["text"] == model.transcribe(*load_audio(wavs / "sub" / "b.flac")).text
    (out / "a.json").write_text("{}")  # damaged
    again = {Path(row["input"]).name: row["status"] for row in uniaudio(*call).json}
    assert again == {"a.wav": "ok", "b.flac": "skipped", "broken.wav": "failed"}
    assert json.loads((out / "a.json").read_text())["text"] == rows["a.wav"]["text"]


def test_transcripts_on_standard_output_and_in_one_file(
    uniaudio: Callable, small_folder: Path, wavs: Path, tmp_path: Path
) -> None:
    (wavs / "broken.wav").unlink()
    model = UniAudio.from_pretrained(small_folder)
    wav = wavs / "a.wav"
    text = model.transcribe(*load_audio(wav)).text
    assert uniaudio("asr", wav, "-m", small_folder).out == f"{text}\n"
    single = uniaudio("asr", wav, "-m", small_folder, "--format", "json").json
    assert set(single) >= ASR_FIELDS and single["text"] == text
    # The aligner that ships is there, with the latents of its own tokenizer: test_nano_lm.py sees
    # its words; this model's weights are random, and it hears none.
    assert single["words"] is not None
    assert single == uniaudio("asr", wav, "-m", small_folder, "--json").json, "deterministic"
    listed = uniaudio("asr", wavs, "-m", small_folder)
    assert listed.out.splitlines()[0].split("\t")[0] == str(wav) and listed.out.count("\n") == 2
    several = tmp_path / "all.json"
    assert uniaudio("asr", wavs, "-m", small_folder, "--format", "json", "-o", several).code == 0
    assert [Path(r["input"]).name for r in json.loads(several.read_text())] == ["a.wav", "b.flac"]
    one_line(uniaudio("asr", wavs, "-m", small_folder, "--format", "srt"), "output folder")


def test_subtitles_are_exact() -> None:
    said = [
        TranscriptSegment(0.0, 1.5, "a --> b\n\nc"),
        TranscriptSegment(1.5, 2.0, ""),
        TranscriptSegment(3661.25, 3662.0, "d <&>"),
    ]
    transcript = Transcript("", "", said)
    assert asr_command.subtitles(transcript, "srt") == (
        "1\n00:00:00,000 --> 00:00:01,500\na -> b c\n\n2\n01:01:01,250 --> 01:01:02,000\nd <&>\n\n"
    )
    assert asr_command.subtitles(transcript, "vtt") == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\na --&gt; b c\n\n"
        "01:01:01.250 --> 01:01:02.000\nd &lt;&amp;>\n\n"
    )
    assert asr_command.subtitles(Transcript("", "", []), "srt") == ""
    words = [Word(f"w{i}", 0.5 * i, 0.5 * i + 0.4, 1.0) for i in range(20)]
    words += [Word("好", 30.0, 30.2, 1.0), Word("的", 30.2, 30.4, 1.0)]
    cues = asr_command.cues(Transcript("", "", said, words))
    assert " ".join(text for _, _, text in cues).split() == [*(w.text for w in words[:20]), "好的"]
    assert all(end - start <= 6.0 for start, end, _ in cues) and len(cues) == 3
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(cues))


def test_ask_in_turns(uniaudio: Callable, small_folder: Path, wavs: Path) -> None:
    model = UniAudio.from_pretrained(small_folder)
    wav = wavs / "a.wav"
    first = model.ask(*load_audio(wav), "Who?", max_tokens=5).text
    then = model.ask(*load_audio(wav), "And?", history=[("Who?", first)], max_tokens=5).text
    call = ("ask", wav, "Who?", "--then", "And?", "--max-tokens", 5, "-m", small_folder)
    ran = uniaudio(*call, "--json")
    assert ran.code == 0, ran.err
    assert [turn["answer"] for turn in ran.json["turns"]] == [first, then]
    assert [turn["prompt"] for turn in ran.json["turns"]] == ["Who?", "And?"]
    assert ran.json["input"] == str(wav) and "token limit" in ran.err
    assert uniaudio(*call).out == f"{first}\n{then}\n"
    many = uniaudio("ask", wavs, "Who?", "--max-tokens", 2, "-m", small_folder, "--json")
    assert many.code == 1 and [r["status"] for r in many.json] == ["ok", "failed", "ok"]
    one_line(uniaudio("ask", "Who?", "-m", small_folder), "recordings first")
    one_line(uniaudio("ask", wav, " ", "-m", small_folder), "prompt is empty")


def test_voices_are_listed_added_and_spoken_with(
    uniaudio: Callable, small_folder: Path, speech, tmp_path: Path
) -> None:
    folder = UniAudio.from_pretrained(small_folder).save_pretrained(tmp_path / "model")
    assert "has no speakers" in uniaudio("voices", "-m", folder).out
    one_line(uniaudio("tts", "hi", "-o", tmp_path / "x.wav", "-m", folder, "--speaker", "ann"),
             "no speakers")  # fmt: skip
    wav = tmp_path / "ann.flac"
    soundfile.write(wav, speech(3.0, 44100).numpy(), 44100)
    (tmp_path / "ann.txt").write_text("some words")
    added = uniaudio("voices", "add", "ann", wav, "--text", f"@{tmp_path / 'ann.txt'}", "-m",
                     folder, "--language", "en")  # fmt: skip
    assert added.code == 0, added.err
    listed = uniaudio("voices", "-m", folder, "--json").json
    assert listed["voices"] == [
        {"name": "ann", "text": "some words", "language": "en", "description": "",
         "frames": listed["voices"][0]["frames"]}
    ]  # fmt: skip
    ran = uniaudio(
        "tts", "hi", "-o", tmp_path / "x.wav", "-m", folder, "--speaker", "ann", "--json"
    )
    assert ran.code == 0 and ran.json["voice"] == "ann"
    one_line(uniaudio("tts", "hi", "-o", tmp_path / "x.wav", "-m", folder, "--speaker", "anna"),
             "did you mean 'ann'")  # fmt: skip


def test_bad_inputs_are_one_line_and_leave_nothing(
    uniaudio: Callable, small_folder: Path, speech, tmp_path: Path
) -> None:
    silent, reference, texts = tmp_path / "silent.wav", tmp_path / "ref.wav", tmp_path / "big.txt"
    soundfile.write(silent, np.zeros(32000), 16000)
    soundfile.write(reference, speech(2.0).numpy(), 16000)
    texts.write_text("x" * 10**6)
    before = sorted(tmp_path.iterdir())
    out = ("-o", tmp_path / "out.wav", "-m", small_folder)
    for args, words in (
        (("tts", "", *out), ("text is empty",)),
        (("tts", "😀", *out), ("no letter or digit",)),
        (("tts", f"@{texts}", *out), ("1,000,000", "at most")),
        (("tts", "@nothing.txt", *out), ("nothing.txt",)),
        (("tts", "hi", *out, "--language", "12"), ("not a code",)),
        (("tts", "hi", *out, "--voice", silent, "--voice-text", "a"), ("silent",)),
        (("tts", "hi", *out, "--voice-text", "a"), ("--voice",)),
        (("tts", "hi", *out, "--voice", reference, "--speaker", "x"), ("give one",)),
        (("tts", "hi", *out, "--head", "nothing_here"), ("nothing_here",)),
        (("tts", "hi", *out, "--stop", "guardet"), ("did you mean 'guarded'",)),
        (("tts", "hi", *out, "--normalizer", "rule"), ("did you mean 'rules'",)),
        (("tts", "hi", *out, "--steps", 0), ("solver steps",)),
        (("tts", "hi", *out, "--noise-scale", 9), ("noise scale", "from 0 to 2")),
        (("tts", "hi", "-o", tmp_path / "x.flac", "-m", small_folder, "--stream"), (".wav",)),
        (("tts", "hi", "-o", tmp_path / "x.doc", "-m", small_folder), ("x.doc",)),
        (("tts", "hi", "-o", "-", "-m", small_folder, "--json"), ("standard output",)),
        (("tts", "a", "b", "-o", tmp_path / "f", "-m", small_folder, "--stream"), ("one text",)),
        (("tts", "hi", "-o", tmp_path / "x.wav", "-m", tmp_path / "no"), ("no",)),
        (("asr", tmp_path / "none.wav", "-m", small_folder), ("none.wav",)),
        (("asr", texts, "-m", small_folder), ("big.txt",)),
        (("asr", reference, "-m", small_folder, "--format", "doc"), ("--format",)),
        (("asr", reference, "-m", small_folder, "--language", "\t"), ("language hint",)),
        (("asr", reference, "-m", small_folder, "--workers", 0), ("--workers",)),
        (("asr", reference, "-m", small_folder, "--aligner", "nothing_here"), ("nothing_here",)),
    ):
        one_line(uniaudio(*args), *words)
        assert sorted(tmp_path.iterdir()) == before, args


def test_weights_of_another_slot_and_broken_ones(
    uniaudio: Callable, small_folder: Path, tmp_path: Path
) -> None:
    from mingtok_audio.core.models.components import save_component
    from uniaudio_lm.parts.stop.linear import LinearStop

    stop = tmp_path / "stop"
    save_component(stop, LinearStop(24), slot="stop_detector", name="linear", options={"dim": 24})
    call = ("tts", "hi", "-o", tmp_path / "out.wav", "-m", small_folder)
    one_line(uniaudio(*call, "--head", stop), "is a stop_detector, not a generation_head")
    model = UniAudio.from_pretrained(small_folder)
    with torch.no_grad():
        for parameter in model.model.generation_head.parameters():
            parameter.fill_(torch.nan)
    broken = model.save_pretrained(tmp_path / "broken")
    ran = uniaudio("tts", "hi", "-o", tmp_path / "out.wav", "-m", broken)
    one_line(ran, "NaN")
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize(
    ("output", "several", "folder"),
    [
        ("takes", True, True), ("takes", False, False), ("take-2.5-10", True, True),
        ("said.wav", True, False), ("list.mp3", True, False), ("said.wav/", False, True),
    ],
)  # fmt: skip
def test_which_outputs_are_folders(output: str, several: bool, folder: bool) -> None:
    assert is_folder(output, several) is folder


@given(
    st.lists(
        st.tuples(st.sampled_from(["", '"', "("]),
                  st.sampled_from(["Yes", "it's", "2", "你", "-->", "--->"]),
                  st.sampled_from(["", ",", ".", "?", '"', ")", "…"])),
        min_size=1, max_size=12,
    ),
    st.sampled_from(["srt", "vtt"]),
)  # fmt: skip
def test_subtitles_keep_every_mark(parts: list[tuple[str, str, str]], format: str) -> None:
    text = " ".join("".join(part) for part in parts)
    words = [Word(w, i * 0.5, i * 0.5 + 0.4, 1.0) for i, w in enumerate(split_words(text))]
    if not words:
        return
    transcript = Transcript(text, "en", [TranscriptSegment(0.0, 9.0, text)], words)
    said = [said for _, _, said in asr_command.cues(transcript)]
    assert " ".join(said).split() == text.split()
    written = asr_command.subtitles(transcript, format)
    assert sum(" --> " in line for line in written.splitlines()) == len(said)
    assert written.count("-->") == len(said), "no text can be read as another cue"


@given(st.lists(st.sampled_from(["a", "and", "station", "你", "好的", "x" * 30]), max_size=30))
def test_lines_of_subtitles_are_short_and_keep_the_text(parts: list[str]) -> None:
    text = " ".join(parts)
    lines = asr_command.cue_lines(text)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    for line in lines:
        assert sum(2 if c > "\u3000" else 1 for c in line) <= 42


def test_a_cue_is_a_sentence_of_at_most_two_lines() -> None:
    text = "The old man walked down to the river every morning. Mr. B. knew why. " * 3
    words = [Word(w, i * 0.3, i * 0.3 + 0.25, 1.0) for i, w in enumerate(split_words(text))]
    transcript = Transcript(text.strip(), "en", [TranscriptSegment(0, 30, text)], words)
    said = [text for _, _, text in asr_command.cues(transcript)]
    assert said == ["The old man walked down to the river every morning.", "Mr. B. knew why."] * 3
    assert "The old man walked down to\nthe river every morning.\n" in asr_command.subtitles(
        transcript, "srt"
    )


def test_standard_input_is_utf8_with_or_without_a_mark(
    small_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from uniaudio_lm.commands.texts import read_texts

    said = "\ufeffhello\tHello there.\n\u200bok\u00ad\tÜber 你好.\n"
    latin = io.TextIOWrapper(io.BytesIO(said.encode("utf-8")), encoding="latin-1")
    monkeypatch.setattr("sys.stdin", latin)
    texts, several = read_texts(["-"], lines=True)
    assert several and [(t.stem, t.text) for t in texts] == [
        ("hello", "Hello there."), ("ok", "Über 你好."),
    ]  # fmt: skip
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe")))
    with pytest.raises(UserError, match="not UTF-8"):
        read_texts(["-"], lines=False)
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UserError, match="closed"):
        read_texts(["-"], lines=False)


def test_small_models_use_one_thread(uniaudio: Callable, small_folder: Path, wavs: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert uniaudio("asr", wavs / "a.wav", "-m", small_folder).code == 0
        assert torch.get_num_threads() == 1
        assert uniaudio("asr", wavs / "a.wav", "-m", small_folder, "--threads", 2).code == 0
        assert torch.get_num_threads() == 2
        assert uniaudio("asr", wavs / "a.wav", "-m", small_folder, "--threads", 0).code == 2
    finally:
        torch.set_num_threads(before)
