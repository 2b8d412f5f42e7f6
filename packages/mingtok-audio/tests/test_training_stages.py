"""The three stages: what learns, what stays, what a teacher and a guide are asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_tokenizer import tiny_config

from mingtok_audio.core.audio import load_audio, save_audio
from mingtok_audio.core.config import to_dict
from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.modules.posterior import Posterior
from mingtok_audio.plugins import load_compressor
from mingtok_audio.trainer.loop import Trainer
from mingtok_audio.training.discriminators import (
    Adversary,
    DiscriminatorConfig,
    discriminator_loss,
    feature_matching_loss,
)
from mingtok_audio.training.losses import MultiScaleMelLoss
from mingtok_audio.training.run import load_config, make_task, shipped_config, train
from mingtok_audio.training.teachers import FeatureCache, load_teacher, teacher_features

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

SEMANTIC = {
    "dim": 32,
    "num_layers": 2,
    "num_heads": 2,
    "mlp_dim": 64,
    "window": 16,
    "norm": "layer",
    "norm_eps": 1e-5,
    "mlp": "gelu",
    "rope_layout": "interleaved",
    "linear_bias": True,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six transcribed seconds of tones."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    lines = []
    for i in range(6):
        t = np.arange(12000 + 1600 * i) / 16000
        wav = 0.3 * np.sin(2 * np.pi * (120 + 60 * i) * t) + 0.02 * rng.standard_normal(len(t))
        save_audio(folder / f"{i}.wav", wav.astype(np.float32), 16000)
        lines.append({"audio": f"{i}.wav", "seconds": len(t) / 16000, "text": f"tone {i}"})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "manifest.jsonl"


@pytest.fixture(scope="module")
def acoustic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained acoustic tokenizer without a semantic module."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("acoustic")
    return MingTok(tiny_config(semantic=None, decoder_input="latent")).save_pretrained(folder)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Whisper of the semantic module's shape, as transformers saves it."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("whisper")
    config = transformers.WhisperConfig(
        d_model=32,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        vocab_size=60,
        pad_token_id=1,
        bos_token_id=1,
        eos_token_id=1,
        decoder_start_token_id=1,
    )
    transformers.WhisperModel(config).save_pretrained(folder)
    transformers.WhisperFeatureExtractor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random causal language model over characters."""
    tokenizers = pytest.importorskip("tokenizers")
    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("guide")
    vocabulary = {c: i for i, c in enumerate("?$ abcdefghijklmnopqrstuvwxyz0123456789")}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="?", eos_token="$"
    )
    fast.save_pretrained(folder)
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=24,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=256,
        initializer_range=0.3,  # a guide that says something: its output depends on its input
        bos_token_id=1,
        eos_token_id=1,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def distillation(corpus: Path, acoustic: Path, whisper: Path, cache: Path, *overrides: str) -> Any:
    return load_config(
        shipped_config("debug-distillation"),
        [
            f"init={json.dumps(str(acoustic))}",
            f"semantic={json.dumps(SEMANTIC)}",
            f"data.train=[{{manifest: {json.dumps(str(corpus))}, split: null}}]",
            "data.crop_seconds=0.6",
            "data.batch_size=2",
            f"teacher.model={json.dumps(str(whisper))}",
            f"teacher.cache={json.dumps(str(cache))}",
            "trainer.log_every=1",
            *overrides,
        ],
    )


def unified(corpus: Path, init: Path, guide: Path, *overrides: str) -> Any:
    return load_config(
        shipped_config("debug-unified"),
        [
            f"init={json.dumps(str(init))}",
            f"guide={json.dumps(str(guide))}",
            f"semantic={json.dumps(SEMANTIC)}",
            f"data.train=[{{manifest: {json.dumps(str(corpus))}, split: null}}]",
            "data.max_seconds=3",
            "loss.reconstruct_seconds=0.3",
            "trainer.log_every=1",
            *overrides,
        ],
    )


def losses(folder: Path, name: str) -> list[float]:
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [row[name] for row in rows if name in row]


def test_distillation_moves_the_semantic_module_only(
    corpus: Path, acoustic: Path, whisper: Path, tmp_path: Path
) -> None:
    sample = str(corpus.parent / "5.wav")
    config = distillation(
        corpus,
        acoustic,
        whisper,
        tmp_path / "cache",
        "trainer.max_steps=25",
        f"data.evaluation=[{json.dumps(sample)}]",
    )
    train(config, tmp_path / "run")
    values = losses(tmp_path / "run", "distill")
    assert np.mean(values[-5:]) < 0.8 * np.mean(values[:5])
    assert losses(tmp_path / "run", "eval/explained")
    before, after = (
        MingTok.from_pretrained(acoustic),
        MingTok.from_pretrained(tmp_path / "run/model"),
    )
    for name, value in before.state_dict().items():
        assert torch.equal(after.state_dict()[name], value), name
    assert after.config.semantic is not None and after.config.semantic.dim == 32
    wav = np.zeros(8000, np.float32)
    assert after.features(after.encode(wav, 16000)).shape == (1, 25, 32)


def test_the_module_can_start_from_whisper(
    corpus: Path, acoustic: Path, whisper: Path, tmp_path: Path
) -> None:
    task = make_task(
        distillation(corpus, acoustic, whisper, tmp_path, "teacher.init_from_teacher=true")
    )
    assert task.copied_layers == 2
    block = task.model.tokenizer.semantic.transformer.blocks[1]
    layer = task.teacher.encoder.layers[1]
    assert torch.equal(block.mlp.up.weight, layer.fc1.weight)
    # The block computes what Whisper's layer does, but for the positions and the causal mask.
    x = torch.randn(1, 1, 32)
    cos, sin = torch.ones(1, 8), torch.zeros(1, 8)
    expected = layer(x, attention_mask=None)
    expected = expected[0] if isinstance(expected, tuple) else expected
    assert torch.allclose(block(x, cos, sin, None), expected, atol=1e-5)
    with pytest.raises(UserError, match="another shape"):
        make_task(
            distillation(
                corpus, acoustic, whisper, tmp_path, "teacher.init_from_teacher=true",
                "semantic.mlp_dim=48",
            )
        )  # fmt: skip


def test_teacher_features_are_computed_once(whisper: Path, tmp_path: Path) -> None:
    teacher = load_teacher(str(whisper))
    calls = []
    window = teacher.window
    teacher.window = lambda wav: calls.append(len(wav)) or window(wav)  # type: ignore[method-assign]
    cache = FeatureCache(tmp_path, teacher)
    wav = np.random.default_rng(0).standard_normal(16000 * 31).astype(np.float32) * 0.1
    first = cache.get(wav)
    assert first.shape == (31 * 50, 32) and calls == [480000, 16000]
    assert np.array_equal(cache.get(wav), first) and len(calls) == 2
    assert not np.array_equal(cache.get(wav[:-320])[:10], np.zeros((10, 32)))
    assert len(calls) == 4  # other sound, other features
    assert np.abs(teacher_features(teacher, wav) - first).max() < 2e-3  # float16


def test_short_recordings_share_a_teacher_window(whisper: Path, tmp_path: Path) -> None:
    teacher = load_teacher(str(whisper))
    calls: list[np.ndarray] = []
    window = teacher.window

    def counted(wav: np.ndarray) -> np.ndarray:
        calls.append(wav)
        return window(wav)

    teacher.window = counted  # type: ignore[method-assign]
    cache = FeatureCache(tmp_path, teacher)
    rng = np.random.default_rng(0)
    wavs = [rng.standard_normal(n).astype(np.float32) * 0.1 for n in (150000, 99, 200001, 320000)]
    cache.get(wavs[1])
    del calls[:]
    assert list(cache.fill([*wavs, np.zeros(0, np.float32), np.zeros(480001, np.float32)])) == [
        2,
        1,
    ]
    assert len(calls) == 2
    for wav in (wavs[0], wavs[2], wavs[3]):
        assert cache.get(wav).shape == (-(-len(wav) // 320), teacher.dim)
    second = calls[0][150080 + 8000 :]  # on the frame grid, after half a second of silence
    assert np.array_equal(second, wavs[2])
    assert not calls[0][150000 : 150080 + 8000].any()
    states = window(calls[0])[(150080 + 8000) // 320 :]
    assert np.abs(cache.get(wavs[2]) - states).max() < 2e-3
    assert len(calls) == 2  # nothing was computed again
    assert list(cache.fill(wavs)) == []


def test_target_delay_compares_with_the_past(
    corpus: Path, acoustic: Path, whisper: Path, tmp_path: Path
) -> None:
    task = make_task(
        distillation(corpus, acoustic, whisper, tmp_path, "teacher.layer_normalise=false")
    )
    targets = torch.randn(1, 12, 32)
    late = torch.cat((torch.zeros(1, 4, 32), targets[:, :-4]), dim=1)
    valid = torch.ones(1, 12, dtype=torch.bool)
    assert float(task._distance(late, targets, valid)) == 0
    assert float(task._distance(targets, targets, valid)) > 0.1


@pytest.mark.parametrize("normalise", [False, True])
def test_the_mean_explains_nothing_and_the_teacher_everything(
    corpus: Path, acoustic: Path, whisper: Path, tmp_path: Path, normalise: bool
) -> None:
    sample = corpus.parent / "5.wav"
    task = make_task(
        distillation(
            corpus, acoustic, whisper, tmp_path, f"data.evaluation=[{json.dumps(str(sample))}]",
            f"teacher.layer_normalise={str(normalise).lower()}", "teacher.target_delay=0",
        )
    )  # fmt: skip
    states = torch.from_numpy(task.cache.get(load_audio(sample)[0]).astype(np.float32))[None]
    if normalise:
        states = torch.nn.functional.layer_norm(states, states.shape[-1:])

    class Answering(torch.nn.Module):
        def __init__(self, answer: torch.Tensor) -> None:
            super().__init__()
            self.tokenizer, self.answer = task.model.tokenizer, answer

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return self.answer

    mean = states.mean(dim=1, keepdim=True).expand_as(states)
    figures = task.evaluate(Answering(mean), 0, tmp_path)
    assert figures["explained"] == pytest.approx(0, abs=1e-6)
    figures = task.evaluate(Answering(states), 0, tmp_path)
    assert figures["explained"] == pytest.approx(1, abs=1e-6)


def test_unified_training_has_a_reconstruction_gradient(
    corpus: Path, acoustic: Path, guide: Path, tmp_path: Path
) -> None:
    task = make_task(unified(corpus, acoustic, guide, "loss.align=0", "loss.ctc=0"))
    loss, parts = task.loss(0, torch.Generator().manual_seed(0))
    loss.backward()
    assert set(parts) == {"align", "mel"}
    tokenizer = task.model.tokenizer
    moved = {n for n, p in tokenizer.named_parameters() if p.grad is not None and p.grad.any()}
    assert any(n.startswith("semantic.transformer.blocks.0") for n in moved)
    assert any(n.startswith("feature_proj") for n in moved)
    assert not [n for n in moved if not n.startswith(("semantic.", "feature_proj."))]
    assert all(p.grad is None for p in task.guide.parameters())
    with pytest.raises(ConfigError, match="without a gradient"):
        make_task(unified(corpus, acoustic, guide, "decoder_input=latent"))


@pytest.mark.parametrize("compressor", ["linear_pooling", "cross_attention"])
def test_unified_training_learns_and_keeps_the_acoustic_part(
    corpus: Path, acoustic: Path, guide: Path, tmp_path: Path, compressor: str
) -> None:
    config = unified(
        corpus, acoustic, guide, "trainer.max_steps=25", f"compressor={compressor}", "optim.lr=0.01"
    )
    train(config, tmp_path / "run")
    align = losses(tmp_path / "run", "align")
    assert np.mean(align[-5:]) < 0.9 * np.mean(align[:5])
    before, after = (
        MingTok.from_pretrained(acoustic),
        MingTok.from_pretrained(tmp_path / "run/model"),
    )
    assert after.config.decoder_input == "unified"
    for name, value in before.state_dict().items():
        assert torch.equal(after.state_dict()[name], value), name
    assert after.decode(after.encode(np.zeros(8000, np.float32), 16000)).shape == (1, 8000)


def test_ablations_of_the_unified_stage(corpus: Path, acoustic: Path, guide: Path) -> None:
    options = ["loss.adversarial=1", "loss.feature_matching=1", "train_acoustic=true"]
    small = (
        "discriminators={periods: [2], period_channels: [4], n_ffts: [256], spectrum_channels: 2}"
    )
    task = make_task(unified(corpus, acoustic, guide, small, *options))
    loss, parts = task.loss(0, torch.Generator().manual_seed(0))
    assert {"adversarial", "feature_matching"} <= set(parts)
    loss.backward()
    assert task.model.tokenizer.decoder.head.out.weight.grad.any()
    assert all(p.grad is None for p in task.adversary.parameters())
    task.adversary.loss().backward()
    assert any(p.grad.any() for p in task.adversary.parameters())


def test_the_guide_reads_the_audio_before_the_text(
    corpus: Path, acoustic: Path, guide: Path
) -> None:
    task = make_task(unified(corpus, acoustic, guide))
    model = task.guide
    patches = torch.randn(2, 3, model.width, requires_grad=True)
    loss = model.loss(patches, torch.tensor([3, 1]), ["tone", "to"])
    loss.backward()
    assert patches.grad is not None
    assert patches.grad[0, 2].any() and patches.grad[1, 0].any()
    assert not patches.grad[1, 1:].any()  # padding
    single = [
        model.loss(patches[i : i + 1, :n].detach(), torch.tensor([n]), [text])
        for i, (n, text) in enumerate([(3, "tone"), (1, "to")])
    ]
    tokens = [5, 3]  # with the end
    mean = sum(float(v) * k for v, k in zip(single, tokens, strict=True)) / sum(tokens)
    assert float(loss.detach()) == pytest.approx(mean, rel=1e-5)


def test_the_guide_is_asked_by_a_prompt(corpus: Path, acoustic: Path, guide: Path) -> None:
    prompt = ["guide_before='what is '", "guide_after=' said '"]
    model, plain = (
        make_task(unified(corpus, acoustic, guide, *words)).guide for words in (prompt, [])
    )
    patches, counts = torch.randn(2, 3, model.width), torch.tensor([3, 1])
    logits, targets = model.predicted(patches, counts, ["tone", "to"])
    assert len(logits) == len(targets) == 5 + 3  # the transcripts with their ends, no prompt
    # The same words as embeddings on either side of the audio.
    embed = plain.model.get_input_embeddings()
    before, after = (embed(torch.tensor(plain._ids(text))) for text in ("what is ", " said "))
    rows = [torch.cat((before, patches[i, :n], after)) for i, n in enumerate(counts.tolist())]
    alone = torch.cat([
        plain.predicted(row[None], torch.tensor([len(row)]), [text])[0]
        for row, text in zip(rows, ["tone", "to"], strict=True)
    ])  # fmt: skip
    assert torch.allclose(logits, alone, atol=1e-5)


def test_what_reads_the_features_can_learn_alone(
    corpus: Path, acoustic: Path, guide: Path, tmp_path: Path
) -> None:
    held_out = f"data.valid=[{{manifest: {json.dumps(str(corpus))}, split: null}}]"
    changes = [held_out, "trainer.max_steps=3", "optim.lr=0.01", "loss.ctc=0"]
    first = unified(corpus, acoustic, guide, *changes, "compressor=cross_attention")
    train(first, tmp_path / "one")
    folder = tmp_path / "one/model"
    changes += [f"init={json.dumps(str(folder))}", "train_semantic=false"]
    config = unified(
        corpus,
        acoustic,
        guide,
        *changes,
        f"init_compressor={json.dumps(str(folder / 'compressor'))}",
    )
    start = make_task(config).model.compressor.state_dict()
    train(config, tmp_path / "two")
    before, after = (
        MingTok.from_pretrained(tmp_path / name / "model").state_dict() for name in ("one", "two")
    )
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"feature_proj.weight", "feature_proj.bias"}
    learned = load_compressor(tmp_path / "two/model/compressor").state_dict()
    assert any(not torch.equal(learned[name], value) for name, value in start.items())
    assert 0 <= losses(tmp_path / "two", "eval/accuracy")[0] <= 1
    assert losses(tmp_path / "two", "eval/align")[0] > 0


def test_discriminators_tell_noise_from_tone() -> None:
    torch.manual_seed(0)
    model = Adversary(
        DiscriminatorConfig(
            periods=(2, 3), period_channels=(8, 8), n_ffts=(256,), spectrum_channels=4
        )
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    t = torch.arange(4000) / 16000
    first = last = 0.0
    for step in range(40):
        real = 0.3 * torch.sin(2 * torch.pi * (100 + 5 * step) * t)[None]
        fake = 0.3 * torch.randn(1, 4000)
        loss = discriminator_loss(model(real), model(fake))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first, last = first or float(loss.detach()), float(loss.detach())
    assert first == pytest.approx(2, abs=0.2) and last < 0.8 * first
    wav = 0.1 * torch.randn(1, 4001)
    assert float(feature_matching_loss(model(wav), model(wav))) == 0


def test_ablations_are_small_files_over_a_base(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("base: debug\nloss: {mel: 7.0}\n")
    config = load_config(tmp_path / "more.yaml", ["trainer.max_steps=3"])
    plain = load_config(shipped_config("debug"))
    assert to_dict(config)["loss"] == {**to_dict(plain)["loss"], "mel": 7.0}
    assert config.trainer.max_steps == 3
    (tmp_path / "a.yaml").write_text("base: b.yaml\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\n")
    with pytest.raises(ConfigError, match="circle"):
        load_config(tmp_path / "a.yaml")


@pytest.mark.parametrize("name", ["stage1", "stage2", "stage3", "stage3-gan", "stage3-open"])
def test_the_papers_stages_are_shipped(name: str) -> None:
    config = load_config(shipped_config(name))
    assert config.trainer.max_steps == 200_000 and config.optim.lr == 1e-4


def test_adversarial_run_resumes_bit_for_bit(corpus: Path, tmp_path: Path) -> None:
    config = load_config(
        shipped_config("debug"),
        [
            f"data.train=[{{manifest: {json.dumps(str(corpus))}, split: null}}]",
            "data.batch_size=2",
            "data.workers=2",
            "trainer.max_steps=6",
            "trainer.accumulate=2",
            "trainer.log_every=1",
        ],
    )
    whole = Trainer(make_task(config), config.optim, config.trainer, tmp_path / "whole")
    whole.run()
    first = Trainer(make_task(config), config.optim, config.trainer, tmp_path / "cut")
    first.run(lambda: first.step == 3)
    # What a kill leaves behind: rows beyond the checkpoint, which the resumed run writes again.
    with (tmp_path / "cut" / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "loss": 0}\n')
    second = Trainer(make_task(config), config.optim, config.trainer, tmp_path / "cut")
    assert second.resume() and second.step == 3
    second.run()
    for name, value in whole.task.model.state_dict().items():
        assert torch.equal(second.task.model.state_dict()[name], value), name
    a, b = (t.task.adversary.state_dict() for t in (whole, second))  # type: ignore[attr-defined]
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert losses(tmp_path / "whole", "loss") == losses(tmp_path / "cut", "loss")
    assert losses(tmp_path / "cut", "adversary")[0] == pytest.approx(2, abs=0.3)


def test_a_changed_architecture_is_refused_in_words(corpus: Path, tmp_path: Path) -> None:
    settings = [
        f"data.train=[{{manifest: {json.dumps(str(corpus))}, split: null}}]",
        "trainer.max_steps=1",
    ]
    train(load_config(shipped_config("debug"), settings), tmp_path / "run")
    other = load_config(shipped_config("debug"), [*settings, "model.latent_dim=8"])
    with pytest.raises(UserError, match="does not fit this configuration") as refused:
        train(other, tmp_path / "run", resume=True)
    assert "\n" not in str(refused.value)


def test_the_papers_model_has_1_35_billion_parameters() -> None:
    acoustic, distilled = (load_config(shipped_config(name)) for name in ("stage1", "stage2"))
    assert acoustic.model.encoder.num_layers == acoustic.model.decoder.num_layers == 24
    whole = replace(acoustic.model, semantic=distilled.semantic, decoder_input="unified")
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in MingTok(whole).parameters())
        latent = replace(whole, decoder_input="latent")
        published = sum(parameter.numel() for parameter in MingTok(latent).parameters())
    assert count == 1_349_038_466 + 1280 * 896 + 896  # the projection from features to decoder
    assert published == 1_349_038_466
    assert round(count / 1e9, 2) == round(published / 1e9, 2) == 1.35
    for config in (acoustic.model.encoder, acoustic.model.decoder, distilled.semantic):
        assert config.window == 32
    assert acoustic.model.hop_length == 320 and acoustic.model.sample_rate == 16000


def test_the_weights_of_table_1() -> None:
    acoustic, distilled, unified = (load_config(shipped_config(f"stage{i}")) for i in (1, 2, 3))
    loss = acoustic.loss
    assert (loss.mel, loss.adversarial, loss.feature_matching, loss.kl) == (15, 1, 1, 1e-4)
    assert (loss.spectral, loss.waveform) == (0, 0)
    assert loss.mel_reduction == "sum" and loss.mel_n_ffts == tuple(2**i for i in range(5, 12))
    assert loss.mel_bands == tuple(5 * 2**i for i in range(7))
    assert acoustic.train_encoder and acoustic.train_decoder
    assert not distilled.teacher.layer_normalise and distilled.teacher.target_delay == 0
    loss = unified.loss
    assert (loss.align, loss.mel, loss.adversarial, loss.feature_matching) == (2, 1, 0, 0)
    assert (loss.ctc, loss.mel_reduction) == (0, "sum")
    assert unified.train_semantic and not unified.train_acoustic
    assert unified.decoder_input == "unified"


@given(
    mean=st.floats(-3, 3), std=st.floats(0.05, 4), dims=st.integers(1, 64), frames=st.integers(1, 5)
)
def test_the_kl_loss_is_the_published_closed_form(
    mean: float, std: float, dims: int, frames: int
) -> None:
    posterior = Posterior(torch.full((2, frames, dims), mean), torch.full((2, frames, dims), std))
    exact = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, std), torch.distributions.Normal(0.0, 1.0)
    )
    assert float(posterior.kl_loss()) == pytest.approx(2 * dims * float(exact), rel=1e-4, abs=1e-4)


def test_a_sum_of_mel_scales_is_their_number_of_means() -> None:
    torch.manual_seed(0)
    wavs = 0.1 * torch.randn(2, 1, 8000)
    scales = ((64, 256, 1024), (8, 20, 60))
    mean = MultiScaleMelLoss(16000, *scales)(*wavs)
    total = MultiScaleMelLoss(16000, *scales, reduction="sum")(*wavs)
    assert float(total) == pytest.approx(3 * float(mean), rel=1e-6)


def test_augmentation_that_a_stage_cannot_use_is_refused() -> None:
    for settings in ("data.augmentation={}", "data.augmentation={mix_probability: 1}"):
        with pytest.raises(ConfigError, match=r"data\.augmentation"):
            load_config(shipped_config("debug-distillation"), [settings])
    with pytest.raises(ConfigError, match="augmentation"):
        load_config(shipped_config("debug-unified"), ["data.augmentation={}"])
