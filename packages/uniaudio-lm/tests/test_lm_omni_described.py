"""Dialogues, sounds, music and named voices of Ming-omni-tts, in Python and by command."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import pytest
import soundfile
import torch
from campplus_reference import TINY, write_campplus
from safetensors.torch import load_file, save_file

from mingtok_audio.core.errors import UserError
from uniaudio_lm import UniAudio, VoicePrompt
from uniaudio_lm.commands.described import named, script
from uniaudio_lm.model import omni_prompts
from uniaudio_lm.tasks import described, tts

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden"
RATE = 8000
TURNS = [("Ann", "good morning"), ("Ben", "hello, Ann"), ("Ann", "a gentle rain falls")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("omni") / "omni"
    shutil.copytree(GOLDEN / "omni_lm", made)
    weights = load_file(made / "model.safetensors")
    weights["stop_head.bias"][:] = torch.tensor([-9.0, 9.0])
    save_file(weights, made / "model.safetensors")
    pytest.importorskip("onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_campplus(made / "campplus.onnx", **TINY)
    return made


@pytest.fixture(scope="module")
def model(folder: Path) -> UniAudio:
    return UniAudio.from_pretrained(folder)


def clip(seed: int) -> torch.Tensor:
    time = torch.arange(RATE) / RATE
    noise = torch.rand(RATE, generator=torch.Generator().manual_seed(seed))
    return 0.3 * torch.sin(2 * torch.pi * (90 + 70 * seed) * time) * noise


# --- prompts -------------------------------------------------------------------------------------


def test_texts_are_the_published_ones() -> None:
    runs = json.loads((GOLDEN / "omni_lm" / "layout.json").read_text())["runs"]
    said = [(1, "嗯。"), (2, "一部电影。")]
    assert omni_prompts.dialogue_text(said) == runs["podcast"]["text"]
    music = omni_prompts.music_text("电子舞曲", "自信 / 坚定", "架子鼓", "节日", 30)
    assert music == runs["music"]["text"]
    assert runs["sound"]["prompt"] == omni_prompts.SOUND
    assert runs["music"]["prompt"] == omni_prompts.MUSIC


def test_a_dialogue_has_a_slot_for_each_voice_and_their_clips_in_a_row(model: UniAudio) -> None:
    voices = {"Ann": VoicePrompt(clip(1), RATE, "hm"), "Ben": VoicePrompt(clip(2), RATE, "yes")}
    job = described.dialogue_job(model.model, TURNS, voices, 0)
    assert job.texts == [
        " speaker_1:good morning\n speaker_2:hello, Ann\n speaker_1:a gentle rain falls\n"
    ]
    assert job.voice.text == " speaker_1:hm\n speaker_2:yes\n"
    assert job.voice.speaker is not None and job.voice.speaker.shape == (2, 192)
    assert job.voice.latents is not None
    clips = sum(model.prepare_voice(v).latents.shape[1] for v in voices.values())  # type: ignore[union-attr]
    assert clips - 4 <= job.voice.latents.shape[1] <= clips  # padded once, not twice
    item = tts._item(model.model, job, 0, None)
    rows = model.model.speaker_proj(job.voice.speaker)  # type: ignore[misc]
    for row in rows:
        assert int((item.embeds - row).abs().amax(dim=1).lt(1e-6).sum()) == 1
    other = described.dialogue_job(model.model, TURNS, dict(reversed(voices.items())), 0)
    assert torch.equal(other.voice.speaker, job.voice.speaker)  # type: ignore[arg-type]


def test_a_long_dialogue_is_cut_between_turns(model: UniAudio) -> None:
    turns = [("AB"[n % 2], "this is a rather long sentence that goes on " * 3) for n in range(8)]
    job = described.dialogue_job(model.model, turns, {}, 0)
    assert len(job.texts) > 1
    joined = "".join(job.texts)
    assert joined.count(" speaker_1:") == joined.count(" speaker_2:") == 4
    assert all((seconds or 0) <= 30 for seconds in job.seconds or [])


# --- what is made --------------------------------------------------------------------------------


def test_dialogue_sound_and_music_end_with_a_reason(model: UniAudio) -> None:
    two = model.dialogue(TURNS, seed=1)
    again = model.dialogue(TURNS, seed=1)
    assert two.stop_reason == "stop" and torch.equal(two.wav, again.wav)
    voices = {"Ann": VoicePrompt(clip(1), RATE), "Ben": VoicePrompt(clip(2), RATE)}
    assert not torch.equal(model.dialogue(TURNS, voices, seed=1).wav, two.wav)
    rain = model.sound("thunder and a gentle rain", seed=1)
    assert rain.stop_reason == "stop"
    plain = model.sound("thunder and a gentle rain", seed=1, cfg_scale=2.0, temperature=0.0)
    assert not torch.equal(rain.wav, plain.wav)
    words = {"genre": "EDM", "mood": "calm", "instrument": "drums", "theme": "night"}
    song = model.music(**words, seconds=2, seed=1)
    assert song.stop_reason == "stop" and not torch.equal(song.wav, plain.wav)


def test_a_length_that_is_asked_for_is_not_exceeded() -> None:
    model = UniAudio.from_pretrained(GOLDEN / "omni_lm")
    with torch.no_grad():
        stop = model.model.stop_detector.get_submodule("stop_head")
        stop.get_parameter("bias").copy_(torch.tensor([9.0, -9.0]))
    made = model.sound("rain", seconds=1.0, num_steps=1)
    assert made.stop_reason == "max_length"
    assert len(made.wav) / made.sample_rate == pytest.approx(1.28)  # whole patches of 0.32 s
    longest = model.sound("rain", num_steps=1)
    assert longest.patches == 200


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: m.dialogue([("A", "hello"), ("A", "you")]), "two speakers"),
        (lambda m: m.dialogue([("A", "hello"), ("B", "...")]), "no letter"),
        (
            lambda m: m.dialogue(TURNS, {"Ann": VoicePrompt(clip(1), RATE, "hm")}),
            "'Ben' has no voice",
        ),
        (lambda m: m.dialogue(TURNS, {"Eve": VoicePrompt(clip(1), RATE)}), "'Eve' has a voice"),
        (
            lambda m: m.dialogue(
                TURNS,
                {"Ann": VoicePrompt(clip(1), RATE, "hm"), "Ben": VoicePrompt(clip(2), RATE)},
            ),
            "or of none",
        ),
        (lambda m: m.sound("  "), "is empty"),
        (lambda m: m.sound("rain", seconds=-1), "above 0"),
        (lambda m: m.sound("rain", seconds=float("nan")), "above 0"),
        (
            lambda m: m.music(genre=" ", mood="b", instrument="c", theme="d"),
            "genre of the music is empty",
        ),
    ],
)
def test_refusals(model: UniAudio, make, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        make(model)
    assert "\n" not in str(error.value)


def test_other_models_refuse_what_they_cannot_make() -> None:
    ming3 = UniAudio.from_pretrained(GOLDEN / "omni_lm_p1")
    with pytest.raises(UserError, match="makes speech only"):
        ming3.sound("rain")
    unified = UniAudio.from_pretrained(GOLDEN / "unified")
    with pytest.raises(UserError, match="speaks with one voice"):
        unified.dialogue(TURNS)


# --- commands ------------------------------------------------------------------------------------


def test_scripts_and_names() -> None:
    assert script("A: hi\n\n and more\nB：你好\n") == [("A", "hi and more"), ("B", "你好")]
    with pytest.raises(UserError, match="NAME: words"):
        script("hello there")
    with pytest.raises(UserError, match="says nothing"):
        script("A:\nB: hi")
    with pytest.raises(UserError, match="twice"):
        named(["A=x", "A=y"], "--voice")
    with pytest.raises(UserError, match="NAME=VALUE"):
        named(["A"], "--voice")


def test_commands(uniaudio, folder: Path, tmp_path: Path) -> None:
    for n in (1, 2):
        soundfile.write(tmp_path / f"{n}.wav", clip(n).numpy(), RATE)
    out = tmp_path / "out.wav"
    (tmp_path / "script.txt").write_text("Ann: good morning\nBen: hello\n")
    ran = uniaudio(
        "dialogue", f"@{tmp_path / 'script.txt'}", "-m", folder, "-o", out,
        "--voice", f"Ann={tmp_path / '1.wav'}", "--voice", f"Ben={tmp_path / '2.wav'}",
        "--voice-text", "Ann=hm", "--voice-text", "Ben=yes", "--json", "--dtype", "float32",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.json["stop_reason"] == "stop"
    assert soundfile.info(out).samplerate == RATE
    ran = uniaudio("sound", "rain", "-m", folder, "-o", out, "--seconds", "2", "--json")
    assert ran.code == 0 and ran.json["seconds"] <= 2.24
    ran = uniaudio(
        "music", "-m", folder, "-o", out, "--genre", "a", "--mood", "b", "--instrument", "c",
        "--theme", "d", "--seconds", "2",
    )  # fmt: skip
    assert ran.code == 0 and "ended by stop" in ran.out
    for args, message in (
        (("sound", "rain", "-m", "nano", "-o", out), "makes no sounds"),
        (("sound", "rain", "-m", folder, "-o", tmp_path / "a.xyz"), "must end in"),
        (("dialogue", "A: a\nB: b", "-m", folder, "-o", out, "--voice-text", "A=x"), "no --voice"),
        (("tts", "hi", "-m", folder, "-o", out, "--encoder-layers", "4"), "all or published"),
    ):
        ran = uniaudio(*args)
        assert ran.code == 2 and message in ran.err and ran.err.count("\n") == 1


def test_a_voice_is_kept_with_its_embedding_and_used_by_name(
    uniaudio, folder: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(folder, tmp_path / "own"))
    soundfile.write(tmp_path / "1.wav", clip(1).numpy(), RATE)
    ran = uniaudio("voices", "add", "ann", tmp_path / "1.wav", "-m", own)
    assert ran.code == 2 and "--text" in ran.err
    ran = uniaudio("voices", "add", "ann", tmp_path / "1.wav", "-m", own, "--text", "hm")
    assert ran.code == 0, ran.err
    kept = UniAudio.from_pretrained(own).prepare_voice("ann")
    fresh = UniAudio.from_pretrained(own).prepare_voice(VoicePrompt(clip(1), RATE, "hm"))
    assert kept.latents is not None and kept.speaker is not None and fresh.speaker is not None
    torch.testing.assert_close(kept.speaker, fresh.speaker, rtol=1e-3, atol=1e-3)
    out = tmp_path / "out.wav"
    ran = uniaudio("tts", "good morning", "-m", own, "-o", out, "--speaker", "ann", "--json")
    assert ran.code == 0 and ran.json["voice"] == "ann"
