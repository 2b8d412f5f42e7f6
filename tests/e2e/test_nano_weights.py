"""The shipped weights do their real job on recordings of speakers they never heard."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mingtok_audio import Latents, MingTok, load_audio
from mingtok_audio.training.losses import MultiScaleMelLoss
from mingtok_audio.weights import shipped_folder

DATA = Path(__file__).resolve().parents[2] / "examples" / "data"
RECORDINGS = ("librivox_0880.wav", "librispeech_1089-134686-0000.flac")


@pytest.fixture(scope="module")
def nano() -> MingTok:
    return MingTok.from_pretrained("nano")


def si_sdr(output: torch.Tensor, target: torch.Tensor) -> float:
    """Scale-invariant signal-to-distortion ratio in dB: 0 and less is no reconstruction at all."""
    part = (output @ target) / (target @ target) * target
    return float(10 * torch.log10(part.square().sum() / (output - part).square().sum()))


def mel_distance(output: torch.Tensor, target: torch.Tensor) -> float:
    return float(MultiScaleMelLoss()(output[None], target[None]))


@pytest.mark.parametrize("name", RECORDINGS)
def test_reconstruction_keeps_the_waveform(nano: MingTok, name: str) -> None:
    wav, rate = load_audio(DATA / name)
    target = torch.from_numpy(wav)
    output = nano.decode(nano.encode(wav, rate))[0]
    assert output.shape == target.shape
    # A guard against damage, close below what this set reaches (2.1 and 4.3 dB; 0.31 and 0.23).
    assert si_sdr(output, target) > 1.8
    assert mel_distance(output, target) < 0.35


@pytest.mark.parametrize("part", ["encoder", "latent_proj", "decoder"])
def test_every_part_is_needed(part: str) -> None:
    """Its weights shuffled, the reconstruction must fall apart."""
    wav, rate = load_audio(DATA / RECORDINGS[0])
    target = torch.from_numpy(wav)
    model = MingTok.from_pretrained("nano")
    whole = si_sdr(model.decode(model.encode(wav, rate))[0], target)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.get_submodule(part).parameters():
            order = torch.randperm(parameter.numel(), generator=generator)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    assert si_sdr(model.decode(model.encode(wav, rate))[0], target) < whole - 5.0


def test_streamed_and_partial_results_equal_the_whole(nano: MingTok, tmp_path: Path) -> None:
    wav, rate = load_audio(DATA / RECORDINGS[1])
    whole = nano.encode(wav, rate)
    expected = nano.decode(whole)
    encoder, decoder = nano.stream_encoder(rate), nano.stream_decoder()
    pieces, chunks = [], []
    for start in range(0, len(wav), 1601):
        chunks.append(encoder.push(wav[start : start + 1601]))
        pieces.append(decoder.push(chunks[-1]))
    chunks.append(encoder.finish())
    pieces += [decoder.push(chunks[-1]), decoder.finish()]
    streamed = torch.cat([chunk.values for chunk in chunks], dim=1)
    scale = max(1.0, float(whole.values.abs().max()))
    assert float((streamed - whole.values).abs().max()) <= 1e-5 * scale
    assert float((torch.cat(pieces, dim=1) - expected).abs().max()) <= 1e-5
    whole.save(tmp_path / "x.mtok")
    part = nano.decode(Latents.load(tmp_path / "x.mtok", start=6.01, end=7.5))
    assert float((part - expected[:, 96160:120000]).abs().max()) <= 1e-5


def test_streamed_features_equal_the_whole(nano: MingTok) -> None:
    wav, rate = load_audio(DATA / RECORDINGS[1])
    latents = nano.encode(wav, rate)
    whole = nano.features(latents)
    assert whole.shape == (1, latents.values.shape[1], nano.config.feature_dim)
    stream = nano.stream_features()
    parts = [stream.push(latents.values[:, i : i + 37]) for i in range(0, whole.shape[1], 37)]
    scale = max(1.0, float(whole.abs().max()))
    assert float((torch.cat(parts, dim=1) - whole).abs().max()) <= 1e-5 * scale


def test_features_follow_what_is_said_more_than_how_loud(nano: MingTok) -> None:
    """A quieter copy has nearly the same features, another stretch of the same voice has not."""
    wav, rate = load_audio(DATA / RECORDINGS[1])
    speech = torch.from_numpy(wav)[rate : 6 * rate]
    here, quiet = (nano.features(nano.encode(w, rate))[0] for w in (speech, 0.5 * speech))
    away = nano.features(nano.encode(torch.from_numpy(wav)[5 * rate :][: len(speech)], rate))[0]
    centre = here.mean(dim=0)

    def likeness(other: torch.Tensor) -> float:
        cosine = torch.nn.functional.cosine_similarity(here - centre, other - centre, dim=-1)
        return float(cosine.mean())

    assert likeness(quiet) > 0.6
    assert likeness(away) < 0.3


def test_silence_stays_silent(nano: MingTok) -> None:
    output = nano.decode(nano.encode(torch.zeros(16000), 16000))
    assert float(output.abs().max()) < 0.01


def test_the_set_is_small_and_has_a_card() -> None:
    folder = shipped_folder()
    assert sum(file.stat().st_size for file in folder.iterdir()) < 20e6
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    for words in ("CC BY-SA 3.0", "CC BY 3.0", "Apache-2.0", "PESQ", "STOI"):
        assert words in card
