"""Small speech language models with random weights, and the `uniaudio` command in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_training_data import make_corpus, make_tokenizer

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden" / "unified"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a manifest of a tiny corpus, its recordings, and a tiny tokenizer."""
    folder = tmp_path_factory.mktemp("data")
    make_corpus(folder)
    make_tokenizer(folder / "tokenizer")
    return folder


@dataclass
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str
    raw: bytes = b""

    @property
    def json(self) -> Any:
        import json

        return json.loads(self.raw)


@pytest.fixture
def uniaudio(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Ran]:
    """`uniaudio("tts", "hello", ...)` as the script runs it, without a process of its own."""
    from mingtok_audio.core.cli import run
    from uniaudio_lm.cli import app

    def call(*args: str | Path) -> Ran:
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as left:
            run(app, [str(arg) for arg in args])
        found = capfdbinary.readouterr()
        code = left.value.code
        assert isinstance(code, int)
        return Ran(code, found.out.decode("utf-8", "replace"), found.err.decode(), found.out)

    return call


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder: random weights, quick, and a stop head that never fires."""
    from uniaudio_lm import UniAudio
    from uniaudio_lm.config import PartConfig, Sampling, UniAudioConfig
    from uniaudio_lm.model.speech_lm import SpeechLM

    base = UniAudio.from_pretrained(GOLDEN)
    torch.manual_seed(0)
    sizes = {"vocab_size": 304, "dim": 24, "num_layers": 2, "num_heads": 2, "mlp_dim": 32}
    config = UniAudioConfig(
        backbone=PartConfig("dense", sizes),
        generation_head=PartConfig("mlp", {"width": 16, "depth": 2}),
        stop_detector=PartConfig("guarded"),
        compressor=PartConfig("pooling"),
        sampling=Sampling(num_steps=1, cfg_scale=0.0),
    )
    made = UniAudio(SpeechLM(config, base.tokenizer.config, base.model.text))
    made.tokenizer.load_state_dict(base.tokenizer.state_dict())
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        # Layers that start at zero would hide what they are given.
        for parameter in made.model.generation_head.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    set_stop(made, fires=False)
    return made.save_pretrained(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture
def small(small_folder: Path):
    """The model of `small_folder`, to be changed at will."""
    from uniaudio_lm import UniAudio

    return UniAudio.from_pretrained(small_folder)


def set_stop(model, fires: bool) -> None:
    """A stop head that fires at every patch, or at none."""
    sign = 9.0 if fires else -9.0
    with torch.no_grad():
        head = model.model.stop_detector.get_submodule("stop_head")
        head.weight.zero_()
        head.bias.copy_(torch.tensor([-sign, sign]))


@pytest.fixture
def stop_head() -> Callable[..., None]:
    """`stop_head(model, fires=True)`."""
    return set_stop


@pytest.fixture
def speech() -> Callable[..., torch.Tensor]:
    """`speech(seconds, rate)`: bursts of noise with pauses, like syllables and sentences."""

    def make(seconds: float, rate: int = 16000, seed: int = 0) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        wav = 0.1 * torch.randn(round(seconds * rate), generator=generator)
        time = torch.arange(len(wav)) / rate
        pause = (time % 3.0) > 2.6
        return torch.where(pause, 0.0005 * wav, wav)

    return make
