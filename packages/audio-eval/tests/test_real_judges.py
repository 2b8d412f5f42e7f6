"""Metrics and judges on real speech agree with calling the underlying library directly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audio_eval.interfaces import Item, JudgeUnavailableError
from audio_eval.judges.offline import FILES, assemble, offline_judges
from audio_eval.plugins import create_judge, create_metric
from audio_eval.scoring.context import Context, JudgePool
from audio_eval.scoring.runner import run_metric
from mingtok_audio.core.audio import load_audio, save_audio

SPEECH = Path(__file__).resolve().parents[3] / "examples" / "data" / "librivox_0880.wav"
TEXT = "He was not an ill-disposed young man."


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A real sentence, and the same with noise."""
    if not SPEECH.is_file():
        pytest.skip("the example recordings are not in a source distribution")
    wav, rate = load_audio(SPEECH, 16000)
    noise = np.random.default_rng(0).normal(0, 0.01, len(wav)).astype(np.float32)
    path = tmp_path_factory.mktemp("pair") / "noisy.wav"
    save_audio(path, wav + noise, rate)
    return Item(id="a", audio=path, reference=SPEECH, text=TEXT, language="en")


@pytest.fixture(scope="module")
def perfect(pair):
    return pair.replace(audio=pair.reference)


def value(name: str, item: Item, **judges: object) -> float:
    found = run_metric(create_metric(name), item, Context(JudgePool(judges)))  # type: ignore[arg-type]
    assert found.status == "ok", found.reason
    assert found.value is not None
    return found.value


def test_pesq_equals_the_package(pair, perfect):
    pesq = pytest.importorskip("pesq")
    reference, output = (load_audio(p, 16000)[0] for p in (pair.reference, pair.audio))
    assert value("pesq", pair) == pesq.pesq(16000, reference, output, "wb")
    assert value("pesq", perfect) == pytest.approx(4.64, abs=0.01)


def test_stoi_equals_the_package(pair, perfect):
    pystoi = pytest.importorskip("pystoi")
    reference, output = (load_audio(p, 16000)[0] for p in (pair.reference, pair.audio))
    assert value("stoi", pair) == pystoi.stoi(reference, output, 16000, extended=False)
    assert value("stoi", perfect) == pytest.approx(1.0, abs=1e-6)


def test_dnsmos_equals_the_package(pair):
    dnsmos = pytest.importorskip("speechmos.dnsmos")
    wav = load_audio(pair.audio, 16000)[0]
    direct = dnsmos.run(np.clip(wav, -1, 1), 16000)
    judge = create_judge("dnsmos")
    assert value("dnsmos", pair, dnsmos=judge) == pytest.approx(direct["ovrl_mos"], abs=1e-6)
    assert value("dnsmos_bak", pair, dnsmos=judge) == pytest.approx(direct["bak_mos"], abs=1e-6)


def test_silence_and_nothing_score_as_failures(pair, tmp_path):
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    save_audio(tmp_path / "silence.wav", np.zeros(32000, np.float32), 16000)
    context = Context(JudgePool({}))
    for item in (pair.replace(audio=None), pair.replace(audio=tmp_path / "silence.wav")):
        found = run_metric(create_metric("pesq"), item, context)
        assert (found.status, found.value) == ("failed", 1.0)
    found = run_metric(create_metric("stoi"), pair.replace(audio=None), context)
    assert (found.status, found.value) == ("failed", 0.0)
    silence = run_metric(
        create_metric("stoi"), pair.replace(audio=tmp_path / "silence.wav"), context
    )
    assert silence.value == pytest.approx(0.0, abs=0.01)


def test_log_mel_equals_librosa(pair):
    librosa = pytest.importorskip("librosa")
    from audio_eval.dsp import log_mel, mel_filters

    bank = librosa.filters.mel(sr=16000, n_fft=512, n_mels=80, htk=True, norm=None)
    assert np.abs(mel_filters(16000, 512, 80) - bank).max() < 1e-6
    assert value("mel_distance", pair) > 0.1
    assert log_mel(load_audio(pair.audio, 16000)[0]).shape[1] == 80


def test_resemblyzer_equals_the_package(pair, perfect):
    pytest.importorskip("resemblyzer")
    from resemblyzer import VoiceEncoder, preprocess_wav

    encoder = VoiceEncoder("cpu", verbose=False)
    one, two = (
        encoder.embed_utterance(preprocess_wav(load_audio(p, 16000)[0], source_sr=16000))
        for p in (pair.reference, pair.audio)
    )
    judge = create_judge("resemblyzer")
    assert value("sim", pair, speaker=judge) == pytest.approx(float(np.dot(one, two)), abs=1e-5)
    assert value("sim", perfect, speaker=judge) == pytest.approx(1.0, abs=1e-6)


def _assembled(tmp_path: Path) -> Path:
    made = assemble(tmp_path / "judges")
    missing = [row["reason"] for row in made["files"] if row["status"] == "missing"]
    if missing:
        pytest.skip("; ".join(missing))
    assert made["ok"], made
    return tmp_path / "judges"


def test_assembled_judges_are_checked_and_used(tmp_path, pair, perfect):
    folder = _assembled(tmp_path)
    choices = offline_judges(folder)
    assert {role: choice.name for role, choice in choices.items()} == {
        "asr": "whisper_ct2", "speaker": "resemblyzer", "dnsmos": "dnsmos",
        "distillmos": "distillmos",
    }  # fmt: skip
    pytest.importorskip("faster_whisper")
    judge = create_judge("whisper_ct2", path=str(folder / "whisper-tiny.en"))
    heard = judge.evaluate(load_audio(SPEECH, 16000)[0], 16000, language="en", words=True)
    assert "young man" in heard["text"]
    assert heard["words"][-1]["end"] <= 3.1
    assert value("wer", perfect, asr=judge) <= 30.0
    assert value("ref_wer", pair, asr=judge) == value("wer", perfect, asr=judge)
    with pytest.raises(JudgeUnavailableError, match="English only"):
        judge.evaluate(load_audio(SPEECH, 16000)[0], 16000, language="zh")
    # A damaged file is put right, a wrong source refused.
    (folder / FILES[1].target).write_text("{}")
    assert assemble(folder)["ok"]


def test_a_wrong_hash_leaves_nothing(tmp_path, monkeypatch):
    from audio_eval.judges import offline

    package = tmp_path / "fake_weights"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "w.bin").write_bytes(b"not these")
    monkeypatch.syspath_prepend(str(tmp_path))
    part = offline.Part("fake_weights", "w.bin")
    monkeypatch.setattr(offline, "FILES", (offline.Assembled("m/model.bin", (part,), "0" * 64),))
    monkeypatch.setattr(offline, "INSIDE", ())
    monkeypatch.setattr(
        offline, "CHOICES", {"asr": {"name": "whisper_ct2", "options": {"path": "m"}}}
    )
    made = offline.assemble(tmp_path / "out")
    assert not made["ok"]
    assert made["judges"] == {}
    assert made["files"][0]["status"] == "wrong"
    assert not (tmp_path / "out" / "m" / "model.bin").exists()


def test_distillmos_hears_noise(pair, perfect):
    judge = create_judge("distillmos")
    try:
        judge.check()
    except JudgeUnavailableError as error:
        pytest.skip(str(error))
    assert value("distillmos", perfect, distillmos=judge) > value(
        "distillmos", pair, distillmos=judge
    )
