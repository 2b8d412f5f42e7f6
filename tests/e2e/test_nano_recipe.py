"""Scripts of `recipes/nano` that nothing shipped runs: how the tokenizer begins and is joined."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from mingtok_audio import MingTok
from mingtok_audio.config import MingTokConfig, TransformerConfig
from mingtok_audio.core.models.components import PinnedModel
from uniaudio_lm import UniAudio
from uniaudio_lm.checkpoint.load import load_model

Script = Callable[[str], ModuleType]
RATE = 16000


def small(seed: int = 0) -> MingTok:
    """A tokenizer of the nano's build, with random weights."""
    torch.manual_seed(seed)

    def transformer(dim: int) -> TransformerConfig:
        return TransformerConfig(dim=dim, num_layers=1, num_heads=4, mlp_dim=64, window=8)

    config = MingTokConfig(
        latent_dim=48,
        frame_length=640,
        head="cartesian",
        encoder=transformer(128),
        decoder=transformer(128),
        semantic=transformer(32),
    )
    return MingTok(config).eval()


def tones() -> torch.Tensor:
    """(1, T): a chord below the frequencies that 40 coefficients of 320 reach (1 kHz)."""
    time = torch.arange(RATE) / RATE
    parts = (torch.sin(2 * torch.pi * f * time + f) for f in (130.0, 310.0, 620.0))
    return 0.2 * torch.stack(list(parts)).sum(dim=0)[None] / 3


@torch.no_grad()
def test_the_tokenizer_begins_as_a_transform_codec(script: Script) -> None:
    wav = tones()

    def likeness(model: MingTok) -> float:
        out = model.decode(model.encode(wav, RATE))[:, : wav.shape[1]]
        both = torch.stack((out[0, 640:-640], wav[0, 640:-640]))
        return float(torch.corrcoef(both)[0, 1])

    model = small()
    before = abs(likeness(model))
    script("start").transform_codec(model, 8, torch.full((320,), 0.5, dtype=torch.float64))
    assert likeness(model) > 0.9 > before


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of three tokenizers that share a projection of the latents, and one that does not."""
    folder = tmp_path_factory.mktemp("parts")
    models = {name: small(seed=i) for i, name in enumerate(("encoder", "decoder", "ears"))}
    for model in models.values():
        model.latent_proj.load_state_dict(models["encoder"].latent_proj.state_dict())
    models["stranger"] = small(seed=9)
    return {name: model.save_pretrained(folder / name) for name, model in models.items()}


def test_joining_takes_each_part_from_its_own_run(joined: dict[str, Path], script: Script) -> None:
    made = {name: MingTok.from_pretrained(path) for name, path in joined.items()}
    whole = script("assemble").assemble(made["encoder"], made["decoder"], made["ears"])
    owners = {"encoder": "encoder", "decoder": "decoder", "semantic": "ears"}
    for name, value in whole.state_dict().items():
        source = made[owners.get(name.partition(".")[0], "encoder")]
        assert torch.equal(value, source.state_dict()[name]), name
    with pytest.raises(SystemExit, match="decoder has moved it"):
        script("assemble").assemble(made["encoder"], made["stranger"], made["ears"])


def test_an_aligner_is_pinned_again_to_the_same_latents_only(
    joined: dict[str, Path], tmp_path: Path, script: Script
) -> None:
    repin = script("assemble").repin
    old, other = (MingTok.from_pretrained(joined[name]) for name in ("encoder", "stranger"))
    pin = PinnedModel("old", old.model_hash)
    config = {"options": {}, "trained_with": {"tokenizer": {"id": pin.id, "sha256": pin.sha256}}}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    with pytest.raises(SystemExit, match="other latents"):
        repin(tmp_path, other, old)
    with pytest.raises(SystemExit, match="another tokenizer"):
        repin(tmp_path, other, other)
    assert json.loads(path.read_text()) == config
    voiced = MingTok.from_pretrained(joined["encoder"])
    with torch.no_grad():
        for parameter in voiced.decoder.parameters():
            parameter.add_(0.1)
    changed = MingTok.from_pretrained(voiced.save_pretrained(tmp_path / "voiced"))
    repin(tmp_path, changed, old)
    found = json.loads(path.read_text())["trained_with"]["tokenizer"]["sha256"]
    assert found == changed.model_hash != old.model_hash


def test_a_language_model_gets_another_tokenizer_around_its_ears(script: Script) -> None:
    model = UniAudio.from_pretrained("nano")
    trained = MingTok.from_pretrained("nano")
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(0.01)
    ears = model.tokenizer.get_submodule("semantic")
    before = {k: v.clone() for k, v in ears.state_dict().items()}
    script("initial_lm").give_tokenizer(model.tokenizer, trained)
    for name, value in model.tokenizer.state_dict().items():
        if not name.startswith("semantic."):
            assert torch.equal(value, trained.state_dict()[name]), name
    assert all(torch.equal(v, before[k]) for k, v in ears.state_dict().items())


@torch.no_grad()
def test_weights_before_and_after_are_averaged_around_one_tokenizer(script: Script) -> None:
    average = script("average").average
    before, after = load_model("nano"), load_model("nano")
    moved = next(after.backbone.parameters())
    heard = next(after.get_submodule("tokenizer.semantic").parameters())
    whole = [moved.clone(), heard.clone()]
    moved += 0.4
    heard += 0.4
    average(before, after, 0.25)
    for value, old in zip((moved, heard), whole, strict=True):
        assert torch.allclose(value, old + 0.1, atol=1e-6)
    next(after.tokenizer.decoder.parameters()).mul_(1.5)
    with pytest.raises(SystemExit, match="tokenizers are two"):
        average(before, after, 0.5)
