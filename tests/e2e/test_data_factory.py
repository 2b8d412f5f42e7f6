"""The pure parts of the data factory: manifests, splits, overlaps, and that it resumes."""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import json
import struct
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

FOLDER = Path(__file__).resolve().parents[2] / "recipes" / "nano" / "data"
PACKAGE = "nano_data"


def _package() -> None:
    """Loads the scripts as a package of their own, since examples are not installed."""
    if PACKAGE in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        PACKAGE, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)


def module(name: str) -> ModuleType:
    _package()
    return importlib.import_module(f"{PACKAGE}.{name}")


common = module("common")
sentences = module("sentences")
synthesis = module("synthesis")
check = module("check")


def item(**changes: Any) -> Any:
    plain = common.Item(
        id="a-1",
        audio="wavs/a-1.flac",
        text="Hello there.",
        language="en",
        speaker="a",
        source="made here",
        licence="MIT",
        split="train",
        seconds=1.0,
    )
    return replace(plain, **changes)


def sentence(key: str, text: str, split: str) -> Any:
    return sentences.Sentence(key, text, "doc", "made here", "MIT", split)


# manifests


def test_manifest_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "corpus" / "manifest.jsonl"
    timed = item(id="b", phonemes=("_", "a"), durations=(0.25, 0.75), text="Привет, 你好")
    common.write_manifest(path, [item(), timed])
    assert common.read_manifest(path) == [item(), timed]
    first = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    assert "phonemes" not in first
    assert first["sample_rate"] == 16_000
    assert [p.name for p in path.parent.iterdir()] == ["manifest.jsonl"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"split": "dev"}, "split"),
        ({"seconds": 0.0}, "seconds"),
        ({"sample_rate": 24_000}, "sample_rate"),
        ({"licence": ""}, "licence is empty"),
        ({"speaker": ""}, "speaker is empty"),
        ({"audio": "/somewhere/a.flac"}, "inside the manifest's folder"),
        ({"audio": "../a.flac"}, "inside the manifest's folder"),
        ({"phonemes": ("a", "b"), "durations": (1.0,)}, "differ in length"),
        ({"phonemes": ("a", "b"), "durations": (0.5, 0.2)}, "add up"),
    ],
)
def test_manifest_refuses(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    path = tmp_path / "manifest.jsonl"
    with pytest.raises(common.ManifestError, match=words):
        common.write_manifest(path, [item(**changes)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ('{"id": "x"}', "missing audio"),
        (item().to_json().replace('"text"', '"txet"'), "missing text"),
        (item().to_json()[:-1] + ', "pitch": 1}', "unknown field pitch"),
        (item().to_json().replace('"Hello there."', "3"), "text must be a string"),
        (item().to_json()[:-1] + ', "phonemes": "ab"}', "phonemes must be a list"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text(item(id="ok").to_json() + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(common.ManifestError, match=f"manifest.jsonl line 2: .*{words}"):
        common.read_manifest(path)


def test_an_id_may_appear_once(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    with pytest.raises(common.ManifestError, match="line 2: id a-1 appears twice"):
        common.write_manifest(path, [item(), item()])
    path.write_text((item().to_json() + "\n") * 2, encoding="utf-8")
    with pytest.raises(common.ManifestError, match="appears twice"):
        common.read_manifest(path)


# splits and overlaps


def test_splits_are_stable_and_near_their_share() -> None:
    keys = [f"item-{number}" for number in range(4000)]
    splits = [common.assign_split(key, valid_fraction=0.05) for key in keys]
    assert splits == [common.assign_split(key, valid_fraction=0.05) for key in keys]
    assert 0.035 < splits.count("valid") / len(keys) < 0.065
    assert "test" not in splits
    assert {common.assign_split(key, held_out=True) for key in keys} == {"test"}


def test_six_grams() -> None:
    text = "One two, three four five six seven!"
    assert sentences.ngrams(text) == {
        ("one", "two", "three", "four", "five", "six"),
        ("two", "three", "four", "five", "six", "seven"),
    }
    assert sentences.ngrams("Don’t go.") == {("don't", "go")}
    assert sentences.words("我们约会。") == ["我", "们", "约", "会"]


def test_overlapping_training_sentences_are_dropped() -> None:
    test = [sentence("t", "He walked slowly down to the river bank.", "test")]
    train = [
        sentence("shares", "Then HE walked slowly, down to the shops.", "train"),
        sentence("five", "He walked slowly down to nobody at all.", "train"),
        sentence("twice", "he walked slowly down to nobody, at all!", "train"),
        sentence("other", "A quite different sentence about something else.", "train"),
    ]
    kept = sentences.drop_overlaps(train, test)
    assert [s.id for s in kept] == ["five", "other"]


def test_build_leaves_a_clean_split_in_a_fixed_order() -> None:
    shared = "the quick brown fox jumps over the lazy dog"
    found = [
        sentence(
            f"{split}-{number}", f"{shared if number % 3 == 0 else number} {number} {split}", s
        )
        for s, split in (("train", "x"), ("valid", "y"), ("test", "z"))
        for number in range(30)
    ]
    built = sentences.build(found)
    texts = {s: [x.text for x in built if x.split == s] for s in common.SPLITS}
    assert len(texts["test"]) == 30
    assert len(texts["valid"]) == len(texts["train"]) == 20
    assert not sentences.shared_ngrams(texts["train"], texts["test"] + texts["valid"])
    assert sentences.build(list(reversed(found))) == built


def test_check_finds_leaks() -> None:
    clean = [
        item(id="1", text="one two three four five six seven"),
        item(id="2", text="two three four five six eight nine", split="test"),
    ]
    assert check.split_faults(clean) == []
    leak = item(id="3", text="zero two three four five six seven", split="test")
    assert check.split_faults([*clean, leak]) == [
        "en: train and test share 'two three four five six seven'"
    ]
    assert check.split_faults([*clean, replace(leak, language="fr")]) == []


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ("The hospital has an excellent nursing staff.", True),
        ("Mr. Weston was the best of men.", True),
        ("The officer was the very Mr.", False),
        ("Too short, this.", False),
        ("In 1999 there were several of them.", False),
        ("NASA sent them all up there again.", False),
        ("It ended there. Then it began again.", False),
        (" ".join(["word"] * 25), False),
    ],
)
def test_speakable(text: str, usable: bool) -> None:
    assert sentences.speakable(text) is usable


def test_tidy() -> None:
    assert sentences.tidy("  how  are you?") == "How are you?"
    assert sentences.tidy("she didn’t mind -") == "She didn't mind."


def test_wordnet_examples(tmp_path: Path) -> None:
    for part in ("noun", "verb", "adj", "adv"):
        (tmp_path / f"data.{part}").write_text("  1 a licence line\n", encoding="latin-1")
    with (tmp_path / "data.verb").open("a", encoding="latin-1") as lines:
        lines.write('00001740 29 v 01 x 0 000 | to do; "first one"; "by a poet"- A. Poet; "last"\n')
    found = list(sentences.wordnet_examples(tmp_path))
    assert found == [("wn-verb-00001740-0", 29, "first one"), ("wn-verb-00001740-1", 29, "last")]


def test_r_database(tmp_path: Path) -> None:
    def strings(values: list[str]) -> bytes:
        body = b"".join(
            struct.pack(">ii", 9 | 1 << 18, len(v.encode())) + v.encode() for v in values
        )
        return b"\x00\x00\x00\x10" + struct.pack(">i", len(values)) + body

    novels = {"emma": ["Chapter one", "Émile said no."], "other": ["x"]}
    header = b"X\n\x00\x00\x00\x03\x00\x04\x02\x01\x00\x03\x05\x00\x00\x00\x00\x05UTF-8"
    data, index = b"", b""
    for lines in novels.values():
        packed = zlib.compress(header + strings(lines))
        index += b"\x00\x00\x00\x0d\x00\x00\x00\x02" + struct.pack(
            ">ii", len(data), len(packed) + 4
        )
        data += struct.pack(">i", 0) + packed
    index = header + index + b"\x00\x00\x00\x05names" + strings(list(novels))
    (tmp_path / "Rdata.rdx").write_bytes(gzip.compress(index))
    (tmp_path / "Rdata.rdb").write_bytes(data)
    assert sentences.rdb_objects(tmp_path) == novels


def test_novel_sentences() -> None:
    lines = ['"Oh! no," said Mr. Hill. "I _never_ do', 'that." He left.', "", "CHAPTER II"]
    assert list(sentences.novel_sentences(lines)) == [
        'Oh! no," said Mr. Hill.',
        "I never do that.",
        "He left.",
    ]


# audio and resuming


def speak_tone(job: Any) -> Any:
    seconds = 0.5
    wav = 0.1 * np.sin(np.arange(int(24_000 * seconds)) * 0.1).astype(np.float32)
    return synthesis.Spoken(wav, 24_000, ("_", "a"), (0.2, 0.3))


def jobs(count: int) -> list[Any]:
    return [
        synthesis.Job(f"j{n}", f"text {n}", "en", f"voice{n % 2}", "made", "MIT", "train", "doc")
        for n in range(count)
    ]


def test_synthesis_writes_what_the_manifest_says(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    manifest = synthesis.synthesise(corpus, jobs(5), speak_tone, max_seconds=1.6)
    items = common.read_manifest(manifest)
    assert [i.id for i in items] == ["j0", "j1", "j2", "j3"]  # stops once the budget is reached
    assert check.audio_faults(corpus, items) == []
    about = soundfile.info(corpus / items[0].audio)
    assert (about.samplerate, about.channels, about.subtype) == (16_000, 1, "PCM_16")
    assert sum(items[0].durations) == pytest.approx(items[0].seconds, abs=1e-6)
    (corpus / items[0].audio).write_bytes(b"")
    (corpus / items[1].audio).unlink()
    assert len(check.audio_faults(corpus, items)) == 2


def test_synthesis_resumes(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    spoken: list[str] = []

    def speak(job: Any) -> Any:
        spoken.append(job.id)
        return speak_tone(job)

    def speak_until_killed(job: Any) -> Any:
        if job.id == "j3":
            raise KeyboardInterrupt
        return speak_tone(job)

    with pytest.raises(KeyboardInterrupt):
        synthesis.synthesise(corpus, jobs(6), speak_until_killed, max_seconds=60)
    manifest = corpus / "manifest.jsonl"
    assert [i.id for i in common.read_manifest(manifest)] == ["j0", "j1", "j2"]
    assert not list(corpus.rglob("*.tmp"))

    (corpus / "wavs" / "j1.flac").unlink()  # damage: the audio of one item vanished
    synthesis.synthesise(corpus, jobs(6), speak, max_seconds=60)
    assert spoken == ["j1", "j3", "j4", "j5"]
    items = common.read_manifest(manifest)
    assert {i.id for i in items} == {f"j{n}" for n in range(6)}
    assert check.audio_faults(corpus, items) == []
    spoken.clear()
    synthesis.synthesise(corpus, jobs(6), speak, max_seconds=60)
    assert spoken == []


def test_a_sentence_that_cannot_be_spoken_is_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def speak(job: Any) -> Any:
        if job.id == "j1":
            raise synthesis.CannotSpeakError("no phonemes")
        return speak_tone(job)

    manifest = synthesis.synthesise(tmp_path / "c", jobs(3), speak, max_seconds=60)
    assert [i.id for i in common.read_manifest(manifest)] == ["j0", "j2"]
    assert "j1: no phonemes" in capsys.readouterr().err


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.flac"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), common.atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.flac"]


def test_overshoot_is_scaled_not_clipped(tmp_path: Path) -> None:
    wav = np.array([0.0, 0.6, 1.2, -0.3], dtype=np.float32)
    common.save_flac(tmp_path / "x.flac", wav)
    back, rate = soundfile.read(tmp_path / "x.flac")
    assert rate == 16_000
    np.testing.assert_allclose(back, wav * (0.999 / 1.2), atol=1e-4)


# the sources' own rules


def test_kokoro_jobs_are_balanced_and_keep_the_test_side_apart() -> None:
    kokoro = module("speak_kokoro")
    voices = ["af_bella", "am_adam", "bf_lily", "zf_xiaoni", "zm_yunxi"]
    english = [
        sentence(f"{split}{n}", f"some words {split} {n}", split)
        for split, count in (("train", 60), ("valid", 8), ("test", 80))
        for n in range(count)
    ]
    chinese = [
        sentence(f"zh{split}{n}", f"我们{split}{n}", split)
        for split, count in (("train", 60), ("valid", 8), ("test", 80))
        for n in range(count)
    ]
    order = kokoro.jobs(voices, english, chinese)
    assert len(order) >= 100
    first = [job.speaker.removeprefix("kokoro-") for job in order[: 2 * len(voices)]]
    assert first == voices * 2
    assert len({job.text for job in order}) == len(order)
    for job in order:
        held_out = job.speaker.removeprefix("kokoro-") in kokoro.HELD_OUT
        assert (job.split == "test") is held_out
        assert job.language == ("zh" if job.speaker.startswith("kokoro-z") else "en")


def test_more_of_the_many_voices_goes_into_a_corpus_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kokoro = module("speak_kokoro")
    voices = ["af_bella", "am_adam", "zf_xiaoni"]
    pools = {
        language: [
            sentence(f"{language}-{split}{n}", f"some words {split} {n}", split)
            for split in ("train", "valid", "test")
            for n in range(30)
        ]
        for language in ("en", "zh")
    }
    voice = SimpleNamespace(speak=speak_tone, styles=dict.fromkeys(voices))
    monkeypatch.setattr(kokoro, "VALID_OF_MORE", 4)
    monkeypatch.setattr(kokoro, "ManyVoices", lambda out: voice)
    monkeypatch.setattr(kokoro, "load", lambda out, language="en": pools[language])
    whole = kokoro.jobs(voices, pools["en"], pools["zh"])
    (manifest,) = kokoro.prepare(tmp_path, hours=1.0, start=10)
    assert manifest == tmp_path / "kokoro-10" / "manifest.jsonl"
    rows = common.read_manifest(manifest)
    assert {(r.language, r.speaker) for r in rows} == {("en", "kokoro-am_adam")}
    assert [r.split for r in rows] == ["valid"] * 4 + ["train"] * (len(rows) - 4)
    assert len(rows) > 8
    before = {job.id for job in whole[:10]}
    assert {r.id for r in rows} == {
        j.id for j in whole if j.speaker == "kokoro-am_adam"
    } - before - {j.id for j in whole if j.split == "valid"}


def test_start_is_for_kokoro_alone(capsys: pytest.CaptureFixture[str]) -> None:
    prepare = module("prepare")
    with pytest.raises(SystemExit):
        prepare.main(["hibari", "--start", "4"])
    assert "--start is for kokoro alone" in capsys.readouterr().err


def test_bulk_and_many_voices_share_no_test_sentence() -> None:
    kokoro, hibari = module("speak_kokoro"), module("speak_hibari")
    english = [
        sentence(f"{split}{n}", f"some words {split} {n}", split)
        for split, count in (("train", 600), ("valid", 30), ("test", 60))
        for n in range(count)
    ]
    bulk = {j.text for j in hibari.jobs(english) if j.split == "test"}
    many = {j.text for j in kokoro.jobs(["af_bella"], english, []) if j.split == "test"}
    assert bulk and many
    assert not bulk & many


def test_asterisk_transcripts(tmp_path: Path) -> None:
    asterisk = module("asterisk")
    path = tmp_path / "core-sounds-xx.txt.gz"
    text = "\ufeff; a comment: no\n\nactivated:  Activé.\ndigits/1: one: two\nbeep: [a tone]\n"
    path.write_bytes(gzip.compress(text.encode("utf-8")))
    texts = asterisk.read_transcripts(path)
    assert texts == {"activated": "Activé.", "digits/1": "one: two", "beep": "[a tone]"}
    assert asterisk.is_speech("activated", "Activé.")
    assert not asterisk.is_speech("beep", "a tone")
    assert not asterisk.is_speech("confbridge-join", "<beep ascending>")
    assert not asterisk.is_speech("silence/1", "silence")
    assert not asterisk.is_speech("nothing", "")


def test_driver_refuses_unknown_sources(capsys: pytest.CaptureFixture[str]) -> None:
    prepare = module("prepare")
    with pytest.raises(SystemExit) as caught:
        prepare.main(["radio"])
    assert caught.value.code == 2
    assert "unknown source radio" in capsys.readouterr().err


def test_driver_names_what_fails_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare = module("prepare")
    packages = module("packages")

    def no_apt(out: Path) -> list[Path]:
        raise packages.PackageError("apt-get download x: not found")

    def not_installed(out: Path, hours: float | None) -> list[Path]:
        raise ModuleNotFoundError("No module named 'hibari'")

    def works(out: Path, hours: float | None) -> list[Path]:
        assert hours == 0.5
        return [synthesis.synthesise(out / "flite", jobs(2), speak_tone, max_seconds=60)]

    monkeypatch.setattr(module("asterisk"), "prepare", no_apt)
    monkeypatch.setattr(module("speak_hibari"), "prepare", not_installed)
    monkeypatch.setattr(module("speak_flite"), "prepare", works)
    arguments = ["asterisk", "hibari", "flite", "--hours", "0.5", "--out", str(tmp_path)]
    assert prepare.main(arguments) == 1
    said = capsys.readouterr()
    assert "asterisk: apt-get download x: not found" in said.err
    assert "No module named 'hibari'; run pip install" in said.err
    assert "flite: 2 items, 0.00 h, 2 speakers" in said.out


def test_check_of_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["--out", str(tmp_path)]) == 2
    assert "no corpus here" in capsys.readouterr().err


def test_check_names_a_broken_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    synthesis.synthesise(tmp_path / "good", jobs(2), speak_tone, max_seconds=60)
    assert check.main(["--out", str(tmp_path)]) == 0
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "manifest.jsonl").write_text("{}\n", encoding="utf-8")
    assert check.main(["--out", str(tmp_path)]) == 1
    assert "bad: manifest.jsonl line 1: missing" in capsys.readouterr().err


# --- texts that nobody speaks --------------------------------------------------------------------


def test_definitions_that_can_be_read_aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = module("write_texts")
    rows = [("n1", 3, 'a small bird; any of several birds; "a bird sang"'), ("n2", 5, "CO2 gas")]
    monkeypatch.setattr(texts, "wordnet_glosses", lambda _: iter(rows))
    found = list(texts.definitions(Path()))
    assert [f[0] for f in found] == ["wndef-n1-0", "wndef-n1-1", "wndef-n1-2", "wndef-n2-0"]
    kept = [sentences.tidy(text) for _, _, text in found if texts.plain(sentences.tidy(text))]
    assert [k.lower().rstrip(".") for k in kept] == ["a small bird", "any of several birds"]


def test_durations_come_from_what_was_spoken(tmp_path: Path) -> None:
    texts = module("write_texts")
    path = tmp_path / "hibari" / "manifest.jsonl"
    path.parent.mkdir()
    spoken = [
        item(id="a-1", phonemes=("_", "k", "_"), durations=(0.5, 0.2, 0.3)),
        item(id="a-2", phonemes=("k", "a"), durations=(0.1, 0.9)),
    ]
    common.write_manifest(path, spoken)
    found = texts.spoken_durations(path)
    assert found == {"_": [0.5, 0.3], "k": [0.2, 0.1], "a": [0.9]}
    common.write_manifest(path, [item()])
    with pytest.raises(module("packages").PackageError, match="prepare hibari first"):
        texts.spoken_durations(path)


def test_definitions_are_spoken_by_the_bulk_voice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions = module("speak_definitions")
    texts = [sentence("wndef-1", "A small bird.", "valid"), sentence("wndef-2", "A fish.", "train")]
    voice = SimpleNamespace(speak=speak_tone)
    monkeypatch.setattr(definitions, "TimedVoice", lambda: voice)
    monkeypatch.setattr(definitions, "collect", lambda out: texts)
    (manifest,) = definitions.prepare(tmp_path)
    assert manifest == tmp_path / "definitions" / "manifest.jsonl"
    rows = common.read_manifest(manifest)
    assert [(r.id, r.split, r.text) for r in rows] == [
        ("hibari-wndef-1", "valid", "A small bird."), ("hibari-wndef-2", "train", "A fish."),
    ]  # fmt: skip
    assert {r.speaker for r in rows} == {"hibari-heart"}


def test_fast_bfloat16_is_read_from_what_the_cpu_says(tmp_path: Path) -> None:
    about = tmp_path / "cpuinfo"
    assert not common.fast_bfloat16(about)
    about.write_text("flags\t: fpu avx512_vnni\n", encoding="utf-8")
    assert not common.fast_bfloat16(about)
    for flags in ("fpu amx_bf16 amx_tile", "fpu avx512_bf16"):
        about.write_text(f"flags\t: {flags}\n", encoding="utf-8")
        assert common.fast_bfloat16(about)
