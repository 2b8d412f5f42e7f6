"""Speech by Ming-omni-tts and Ming-3.0-tts at tiny size: voices, instructions, the promises."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mingtok_audio.core.errors import AudioError, UserError
from uniaudio_lm import UniAudio, VoicePrompt
from uniaudio_lm.tasks import tts

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden"
RATE = 8000
CLOSE = {"rtol": 1e-5, "atol": 2e-5}


@pytest.fixture(scope="module", params=["omni_lm", "omni_lm_p1"])
def model(request: pytest.FixtureRequest) -> UniAudio:
    made = UniAudio.from_pretrained(GOLDEN / request.param)
    with torch.no_grad():  # ends where it may, so that a run is short
        made.model.stop_detector.get_submodule("stop_head").bias.copy_(torch.tensor([-9.0, 9.0]))
    return made


@pytest.fixture(scope="module")
def clip() -> torch.Tensor:
    return 0.2 * torch.randn(RATE, generator=torch.Generator().manual_seed(3))


def voices(clip: torch.Tensor) -> list[VoicePrompt | None]:
    speaker = torch.randn(192, generator=torch.Generator().manual_seed(4))
    return [
        None,
        VoicePrompt(clip, RATE, "hello"),
        VoicePrompt(clip, RATE, "hello", speaker=speaker),
        VoicePrompt(clip, RATE, speaker=speaker),
    ]


def test_every_voice_speaks_and_each_sounds_different(model: UniAudio, clip) -> None:
    spoken = [model.synthesize("good morning", voice, seed=1) for voice in voices(clip)]
    for said in spoken:
        assert said.sample_rate == RATE and said.stop_reason == "stop"
        assert said.patches == 5
        assert len(said.wav) == 5 * model.config.patch_size * 640
    waves = [said.wav for said in spoken]
    for i, wave in enumerate(waves):
        assert all(not torch.allclose(wave, other, **CLOSE) for other in waves[:i])


def test_batch_equals_single_and_seeds_repeat(model: UniAudio, clip) -> None:
    texts = ["good morning", "a gentle rain falls", "yes", "thunder"]
    seeds = [1, 2, 3, 4]
    together = model.synthesize_batch(texts, voices(clip), seeds=seeds)
    for text, voice, seed, said in zip(texts, voices(clip), seeds, together, strict=True):
        alone = model.synthesize(text, voice, seed=seed)
        torch.testing.assert_close(said.wav, alone.wav, **CLOSE)
        assert torch.equal(alone.wav, model.synthesize(text, voice, seed=seed).wav)
    other = model.synthesize(texts[0], seed=9)
    assert not torch.allclose(other.wav, together[0].wav, **CLOSE)


def test_stream_equals_the_decoded_whole(model: UniAudio) -> None:
    job = model.job("good morning", seed=1, marked=False)
    latents: list[torch.Tensor] = []
    waves = []
    for _, wav in tts.run_jobs(model.model, [job], model.sampling()):
        waves.append(wav)
        latents = list(job.latents) or latents
    whole = model.tokenizer.wav_of(torch.cat(latents)[None])[0]
    torch.testing.assert_close(torch.cat(waves), whole, **CLOSE)


def test_a_later_piece_follows_the_voice_of_the_first(model: UniAudio) -> None:
    text = " ".join(["This sentence is a rather long one, and it goes on and on."] * 6)
    said = model.synthesize(text, seed=1)
    assert len(said.pieces) > 1
    assert {reason for _, reason in said.pieces} == {"stop"}


@pytest.mark.parametrize("stop", ["linear", "guarded"])
def test_speech_always_ends_with_a_reason(stop: str) -> None:
    model = UniAudio.from_pretrained(GOLDEN / "omni_lm", stop_detector=stop)
    with torch.no_grad():
        model.model.stop_detector.get_submodule("stop_head").bias.copy_(torch.tensor([9.0, -9.0]))
    said = model.synthesize("hi", seed=1, num_steps=1)
    assert said.stop_reason in ("max_length", "silence", "loop")


def test_instructions_change_what_is_said(model: UniAudio) -> None:
    plain = model.synthesize("good morning", seed=1).wav
    happy = model.synthesize("good morning", seed=1, instruction={"emotion": "高兴"}).wav
    named = model.synthesize("good morning", seed=1, instruction={"ip": "灵小甄"}).wav
    assert not torch.allclose(plain, happy, **CLOSE)
    assert not torch.allclose(happy, named, **CLOSE)


def test_a_named_or_described_voice_takes_the_zero_slot(model: UniAudio) -> None:
    def slots(**instruction: str) -> int:
        job = model.job("hello", instruction=instruction)
        item = tts._item(model.model, job, 0, None)
        return int((item.embeds == 0).all(dim=1).sum())

    assert slots(ip="灵小甄") == slots(style="轻柔的耳语") == 1
    assert slots(emotion="高兴") == 0


def test_refusals(model: UniAudio, clip) -> None:
    with pytest.raises(UserError, match="no speaker model"):
        model.prepare_voice(VoicePrompt(clip, RATE))
    with pytest.raises(UserError, match="192 finite numbers"):
        model.prepare_voice(VoicePrompt(clip, RATE, "hello", speaker=torch.zeros(3)))
    with pytest.raises(AudioError):
        model.prepare_voice(VoicePrompt(torch.zeros(RATE), RATE, "hello"))
    with pytest.raises(AudioError, match="no letter"):
        model.prepare_voice(VoicePrompt(clip, RATE, "..."))
    with pytest.raises(UserError, match="speaks only"):
        model.transcribe(clip, RATE)
    with pytest.raises(UserError, match="speaks only"):
        model.edit(clip, RATE, "replace 'a' with 'b'")
    with pytest.raises(UserError, match="speaks only"):
        model.ask(clip, RATE, "what is this?")


def test_other_models_take_no_instructions(small) -> None:
    with pytest.raises(UserError, match="takes no instructions"):
        small.synthesize("hello", instruction={"emotion": "高兴"})


def test_the_command_speaks_with_an_instruction(uniaudio, tmp_path: Path) -> None:
    folder, out = GOLDEN / "omni_lm", tmp_path / "a.wav"
    ran = uniaudio(
        "tts", "hi", "-m", folder, "-o", out, "--instruct", "emotion=高兴", "--instruct",
        "speed=快速", "--steps", "1", "--json",
    )  # fmt: skip
    assert ran.json["sample_rate"] == RATE and out.is_file(), ran.err
    assert ran.json["stop_reason"]
    refused = uniaudio("tts", "hi", "-m", folder, "-o", out, "--instruct", "mood=glad")
    assert refused.code == 2 and "no key 'mood'" in refused.err
