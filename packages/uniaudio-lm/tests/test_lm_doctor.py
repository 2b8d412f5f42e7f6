"""`doctor --model`: the round trip that tells the readings of AudioVAE's encoder apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from omni_random import write_omni

from mingtok_audio.models.mingtok import MingTok
from uniaudio_lm.commands import doctor

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden"


@pytest.mark.parametrize(
    ("trip", "words", "problem"),
    [
        ({"all": 0.9, "published": 0.2, "chance": 0.1}, "all 24 layers give", False),
        ({"all": 0.2, "published": 0.9, "chance": 0.1}, "--encoder-layers published", False),
        ({"all": 0.9, "published": 0.88, "chance": 0.1}, "both readings", False),
        ({"all": 0.1, "published": 0.2, "chance": 0.1}, "neither", True),
        ({"all": 0.7, "published": 0.2, "chance": 0.65}, "neither", True),
        ({"all": 0.9, "chance": 0.1}, "24 layers give", False),
    ],
)
def test_what_a_round_trip_tells(trip: dict[str, float], words: str, problem: bool) -> None:
    finding, found = doctor.judge(trip, 24)
    assert words in finding and bool(found) == problem


def test_random_weights_give_no_speech_back(uniaudio, tmp_path: Path) -> None:
    folder = write_omni(tmp_path / "omni", 1)
    ran = uniaudio("doctor", "--model", folder, "--json")
    assert ran.code == 1
    model = ran.json["model"]
    assert model["encoder_layers"] == 5 and model["finding"].startswith("neither")
    assert model["round_trip"]["all"] != model["round_trip"]["published"]
    assert any("gives no speech" in problem for problem in ran.json["problems"])
    assert "campplus" not in model["speaker_model"]


def test_a_tokenizer_that_works_with_one_reading_is_told(
    uniaudio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A stand-in that gives the speech back with 4 layers, and noise with all."""
    folder = write_omni(tmp_path / "omni", 1)
    load = MingTok.from_pretrained.__func__  # type: ignore[attr-defined]

    class Stand:
        def __init__(self, model: MingTok, works: bool) -> None:
            self.config, self._works = model.config, works

        def encode(self, wav: torch.Tensor, rate: int):
            self._wav = wav
            return type("L", (), {"values": wav[None]})()

        def decode(self, values: torch.Tensor) -> torch.Tensor:
            noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(0))
            return values if self._works else 0.1 * noise

    def stand(cls, name, **options):
        made = load(cls, name, **options)
        return made if name == "nano" else Stand(made, options["encoder_layers"] == "published")

    monkeypatch.setattr(MingTok, "from_pretrained", classmethod(stand))
    ran = uniaudio("doctor", "--model", folder, "--json")
    assert "--encoder-layers published" in ran.json["model"]["finding"], ran.json["model"]
    assert ran.json["model"]["round_trip"]["published"] > 0.99
    assert not any("gives no speech" in problem for problem in ran.json["problems"])


def test_other_models_and_options(uniaudio, tmp_path: Path) -> None:
    ran = uniaudio("doctor", "--model", GOLDEN / "unified", "--json")
    assert "nothing to tell apart" in ran.json["model"]["finding"]
    ran = uniaudio("doctor", "--recording", tmp_path / "x.wav")
    assert ran.code == 2 and "--model" in ran.err
    ran = uniaudio("doctor", "--model", tmp_path / "nowhere")
    assert ran.code == 2 and ran.err.count("\n") == 1
