"""Voices: references of any length, speakers of a model, and questions about recordings."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import AudioError, FormatError, UserError
from uniaudio_lm import UniAudio, VoicePrompt
from uniaudio_lm.interfaces import Aligner, Word
from uniaudio_lm.model import prompts
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.speaker_file import read_speakers
from uniaudio_lm.speech_activity import centred
from uniaudio_lm.tasks.asr import Transcript, TranscriptSegment
from uniaudio_lm.tasks.speakers import add_speaker
from uniaudio_lm.tasks.tts import make_job
from uniaudio_lm.tasks.voice import MAX_VOICE_SECONDS, choose_reference, find_speech
from uniaudio_lm.text.words import split_words

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden" / "unified"


def test_a_reference_is_cut_to_speech_that_ends_at_a_pause(speech) -> None:
    wav = speech(60.0)
    wav[: 4 * 16000] = 0.0  # four seconds of nothing first
    words = [f"w{i}" for i in range(112)]  # two a second of speech, from 4 s on
    chosen, text = choose_reference(VoicePrompt(wav, 16000, " ".join(words)), 16000)
    seconds = len(chosen) / 16000
    assert 4.0 <= seconds <= MAX_VOICE_SECONDS
    active = find_speech(chosen, 16000)
    assert active.mean() > 0.8
    assert active[5:12].all(), "it begins with speech, but for a margin"
    assert not active[-2:].any(), "it ends in a pause"
    assert text is not None and text.split()[0] == "w0"
    assert abs(len(text.split()) - 2 * seconds) <= 4


def test_silence_is_trimmed_and_a_short_reference_keeps_its_text(speech) -> None:
    wav = torch.cat((torch.zeros(3 * 16000), speech(2.0), torch.zeros(5 * 16000)))
    chosen, text = choose_reference(VoicePrompt(wav, 16000, "two words"), 24000)
    assert 2.0 <= len(chosen) / 24000 <= 2.3 and text == "two words"


@pytest.mark.parametrize("order", ["ab", "bbbbb", "aab"])
def test_the_words_of_a_real_reference_are_those_of_its_stretch(order: str) -> None:
    """LibriSpeech 1089-134686-0000 (CC BY 4.0, 10.4 s) and a LibriVox sentence (public domain,
    3 s), joined to a long reference."""
    data = GOLDEN.parents[3] / "examples" / "data"
    names = {"a": "librispeech_1089-134686-0000.flac", "b": "librivox_0880.wav"}
    wavs = {key: load_audio(data / name, 16000)[0] for key, name in names.items()}
    texts = {key: (data / name).with_suffix(".txt").read_text() for key, name in names.items()}
    whole = np.concatenate([wavs[key] for key in order])
    text = " ".join(texts[key].strip() for key in order)
    chosen, said = choose_reference(VoicePrompt(whole, 16000, text), 16000)
    assert said == " ".join(texts[key].strip() for key in ("bbbb" if order[0] == "b" else "a"))
    assert len(chosen) / 16000 <= MAX_VOICE_SECONDS


def test_chinese_text_is_shared_out(speech) -> None:
    text = "今天天气很好，我们去公园。" * 20
    chosen, said = choose_reference(VoicePrompt(speech(60.0), 16000, text), 16000)
    assert said is not None and text.startswith(said)
    expected = len(text) * len(chosen) / 16000 / 60.0
    assert abs(len(said) - expected) < 4


def test_a_reference_of_half_an_hour_takes_seconds(small, speech) -> None:
    wav = speech(60.0, 8000).repeat(30)
    start = time.process_time()
    job = make_job(small.model, "hello", VoicePrompt(wav, 8000, "word " * 4000), 0)
    assert time.process_time() - start < 20
    assert job.voice.latents is not None
    assert job.voice.latents.shape[1] / 50 <= MAX_VOICE_SECONDS


def test_voices_that_cannot_be_used(small, speech) -> None:
    for samples, rate, match in (
        (torch.zeros(16000 * 60), 16000, "silent"),
        (speech(0.1), 16000, "at least"),
        (torch.full((16000,), torch.nan), 16000, "NaN"),
        (speech(1.0).view(1, -1), 16000, "of shape"),
        (speech(1.0), 0, "sample rate"),
    ):
        with pytest.raises(AudioError, match=match):
            small.synthesize_stream("hello", VoicePrompt(samples, rate, "hi"))


def test_a_voice_without_text_is_recognised(small, speech, monkeypatch) -> None:
    heard = []

    def transcribe(self, wav, rate, *_: object) -> Transcript:
        heard.append(len(wav) / rate)
        return Transcript("what was said", "", [])

    monkeypatch.setattr(UniAudio, "transcribe", transcribe)
    job = small.job("hello", VoicePrompt(speech(40.0), 16000))
    assert job.voice.text == "what was said"
    assert heard and heard[0] <= MAX_VOICE_SECONDS, "the stretch that is used, not the whole"
    monkeypatch.setattr(UniAudio, "transcribe", lambda *_: Transcript(" ", "", []))
    with pytest.raises(AudioError, match="say what is said"):
        small.job("hello", VoicePrompt(speech(4.0), 16000))


def test_all_pieces_of_a_text_have_one_voice(small, monkeypatch) -> None:
    monkeypatch.setattr(small.model, "config", dataclasses.replace(small.config, piece_seconds=0.5))
    seen = []
    inner = SpeechLM.embed_audio

    def embed(self, values, state=None, lengths=None):
        if values.shape[1] > self.config.patch_size:
            seen.append(values.clone())
        return inner(self, values, state, lengths)

    monkeypatch.setattr(SpeechLM, "embed_audio", embed)
    made = small.synthesize("One two. Three four. Five six. Seven.", seed=3)
    assert len(made.pieces) >= 3
    assert len(seen) == len(made.pieces) - 1, "all but the first are given a voice"
    assert all(torch.equal(voice, seen[0]) for voice in seen)


def test_speakers_are_kept_found_and_checked(small, small_folder, speech, tmp_path) -> None:
    assert small.speakers() == []
    with pytest.raises(UserError, match="has no speakers"):
        small.synthesize_stream("hi", "ann")
    folder = small.save_pretrained(tmp_path / "model")
    own = UniAudio.from_pretrained(folder)
    voice = VoicePrompt(speech(3.0, 24000), 24000, "some words here")
    file = folder / "speakers.safetensors"
    add_speaker(own.model, file, "ann", voice, language="en", description="calm")
    add_speaker(own.model, file, "bob", VoicePrompt(speech(2.0, seed=5), 16000, "others"))
    assert [s.name for s in own.speakers()] == ["ann", "bob"]
    assert own.speakers()[0].description == "calm"
    with pytest.raises(UserError, match="already"):
        add_speaker(own.model, file, "ann", voice)
    with pytest.raises(UserError, match="not a speaker's name"):
        add_speaker(own.model, file, "../ann", voice)
    by_name = own.synthesize("hi", "ann", seed=1)
    assert torch.equal(by_name.wav, own.synthesize("hi", voice, seed=1).wav)
    assert not torch.equal(by_name.wav, own.synthesize("hi", "bob", seed=1).wav)
    with pytest.raises(UserError, match="did you mean 'bob'"):
        own.synthesize_stream("hi", "bop")
    again = UniAudio.from_pretrained(own.save_pretrained(tmp_path / "copy"))
    assert [s.name for s in again.speakers()] == ["ann", "bob"]
    alone = tmp_path / "one.safetensors"
    add_speaker(own.model, alone, "ann", voice)
    assert torch.equal(small.synthesize("hi", str(alone), seed=1).wav, by_name.wav)
    with pytest.raises(UserError, match="2 voices"):
        small.synthesize_stream("hi", str(file))


def test_files_of_speakers_that_cannot_be_read(small, speech, tmp_path) -> None:
    file = tmp_path / "s.safetensors"
    add_speaker(small.model, file, "ann", VoicePrompt(speech(2.0), 16000, "words"))
    tensors = load_file(file)
    about = {"format": "uniaudio-speakers", "format_version": "1"}
    described = {**about, "speakers": json.dumps({"ann": {"text": "words"}})}
    for tensor, metadata, match in (
        (tensors["ann"], None, "holds no speakers"),
        (tensors["ann"], {**described, "format_version": "2"}, "upgrade"),
        (tensors["ann"], about, "does not name"),
        (tensors["ann"], {**about, "speakers": "{"}, "not JSON"),
        (tensors["ann"].half(), described, "F16"),
        (tensors["ann"][0], described, "not \\(L, d\\)"),
    ):
        save_file({"ann": tensor.contiguous()}, file, metadata=metadata)
        with pytest.raises(FormatError, match=match):
            read_speakers(file)
    save_file({"ann": torch.zeros(50, 3)}, file, metadata=described)
    with pytest.raises(UserError, match="another tokenizer"):
        small.synthesize_stream("hi", str(file))
    save_file({"ann": torch.full((50, 16), torch.nan)}, file, metadata=described)
    with pytest.raises(FormatError, match="not finite"):
        small.synthesize_stream("hi", str(file))


def test_questions_are_prompted_as_published(small, speech, monkeypatch) -> None:
    """The layouts of the golden conversations: one turn, and several."""
    seen: list = []
    inner = prompts.chat

    def chat(messages, patches):
        seen.append(inner(messages, patches))
        return seen[-1]

    monkeypatch.setattr(prompts, "chat", chat)
    wav = speech(0.65)
    one = small.ask(wav, 16000, "Who speaks?", max_tokens=4)
    assert one == small.ask(wav, 16000, "Who speaks?", max_tokens=4)
    patches = len(small.model.embed_audio(small.tokenizer.encode(wav, 16000).values)[0])
    human, assistant = prompts.role("HUMAN"), prompts.role("ASSISTANT")
    assert seen[0] == [*human, "Who speaks?", prompts.Audio(patches), *assistant]
    small.ask(wav, 16000, "And now?", history=[("Who speaks?", "A man.")], max_tokens=1)
    assert seen[-1] == [
        *human, "Who speaks?", prompts.Audio(patches), *assistant, "A man.", *human, "And now?",
        *assistant,
    ]  # fmt: skip


def test_conversations_give_the_recorded_answers() -> None:
    """`chat` makes the tokens of the golden runs from their messages, with the same latents."""
    layout = json.loads((GOLDEN / "layout.json").read_text())["runs"]
    io = load_file(GOLDEN / "io.safetensors")
    model = UniAudio.from_pretrained(GOLDEN)
    for name in ("asr_ctx", "multi_turn"):
        messages = [dict(m) for m in layout[name]["messages"]]
        wav = io["prompt_wav"].flatten()
        for message in messages:
            message["content"] = [
                {"type": "audio", "audio": wav, "sample_rate": 16000}
                if part["type"] == "audio"
                else part
                for part in message["content"]
            ]
        posterior = model.tokenizer.posterior_of(wav[None])
        latents = posterior.sample(noise=io[f"{name}.enc_noise_bdt"].transpose(1, 2))
        model.tokenizer.encode = lambda *_, found=latents: _Encoded(found)  # ty: ignore
        ids = io[f"{name}.generated_ids"][0].tolist()
        prompt = io[f"{name}.input_ids"].shape[1]
        answer = model.chat(messages, max_tokens=len(ids) - prompt)
        assert answer.text == model.model.text_tokenizer.decode(ids[prompt:]).strip()
        assert answer.truncated


class _Encoded:
    def __init__(self, values: torch.Tensor) -> None:
        self.values = values


def test_questions_that_cannot_be_asked(small, speech) -> None:
    wav = speech(1.0)
    for prompt, match in ((" ", "prompt is empty"), ("x" * 30_000, "at most")):
        with pytest.raises(UserError, match=match):
            small.ask(wav, 16000, prompt)
    with pytest.raises(UserError, match="not UTF-8"):
        small.ask(wav, 16000, "\udcff?")
    with pytest.raises(UserError, match="max_tokens"):
        small.ask(wav, 16000, "What?", max_tokens=0)
    with pytest.raises(AudioError, match="cut it"):
        small.ask(np.zeros(16000 * 601, dtype=np.float32), 16000, "What?")
    with pytest.raises(UserError, match="needs 'audio'"):
        small.chat([{"role": "HUMAN", "content": [{"type": "audio"}]}])
    with pytest.raises(UserError, match="a role is"):
        small.chat([{"role": "system", "content": [{"type": "text", "text": "x"}]}])


class Even(Aligner):
    """Spreads the words of a text evenly over the recording."""

    def align(self, wav: np.ndarray, text: str, language: str) -> list[Word]:
        words = split_words(text)
        step = len(wav) / 16000 / max(1, len(words))
        return [Word(w, i * step, (i + 1) * step, 1.0) for i, w in enumerate(words)]


def test_words_have_times_where_an_aligner_is(small, speech, monkeypatch) -> None:
    wav = speech(70.0)
    assert small.transcribe(wav[:16000], 16000).words is None
    small.use_aligner(Even())
    assert "aligner" not in dict(small.model.named_modules()), "it is no part of the model"

    def recognize(model, parts, *_):
        return [("one two three", False) for _ in parts]

    monkeypatch.setattr("uniaudio_lm.tasks.asr._recognize", recognize)
    found = small.transcribe(wav, 16000)
    assert found.words is not None and len(found.words) == 3 * len(found.segments) == 9
    for i, segment in enumerate(found.segments):
        words = found.words[3 * i : 3 * i + 3]
        assert words[0].start == pytest.approx(segment.start)
        assert words[-1].end == pytest.approx(segment.end, abs=1e-4)
    assert small.use_aligner(None).transcribe(wav, 16000).words is None


def test_recordings_are_covered_once_and_silence_is_not_heard(small, speech, monkeypatch) -> None:
    """What the model is given, end to end, is the recording; silent segments are left out."""
    given: list[np.ndarray] = []

    def recognize(model, parts, *_):
        given.extend(parts)
        return [(f"t{len(given) - len(parts) + i}", False) for i, _ in enumerate(parts)]

    monkeypatch.setattr("uniaudio_lm.tasks.asr._recognize", recognize)
    long, short = speech(95.0), speech(5.0, 8000, seed=3)
    quiet = torch.zeros(40 * 16000)
    found = small.transcribe_batch([long, short, quiet], [16000, 8000, 16000])
    count = len(found[0].segments)
    assert count >= 4 and len(given) == count + 1
    assert np.array_equal(np.concatenate(given[:count]), centred(long.numpy()))
    assert found[0].text == " ".join(f"t{i}" for i in range(count))
    ends = [0.0, *(s.end for s in found[0].segments)]
    assert [s.start for s in found[0].segments] == ends[:-1] and ends[-1] == 95.0
    assert found[1].text == f"t{count}" and found[1].segments == [
        TranscriptSegment(0.0, 5.0, f"t{count}")
    ]
    assert found[2].text == "" and len(found[2].segments) == 2


def test_batches_of_recordings_are_as_each_alone(small, speech) -> None:
    wavs = [speech(0.3), speech(1.7, seed=1), speech(1.0, 24000, seed=2)]
    rates = [16000, 16000, 24000]
    together = small.transcribe_batch(wavs, rates, "en", ["Quinn", "Quinn", " "])
    alone = [small.transcribe(w, r, "en", ["Quinn"]) for w, r in zip(wavs, rates, strict=True)]
    assert together == alone
    assert small.transcribe_batch([], []) == []
    with pytest.raises(UserError, match="sample rates"):
        small.transcribe_batch(wavs, [16000])
    for words, match in ((["a,b"], "comma"), (["a\nb"], "line break"), (["x" * 5000], "fewer")):
        with pytest.raises(UserError, match=match):
            small.transcribe(wavs[0], 16000, hotwords=words)
