"""Training pairs: what a pair promises, determinism, and runs that are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import soundfile

from mingtok_audio.core.cli import run
from mingtok_audio.core.errors import FormatError, UserError
from uniaudio_edit.data.build import build_pairs, read_pairs
from uniaudio_edit.data.cli import uniaudio_app
from uniaudio_edit.data.clips import Clip, phoneme_words, read_clips, unit_words
from uniaudio_edit.data.cot import mark, published_prompt, unmark
from uniaudio_edit.data.frames import frame_weights
from uniaudio_edit.data.naming import styles
from uniaudio_edit.data.pair import SEMANTIC_TASKS
from uniaudio_edit.data.recipe import Recipe
from uniaudio_edit.data.spoken import Spoken, reads_as
from uniaudio_edit.data.voices import FormantShift
from uniaudio_edit.grammar.engine import GrammarParser
from uniaudio_edit.interfaces import Word
from uniaudio_edit.operations import sound, speed, volume
from uniaudio_edit.operations.deletion import Deletion
from uniaudio_edit.operations.insertion import Insertion
from uniaudio_edit.operations.substitution import Substitution
from uniaudio_edit.plugins import edit_operations
from uniaudio_edit.text import Text

RATE = 16000
_EN = [
    "the cat sat on the mat today",
    "we walk home when it rains",
    "birds sing early every morning",
]
_ZH = ["今天天气很好我们去公园", "她喜欢喝热茶看旧书", "火车明天早上八点出发"]


def spoken_wav(
    count: int, seed: int, step: float = 0.3
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """A tone of its own pitch for each unit, near silence between; and its times."""
    rng = np.random.default_rng(seed)
    n = round((count * step + 0.4) * RATE)
    wav = 0.0005 * rng.standard_normal(n)
    times = []
    for k in range(count):
        a, b = 0.2 + k * step, 0.2 + k * step + 0.8 * step
        i, j = round(a * RATE), round(b * RATE)
        pitch = 150 + 20 * ((7 * k + seed) % 13)
        wav[i:j] += 0.3 * np.hanning(j - i) * np.sin(2 * np.pi * pitch * np.arange(j - i) / RATE)
        times.append((round(a, 4), round(b, 4)))
    return wav.astype(np.float32), times


def corpus(folder: Path, repeat: int = 1) -> Path:
    """A manifest of English and Chinese recordings with word times."""
    rows = []
    for n, text in enumerate((_EN + _ZH) * repeat):
        units = Text(text).units
        wav, times = spoken_wav(len(units), n)
        soundfile.write(folder / f"{n}.wav", wav, RATE, subtype="PCM_16")
        words = [
            {"text": u.text, "start": a, "end": b} for u, (a, b) in zip(units, times, strict=True)
        ]
        rows.append(
            {
                "id": f"c{n}",
                "audio": f"{n}.wav",
                "text": text,
                "words": words,
                "language": Text(text).language,
                "speaker": "s",
            }
        )
    path = folder / "manifest.jsonl"
    path.write_text(
        "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8"
    )
    return path


def spoken(text: str, seed: int) -> Spoken:
    units = Text(text).units
    wav, times = spoken_wav(len(units), seed)
    words = [Word(u.text, a, b) for u, (a, b) in zip(units, times, strict=True)]
    return Spoken.of(wav, text, words)


@dataclass(frozen=True)
class TwoRecordings:
    """The part of `Material` that word operations look at."""

    whole: Spoken
    other: Spoken
    longest_span: int = 3

    def spoken(self) -> Spoken:
        return self.whole

    def donor(self, rng: Random) -> Spoken:
        return self.other


def letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


@pytest.mark.parametrize("texts", [_EN, _ZH])
def test_semantic_pairs_are_what_they_say(texts: list[str]) -> None:
    for seed in range(12):
        rng = Random(seed)
        whole, donor = spoken(texts[seed % 3], seed), spoken(texts[(seed + 1) % 3], seed + 50)
        material = TwoRecordings(whole, donor)
        cut = Insertion().pair(material, rng)
        put = Deletion().pair(material, rng)
        moved = Substitution().pair(material, rng)
        for pair in (cut, put, moved):
            # The instruction, read by another path than the one that made it, gives the target.
            assert reads_as(pair.instruction, pair.source_text, whole.text.raw)
            assert np.array_equal(pair.target, whole.wav)
            said, spans = unmark(pair.cot)
            assert said == whole.text.raw
            assert len(spans) == 1
        # Lengths: what an insertion lacks, what a deletion has too much; 8 ms for each join.
        ((a, b),) = cut.target_spans
        assert len(cut.source) == len(whole.wav) - round((b - a) * RATE) - 128
        ((a, b),) = put.source_spans
        assert len(put.source) == len(whole.wav) + round((b - a) * RATE) - 2 * 128
        # Outside the edit the source is the target.
        ((c, d),) = moved.source_spans
        ((a, b),) = moved.target_spans
        head = round(min(a, c) * RATE) - 128
        tail = len(moved.source) - round(d * RATE)
        assert np.array_equal(moved.source[:head], whole.wav[:head])
        assert np.array_equal(
            moved.source[len(moved.source) - tail + 128 :], whole.wav[len(whole.wav) - tail + 128 :]
        )
        assert unmark(put.cot)[1][0][0] == unmark(put.cot)[1][0][1]
        # The marked words lie where the target span lies.
        i, j = unmark(moved.cot)[1][0]
        assert abs(a - (0.2 + 0.3 * i)) < 0.16
        assert abs(b - (0.2 + 0.3 * j)) < 0.16


def test_marks() -> None:
    text = "It does not publicly comment, so far."
    assert mark(text, (3, 4)) == "It does not [MASK]publicly[MASK] comment, so far."
    assert mark(text, (0, 2)) == "[MASK]It does[MASK] not publicly comment, so far."
    assert mark("今天很好", (2, 2)) == "今天[MASK][MASK]很好"
    for span in [(0, 0), (3, 3), (7, 7), (0, 7), (4, 6)]:
        assert unmark(mark(text, span)) == (text, [span])
    with pytest.raises(ValueError, match="pairs"):
        unmark("a [MASK] b")
    with pytest.raises(ValueError, match="units"):
        mark("one two", (1, 3))
    # As the published cookbook writes it (spec of the prompts).
    assert published_prompt("adjusts the speed to 0.7") == (
        "Please recognize the language of this speech and transcribe it. And adjusts the speed "
        "to 0.7."
    )
    assert published_prompt("Delete 'a b'.").endswith("And delete 'a b'.")


def test_frame_weights() -> None:
    weights = frame_weights([(0.10, 0.14), (0.19, 0.19)], 12, frame_rate=50.0, weight=3.0)
    assert weights.tolist() == [1, 1, 1, 1, 1, 3, 3, 1, 1, 3, 1, 1]
    assert frame_weights([(0.0, 9.0)], 4, frame_rate=50.0, weight=2.0).tolist() == [2, 2, 2, 2]


def test_times_from_phonemes() -> None:
    symbols = ["_", "h", "ˈ", "i", " ", "ð", "ɛ", "ɹ", ".", "_"]
    words = phoneme_words(
        symbols, [0.2, 0.1, 0.0, 0.1, 0.05, 0.1, 0.1, 0.1, 0.1, 0.2], Text("He there."), "x"
    )
    assert words is not None
    assert [(w.text, round(w.start, 3), round(w.end, 3)) for w in words] == [
        ("He", 0.2, 0.4),
        ("there", 0.45, 0.75),
    ]
    # A word that is spoken as two cannot be placed.
    assert phoneme_words(symbols, [0.1] * 10, Text("he"), "x") is None
    zh = phoneme_words(list("_tʰa→mən xə↓n"), [0.1] * 13, Text("他们很"), "x")
    assert zh is not None
    assert [w.text for w in zh] == ["他", "们", "很"]
    assert zh[0].end == pytest.approx(zh[1].start)
    with pytest.raises(FormatError, match="durations"):
        phoneme_words(["a"], [0.1, 0.2], Text("a"), "x")


def test_everything_is_decided_by_the_seed(tmp_path: Path) -> None:
    manifest = corpus(tmp_path)
    recipe = Recipe(seed=3, per_clip=3, timbres=5)
    one = build_pairs(manifest, tmp_path / "a", recipe)
    two = build_pairs(manifest, tmp_path / "b", recipe, workers=2)
    other = build_pairs(manifest, tmp_path / "c", Recipe(seed=4, per_clip=3, timbres=5))
    assert one.pairs == two.pairs
    assert (tmp_path / "a/pairs.jsonl").read_bytes() == (tmp_path / "b/pairs.jsonl").read_bytes()
    assert (tmp_path / "a/pairs.jsonl").read_bytes() != (tmp_path / "c/pairs.jsonl").read_bytes()
    assert other.clips == one.clips == 6
    for path in sorted((tmp_path / "a/audio").iterdir()):
        assert path.read_bytes() == (tmp_path / "b/audio" / path.name).read_bytes()
    rows = read_pairs(tmp_path / "a")
    assert {r["task"] for r in rows} >= set(SEMANTIC_TASKS)
    assert any("一" <= c <= "鿿" for r in rows for c in r["instruction"])
    assert any("timbre" in r["params"] for r in rows)
    assert all(r["use_cot"] == (r["task"] in SEMANTIC_TASKS) == bool(r["cot"]) for r in rows)


def test_sound_pairs_hit_what_they_ask_for(tmp_path: Path) -> None:
    manifest = corpus(tmp_path, 3)
    tasks = dict.fromkeys(("denoise", "speed", "pitch", "volume", "add_sound"), 1.0)
    build_pairs(manifest, tmp_path / "out", Recipe(tasks=tasks, per_clip=5))
    parser, seen = GrammarParser(), set[str]()
    for row in read_pairs(tmp_path / "out"):
        source, target = (
            soundfile.read(tmp_path / "out" / row[k])[0] for k in ("source", "target")
        )
        task, params = row["task"], row["params"]
        seen.add(task)
        (op,) = parser.parse(row["instruction"], row["source_text"]).operations
        assert op.type == task
        if task == "speed":
            assert len(target) == round(len(source) / params["factor"])
            assert op.params["factor"] == pytest.approx(params["factor"])
        elif task == "pitch":
            assert op.params["semitones"] == params["semitones"]
            assert len(target) == len(source)
        elif task == "volume":
            found = np.abs(target).mean() / np.abs(source).mean()
            assert found == pytest.approx(params["factor"], rel=2e-3)
            assert op.params["factor"] == pytest.approx(params["factor"])
        else:
            noisy, clean = (source, target) if task == "denoise" else (target, source)
            snr = 10 * np.log10(np.mean(clean**2) / np.mean((noisy - clean) ** 2))
            assert snr == pytest.approx(params["snr_db"], abs=0.1)
        assert max(np.abs(source).max(), np.abs(target).max()) < 0.98
    assert seen == set(tasks)


_LOWER = (
    {"value": "-3", "count": "3", "updown": "Lower", "direction": "down", "higher": "lower"},
    {"value": "-3", "count": "3", "updown": "降低"},
)


def test_every_sound_sentence_is_understood() -> None:
    parser = GrammarParser()
    for language in ("en", "zh"):
        for style in styles(language):
            for seed in range(20):
                rng = Random(seed)
                for task, values in (
                    ("denoise", {}),
                    ("add_sound", {"sound": "雨声" if style == "zh" else "rain"}),
                    ("speed", {"value": "1.3"}),
                    ("pitch", _LOWER[style == "zh"]),
                    ("volume", {"value": "0.6", "percent": "60"}),
                    ("emotion", {"label": "happy"}),
                    ("dialect", {"label": "成都话" if style == "zh" else "Chengdu"}),
                ):
                    sentence = edit_operations()[task].sentence(style, rng, **values)
                    (op,) = parser.parse(sentence, "").operations
                    assert op.type == task, sentence


def test_every_factor_is_read_as_written() -> None:
    # "1.2 times" was once read as "2 times".
    for task, values in (("speed", speed.DRAWN), ("volume", volume.DRAWN)):
        for style in ("published", "en", "zh"):
            for template in edit_operations()[task].sentences[style]:
                for value in values:
                    sentence = template.format(value=f"{value:g}", percent=f"{100 * value:g}")
                    (op,) = GrammarParser().parse(sentence, "").operations
                    assert (op.type, op.params["factor"]) == (task, pytest.approx(value)), sentence


def test_names_of_sounds_are_understood() -> None:
    for name, (english, chinese) in sound.SPOKEN.items():
        for seed in range(8):
            for style, spoken in (("published", english), ("en", english), ("zh", chinese)):
                sentence = edit_operations()["add_sound"].sentence(
                    style, Random(seed), sound=spoken
                )
                (op,) = GrammarParser().parse(sentence, "").operations
                assert op.params["sound"] == name, sentence


def test_pairs_are_a_manifest_of_the_benchmark(tmp_path: Path) -> None:
    build_pairs(corpus(tmp_path), tmp_path / "out", Recipe(tasks={"reverb": 1.0, "deletion": 1.0}))
    manifest = pytest.importorskip("audio_eval.scoring.manifest")
    items = manifest.read_manifest(tmp_path / "out/items.jsonl")
    assert {item.task for item in items} <= {"reverb", "deletion"}
    assert all(item.source.is_file() and item.reference.is_file() for item in items)


def test_noise_and_sound_folders_and_parallel_recordings(tmp_path: Path) -> None:
    manifest = corpus(tmp_path)
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    rows[0]["parallel"] = [{"audio": "1.wav", "emotion": "sad"}]
    manifest.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    (tmp_path / "noise").mkdir()
    tone = np.sin(2 * np.pi * 3000 * np.arange(RATE) / RATE)
    soundfile.write(tmp_path / "noise/fire.wav", 0.5 * tone, RATE)
    noise = str(tmp_path / "noise")
    recipe = Recipe(
        tasks={"denoise": 1, "add_sound": 1, "parallel": 1}, per_clip=3, noises=noise, sounds=noise
    )
    build_pairs(manifest, tmp_path / "out", recipe)
    rows = read_pairs(tmp_path / "out")
    assert [r["params"]["label"] for r in rows if r["task"] == "emotion"] == ["sad"]
    assert all(r["params"]["noises"] == ["fire"] for r in rows if r["task"] == "denoise")
    added = next(r for r in rows if r["task"] == "add_sound")
    assert "fire" in added["instruction"] or "火" in added["instruction"]
    target, source = (soundfile.read(tmp_path / "out" / added[k])[0] for k in ("target", "source"))
    spectrum = np.abs(np.fft.rfft(target - source))
    assert abs(np.argmax(spectrum) * RATE / len(target) - 3000) < 5


def test_timbre_keeps_times_and_moves_pitch() -> None:
    tone = (0.3 * np.sin(2 * np.pi * 220 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    made = [FormantShift().convert(tone, RATE, n) for n in (1, 2, 1)]
    assert np.array_equal(made[0], made[2])
    assert all(len(m) == len(tone) for m in made)
    peaks = [np.argmax(np.abs(np.fft.rfft(m))) / 2 for m in made]
    assert abs(peaks[0] - peaks[1]) > 5
    assert all(220 * 2 ** (-5.5 / 12) < p < 220 * 2 ** (5.5 / 12) for p in peaks)


def test_killed_run_is_taken_up_again(tmp_path: Path) -> None:
    manifest = corpus(tmp_path, 4)
    whole = build_pairs(manifest, tmp_path / "whole", Recipe(per_clip=2))
    command = [sys.executable, "-m", "uniaudio_edit.data", str(manifest), "--json"]
    command += ["-o", str(tmp_path / "out"), "--per-clip", "2"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    lines = tmp_path / "out/pairs.jsonl"
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not (lines.is_file() and lines.stat().st_size > 2000):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert lines.stat().st_size > 2000
    before = lines.read_bytes()
    # A line that the kill tore in two.
    lines.write_bytes(before + b'{"id": "torn", "ind')
    (tmp_path / "out/audio/.begun.source.0123456789ab.flac").write_bytes(b"fLaC")
    again = build_pairs(manifest, tmp_path / "out", Recipe(per_clip=2))
    assert again.pairs == whole.pairs
    assert lines.read_bytes() == (tmp_path / "whole/pairs.jsonl").read_bytes()
    assert lines.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    names = sorted(p.name for p in (tmp_path / "out/audio").iterdir())
    assert names == sorted(p.name for p in (tmp_path / "whole/audio").iterdir())


def call(capfd: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        run(uniaudio_app, [str(a) for a in args])
    out, err = capfd.readouterr()
    code = caught.value.code
    return (code if isinstance(code, int) else 0), out, err


def test_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    manifest = corpus(tmp_path)
    with manifest.open("a", encoding="utf-8") as file:
        file.write('{"audio": "none.wav", "text": "a b c"}\n')
    code, out, err = call(capfd, manifest, "-o", tmp_path / "out", "--task", "speed=2", "--json")
    assert code == 1
    assert "none.wav" in err
    found: dict[str, Any] = json.loads(out)
    assert found["pairs"] == {"speed": 6}
    code, _, err = call(capfd, manifest, "-o", tmp_path / "out", "--task", "pitch")
    assert code == 2
    assert "another recipe (tasks" in err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["{m}", "-o", "{d}/x", "--task", "dance"], "dance"),
        (["{m}", "-o", "{d}/x", "--task", "speed=fast"], "number"),
        (["{m}", "-o", "{d}/x", "--noises", "{d}/none"], "no such folder"),
        (["{m}", "-o", "{d}/x", "--timbres", "3", "--timbre", "formant"], "formant_shift"),
        (["{m}", "-o", "{d}"], "something else"),
        (["{d}/none.jsonl", "-o", "{d}/x"], "none.jsonl"),
        (["{bad}", "-o", "{d}/y"], "line 1"),
        (["{m}", "-o", "{d}/x", "--min-seconds", "0"], "above 0"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], args: list[str], words: str
) -> None:
    names = {"m": corpus(tmp_path), "d": tmp_path, "bad": tmp_path / "bad.jsonl"}
    names["bad"].write_text("{}\n", encoding="utf-8")
    code, _, err = call(capfd, *(a.format(**{k: str(v) for k, v in names.items()}) for a in args))
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert words in err
    assert not (tmp_path / "x").exists()


def test_clips_of_a_manifest(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    first = '{"audio": "a.wav", "text": "x", "split": "test"}'
    second = '{"audio": "b.wav", "text": "今天", "split": "train"}'
    path.write_text(f"{first}\n\n{second}\n", encoding="utf-8")
    assert [(c.id, c.language) for c in read_clips(path)] == [("a", "en"), ("b", "zh")]
    assert [(c.id, c.index) for c in read_clips(path, "train")] == [("b", 0)]
    words = [{"text": t, "start": s, "end": s + 0.1} for t, s in (("one", 0.1), ("too", 0.3))]
    clip = Clip(0, "a", tmp_path / "a.wav", "one two", "en", timing={"words": words})
    with pytest.raises(UserError, match="too"):
        unit_words(clip, 1.0)
    assert unit_words(Clip(0, "a", tmp_path / "a.wav", "one two", "en"), 1.0) is None


def test_pairs_of_the_shipped_recordings(tmp_path: Path) -> None:
    manifest = Path(__file__).parents[3] / "examples" / "edit_pairs.jsonl"
    if not manifest.is_file():
        pytest.skip("the examples are not here")
    tasks = dict.fromkeys(SEMANTIC_TASKS, 1.0)
    summary = build_pairs(manifest, tmp_path / "out", Recipe(tasks=tasks, per_clip=3))
    assert summary.pairs == {"insertion": 2, "deletion": 2, "substitution": 2}
    rows = {r["id"]: r for r in read_pairs(tmp_path / "out")}
    for row in rows.values():
        original = manifest.parent / "data" / f"{row['id'].split('-', 1)[1].rsplit('-', 1)[0]}"
        found = next(
            p
            for p in original.parent.glob(f"{original.name}.*")
            if p.suffix != ".txt" and not p.name.endswith(".json")
        )
        target, _ = soundfile.read(tmp_path / "out" / row["target"], dtype="int16")
        assert np.array_equal(target, soundfile.read(found, dtype="int16")[0])
