"""A speech decoder of its own: the kit, streams, batches, and how it travels with a model."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.models.components import save_component
from uniaudio_lm import UniAudio
from uniaudio_lm.conformance import check_speech_decoder
from uniaudio_lm.parts.speech_decoders.described import DescribedDecoder


def options_for(model: UniAudio) -> dict:
    config = model.tokenizer.config
    return {
        "dims": max(1, config.latent_dim // 2),
        "decoder": dataclasses.asdict(config.decoder),
        "n_fft": config.n_fft,
        "hop_length": config.hop_length,
        "head": config.head,
    }


@pytest.fixture
def folder(small_folder: Path, small: UniAudio, tmp_path: Path) -> Path:
    """The small model with a speech decoder in its parts."""
    target = tmp_path / "model"
    shutil.copytree(small_folder, target)
    options = options_for(small)
    torch.manual_seed(5)
    part = DescribedDecoder(latent_dim=small.tokenizer.config.latent_dim, **options)
    own = target / "parts" / "speech_decoder" / "described"
    given = {"latent_dim": small.tokenizer.config.latent_dim, **options}
    save_component(own, part, slot="speech_decoder", name="described", options=given)
    data = json.loads((target / "config.json").read_text())
    data["speech_decoder"] = {"name": "described", "options": options}
    (target / "config.json").write_text(json.dumps(data))
    return target


def test_the_kit_passes_and_catches() -> None:
    assert all(result.ok for result in check_speech_decoder(DescribedDecoder))

    class Looks(DescribedDecoder):
        """Its sound depends on frames that have not come yet."""

        def forward(self, latents: torch.Tensor) -> torch.Tensor:
            return super().forward(latents - latents.mean(dim=1, keepdim=True))

    failed = [r.check for r in check_speech_decoder(Looks) if not r.ok]
    assert "a stream equals the whole" in failed


def test_it_speaks_the_same_alone_in_a_batch_and_as_a_stream(folder: Path, small: UniAudio) -> None:
    model = UniAudio.from_pretrained(folder)
    assert model.model.speech_decoder is not None
    texts = ["one two three", "four five"]
    single = [model.synthesize(text, seed=i).wav for i, text in enumerate(texts)]
    together = model.synthesize_batch(texts, seeds=[0, 1])
    for alone, batched in zip(single, together, strict=True):
        assert alone.shape == batched.wav.shape
        assert torch.allclose(alone, batched.wav, atol=1e-4)
    stream = torch.cat(list(model.synthesize_stream(texts[0], seed=0)))
    assert torch.allclose(stream, single[0], atol=1e-5)
    own = small.synthesize(texts[0], seed=0).wav
    assert own.shape == single[0].shape  # the same latents, and another sound
    assert not torch.allclose(own, single[0], atol=1e-4)


def test_what_is_saved_comes_back(folder: Path, tmp_path: Path) -> None:
    model = UniAudio.from_pretrained(folder)
    again = UniAudio.from_pretrained(model.save_pretrained(tmp_path / "copy"))
    said = model.synthesize("one two", seed=2).wav
    assert torch.equal(said, again.synthesize("one two", seed=2).wav)


def test_one_that_does_not_fit_is_refused(folder: Path) -> None:
    path = folder / "config.json"
    data = json.loads(path.read_text())
    data["speech_decoder"]["options"]["dims"] = 1
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match="speech_decoder"):
        UniAudio.from_pretrained(folder)
