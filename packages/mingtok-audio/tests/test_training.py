"""The trainer: exact resume, guards, data that is a function of the step, and a run that learns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mingtok_audio.core.audio import save_audio
from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.modules.attention import attend
from mingtok_audio.trainer.checkpoint import load_tree, save_tree
from mingtok_audio.trainer.loop import OptimConfig, Trainer, TrainerConfig
from mingtok_audio.trainer.machine import compile_blocks
from mingtok_audio.trainer.optim import blockwise, build_optimizers, orthogonalised, schedule
from mingtok_audio.training.acoustic import AcousticTask
from mingtok_audio.training.data import Augmentation, CropSampler
from mingtok_audio.training.losses import (
    CompressedSpectralLoss,
    MultiScaleMelLoss,
    mel_filter_bank,
)
from mingtok_audio.training.manifests import Source
from mingtok_audio.training.run import load_config, train


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Four recordings of tones and noise with a manifest; one file is damaged."""
    rng = np.random.default_rng(0)
    lines = []
    for i in range(4):
        t = np.arange(16000) / 16000
        wav = 0.3 * np.sin(2 * np.pi * (120 + 60 * i) * t) + 0.02 * rng.standard_normal(16000)
        save_audio(tmp_path / f"{i}.wav", wav.astype(np.float32), 16000)
        lines.append({"audio": f"{i}.wav", "seconds": 1.0, "split": "train"})
    (tmp_path / "3.wav").write_bytes(b"RIFF but not audio")
    lines.append({"audio": "held-out.wav", "seconds": 1.0, "split": "test"})
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest


def config_for(corpus: Path, *overrides: str):
    folder = Path(__file__).resolve().parents[1] / "src" / "mingtok_audio" / "configs"
    return load_config(
        folder / "debug.yaml",
        [
            f"data.train=[{{manifest: {json.dumps(str(corpus))}, split: train}}]",
            "model.encoder.dim=32",
            "model.decoder.dim=32",
            "data.batch_size=2",
            "loss.adversarial=0",
            "loss.feature_matching=0",
            "trainer.log_every=1",
            "trainer.evaluate_every=1000",
            *overrides,
        ],
    )


def test_resumed_run_equals_an_uninterrupted_one(corpus: Path, tmp_path: Path) -> None:
    config = config_for(corpus, "trainer.max_steps=6")
    whole = Trainer(AcousticTask(config), config.optim, config.trainer, tmp_path / "whole")
    whole.run()

    folder = tmp_path / "cut"
    first = Trainer(AcousticTask(config), config.optim, config.trainer, folder)
    first.run(lambda: first.step == 3)
    assert first.step == 3
    torch.manual_seed(99)  # a new process has another global state
    second = Trainer(AcousticTask(config), config.optim, config.trainer, folder)
    assert second.resume()
    second.run()

    assert second.step == whole.step == 6
    for name, value in whole.task.model.state_dict().items():
        assert torch.equal(second.task.model.state_dict()[name], value), name
        assert torch.equal(second.ema[name], whole.ema[name]), name
    losses = [
        [json.loads(line)["loss"] for line in (f / "log.jsonl").read_text().splitlines()]
        for f in (tmp_path / "whole", folder)
    ]
    assert losses[0] == losses[1]


def test_a_resumed_run_takes_new_settings_of_the_optimiser(corpus: Path, tmp_path: Path) -> None:
    config = config_for(corpus, "trainer.max_steps=2")
    Trainer(AcousticTask(config), config.optim, config.trainer, tmp_path).run()
    changed = config_for(
        corpus, "trainer.max_steps=3", "optim.lr=3e-6", "optim.weight_decay=0.5", "optim.beta1=0.5"
    )
    again = Trainer(AcousticTask(changed), changed.optim, changed.trainer, tmp_path)
    assert again.resume() and again.step == 2
    for group in again.optimizers[0].param_groups:
        assert (group["peak_lr"], group["weight_decay"]) == (3e-6, 0.5)
        assert group["betas"][0] == 0.5
    again.run()
    assert max(g["lr"] for g in again.optimizers[0].param_groups) <= 3e-6


def test_a_run_learns_and_exports_a_model(corpus: Path, tmp_path: Path) -> None:
    config = config_for(corpus, "trainer.max_steps=40")
    summary = train(config, tmp_path / "run")
    assert summary.steps == 40
    assert [Path(name).name for name in summary.skipped_files] == ["3.wav"]
    assert "3.wav" in (tmp_path / "run" / "skipped.tsv").read_text()
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in log if "loss" in row]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    model = MingTok.from_pretrained(tmp_path / "run" / "model")
    assert model.config.name == "mingtok-debug"
    assert model.decode(model.encode(np.zeros(1000, np.float32), 16000)).shape == (1, 1000)
    with pytest.raises(UserError, match="--resume"):
        train(config, tmp_path / "run")


def test_a_frozen_encoder_keeps_the_latents(corpus: Path, tmp_path: Path) -> None:
    config = config_for(corpus, "trainer.max_steps=3", "train_encoder=false")
    task = AcousticTask(config)
    before = {k: v.clone() for k, v in task.model.state_dict().items()}
    Trainer(task, config.optim, config.trainer, tmp_path / "run").run()
    moved = {k for k, v in task.model.state_dict().items() if not torch.equal(v, before[k])}
    assert moved
    assert {k.split(".")[0] for k in moved} == {"decoder"}


def test_dry_run_writes_nothing(corpus: Path, tmp_path: Path) -> None:
    assert train(config_for(corpus), tmp_path / "run", dry_run=True).steps == 0
    assert not (tmp_path / "run").exists()


def test_batches_depend_on_seed_and_step_only(corpus: Path) -> None:
    def sampler(seed: int) -> CropSampler:
        return CropSampler(
            [Source(str(corpus))],
            crop_samples=3000,
            sample_rate=16000,
            batch_size=3,
            seed=seed,
            augmentation=Augmentation(),
        )

    a, b = sampler(1), sampler(1)
    a.batch(0)
    assert torch.equal(a.batch(5), b.batch(5))
    assert not torch.equal(a.batch(5), a.batch(6))
    assert not torch.equal(sampler(2).batch(5), b.batch(5))
    assert a.batch(5).shape == (3, 3000) and float(a.batch(5).abs().max()) <= 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "hold no recordings"), ("{", "manifest.jsonl:1"), ('{"audio": "x.wav"}', "seconds")],
)
def test_unusable_manifests_are_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(text)
    with pytest.raises(ConfigError, match=words):
        CropSampler(
            [Source(str(manifest))], crop_samples=10, sample_rate=16000, batch_size=1, seed=0
        )


class _Exploding:
    """A task whose loss is NaN from the fifth step on."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Linear(3, 1)

    def loss(self, step: int, generator: torch.Generator):
        value = self.model(torch.ones(1, 3)).square().sum()
        return (value * float("nan") if step >= 5 else value), {}

    def evaluate(self, model, step, folder):
        return {}


def test_nan_steps_change_nothing_and_end_the_run(tmp_path: Path) -> None:
    task = _Exploding()
    config = TrainerConfig(max_steps=100, max_skipped=3)
    trainer = Trainer(task, OptimConfig(lr=1e-2), config, tmp_path)
    trainer.run(lambda: trainer.step == 5)
    before = task.model.weight.detach().clone()
    with pytest.raises(UserError, match="3 steps in a row"):
        trainer.run()
    assert torch.equal(task.model.weight, before)


def test_checkpoints_keep_every_value(tmp_path: Path) -> None:
    tree = {"a": [torch.arange(3), {"b": 1.5, 7: None}], "c": "text", "d": True, "e": []}
    save_tree(tmp_path / "x.safetensors", tree)
    back = load_tree(tmp_path / "x.safetensors")
    assert torch.equal(back["a"][0], tree["a"][0])
    assert back["a"][1] == tree["a"][1]
    assert {k: back[k] for k in "cde"} == {k: tree[k] for k in "cde"}
    with pytest.raises(TypeError, match="object"):
        save_tree(tmp_path / "x.safetensors", {"a": object()})
    assert load_tree(tmp_path / "x.safetensors")["c"] == "text"


def test_blocks_are_compiled_unless_frozen_or_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.nn.Module] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **_: seen.append(self))
    model = torch.nn.Module()
    model.blocks = torch.nn.ModuleList(torch.nn.Sequential(torch.nn.Linear(2, 2)) for _ in "abc")
    model.blocks[0].requires_grad_(False)
    model.blocks[1][0].watched = True  # type: ignore[index]
    compile_blocks(model)
    assert seen == [model.blocks[2]]


def test_items_without_a_phase_count_by_their_magnitudes() -> None:
    torch.manual_seed(0)
    wav = 0.1 * torch.randn(2, 4000)
    loss = CompressedSpectralLoss((256,))
    both = torch.tensor([True, True])
    assert float(loss(-wav, wav, both)) == pytest.approx(float(loss(-wav, wav)), rel=1e-5)
    assert float(loss(-wav, wav, ~both)) == pytest.approx(0.0, abs=1e-6)
    half = float(loss(-wav, wav, torch.tensor([True, False])))
    assert half == pytest.approx(float(loss(-wav[:1], wav[:1])) / 2, rel=1e-4)


@pytest.mark.parametrize("causal", [True, False])
def test_attention_that_learns_is_attention(causal: bool) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 9, 8, requires_grad=True) for _ in range(3))
    mask = None if causal else torch.rand(9, 9) > 0.3
    if mask is not None:
        mask.fill_diagonal_(True)
    plain = attend(q, k, v, mask, causal=causal)
    fused = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=causal
    )
    assert torch.allclose(plain, fused, atol=1e-6)
    wanted = torch.autograd.grad(fused.square().sum(), (q, k, v))
    found = torch.autograd.grad(plain.square().sum(), (q, k, v))
    for ours, theirs in zip(found, wanted, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("shape", [(64, 16), (16, 64), (32, 32)])
def test_orthogonalised_updates(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert _spread(orthogonalised(matrix))
    blocks = blockwise(matrix, 32)
    parts = blocks.split(32, dim=0 if shape[0] >= shape[1] else 1)
    assert blocks.shape == shape and all(_spread(part) for part in parts)


def _spread(matrix: torch.Tensor) -> bool:
    values = torch.linalg.svdvals(matrix)
    return bool((values > 0.4).all() and (values < 1.4).all())


def test_muon_takes_the_matrices_of_blocks_only() -> None:
    from tiny_tokenizer import tiny_model

    model = tiny_model()
    adam, muon = build_optimizers(model, lr=1e-3, muon_lr=1e-2)
    names = {id(p): n for n, p in model.named_parameters()}
    chosen = [names[id(p)] for g in muon.param_groups for p in g["params"]]
    assert chosen and all(".blocks." in n and n.endswith("weight") for n in chosen)
    rest = [names[id(p)] for g in adam.param_groups for p in g["params"]]
    assert sorted(chosen + rest) == sorted(names.values())


def test_schedules() -> None:
    values = [schedule("trapezoid", s, 100, 10, 0.4) for s in (0, 9, 50, 60, 80, 100)]
    assert values == pytest.approx([0.1, 1, 1, 1, 0.5, 0])
    assert schedule("cosine", 55, 100, 10, 0.4) == pytest.approx(0.5)
    assert schedule("constant", 99, 100, 10, 0.4) == 1
    with pytest.raises(ValueError, match="unknown schedule"):
        schedule("square", 50, 100, 10, 0.4)


def test_losses_rank_distortions() -> None:
    generator = torch.Generator().manual_seed(0)
    wav = 0.1 * torch.randn(2, 8000, generator=generator)
    near = wav + 0.005 * torch.randn(2, 8000, generator=generator)
    for loss in (MultiScaleMelLoss(), CompressedSpectralLoss()):
        assert float(loss(wav, wav)) == pytest.approx(0, abs=1e-6)
        assert 0 < float(loss(near, wav)) < float(loss(0.3 * wav, wav))
    # Only the complex loss sees a flipped sign.
    assert float(MultiScaleMelLoss()(-wav, wav)) == pytest.approx(0, abs=1e-5)
    assert float(CompressedSpectralLoss()(-wav, wav)) > 0.1


def test_mel_filters_are_triangles_that_sum_to_one() -> None:
    bank = mel_filter_bank(40, 1024, 16000)
    assert bank.shape == (513, 40)
    peaks = bank.argmax(dim=0)
    assert (peaks.diff() > 0).all() and float(bank.min()) == 0 and float(bank.max()) <= 1
    # Neighbours overlap so that between the first and the last peak every frequency counts once.
    inner = bank.sum(dim=1)[int(peaks[0]) + 1 : int(peaks[-1])]
    assert torch.allclose(inner, torch.ones_like(inner), atol=1e-5)


def test_mel_filters_equal_torchaudio() -> None:
    functional = pytest.importorskip("torchaudio.functional", exc_type=Exception)
    expected = functional.melscale_fbanks(513, 0.0, 8000.0, 80, 16000, norm=None, mel_scale="htk")
    assert torch.allclose(mel_filter_bank(80, 1024, 16000), expected, atol=1e-5)
