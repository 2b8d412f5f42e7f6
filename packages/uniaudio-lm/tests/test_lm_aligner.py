"""Forced alignment: the search, the symbols of texts, references, training and its figures."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mingtok_audio.core.errors import ConfigError, PluginError
from uniaudio_lm.conformance import check_aligner
from uniaudio_lm.parts.aligners import load_aligner
from uniaudio_lm.parts.aligners.ctc import CtcAligner, with_wildcard
from uniaudio_lm.parts.aligners.units import INDEX, WILDCARD, Speller, SpokenWord
from uniaudio_lm.parts.aligners.viterbi import fewest_frames, forced_path
from uniaudio_lm.plugins import get_host
from uniaudio_lm.text.words import split_words
from uniaudio_lm.training.aligner.data import AlignSource, read_rows
from uniaudio_lm.training.aligner.evaluate import main as evaluate_main
from uniaudio_lm.training.aligner.evaluate import measure
from uniaudio_lm.training.aligner.references import IGNORED, frame_labels, read_timed, word_times
from uniaudio_lm.training.aligner.train import load_run_config, train
from uniaudio_lm.training.aligner.train import main as train_main

ROOT = Path(__file__).resolve().parents[3]


def random_frames(rng: np.random.Generator, frames: int, symbols: int) -> np.ndarray:
    return np.log(rng.dirichlet(np.ones(symbols), frames)).astype(np.float32)


def by_the_book(log_probs: np.ndarray, tokens: list[int]) -> float:
    """The best path's score by the plain recursion over all states."""
    labels = [0] * (2 * len(tokens) + 1)
    labels[1::2] = tokens
    alpha = np.full(len(labels), -np.inf)
    alpha[:2] = log_probs[0, labels[:2]]
    for frame in log_probs[1:]:
        new = alpha.copy()
        for s in range(1, len(labels)):
            new[s] = max(new[s], alpha[s - 1])
            if s > 1 and labels[s] and labels[s] != labels[s - 2]:
                new[s] = max(new[s], alpha[s - 2])
        alpha = new + frame[labels]
    return float(alpha[-2:].max())


def score(log_probs: np.ndarray, tokens: list[int], path: np.ndarray) -> float:
    return float(sum(f[0] if i < 0 else f[tokens[i]] for f, i in zip(log_probs, path, strict=True)))


def test_the_best_path_is_found() -> None:
    rng = np.random.default_rng(0)
    for _ in range(80):
        tokens = rng.integers(1, 4, rng.integers(1, 8)).tolist()
        log_probs = random_frames(rng, int(rng.integers(1, 40)), 4)
        path = forced_path(log_probs, tokens, block=int(rng.integers(2, 50)))
        if fewest_frames(tokens) > len(log_probs):
            assert path is None
            continue
        assert path is not None
        said = path[path >= 0]
        assert sorted(set(said)) == list(range(len(tokens))) and (np.diff(said) >= 0).all()
        for a, b in pairwise(range(len(tokens))):
            if tokens[a] == tokens[b]:  # a blank between equal tokens
                assert np.flatnonzero(path == b)[0] > np.flatnonzero(path == a)[-1] + 1
        assert score(log_probs, tokens, path) == pytest.approx(
            by_the_book(log_probs, tokens), abs=1e-3
        )


def test_a_narrow_band_follows_a_long_recording() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 40, 1200).tolist()
    where = np.sort(rng.choice(4798, 1200, replace=False))
    where[600:] += 4000  # 80 s of silence in the middle
    log_probs = np.full((8800, 41), -6.0, dtype=np.float32)
    log_probs[:, 0] = -0.1
    log_probs[where, tokens] = -0.05
    log_probs[where, 0] = -4.0
    path = forced_path(log_probs, tokens, band=400)
    whole = forced_path(log_probs, tokens, band=10**6, block=10**6)
    assert path is not None and whole is not None
    assert score(log_probs, tokens, path) == pytest.approx(score(log_probs, tokens, whole), abs=0.1)
    found = np.array([np.flatnonzero(path == i)[0] for i in range(0, 1200, 20)])
    assert np.abs(found - where[::20]).max() <= 20  # equal neighbours need a blank between them


def test_texts_become_symbols_and_stay_their_words() -> None:
    speller = Speller()
    text = "It's 20% of $5, isn’t it? — 你好 naïve привет 😀"
    words = speller.words(text, "en")
    assert [w.text for w in words] == split_words(text)
    assert [w.text for w in words][:3] == ["It's", "20%", "of"]
    symbols = {w.text: w.symbols for w in words}
    assert symbols["of"] == (INDEX["AH"], INDEX["V"])
    assert len(symbols["20%"]) >= 6 and WILDCARD not in symbols["20%"]
    assert set(symbols["привет"]) == {WILDCARD} and all(w.symbols for w in words)


def test_numbers_are_said_in_full_and_stay_one_word() -> None:
    def symbols(text: str) -> tuple[int, ...]:
        return sum((w.symbols for w in Speller().words(text, "en")), ())

    normalizer = get_host().create("text_normalizer", "rules")
    words = Speller(normalizer).words("It cost $5.20 in 1999 for 3 kg", "en")
    said = {w.text: w.symbols for w in words}
    assert list(said) == ["It", "cost", "$5.20", "in", "1999", "for", "3", "kg"]
    assert said["$5.20"] == symbols("five dollars and twenty cents")
    assert said["1999"] == symbols("nineteen ninety nine")  # a year, by the word before it
    assert said["3"] == symbols("three") and said["kg"] == symbols("kilograms")


def test_chinese_is_read_through_pypinyin() -> None:
    pytest.importorskip("pypinyin")
    words = Speller().words("你好", "zh")
    assert [w.symbols for w in words] == [
        (INDEX["N"], INDEX["IY"]), (INDEX["HH"], INDEX["AA"], INDEX["UW"]),
    ]  # fmt: skip


PHONEMES = [
    "_",
    "ð",
    "ə",
    " ",
    "ˈ",
    "ɜ",
    "ɹ",
    "θ",
    ",",
    " ",
    "t",
    "ˈ",
    "ɜ",
    "ɹ",
    "n",
    "z",
    ".",
    "_",
]
DURATIONS = [
    0.2, 0.05, 0.05, 0.05, 0.05, 0.1, 0.05, 0.1, 0.1, 0.05, 0.05, 0.05, 0.1, 0.05, 0.05, 0.1, 0.1,
    0.1,
]  # fmt: skip


def test_references_follow_the_manifest() -> None:
    timed = read_timed(PHONEMES, DURATIONS)
    assert timed[-1].end == pytest.approx(sum(DURATIONS))
    found = word_times(timed, "The earth, turns.")
    assert found is not None
    assert [w for w, _, _ in found] == ["The", "earth", "turns"]
    spans = np.array([(start, end) for _, start, end in found])
    assert np.allclose(spans, [(0.2, 0.3), (0.35, 0.65), (0.8, 1.2)])  # the stress is the vowel's
    labels = frame_labels(timed, 80, 50.0)
    assert labels[0] == 0 and labels[11] == INDEX["DH"] and labels[20] == INDEX["ER"]
    assert (labels[-1], labels[40]) == (IGNORED, INDEX["T"])
    assert word_times(timed, "The earth") is None
    with pytest.raises(ValueError, match="unknown"):
        read_timed(["7"], [0.1])


def shown(words: list[str], spans: list[tuple[int, int]], frames: int) -> tuple[np.ndarray, list]:
    """Frames that say `words` at `spans`, and the words' symbols."""
    found = Speller().words(" ".join(words), "en")
    log_probs = np.full((frames, WILDCARD), -8.0, dtype=np.float32)
    log_probs[:, 0] = -0.01
    for word, (start, end) in zip(found, spans, strict=True):
        cuts = np.linspace(start, end, len(word.symbols) + 1).round().astype(int)
        for symbol, (a, b) in zip(word.symbols, pairwise(cuts), strict=True):
            log_probs[a:b] = -8.0
            log_probs[a:b, symbol] = -0.01
    return log_probs, found


def test_words_stand_where_their_sounds_are() -> None:
    log_probs, words = shown(["hello", "big", "world"], [(10, 30), (32, 44), (90, 120)], 150)
    aligner = CtcAligner(8)
    placed = aligner.place(log_probs, words, 3.0)
    assert [(w.text, w.start, w.end) for w in placed] == [
        ("hello", 0.2, 0.6), ("big", 0.64, 0.88), ("world", 1.8, 2.4),
    ]  # fmt: skip
    assert all(w.score > 0.9 for w in placed)
    other = aligner.place(log_probs, Speller().words("quite something else", "en"), 3.0)
    assert max(w.score for w in other) < 0.1
    star = SpokenWord("☂", (WILDCARD, WILDCARD))
    with_star = aligner.place(log_probs, [words[0], star, words[2]], 3.0)
    assert with_star[0].end == 0.6 and with_star[2].start == 1.8
    assert 0.6 <= with_star[1].start < with_star[1].end <= 1.8
    assert np.allclose(with_wildcard(log_probs)[12, -1], -1.0, atol=0.05)


def test_chunks_of_frames_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    aligner = CtcAligner(8, width=16, depth=3).eval()
    inputs = torch.randn(1, 300, 8)
    whole = aligner.log_probs(inputs)
    monkeypatch.setattr("uniaudio_lm.parts.aligners.ctc._CHUNK", 64)
    assert np.allclose(aligner.log_probs(inputs), whole, atol=1e-5)
    with torch.no_grad():
        padded = torch.cat((inputs, torch.randn(1, 50, 8)), dim=1)
        batch = aligner(padded, torch.tensor([300]))[0, :300].numpy()
    assert np.allclose(batch, whole, atol=1e-5)


class Backwards(CtcAligner):
    """Gives its words in the wrong order."""

    def align(self, wav, text, language="en"):
        return super().align(wav, text, language)[::-1]


def test_kit_finds_a_careless_aligner() -> None:
    failed = {r.check for r in check_aligner(Backwards) if not r.ok}
    assert {"words and times", "a long recording"} <= failed
    assert not failed & {"nothing to align", "bad recordings", "save and load"}


SOUNDS = {"ɑ": 300.0, "i": 900.0, "u": 2000.0, "s": 4000.0}
SAYING = {"ah": "ɑ", "ee": "i", "oo": "u", "us": "ʌs"}


def beeps(folder: Path, count: int) -> Path:
    """A manifest of made-up speech: every phoneme a tone of its own."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        names = [["ah", "ee", "oo"][i] for i in rng.integers(0, 3, 3)]
        phonemes, durations, pieces = ["_"], [0.2], [np.zeros(3200)]
        for place, name in enumerate(names):
            if place:
                phonemes, durations = [*phonemes, " "], [*durations, 0.1]
                pieces.append(np.zeros(1600))
            seconds = float(rng.choice([0.2, 0.3]))
            time = np.arange(int(16000 * seconds)) / 16000
            phonemes, durations = [*phonemes, SAYING[name]], [*durations, seconds]
            pieces.append(0.3 * np.sin(2 * np.pi * SOUNDS[SAYING[name]] * time))
        phonemes, durations = [*phonemes, "_"], [*durations, 0.2]
        pieces.append(np.zeros(3200))
        wav = np.concatenate(pieces) + 0.001 * rng.standard_normal(sum(map(len, pieces)))
        soundfile.write(folder / f"{number}.wav", wav, 16000)
        row = {
            "audio": f"{number}.wav", "text": " ".join(names), "seconds": len(wav) / 16000,
            "split": "test" if number % 5 == 0 else "train", "language": "en",
        }  # fmt: skip
        if number % 4:  # some have a text alone: CTC
            row |= {"phonemes": phonemes, "durations": durations}
        rows.append(row)
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def settings(folder: Path, manifest: Path, steps: int) -> Path:
    path = folder / "aligner.yaml"
    path.write_text(
        f"""
data:
  train: [{{manifest: {manifest}}}]
  evaluation: [{{manifest: {manifest}, split: test, limit: 2}}]
  cache: {folder / "cache"}
  batch_seconds: 20.0
  rates: [1.0, 1.1]
model: {{width: 32, depth: 2, kernel: 5, dropout: 0.0}}
optim: {{lr: 0.01, beta1: 0.9, warmup_steps: 5}}
trainer: {{max_steps: {steps}, ema_decay: 0.9, evaluate_every: {steps}, log_every: 10}}
"""
    )
    return path


def test_training_teaches_where_words_are(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    manifest = beeps(tmp_path, 40)
    config = load_run_config(settings(tmp_path, manifest, 60))
    folder = train(config, tmp_path / "run")
    rows = read_rows(AlignSource(str(manifest), "test"))
    figures = measure(load_aligner(folder), rows)
    # Of eight test recordings, those with phoneme times; a frame has 20 ms.
    assert figures["items"] == 6 and figures["skipped"] == 2 and figures["words"] == 18
    assert figures["median_ms"] <= 25 and figures["mean_score"] > 0.4
    # One step from there knows as much, whatever shape the settings name.
    changed = settings(tmp_path, manifest, 1)
    changed.write_text(changed.read_text().replace("width: 32", "width: 16") + f"init: {folder}\n")
    again = train(load_run_config(changed), tmp_path / "again")
    assert measure(load_aligner(again), rows)["median_ms"] <= 25
    saved = json.loads((folder / "config.json").read_text())
    assert saved["slot"] == "aligner" and len(saved["trained_with"]["tokenizer"]["sha256"]) == 64
    # With the weights of another tokenizer its times would be wrong.
    saved["trained_with"]["tokenizer"]["sha256"] = "0" * 64
    (folder / "config.json").write_text(json.dumps(saved))
    with pytest.raises(ConfigError, match="was trained with the tokenizer"):
        load_aligner(folder).align(np.zeros(16000, dtype=np.float32), "ah", "en")


def test_commands_say_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text(
        '{"audio": "a.wav", "text": "a", "seconds": 1, "phonemes": ["ɑ"], "durations": []}\n'
    )
    out = str(tmp_path / "x")
    changed = f"data.train=[{{manifest: {bad}, split: null}}]"
    for main, arguments, said in (
        (train_main, [str(tmp_path / "none.yaml"), "-o", out], "none.yaml"),
        (
            train_main, [str(settings(tmp_path, bad, 1)), "-o", out, "--set", changed],
            "bad.jsonl:1: 1 phonemes and 0 durations",
        ),
        (evaluate_main, [str(tmp_path / "none"), str(tmp_path / "away")], "away"),
        (evaluate_main, [str(tmp_path / "none"), str(bad), "--split", "train"], "none"),
    ):  # fmt: skip
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert last.startswith("error: ") and said in last
    assert not (tmp_path / "x").exists()


def test_an_aligner_without_weights_is_refused() -> None:
    with pytest.raises(PluginError, match="needs trained weights"):
        load_aligner("ctc")
