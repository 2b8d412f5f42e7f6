"""New words by splice: the voice prompt, the takes and their judge, and what stays untouched.

Random weights speak noise; that is enough to see which samples change.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mingtok_audio.core.errors import PluginError, UserError
from uniaudio_edit.backends.judging import ModelJudge, error_rate
from uniaudio_edit.backends.splice import MARGIN_SECONDS
from uniaudio_edit.editor import Editor
from uniaudio_edit.errors import MissingPartError
from uniaudio_edit.interfaces import Word
from uniaudio_edit.parts import Take
from uniaudio_edit.pcm import read_recording
from uniaudio_edit.receipt import Names, apply_receipt, undo_receipt
from uniaudio_lm import UniAudio
from uniaudio_lm.config import Sampling
from uniaudio_lm.interfaces import Aligner
from uniaudio_lm.interfaces import Word as Aligned
from uniaudio_lm.parts.stop.linear import LinearStop

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden" / "unified"
TEXT = "one two three four five six"
WORDS = [Word(t, 0.3 + 0.5 * n, 0.65 + 0.5 * n) for n, t in enumerate(TEXT.split())]
SECONDS = 3.5


@pytest.fixture(scope="module")
def model() -> UniAudio:
    loaded = UniAudio.from_pretrained(GOLDEN)
    detector = loaded.model.stop_detector
    assert isinstance(detector, LinearStop)
    detector.stop_head.bias.data = torch.tensor([-3.0, 3.0])  # ends when it may
    loaded.model.config = dataclasses.replace(
        loaded.config, sampling=Sampling(num_steps=1, cfg_scale=0.0)
    )
    return loaded


@pytest.fixture(autouse=True)
def no_shipped_aligner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Aligners only where a test gives one."""

    def refuse(*args: object, **options: object) -> Aligner:
        raise PluginError("this release ships no aligner weights")

    monkeypatch.setattr("uniaudio_lm.parts.aligners.loading.load_aligner", refuse)


class Even(Aligner):
    """Shares the time out among the words."""

    def align(self, wav: np.ndarray, text: str, language: str) -> list[Aligned]:
        words, seconds = text.split(), len(wav) / 16000
        size = seconds / len(words)
        return [Aligned(w, n * size, (n + 1) * size, 0.9) for n, w in enumerate(words)]


def recording(path: Path, rate: int, channels: int, subtype: str) -> Path:
    rng = np.random.default_rng(rate + channels)
    time = np.arange(round(SECONDS * rate)) / rate
    wave = 0.002 * rng.standard_normal((len(time), channels))
    for n, word in enumerate(WORDS):
        inside = (time >= word.start) & (time < word.end)
        tone = np.sin(2 * np.pi * (140 + 35 * n) * time[inside]) * np.hanning(inside.sum())
        wave[inside] += tone[:, None] * np.linspace(0.3, 0.15, channels)
    soundfile.write(path, wave, rate, subtype=subtype)
    return path


def longest(take: Take) -> float:
    return float(len(take.wav))


@pytest.mark.parametrize(
    ("rate", "channels", "subtype", "instruction"),
    [
        (16000, 1, "PCM_16", "replace 'three' with 'eight'"),
        (44100, 2, "PCM_24", "insert 'nine' after 'two' and replace 'five six' with 'ten'"),
        (16000, 1, "FLOAT", "insert 'nine' at the end, insert 'so' at the start, delete 'three'"),
    ],
)
def test_only_the_declared_samples_change(  # noqa: PLR0917
    model: UniAudio, tmp_path: Path, rate: int, channels: int, subtype: str, instruction: str
) -> None:
    path = recording(tmp_path / "in.wav", rate, channels, subtype)
    names = Names.of(tmp_path / "out.wav")
    editor = Editor(model=model, judge=longest, options={"candidates": 2})
    receipt = editor.edit_file(path, instruction, names.output, text=TEXT, words=WORDS)
    source, output = read_recording(path), read_recording(names.output)
    assert (source.subtype, source.sample_rate) == (output.subtype, output.sample_rate)
    operations = receipt.plan["operations"]
    assert len(receipt.changed) == len(operations)
    s = o = 0
    for change in receipt.changed:
        (a, b), (c, d) = change["source"], change["output"]
        assert np.array_equal(source.pcm[s:a], output.pcm[o:c])
        s, o = b, d
        start, end = operations[change["operation"]]["time_span"]
        assert a / rate >= start - MARGIN_SECONDS - 1e-3
        assert b / rate <= end + MARGIN_SECONDS + 1e-3
        if operations[change["operation"]]["new"]:
            new = output.pcm[c:d].astype(float)
            assert (d - c) / rate > 0.2 and np.abs(new).max() > 0
            # As loud as what is said around it, in every channel.
            said = np.concatenate(
                [source.pcm[round(w.start * rate) : round(w.end * rate)] for w in WORDS]
            ).astype(float)
            ratio = np.sqrt(np.square(new).mean(axis=0) / np.square(said).mean(axis=0))
            assert np.all((ratio > 0.5) & (ratio < 2.0))
    assert np.array_equal(source.pcm[s:], output.pcm[o:])
    assert receipt.models == {"voice": model.model_id}
    assert any("take" in note and "kept" in note for note in receipt.warnings)
    assert any("16000 Hz" in note for note in receipt.warnings) == (rate > 16000)
    assert receipt.watermark == {"name": "spectral", "marked": True}
    # Again from the receipt, and back, byte for byte.
    assert apply_receipt(names.receipt, None, tmp_path / "again.wav")["same_file"]
    assert (tmp_path / "again.wav").read_bytes() == names.output.read_bytes()
    assert undo_receipt(names.receipt, None, tmp_path / "back.wav")["same_file"]
    assert (tmp_path / "back.wav").read_bytes() == path.read_bytes()


def test_only_new_words_are_marked(model: UniAudio, tmp_path: Path) -> None:
    path = recording(tmp_path / "in.wav", 44100, 2, "PCM_24")
    made, spans = [], []
    for mark in ("spectral", None):
        editor = Editor(model=model, judge=longest, options={"candidates": 1}, watermark=mark)
        receipt = editor.edit_file(
            path,
            "replace 'three' with 'eight' and delete 'five'",
            tmp_path / f"{mark}.wav",
            words=WORDS,
        )
        assert receipt.watermark == {"name": mark, "marked": mark is not None}
        made.append(read_recording(tmp_path / f"{mark}.wav").pcm)
        new = next(c for c in receipt.changed if receipt.plan["operations"][c["operation"]]["new"])
        spans.append(slice(*new["output"]))
    assert spans[0] == spans[1]
    keep = np.ones(len(made[0]), bool)
    keep[spans[0]] = False
    assert np.array_equal(made[0][keep], made[1][keep])
    assert not np.array_equal(made[0], made[1])
    assert np.all(made[0] % 256 == 0)  # 24 bits stay 24 bits
    gone = Editor().edit_file(path, "delete 'five'", tmp_path / "gone.wav", words=WORDS)
    assert gone.watermark == {"name": "spectral", "marked": False}


def test_a_seed_means_the_same_and_the_judge_decides(model: UniAudio, tmp_path: Path) -> None:
    path = recording(tmp_path / "in.wav", 16000, 1, "PCM_16")
    seen: list[Take] = []

    def judge(take: Take) -> float:
        seen.append(take)
        return [0.0, float("nan"), 2.0][len(seen) - 1]

    def make(name: str, **options) -> np.ndarray:
        editor = Editor(model=model, options={"candidates": 3}, **options)
        editor.edit_file(path, "replace 'three' with 'nine'", tmp_path / name, words=WORDS)
        return read_recording(tmp_path / name).pcm

    chosen = make("a.wav", judge=judge)
    assert len(seen) == 3
    assert {take.text for take in seen} == {"nine"}
    assert seen[0].excerpt_text == "one two nine four five six"
    assert len(seen[0].excerpt) > len(seen[0].wav)
    assert not np.array_equal(seen[0].wav, seen[2].wav)
    best = seen[2].wav
    seen.clear()
    assert np.array_equal(make("b.wav", judge=judge), chosen)
    other = make("c.wav", judge=lambda take: -abs(len(take.wav) - len(best)) - 1.0, seed=5)
    assert not np.array_equal(other, chosen)


def test_an_aligner_cuts_off_what_is_said_after_the_new_words(
    model: UniAudio, tmp_path: Path
) -> None:
    path = recording(tmp_path / "in.wav", 16000, 1, "PCM_16")
    said: list[str] = []
    plain = model.synthesize_batch

    def batch(texts, voices, **options):
        said.extend(texts)
        assert voices[0].text == "four five six one two"  # what follows, then what comes before
        return plain(texts, voices, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "synthesize_batch", batch)
        lengths = []
        for aligner in ("", Even()):
            editor = Editor(model=model, aligner=aligner, judge=longest, options={"candidates": 1})
            receipt = editor.edit_file(
                path, "replace 'three' with 'nine'", tmp_path / "o.wav", words=WORDS
            )
            c, d = receipt.changed[0]["output"]
            lengths.append(d - c)
    assert said == ["nine", "nine four five"]
    assert lengths[1] < 0.6 * lengths[0]


def test_word_times_come_from_an_aligner_and_the_text_from_a_recogniser(tmp_path: Path) -> None:
    path = recording(tmp_path / "in.wav", 16000, 1, "PCM_16")
    heard: list[int] = []

    def transcriber(wav: np.ndarray, rate: int) -> str:
        heard.append(rate)
        return TEXT

    editor = Editor(transcriber=transcriber, aligner=Even(), check=True)
    receipt = editor.edit_file(path, "delete 'two'", tmp_path / "o.wav")
    assert receipt.plan["original_text"] == TEXT
    assert receipt.check == {"text": TEXT, "match": False}
    a, b = receipt.changed[0]["source"]
    size = SECONDS / 6
    assert size - 0.16 <= a / 16000 and b / 16000 <= 2 * size + 0.16
    assert len(heard) == 2
    known = Editor(transcriber=transcriber, aligner=Even())
    known.edit_file(path, "delete 'two'", tmp_path / "p.wav", text=TEXT)
    known.edit_file(path, "make it louder", tmp_path / "q.wav")
    assert len(heard) == 2  # no recognition where the text is given or not needed


def test_an_unsure_aligner_is_a_warning(tmp_path: Path) -> None:
    class Unsure(Even):
        def align(self, wav: np.ndarray, text: str, language: str) -> list[Aligned]:
            found = super().align(wav, text, language)
            return [Aligned(w.text, w.start, w.end, 0.01) for w in found]

    path = recording(tmp_path / "in.wav", 16000, 1, "PCM_16")
    text = "something else was said here"
    receipt = Editor(aligner=Unsure()).edit_file(
        path, "delete 'else'", tmp_path / "o.wav", text=text
    )
    assert any("fits the recording badly" in note for note in receipt.warnings)
    sure = Editor(aligner=Even()).edit_file(path, "delete 'two'", tmp_path / "p.wav", text=TEXT)
    assert not any("badly" in note for note in sure.warnings)


def test_what_cannot_be_is_said_in_one_line(model: UniAudio, tmp_path: Path) -> None:
    path = recording(tmp_path / "in.wav", 16000, 1, "PCM_16")
    quiet = tmp_path / "quiet.wav"
    soundfile.write(quiet, np.zeros(round(SECONDS * 16000)), 16000)
    editor = Editor(model=model, aligner=Even(), transcriber=lambda wav, rate: "")
    before = sorted(tmp_path.iterdir())
    for source, instruction, text, words in (
        (quiet, "delete 'two'", None, "silent"),
        (quiet, "replace 'two' with 'ten'", TEXT, "silent"),
        (path, "delete 'two'", None, "nothing was recognised"),
        (path, "delete 'two'", "two " + "much said " * 100, "does not say that"),
        (path, "replace 'two' with '!!!'", TEXT, "not understood"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            editor.edit_file(source, instruction, tmp_path / "o.wav", text=text)
        assert "\n" not in str(caught.value)
    with pytest.raises(MissingPartError, match=r"--words FILE.*ships no aligner"):
        Editor().edit_file(path, "delete 'two'", tmp_path / "o.wav", text=TEXT)
    for count in (0, 101, "3"):
        bad = Editor(model=model, options={"candidates": count})
        with pytest.raises(UserError, match="candidates"):
            bad.edit_file(path, "replace 'two' with 'ten'", tmp_path / "o.wav", words=WORDS)
    assert sorted(tmp_path.iterdir()) == before


def test_the_model_judges_recognition_length_and_ending(model: UniAudio) -> None:
    rng = np.random.default_rng(0)
    wav = (0.1 * rng.standard_normal(8000)).astype(np.float32)

    def take(seconds: float = 0.5, reason: str = "stop", text: str = "a nine b") -> Take:
        return Take(wav, 16000, "nine", wav, text, wav, reason, seconds)

    judge = ModelJudge(model, lambda wav, rate: "a nine b")
    right = judge(take())
    assert right == pytest.approx(1.5, abs=1e-4)  # understood, the same voice, the right length
    assert judge(take(reason="max_length")) < right
    assert judge(take(seconds=0.1)) < right
    assert judge(take(text="something else")) < right - 0.5

    # Without a transcriber the model says how likely the words are, or for long ones what it hears.
    said = model.transcribe(wav, 16000).text
    own = ModelJudge(model)
    likely = float(np.exp(model.log_likelihood(wav, 16000, said)))
    assert own(take(text=said)) == pytest.approx(0.5 + likely, abs=1e-4)
    assert own(take(text="something else")) < own(take(text=said))
    long = np.tile(wav, 62)
    heard = model.transcribe(long, 16000).text
    assert own(Take(wav, 16000, "nine", long, heard, wav, "stop", 0.5)) == pytest.approx(1.5)
    assert error_rate("A nine, b", "a nine b") == 0
    assert error_rate("", "ab") == 1 and error_rate("abc", "ab") == 0.5
