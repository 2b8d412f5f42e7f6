"""Acoustic items, their targets, and the layouts of other people's sets."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from audio_eval.build import BuildOptions, Cell, build, dsp
from audio_eval.build.layouts import is_dns, read_dns, write_recognition
from audio_eval.build.sources import guess_language, read_recordings
from audio_eval.cli import app
from audio_eval.scoring.manifest import parse_parameters, read_manifest
from mingtok_audio.core.audio import load_audio, save_audio
from mingtok_audio.core.errors import UserError

RATE = 16000


def _tone(seconds=1.0, hertz=200.0, level=0.4):
    time = np.arange(int(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def _pitch(wav):
    spectrum = np.abs(np.fft.rfft(wav * np.hanning(len(wav)), 8 * len(wav)))
    return np.argmax(spectrum) * RATE / (8 * len(wav))


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "in"
    rows = []
    for k in range(12):
        language, text = (
            ("zh", f"第{'一二三四五六'[k % 6]}句话说完了") if k % 2 else ("en", f"say it {k}")
        )
        save_audio(
            folder / f"r{k}.wav" if folder.exists() else _made(folder, k),
            _tone(0.5, 150 + 9 * k),
            RATE,
        )
        rows.append({"id": f"r{k}", "audio": f"r{k}.wav", "text": f"{text}", "language": language})
    rows[1]["text"] = "这是另外一句话"
    path = folder / "m.jsonl"
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return path


def _made(folder, k):
    folder.mkdir()
    return folder / f"r{k}.wav"


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.3, 2.0])
def test_speed_changes_duration_to_a_sample_and_no_pitch(speed):
    wav = _tone(1.3)
    out = dsp.change_speed(wav, RATE, speed)
    assert len(out) == round(len(wav) / speed)
    assert abs(_pitch(out) - 200.0) < 2.0
    middle = out[len(out) // 4 : -len(out) // 4]
    assert abs(np.std(middle) / np.std(wav) - 1) < 0.05


@pytest.mark.parametrize("semitones", [-5, 3, 6])
def test_pitch_moves_by_semitones_and_no_duration(semitones):
    wav = _tone(1.3)
    out = dsp.shift_pitch(wav, RATE, semitones)
    assert len(out) == len(wav)
    assert abs(12 * np.log2(_pitch(out) / 200.0) - semitones) < 0.15


def test_mixing_gives_the_ratio():
    rng = np.random.default_rng(0)
    speech, noise = _tone(level=0.2), dsp.make_noise("pink", RATE // 3, RATE, rng)
    for snr in (0, 10):
        added = dsp.mix_at_snr(speech, noise, snr) - speech
        assert abs(10 * np.log10(np.mean(speech**2) / np.mean(added**2)) - snr) < 0.01
    with pytest.raises(UserError, match="silent"):
        dsp.mix_at_snr(speech, np.zeros(10, np.float32), 5)
    loud = dsp.mix_at_snr(_tone(level=0.9), noise, 0)
    assert np.max(np.abs(loud)) <= 1.0


def test_pink_noise_falls_by_three_decibels_an_octave():
    noise = dsp.make_noise("pink", 1 << 17, RATE, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / RATE)
    low, high = (power[(hertz > f) & (hertz < 2 * f)].mean() for f in (500, 2000))
    assert abs(10 * np.log10(low / high) - 6.0) < 0.5
    with pytest.raises(UserError, match="unknown noise"):
        dsp.make_noise("brown", 10, RATE, np.random.default_rng(0))


def test_items_carry_their_parameter_and_a_true_target(corpus, tmp_path):
    tasks = ("speed", "pitch", "volume", "emotion", "denoise", "add_sound")
    counts = {Cell("en", task): 1 for task in tasks} | {Cell("zh", "dialect"): 2}
    out = tmp_path / "set"
    report = build(BuildOptions(corpus, out, counts, seed=2, dns=True))
    assert report.missing == {}
    assert not (out / "acoustic.jsonl").exists()  # there is nothing else in the set
    items = {item.task: item for item in read_manifest(out / "items.jsonl")}
    source, _ = load_audio(items["speed"].source)
    target, _ = load_audio(items["speed"].reference)
    assert len(target) == round(len(source) / items["speed"].parameters["speed"])
    assert (
        items["speed"].instruction == f"adjusts the speed to {items['speed'].parameters['speed']:g}"
    )
    quiet, _ = load_audio(items["volume"].source)
    loud, _ = load_audio(items["volume"].reference)
    gain = np.abs(loud).mean() / np.abs(quiet).mean()
    assert abs(gain - items["volume"].parameters["volume"]) < 0.01
    noisy, _ = load_audio(items["denoise"].source)
    clean, _ = load_audio(items["denoise"].reference)
    snr = 10 * np.log10(np.mean(clean**2) / np.mean((noisy - clean) ** 2))
    assert abs(snr - items["denoise"].parameters["snr_db"]) < 0.3
    assert items["emotion"].parameters["label"] in items["emotion"].instruction
    assert items["emotion"].reference is None
    rows = [
        json.loads(x) for x in (out / "meta/dialect/dialect.jsonl").read_text("utf-8").splitlines()
    ]
    assert len(rows) == 2 and all(r["lang"].startswith("zh_") and r["text"] for r in rows)
    for name in ("time_stretch", "pitch_shift", "vol"):
        [item] = read_manifest(out / "meta" / name / f"meta_en_{name}.csv")
        assert item.parameters  # the number is read back from the published wording
    [pair] = read_dns(out / "dns")
    assert pair.source.parent.name == "noisy" and pair.reference.parent.name == "clean"


def test_full_wordings_vary_and_keep_the_number(corpus, tmp_path):
    counts = {Cell("en", "speed"): 6, Cell("zh", "volume"): 5, Cell("en", "pitch"): 6}
    options = BuildOptions(corpus, tmp_path / "s", counts, per_recording=3, acoustic_wording="full")
    build(options)
    items = read_manifest(tmp_path / "s" / "items.jsonl")
    assert len({item.instruction for item in items}) > 10
    for item in items:
        assert parse_parameters(item.task, item.instruction)[
            {"speed": "speed", "volume": "volume", "pitch": "semitones"}[item.task]
        ] == pytest.approx(
            next(v for k, v in item.parameters.items() if k in ("speed", "volume", "semitones"))
        )


def test_a_loud_recording_is_never_asked_to_clip(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    save_audio(folder / "a.wav", _tone(0.3, level=0.98), RATE)
    (folder / "m.jsonl").write_text('{"id": "a", "audio": "a.wav", "text": "hello there"}\n')
    build(BuildOptions(folder / "m.jsonl", tmp_path / "s", {Cell("en", "volume"): 1}))
    [item] = read_manifest(tmp_path / "s" / "items.jsonl")
    assert item.parameters["volume"] < 1


def test_noise_recordings_are_used_by_name(corpus, tmp_path):
    from audio_eval.build.acoustic import read_noises

    (tmp_path / "noise").mkdir()
    save_audio(
        tmp_path / "noise" / "light_rain.wav",
        dsp.make_noise("white", RATE, RATE, np.random.default_rng(1)) * 0.1,
        RATE,
    )
    options = BuildOptions(
        corpus, tmp_path / "s", {Cell("en", "add_sound"): 1}, noises=read_noises(tmp_path / "noise")
    )
    build(options)
    [item] = read_manifest(tmp_path / "s" / "items.jsonl")
    assert item.instruction == "add light rain to the background"
    with pytest.raises(UserError, match="no such folder"):
        read_noises(tmp_path / "nowhere")


def test_dns_folders_are_read_in_place(tmp_path):
    for kind, names in (
        ("noisy", ["clnsp1_rain_snr5_fileid_1.wav", "clnsp2_fan_snr10_fileid_2.wav"]),
        ("clean", ["clean_fileid_1.wav", "clean_fileid_2.wav"]),
    ):
        folder = tmp_path / "synthetic" / "no_reverb" / kind
        folder.mkdir(parents=True)
        for name in names:
            save_audio(folder / name, _tone(0.1), RATE)
    assert is_dns(tmp_path)
    items = read_dns(tmp_path)
    assert [item.reference.name for item in items] == ["clean_fileid_1.wav", "clean_fileid_2.wav"]
    assert [item.parameters["snr_db"] for item in items] == [5, 10]
    assert {item.task for item in items} == {"denoise"}
    listed = CliRunner().invoke(app, ["list-dns", str(tmp_path), "-o", str(tmp_path / "list")])
    assert json.loads(listed.stdout)["items"] == 2
    assert read_manifest(tmp_path / "list" / "items.jsonl") == items
    refused = CliRunner().invoke(
        app, ["build", str(tmp_path), "-o", str(tmp_path / "set"), "--items", "1"]
    )
    assert "audio-eval list-dns reads it" in str(refused.exception)
    assert not (tmp_path / "set").exists()
    (tmp_path / "synthetic/no_reverb/clean/clean_fileid_2.wav").unlink()
    with pytest.raises(UserError, match="no partner 'fileid_2'"):
        read_dns(tmp_path)


def test_corpus_folders_of_dialects(tmp_path):
    for dialect, text in (("Hunan", "今天天气很好"), ("Shanghai", "我们去吃饭")):
        folder = tmp_path / "in" / dialect
        folder.mkdir(parents=True)
        save_audio(folder / "u1.wav", _tone(0.1), RATE)
        (folder / "wav.scp").write_text("u1 u1.wav\n")
        (folder / "trans.txt").write_text(f"u1\t{text}\n", "utf-8")
    recordings = read_recordings(tmp_path / "in")
    assert [(r.id, r.dialect, r.language) for r in recordings] == [
        ("Hunan-u1", "Hunan", "zh"),
        ("Shanghai-u1", "Shanghai", "zh"),
    ]
    manifests = write_recognition(recordings, tmp_path / "out")
    [item] = read_manifest(manifests["Shanghai"])
    assert (item.task, item.text, item.reference.name) == ("asr", "我们去吃饭", "u1.wav")
    assert (tmp_path / "out" / "Hunan" / "text").read_text("utf-8") == "Hunan-u1 今天天气很好\n"
    again = ["list-dialects", str(tmp_path / "in"), "-o", str(tmp_path / "out")]
    assert "is not empty" in str(CliRunner().invoke(app, again).exception)
    done = CliRunner().invoke(app, [*again, "--force"])
    assert json.loads(done.stdout)["recognition"] == {k: str(v) for k, v in manifests.items()}


def test_librispeech_folders(tmp_path):
    folder = tmp_path / "1089" / "134686"
    folder.mkdir(parents=True)
    save_audio(folder / "1089-134686-0000.flac", _tone(0.1), RATE)
    (folder / "1089-134686.trans.txt").write_text("1089-134686-0000 HE HOPED THERE WOULD BE STEW\n")
    [recording] = read_recordings(tmp_path)
    assert recording.text == "he hoped there would be stew"
    assert recording.speaker == "1089"
    (folder / "1089-134686.trans.txt").write_text("1089-134686-0001 HE HOPED\n")
    with pytest.raises(UserError, match=r"line 1: there is no recording"):
        read_recordings(tmp_path)


def test_guessing_the_language():
    assert guess_language("今天 OK") == "zh"
    assert guess_language("hello 你") == "en"
