"""The description of speech without phase that the first latents are taught."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mingtok_audio.core.audio import save_audio
from mingtok_audio.core.errors import ConfigError
from mingtok_audio.trainer.loop import Trainer
from mingtok_audio.training.acoustic import AcousticTask
from mingtok_audio.training.description import Description, DescriptionConfig
from mingtok_audio.training.run import load_config

RATE, HOP = 16000, 320


def voiced(pitch: float, seconds: float = 1.0, phase: float = 0.0) -> torch.Tensor:
    """Harmonics of a pitch, each turned by `phase`, (1, T)."""
    t = torch.arange(int(seconds * RATE)) / RATE
    tones = [torch.cos(2 * torch.pi * pitch * k * t + phase) / k for k in range(1, 12)]
    return 0.1 * torch.stack(tones).sum(dim=0)[None]


def noise(seed: int) -> torch.Tensor:
    return 0.1 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def fitted() -> Description:
    made = Description(DescriptionConfig(spectrum_dims=6, pitch_dims=4), RATE, HOP)
    made.fit([voiced(90 + 23 * i) + 0.2 * noise(i) for i in range(10)])
    return made


def test_a_frame_has_heard_nothing_behind_it(fitted: Description) -> None:
    wav = voiced(130) + noise(3)
    other = wav.clone()
    other[:, 20 * HOP :] = noise(4)[:, 20 * HOP :]
    first, second = fitted(wav), fitted(other)
    assert first.shape == (1, 50, 10)
    assert torch.equal(first[:, :20], second[:, :20])
    assert not torch.allclose(first[:, 20:], second[:, 20:], atol=0.1)


def test_phase_does_not_show_and_pitch_does(fitted: Description) -> None:
    inner = slice(5, 45)
    low = fitted(voiced(110))[:, inner]
    turned = fitted(voiced(110, phase=1.3))[:, inner]
    high = fitted(voiced(180))[:, inner]
    pitch = slice(6, 10)
    assert float((low - turned)[..., pitch].abs().mean()) < 0.1
    assert float((low - high)[..., pitch].abs().mean()) > 0.5
    assert torch.allclose(fitted(-voiced(110)), fitted(voiced(110)), atol=1e-4)


def test_components_are_white_on_what_they_were_found_in(fitted: Description) -> None:
    seen = torch.cat([fitted(voiced(90 + 23 * i) + 0.2 * noise(i)) for i in range(10)]).flatten(
        0, 1
    )
    for part in (seen[:, :6], seen[:, 6:]):
        assert torch.allclose(torch.cov(part.T), torch.eye(part.shape[1]), atol=0.02)
    assert float(seen.mean(dim=0).abs().max()) < 1e-3


def test_the_decoder_is_kept_from_relying_on_the_rest() -> None:
    latents = torch.randn(64, 5, 12, generator=torch.Generator().manual_seed(0))
    config = DescriptionConfig(spectrum_dims=6, pitch_dims=2, hide=0.5, disturb=0.25)
    made, phased = Description(config, RATE, HOP).veil(latents, torch.Generator().manual_seed(1))
    assert torch.equal(made[..., :8], latents[..., :8])
    rest = made[..., 8:]
    hidden = (rest == 0).flatten(1).all(dim=1)
    assert torch.equal(phased, ~hidden)
    same = (rest == latents[..., 8:]).flatten(1).all(dim=1)
    assert 20 < int(hidden.sum()) < 44 and int(same.sum()) > 6
    assert int((~hidden & ~same).sum()) > 6


def test_noise_reaches_the_described_dimensions_alone() -> None:
    latents = torch.randn(32, 5, 12, generator=torch.Generator().manual_seed(0))
    config = DescriptionConfig(spectrum_dims=6, pitch_dims=2, hide=0.0, disturb=0.0, noise=0.5)
    made, _ = Description(config, RATE, HOP).veil(latents, torch.Generator().manual_seed(1))
    assert torch.equal(made[..., 8:], latents[..., 8:])
    levels = (made - latents)[..., :8].flatten(1).std(dim=1)
    assert float(levels.max()) < 0.65 and float(levels.min()) < 0.15 < float(levels.max())


def test_components_are_kept_in_a_file(fitted: Description, tmp_path: Path) -> None:
    path = fitted.save(tmp_path / "description.safetensors", RATE)
    again = Description.load(path)
    assert torch.equal(again(voiced(120)), fitted(voiced(120)))
    with pytest.raises(ConfigError, match=r"6 \+ 4 dimensions, not 5 \+ 4"):
        Description.load(path, DescriptionConfig(spectrum_dims=5, pitch_dims=4))
    path.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="cannot be read"):
        Description.load(path)


def test_a_run_takes_the_components_of_a_file(tmp_path: Path) -> None:
    first = AcousticTask(described_config(tmp_path)).description
    assert first is not None
    first.centre += 1.0
    path = first.save(tmp_path / "description.safetensors", RATE)
    config = described_config(tmp_path, f"description.file={path}", "train_latent_proj=false")
    task = AcousticTask(config)
    assert task.description is not None and torch.equal(task.description.centre, first.centre)
    kept = task.model.latent_proj.weight.clone()
    trainer = Trainer(task, config.optim, config.trainer, tmp_path / "run")
    trainer.run(lambda: trainer.step == 3)
    assert torch.equal(task.model.latent_proj.weight, kept)


def test_the_transform_goes_back_and_has_its_place_behind_the_description() -> None:
    config = DescriptionConfig(spectrum_dims=6, pitch_dims=4, transform_dims=HOP)
    made = Description(config, RATE, HOP)
    wav = voiced(130) + noise(3)
    made.fit([wav])
    frames = (made(wav)[0, :, 10:] * made.scale) @ made.cosines.T * 2 / HOP
    again = torch.zeros((len(frames) + 1) * HOP)
    for place, frame in enumerate(frames):
        again[place * HOP : (place + 2) * HOP] += frame
    inner = slice(HOP, wav.shape[1] - HOP)
    assert torch.allclose(again[inner], wav[0, inner], atol=1e-4)
    few = Description(DescriptionConfig(spectrum_dims=6, pitch_dims=4, transform_dims=5), RATE, HOP)
    few.fit([wav])
    assert torch.allclose(few(wav), made(wav)[..., :15], atol=1e-4)


def test_an_encoder_and_a_decoder_learn_apart(tmp_path: Path) -> None:
    path = tmp_path / "description.safetensors"
    shape = "description={spectrum_dims: 4, pitch_dims: 2, transform_dims: 8, recordings: 8}"
    first = AcousticTask(described_config(tmp_path, shape)).description
    assert first is not None
    first.save(path, RATE)
    shared = f"description.file={path}"
    encoder = AcousticTask(described_config(tmp_path, shape, shared, "train_decoder=false"))
    _, parts = encoder.loss(0, torch.Generator().manual_seed(0))
    assert set(parts) == {"kl", "described"}
    total, _ = encoder.loss(0, torch.Generator().manual_seed(0))
    total.backward()
    assert encoder.model.encoder.posterior_proj.weight.grad is not None
    assert not any(p.requires_grad for p in encoder.model.decoder.parameters())
    decoder = AcousticTask(
        described_config(
            tmp_path, shape, shared, "train_encoder=false", "latents=described", "loss.mel=1"
        )
    )
    total, parts = decoder.loss(0, torch.Generator().manual_seed(0))
    assert "mel" in parts and "kl" not in parts
    total.backward()
    learning = {n.split(".")[0] for n, p in decoder.model.named_parameters() if p.grad is not None}
    assert learning == {"decoder"}


@pytest.mark.parametrize(
    "changes",
    [("latents=described",), ("train_encoder=false", "train_decoder=false"),
     ("description=null", "train_decoder=false")],
)  # fmt: skip
def test_runs_in_which_nothing_fits_are_refused(tmp_path: Path, changes: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"leaves the encoder out|nothing would learn|need a"):
        described_config(tmp_path, *changes)


def corpus(folder: Path) -> Path:
    rows = []
    for i in range(4):
        wav = (voiced(100 + 40 * i) + 0.2 * noise(i))[0].numpy()
        save_audio(folder / f"{i}.wav", wav.astype(np.float32), RATE)
        rows.append({"audio": f"{i}.wav", "seconds": 1.0, "split": "train"})
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def described_config(folder: Path, *more: str):
    configs = Path(__file__).resolve().parents[1] / "src" / "mingtok_audio" / "configs"
    return load_config(
        configs / "debug.yaml",
        [
            f"data.train=[{{manifest: {json.dumps(str(corpus(folder)))}, split: train}}]",
            "model.encoder.dim=32", "model.decoder.dim=32", "model.latent_dim=16",
            "loss.adversarial=0", "loss.feature_matching=0", "loss.mel=0", "loss.spectral=0",
            "description={spectrum_dims: 4, pitch_dims: 2, recordings: 8}", "trainer.log_every=1",
            "optim.lr=0.003", "optim.warmup_steps=5", "trainer.max_steps=60", *more,
        ],
    )  # fmt: skip


def test_the_encoder_learns_it_and_a_resumed_run_too(tmp_path: Path) -> None:
    config = described_config(tmp_path)

    def started(name: str) -> Trainer:
        return Trainer(AcousticTask(config), config.optim, config.trainer, tmp_path / name)

    whole = started("whole")
    whole.run()
    cut = started("cut")
    cut.run(lambda: cut.step == 7)
    again = started("cut")
    assert again.resume()
    again.run()
    for name, value in whole.task.model.state_dict().items():
        assert torch.equal(again.task.model.state_dict()[name], value), name
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    error = [row["described"] for row in log if "described" in row]
    assert sum(error[-5:]) < 0.8 * sum(error[:5])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("description.spectrum_dims=30", "more than the latents"),
        ("description.hide=1.5", "shares"),
        ("description.spectrum_dims=0", "at least 1"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, change: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        AcousticTask(described_config(tmp_path, change))
