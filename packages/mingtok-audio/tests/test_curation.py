"""Curation: stages, runs over hostile folders, resuming, filters."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from cli_helpers import environment, script, tree
from curation_audio import RATE, chords, silence, speech, write
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pyarrow")
pytest.importorskip("datasketch")

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import ConfigError, PluginError, UserError
from mingtok_audio.core.expressions import parse
from mingtok_audio.curation import text as texts
from mingtok_audio.curation.conformance import check_stage
from mingtok_audio.curation.interfaces import CorpusStage, FileStage, SegmentStage
from mingtok_audio.curation.manifest import CORE, Manifest
from mingtok_audio.curation.pipeline import DEFAULT, Pipeline, load_config
from mingtok_audio.curation.presets import NAMES, load_preset
from mingtok_audio.curation.recording import Recording, Segment, Source
from mingtok_audio.curation.run import curate, estimate
from mingtok_audio.curation.sources import find_sources
from mingtok_audio.curation.stages.duplicates import landmarks
from mingtok_audio.curation.stages.quality import bandwidth, music
from mingtok_audio.curation.stages.splits import find_leaks
from mingtok_audio.curation.stages.standardise import clipped_samples
from mingtok_audio.plugins import get_host

# Every test gives the same with and without the optional networks.
EXAMPLES = Path(__file__).parents[3] / "examples" / "data"
PLAIN = ("vad.engine=energy", "quality.dnsmos=off", "recognise.model=null")


def plain(*overrides: str, preset: str | None = None):
    return load_config(None, (*PLAIN, *overrides), preset)


def rows_of(folder: Path) -> list[dict]:
    return list(Manifest(folder).rows())


# --- stages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DEFAULT)
def test_builtin_stages_pass_their_kit(name: str) -> None:
    _, results = get_host().validate(f"curation_stage:{name}")
    assert [r for r in results if not r.ok] == []


def test_kit_finds_broken_stages() -> None:
    class Undeclared(SegmentStage):
        def run(self, segment: Segment, wav: np.ndarray, recording: Recording) -> None:
            segment.values["mine"] = 1

    class Random(FileStage):
        columns = {"luck": "float"}  # noqa: RUF012

        def run(self, recording: Recording) -> None:
            recording.values["luck"] = random.random()

    class InOrder(CorpusStage):
        columns = {"place": "int"}  # noqa: RUF012

        def run(self, rows) -> None:
            for place, row in enumerate(rows):
                row["place"] = place

    class Thief(CorpusStage):
        def run(self, rows) -> None:
            for row in rows:
                row |= {"kept": True, "reason": None}

    for stage, check in (
        (Undeclared, "writes what it declares"),
        (Random, "same input, same output"),
        (InOrder, "any order of rows"),
        (Thief, "writes what it declares"),
    ):
        assert check in {r.check for r in check_stage(stage) if not r.ok}


def test_flat_tops_are_clipping_and_peaks_are_not() -> None:
    wav = speech(5.0)
    assert clipped_samples(wav).mean() < 1e-4
    loud = np.clip(6 * wav / np.abs(wav).max(), -1, 1)
    assert clipped_samples(loud).mean() > 0.02


def test_music_and_bandwidth() -> None:
    assert max(music(speech(8.0, p, s), RATE) for p, s in ((110, 0), (180, 1), (240, 2))) < 0.5
    assert min(music(chords(8.0, s), RATE) for s in range(3)) > 0.5
    wav = speech(5.0) + np.random.default_rng(0).normal(0, 0.003, 5 * RATE).astype(np.float32)
    spectrum = np.fft.rfft(wav)
    spectrum[len(spectrum) // 2 :] = 0
    narrow = np.fft.irfft(spectrum, len(wav)).astype(np.float32)
    assert bandwidth(wav, RATE) > 7000
    assert 3500 < bandwidth(narrow, RATE) < 4500


def test_fingerprints_survive_level_noise_and_shift() -> None:
    wav = speech(8.0, seed=3)[::2]
    rng = np.random.default_rng(0)
    changed = 0.3 * wav[1234:] + rng.normal(0, 0.001, len(wav) - 1234)
    one, other = set(landmarks(wav)), set(landmarks(changed.astype(np.float32)))
    stranger = set(landmarks(speech(8.0, 150.0, seed=4)[::2]))
    alike = len(one & other) / len(one | other)
    assert alike > 0.25
    assert len(one & stranger) / len(one | stranger) < 0.1


@pytest.mark.parametrize(
    ("one", "other", "rate"),
    [
        ("Hello, world!", "hello world", 0.0),
        ("one two three", "one three", 1 / 3),
        ("今天天气很好", "今天天气真好", 1 / 6),
        ("don't stop", "don’t stop", 0.0),
        ("", "anything", None),
    ],
)
def test_error_rates_of_texts(one: str, other: str, rate: float | None) -> None:
    assert texts.error_rate(one, other) == (None if rate is None else pytest.approx(rate))


@given(st.text(max_size=60), st.text(max_size=60))
def test_texts_never_fail_and_compare_symmetrically(one: str, other: str) -> None:
    assert texts.clean(texts.clean(one)) == texts.clean(one)
    assert texts.distance(texts.units(one), texts.units(other)) == texts.distance(
        texts.units(other), texts.units(one)
    )


# --- runs -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six short recordings of known contents."""
    folder = tmp_path_factory.mktemp("corpus")
    low = speech(6.0, 105.0, 1)
    man, _ = load_audio(EXAMPLES / "librispeech_1089-134686-0000.flac", sample_rate=RATE)
    # The other voice is a fifth smaller, and so speaks twice.
    woman, _ = load_audio(EXAMPLES / "librivox_0880.wav", sample_rate=RATE * 4 // 5)
    other = np.concatenate([woman, woman])
    write(folder / "one.wav", silence(1.0), low, silence(1.5), speech(4.0, 105.0, 5), silence(1.0))
    write(folder / "two.wav", man[: 7 * RATE], silence(0.8), other)
    write(folder / "copy.flac", silence(0.5), 0.5 * low, silence(0.5))
    write(folder / "clipped.wav", np.clip(20 * speech(6.0, 140.0, 8), -0.9, 0.9))
    write(folder / "short.wav", silence(1.0), speech(1.2, 150.0, 9), silence(1.0))
    write(folder / "sub" / "last.wav", speech(5.0, 180.0, 10), silence(0.5))
    return folder


@pytest.fixture(scope="module")
def made(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made")
    curate(find_sources([str(corpus)]), out, plain())
    return out


def test_rows_cover_every_recording_and_say_why(corpus: Path, made: Path) -> None:
    rows = rows_of(made)
    assert set(CORE) <= set(rows[0])
    for source in {row["source"] for row in rows}:
        mine = sorted((r for r in rows if r["source"] == source), key=lambda r: r["start"])
        assert mine[0]["start"] == 0
        for before, after in itertools.pairwise(mine):
            assert before["end"] == pytest.approx(after["start"])
        assert mine[-1]["end"] == pytest.approx(soundfile.info(source).duration, abs=0.001)
    assert all(row["kept"] != bool(row["reason"]) for row in rows)
    assert len({row["id"] for row in rows}) == len(rows)
    reasons = {row["reason"] for row in rows}
    assert {"no_speech", "too_short", "duplicate"} <= reasons
    kept = [row for row in rows if row["kept"]]
    assert all(3 <= row["seconds"] <= 30 for row in kept)
    clipped = {Path(r["source"]).name: r["clipping"] for r in kept}
    assert clipped["clipped.wav"] > 0.01 > 100 * clipped["last.wav"]
    voices = {r["speaker"] for r in rows if r["source"].endswith("two.wav") and r["speaker"]}
    assert len(voices) == 2
    assert find_leaks(rows) == []


def test_second_run_and_other_workers_give_the_same_bytes(
    corpus: Path, made: Path, tmp_path: Path
) -> None:
    whole = (made / "manifest.parquet").read_bytes()
    parts = {path: path.stat().st_mtime_ns for path in (made / "parts").iterdir()}
    curate(find_sources([str(corpus)]), made, plain())
    assert (made / "manifest.parquet").read_bytes() == whole
    again = {path: path.stat().st_mtime_ns for path in (made / "parts").iterdir()}
    assert again == parts
    curate(find_sources([str(corpus)]), tmp_path / "two", plain(), workers=2)
    assert (tmp_path / "two" / "manifest.parquet").read_bytes() == whole


def test_changed_option_or_file_is_made_again(corpus: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(corpus, folder)
    out = tmp_path / "out"
    curate(find_sources([str(folder)]), out, plain())
    longer = curate(find_sources([str(folder)]), out, plain("segments.shortest=0.5"))
    assert "too_short" not in longer.dropped
    (folder / "short.wav").unlink()
    fewer = curate(find_sources([str(folder)]), out, plain())
    assert fewer.files == 5
    assert len(list((out / "parts").glob("[!.]*.jsonl"))) == 5


def test_killed_at_random_moments_resumes_to_the_same_bytes(
    corpus: Path, made: Path, tmp_path: Path
) -> None:
    args = ["curate", str(corpus), "-o", str(tmp_path / "out"), "--workers", "2", "--json"]
    for override in PLAIN:
        args += ["--set", override]
    rng = random.Random(0)
    for _ in range(3):
        process = subprocess.Popen(
            script(args), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(rng.uniform(0.3, 5.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(script(args), env=environment(), capture_output=True, check=True)
    assert json.loads(done.stdout)["files"] == 6
    found = tree(tmp_path / "out")
    assert found["manifest.parquet"] == (made / "manifest.parquet").read_bytes()
    assert set(found) - {"parts/.curate.jsonl"} == set(tree(made)) - {"parts/.curate.jsonl"}


def _hostile(folder: Path) -> dict[str, str]:
    """Twenty bad inputs and the reason of each."""
    good = speech(4.0)
    write(folder / "good.wav", silence(0.3), good, silence(0.3))
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("this is no audio at all, it only says so")
    (folder / "html.mp3").write_text("<html><body>404</body></html>")
    write(folder / "silent.wav", np.zeros(RATE * 3, np.float32))
    write(folder / "noise.wav", silence(4.0, 0.05))
    many = np.tile(speech(4.0, 170.0, 3)[:, None], (1, 8))
    write(folder / "wide.wav", np.repeat(many, 6, axis=0), rate=96000)
    whole = write(folder / "cut.wav", good).read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    flac = write(folder / "cut.flac", good).read_bytes()
    (folder / "cut.flac").write_bytes(flac[: len(flac) // 2])
    (folder / "header.wav").write_bytes(whole[:30])
    write(folder / "music.wav", chords(6.0))
    write(folder / "音声 файл.wav", speech(4.0, 90.0, 5))
    write(folder / "nan.wav", np.full(RATE, np.nan, np.float32), subtype="FLOAT")
    write(folder / "one_sample.wav", np.array([0.5], np.float32))
    write(folder / "offset.wav", 0.01 * speech(4.0, 130.0, 6) + np.float32(0.5))
    write(folder / "tiny.wav", 1e-2 * speech(4.0, 130.0, 7), subtype="FLOAT")
    (folder / "movie.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + b"\0" * 64)
    (folder / "dangling.wav").symlink_to(folder / "nowhere.wav")
    (folder / "self.wav").symlink_to(folder / "self.wav")
    (folder / "circle").mkdir()
    (folder / "circle" / "back").symlink_to(folder)
    (folder / "folder.wav").mkdir()
    (folder / "click.wav").write_bytes(whole[:44] + bytes(len(whole) - 44))
    os.mkfifo(folder / "pipe.wav")
    return {
        "good.wav": "", "empty.wav": "unreadable", "text.wav": "unreadable",
        "html.mp3": "unreadable", "silent.wav": "silent", "noise.wav": "no_speech",
        "wide.wav": "", "cut.wav": "unreadable", "cut.flac": "unreadable",
        "header.wav": "unreadable", "音声 файл.wav": "", "nan.wav": "unreadable",
        "movie.m4a": "unreadable", "dangling.wav": "unreadable", "self.wav": "unreadable",
        "click.wav": "silent", "offset.wav": "", "tiny.wav": "", "pipe.wav": "unreadable",
    }  # fmt: skip


def test_bad_inputs_become_rows_with_reasons(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    reasons = _hostile(folder)
    secret = write(folder / "secret.wav", speech(4.0, 150.0, 12))
    secret.chmod(0)
    if not os.access(secret, os.R_OK):
        reasons["secret.wav"] = "unreadable"
    done = subprocess.run(
        script(["curate", str(folder), "-o", str(tmp_path / "out"), "--json"])
        + [a for o in PLAIN for a in ("--set", o)],
        env=environment(), capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    summary = json.loads(done.stdout)
    rows = rows_of(tmp_path / "out")
    by_name: dict[str, set[str]] = {}
    for row in rows:
        by_name.setdefault(Path(row["source"]).name, set()).add(row["reason"] or "")
    for name, reason in reasons.items():
        assert reason in by_name[name], (name, by_name[name])
    assert summary["files"] == len(by_name) >= 21
    bad = [row for row in rows if row["reason"] == "unreadable"]
    assert all(row["detail"] for row in bad)
    assert summary["bad_files"] == len(bad)


def test_nothing_to_do_is_exit_2_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.wav").write_text("no")
    for where, code in (("empty", 2), ("missing", 2), ("bad", 2)):
        done = subprocess.run(
            script(["curate", str(tmp_path / where), "-o", str(tmp_path / f"out-{where}")]),
            env=environment(), capture_output=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == code
        assert b"Traceback" not in done.stderr
    assert not (tmp_path / "out-empty").exists()
    assert rows_of(tmp_path / "out-bad")[0]["reason"] == "unreadable"


def test_licences_are_carried_and_can_be_required(corpus: Path, tmp_path: Path) -> None:
    lines = [
        {"audio": "one.wav", "licence": "CC-BY-4.0", "origin": "https://example.org/1"},
        {"audio": "sub/last.wav", "license": "CC0", "source": "own", "speaker": "ann",
         "text": "one two three four five six seven eight", "language": "en"},
        {"audio": "short.wav"},
    ]  # fmt: skip
    manifest = corpus / "in.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    sources = find_sources([str(manifest)], require_licence=True)
    summary = curate(sources, tmp_path, plain())
    assert summary.dropped["no_licence"] == 1
    rows = {Path(r["source"]).name: r for r in rows_of(tmp_path) if r["kept"] or r["start"] == 0}
    assert rows["one.wav"]["licence"] == "CC-BY-4.0"
    assert rows["short.wav"]["reason"] == "no_licence"
    last = rows["last.wav"]
    assert (last["origin"], last["speaker"], last["language"]) == ("own", "ann", "en")
    assert last["text"] == lines[1]["text"] and last["units"] == 8


def test_manifest_says_how_it_was_made_and_has_its_types(made: Path) -> None:
    manifest = Manifest(made)
    assert [stage["name"] for stage in manifest.pipeline["stages"]] == list(DEFAULT)
    assert manifest.columns == list(Pipeline(plain()).columns)
    for name, kind in (("kept", "bool"), ("start", "double"), ("fingerprint", "binary")):
        assert str(manifest.schema.field(name).type) == kind


def test_foreign_and_damaged_manifests_are_refused(made: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), other)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes((made / "manifest.parquet").read_bytes()[:-100])
    for path in (other, cut, tmp_path / "none.parquet"):
        with pytest.raises(UserError, match=path.name):
            Manifest(path)


def test_estimate_writes_nothing(corpus: Path, tmp_path: Path) -> None:
    before = tree(corpus)
    found = estimate(find_sources([str(corpus)]), plain())
    total = sum(
        soundfile.info(p).duration for p in corpus.rglob("*") if p.suffix in (".wav", ".flac")
    )
    assert found["hours_in"] == pytest.approx(total / 3600, abs=1e-3)
    assert 0 < found["hours_kept"] < found["hours_in"]
    assert tree(corpus) == before


@pytest.mark.parametrize(
    "overrides",
    ["vad", "vad.engin=energy", "vadd.engine=energy", "vad.engine=loud", "vad.engine=[",
     "splits.test=2"],
)  # fmt: skip
def test_wrong_options_are_named(overrides: str) -> None:
    with pytest.raises((ConfigError, PluginError)) as raised:
        Pipeline(load_config(None, [overrides]))
    assert overrides.split(".", maxsplit=1)[0] in str(raised.value)


def test_long_recordings_lie_on_disk() -> None:
    recording = Recording(Source("x", Path("x")))
    block = np.arange(RATE * 60, dtype=np.float32)
    recording.fill((block for _ in range(12)), RATE)
    assert recording._wav is None
    assert recording.seconds == 720
    assert np.array_equal(recording.read(60.0, 61.0), block[:RATE])
    assert sum(len(b) for b in recording.blocks(7.0)) == recording.num_samples
    recording.close()


# --- conditions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("snr > 20 and cross_wer < 0.1", True),
        ("dnsmos > 3", None),
        ("dnsmos > 3 or snr > 20", True),
        ("dnsmos > 3 and snr < 20", False),
        ("not dnsmos > 3", None),
        ("dnsmos is null", True),
        ("language in ('en', 'zh') and not (seconds >= 30)", True),
        ("language not in ('de')", True),
        ("units / seconds * 2 >= 1 - -1", True),
        ("kept == true and speaker != 'b'", True),
        ("1e-3 < cross_wer", True),
        ("seconds / 0 > 1", None),
    ],
)
def test_conditions(text: str, wanted: bool | None) -> None:
    row = {
        "snr": 25.0, "cross_wer": 0.05, "dnsmos": None, "language": "en", "seconds": 4.0,
        "units": 8, "kept": True, "speaker": "a",
    }  # fmt: skip
    assert parse(text)(row) is wanted


@pytest.mark.parametrize(
    "text",
    ["", "snr >", "snr > 3)", "(snr > 3", "snr >> 3", "__import__('os')", "snr; drop", "a b", "'x",
     "in (1)", "snr is 3", "(" * 200 + "1" + ")" * 200, "- " * 300 + "1"],
)  # fmt: skip
def test_conditions_that_are_not_understood(text: str) -> None:
    with pytest.raises(UserError):
        parse(text)


@given(st.text(max_size=80))
@settings(max_examples=300)
def test_any_text_is_a_condition_or_a_user_error(text: str) -> None:
    try:
        found = parse(text)
    except UserError:
        return
    with contextlib.suppress(TypeError):
        assert found({}) in (True, False, None)


@given(st.lists(st.booleans() | st.none(), min_size=2, max_size=2))
def test_unknown_is_as_in_sql(pair: list[bool | None]) -> None:
    row = dict(zip("ab", pair, strict=True))
    one, other = (2 if v is True else 0 if v is False else 1 for v in pair)
    back = {2: True, 0: False, 1: None}
    assert parse("a and b")(row) is back[min(one, other)]
    assert parse("a or b")(row) is back[max(one, other)]
    assert parse("not a")(row) is back[2 - one]


def test_presets_are_understood_and_know_their_columns() -> None:
    columns = Pipeline(plain()).columns
    for name in NAMES:
        preset = load_preset(name)
        assert preset.task == name
        for rule in preset.rules:
            rule.expression.check(columns, name)
            assert rule.why


def test_unknown_column_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'dnsmos'"):
        parse("dnsmoss > 3").check(CORE, "--where")
