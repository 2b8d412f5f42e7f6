"""Recognition and speech on tiny random weights: batches, streams, bad inputs, swapped parts."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mingtok_audio.core.errors import AudioError, ConfigError, FormatError, HubError, UserError
from mingtok_audio.core.models.components import PinnedModel, save_component
from uniaudio_lm import UniAudio, VoicePrompt
from uniaudio_lm.config import PartConfig, Sampling, UniAudioConfig
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.parts.heads.mlp import MlpHead
from uniaudio_lm.tasks.asr import split_at_silence
from uniaudio_lm.text.tokenizer import TextTokenizer

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden" / "unified"
QUICK = {"num_steps": 1, "cfg_scale": 1.0}


@pytest.fixture(scope="module")
def model() -> UniAudio:
    return UniAudio.from_pretrained(GOLDEN)


def noise(seconds: float, rate: int = 16000, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(int(seconds * rate), generator=generator)


def voice(seconds: float = 1.0, rate: int = 16000, text: str = "hello there") -> VoicePrompt:
    return VoicePrompt(noise(seconds, rate), rate, text)


def test_a_batch_says_what_each_says_alone(
    model: UniAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.model, "config", dataclasses.replace(model.config, piece_seconds=1.5))
    texts = ["ha", "one two", "你好啊", "two short sentences. " * 2]
    voices = [None, voice(), voice(0.7, 24000), None]
    together = model.synthesize_batch(texts, voices, seeds=[1, 2, 3, 4], **QUICK)
    for text, prompt, seed, one in zip(texts, voices, (1, 2, 3, 4), together, strict=True):
        alone = model.synthesize(text, prompt, seed=seed, **QUICK)
        assert (alone.stop_reason, alone.patches) == (one.stop_reason, one.patches)
        assert alone.wav.shape == one.wav.shape == (alone.patches * 1600,)
        assert (alone.wav - one.wav)[:32000].abs().max() < 1e-3
    assert len(together[3].pieces) > 1


def test_streams_join_to_the_whole_and_seeds_decide(model: UniAudio) -> None:
    stream = model.synthesize_stream("hello", seed=5, **QUICK)
    pieces = list(stream)
    assert len(pieces) == stream.patches and stream.stop_reason
    whole = model.synthesize("hello", seed=5, **QUICK)
    assert torch.equal(torch.cat(pieces), whole.wav)
    assert not torch.equal(model.synthesize("hello", seed=6, **QUICK).wav, whole.wav)


def test_the_likeliest_text_is_the_one_that_greedy_decoding_writes(model: UniAudio) -> None:
    wav = noise(2.0, 24000)
    said = model.transcribe(wav, 24000, language="Canton", beams=1).text
    own = model.log_likelihood(wav, 24000, said, "Canton")
    assert own <= 0 and own == model.log_likelihood(wav, 24000, f" {said}\n", "Canton")
    for other in ("another text", said + " more"):
        assert model.log_likelihood(wav, 24000, other, "Canton") < own
    assert np.isfinite(model.log_likelihood(wav, 24000, said))
    with pytest.raises(UserError, match="empty"):
        model.log_likelihood(wav, 24000, " ")
    with pytest.raises(UserError, match="at most 30 s"):
        model.log_likelihood(noise(31), 16000, "text")
    with pytest.raises(AudioError):
        model.log_likelihood(torch.zeros(0), 16000, "text")


def test_the_noise_that_patches_begin_as_has_a_scale(
    model: UniAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = {**QUICK, "temperature": 0.0}

    def said(seed: int, **options: float) -> torch.Tensor:
        return model.synthesize("hello", seed=seed, **still, **options).wav

    assert torch.equal(said(5), said(5, noise_scale=1.0))
    silent = said(5, noise_scale=0.0)
    assert torch.equal(silent, said(6, noise_scale=0.0)) and not torch.equal(silent, said(5))
    assert not torch.equal(said(5, noise_scale=0.5), said(6, noise_scale=0.5))
    batch = model.synthesize_batch(["hello"], seeds=[5], **still, noise_scale=0.0)
    assert torch.allclose(batch[0].wav, silent, atol=1e-5)
    monkeypatch.setattr(
        model.model, "config", dataclasses.replace(model.config, sampling=Sampling(noise_scale=0.0))
    )
    assert torch.equal(said(7), silent)
    for bad in (-0.1, 2.5, float("nan")):
        with pytest.raises(UserError, match="noise scale"):
            said(5, noise_scale=bad)
        with pytest.raises(ValueError, match="noise scale"):
            Sampling(noise_scale=bad)


def test_recognition_is_deterministic_and_takes_any_length(model: UniAudio) -> None:
    wav = noise(2.0, 24000)
    first = model.transcribe(wav, 24000, language="Canton", hotwords=["Quinn"])
    assert first == model.transcribe(wav, 24000, language="Canton", hotwords=["Quinn"])
    assert first.language == "Canton"
    assert first != model.transcribe(wav, 24000)
    assert model.transcribe(noise(0.01), 16000).segments[0].end == pytest.approx(0.01)
    for bad in (torch.zeros(0), torch.full((100,), torch.inf), torch.zeros(2, 100)):
        with pytest.raises(AudioError):
            model.transcribe(bad, 16000)
    with pytest.raises(UserError, match="language hint"):
        model.transcribe(wav, 24000, language=" ")


def test_long_recordings_are_cut_where_it_is_quiet() -> None:
    wav = noise(100.0, 1000).numpy()
    quiet = [25.0, 52.5, 80.0]
    for at in quiet:
        wav[int(at * 1000) - 150 : int(at * 1000) + 150] = 0
    spans = split_at_silence(wav, 1000)
    assert [start for start, _ in spans[1:]] == [end for _, end in spans[:-1]]
    assert spans[0][0] == 0 and spans[-1][1] == len(wav)
    assert np.allclose([end / 1000 for _, end in spans[:-1]], quiet, atol=0.06)


def test_special_tokens_in_a_users_text_are_letters() -> None:
    tokenizer = TextTokenizer.from_file(GOLDEN / "tokenizer.json")
    ids = tokenizer.encode("<audio>hi</audio>")
    assert tokenizer.special("<audio>") not in ids
    assert tokenizer.decode(ids) == "<audio>hi</audio>"


SMALL = {
    "bailing_moe": {
        "vocab_size": 304, "dim": 24, "num_layers": 2, "num_heads": 2, "num_kv_heads": 1,
        "head_dim": 16, "num_experts": 4, "experts_per_token": 2, "moe_dim": 16,
    },
    "hf_causal_lm": {
        "config": {
            "model_type": "qwen2", "vocab_size": 304, "hidden_size": 24, "intermediate_size": 32,
            "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
            "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": True,
        }
    },
    "dit": {"hidden_size": 16, "depth": 2, "num_heads": 2},
    "mlp": {"width": 16, "depth": 2},
}  # fmt: skip
MATRIX = list(
    itertools.product(
        ("bailing_moe", "hf_causal_lm"), ("dit", "mlp"), ("linear", "guarded"),
        ("pooling", "cross_attention"), (True, False),
    )
)  # fmt: skip


def tiny(model: UniAudio, names: tuple) -> UniAudio:
    backbone, head, stop, compressor, after = names
    torch.manual_seed(0)
    size = model.tokenizer.config.latent_dim
    config = UniAudioConfig(
        backbone=PartConfig(backbone, SMALL[backbone]),
        generation_head=PartConfig(head, SMALL[head]),
        stop_detector=PartConfig(stop, {"stop_after_patch": after}),
        compressor=PartConfig(compressor),
        latent_mean=[0.1] * size,
        latent_std=[1.5] * size,
        sampling=Sampling(num_steps=2),
    )
    made = UniAudio(SpeechLM(config, model.tokenizer.config, model.model.text).eval())
    made.tokenizer.load_state_dict(model.tokenizer.state_dict())
    return made


@pytest.mark.parametrize("names", MATRIX[::5], ids=lambda n: "-".join(map(str, n)))
def test_every_combination_speaks_and_survives_saving(
    model: UniAudio, names: tuple, tmp_path: Path
) -> None:
    made = tiny(model, names)
    texts, voices = ["ha", "one two"], [None, voice()]
    together = made.synthesize_batch(texts, voices, seeds=[1, 2])
    alone = [made.synthesize(t, v, seed=s) for t, v, s in zip(texts, voices, (1, 2), strict=True)]
    for one, other in zip(together, alone, strict=True):
        assert one.patches == other.patches and one.stop_reason == other.stop_reason
        assert len(one.wav) == one.patches * 1600
        assert one.wav.shape == other.wav.shape
        if len(one.wav):
            assert (one.wav - other.wav)[:32000].abs().max() < 1e-3
    loaded = UniAudio.from_pretrained(made.save_pretrained(tmp_path / "model"))
    assert torch.equal(loaded.synthesize("ha", seed=1).wav, alone[0].wav)
    assert loaded.transcribe(noise(0.5), 16000) == made.transcribe(noise(0.5), 16000)


def test_parts_are_swapped_and_checked(model: UniAudio, tmp_path: Path) -> None:
    options = {"cond_dim": 64, "latent_dim": 16, "patch_size": 5, "width": 8, "depth": 1}
    good = tmp_path / "good"
    save_component(good, MlpHead(**options), slot="generation_head", name="mlp", options=options)
    swapped = UniAudio.from_pretrained(GOLDEN, generation_head=good)
    assert isinstance(swapped.model.generation_head, MlpHead)
    assert swapped.synthesize("ha", **QUICK).patches
    # The same shapes: the model's own stop head goes on in the other detector.
    guarded = UniAudio.from_pretrained(GOLDEN, stop_detector="guarded")
    assert torch.equal(
        guarded.model.stop_detector.stop_head.weight, model.model.stop_detector.stop_head.weight
    )
    wrong = tmp_path / "wrong"
    narrow = {**options, "cond_dim": 32}
    save_component(wrong, MlpHead(**narrow), slot="generation_head", name="mlp", options=narrow)
    with pytest.raises(UserError, match=r"cond_dim is \[32\], the model needs \[64\]"):
        UniAudio.from_pretrained(GOLDEN, generation_head=wrong)
    with pytest.raises(UserError, match="is a generation_head, not a stop_detector"):
        UniAudio.from_pretrained(GOLDEN, stop_detector=good)
    with pytest.raises(UserError, match="did you mean 'guarded'"):
        UniAudio.from_pretrained(GOLDEN, stop_detector="guardet")


def copy_of(folder: Path, **sections: dict) -> Path:
    folder.mkdir()
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).write_bytes((GOLDEN / name).read_bytes())
    config = json.loads((GOLDEN / "config.json").read_text())
    for section, changes in sections.items():
        config[section] |= changes
        config[section] = {k: v for k, v in config[section].items() if v != "drop"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_folders_that_cannot_be_loaded(tmp_path: Path, model: UniAudio) -> None:
    missing = copy_of(tmp_path / "missing", llm_config={"num_attention_heads": "drop"})
    with pytest.raises(ConfigError, match=r"llm_config\.num_attention_heads"):
        UniAudio.from_pretrained(missing)
    other = copy_of(tmp_path / "other", ditar_config={"depth": 2})
    with pytest.raises(FormatError, match="not part of this model"):
        UniAudio.from_pretrained(other)
    cut = copy_of(tmp_path / "cut")
    data = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(FormatError, match="truncated"):
        UniAudio.from_pretrained(cut)
    untold = copy_of(tmp_path / "untold")
    (untold / "tokenizer.json").unlink()
    with pytest.raises(FormatError, match=r"tokenizer\.json"):
        UniAudio.from_pretrained(untold)
    with pytest.raises(HubError, match="holds no model 'nano-v0'"):
        UniAudio.from_pretrained("nano-v0")
    made = tiny(model, MATRIX[0])
    folder = made.save_pretrained(tmp_path / "pinned")
    config = json.loads((folder / "config.json").read_text())
    config["tokenizer"] = {"id": "nano-v1", "sha256": "0" * 64}
    assert PinnedModel(**config["tokenizer"])
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="was trained with the tokenizer nano-v1"):
        UniAudio.from_pretrained(folder)
