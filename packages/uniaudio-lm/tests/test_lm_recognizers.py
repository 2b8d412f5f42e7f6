"""Recognisers: the kit, how a part is chosen and refused, streams of the reader, its search."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.models.components import save_component
from uniaudio_lm import UniAudio
from uniaudio_lm.conformance import check_recognizer
from uniaudio_lm.conformance.recognizers import byte_tokenizer
from uniaudio_lm.interfaces import Recognized, Recognizer
from uniaudio_lm.parts.recognizers.network import EncoderState, Reader, ReaderConfig
from uniaudio_lm.parts.recognizers.reader import ReaderRecognizer, _without_loop
from uniaudio_lm.parts.recognizers.search import search
from uniaudio_lm.text.hints import Hints
from uniaudio_lm.text.tokenizer import TextTokenizer

SIZES: dict[str, Any] = {
    "dim": 24,
    "num_heads": 2,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "front_width": 16,
    "vocab_size": 259,
}


def tiny_reader(latent_dim: int, seed: int = 0) -> ReaderRecognizer:
    torch.manual_seed(seed)
    made = ReaderRecognizer(latent_dim=latent_dim, **SIZES)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made.eval()


def write_reader(folder: Path, latent_dim: int, seed: int = 0) -> Path:
    made = tiny_reader(latent_dim, seed)
    with torch.no_grad():  # it says "A", whatever it reads
        made.network.decoder_norm.weight.zero_()
        made.network.pieces.weight[32] *= 3
        made.network.decoder_norm.bias.copy_(10 * made.network.pieces.weight[32])
    options = {"latent_dim": latent_dim, **SIZES}
    save_component(folder, made, slot="recognizer", name="reader", options=options)
    byte_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def folder(small_folder: Path, small: UniAudio, tmp_path: Path) -> Path:
    """The small model with a reader in its parts."""
    target = tmp_path / "model"
    shutil.copytree(small_folder, target)
    write_reader(target / "parts" / "recognizer" / "reader", small.tokenizer.config.latent_dim)
    data = json.loads((target / "config.json").read_text())
    data["recognition"] = {**data.get("recognition", {}), "recognizer": {"name": "reader"}}
    data["recognition"]["recognizer"]["options"] = {}
    (target / "config.json").write_text(json.dumps(data))
    return target


def syllables(seconds: float) -> torch.Tensor:
    """A buzz that swells four times a second, as a detector of speech expects it."""
    time = torch.arange(round(seconds * 16_000)) / 16_000
    pitch = 2 * np.pi * (120 * time + 4 * torch.sin(3 * time))
    buzz = sum(torch.sin(k * pitch) / k for k in range(1, 20))
    return 0.1 * buzz * torch.sin(2 * np.pi * 2 * time).square()


class Fixed(Recognizer):
    """Says how many samples it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def recognize(
        self,
        parts: Sequence[np.ndarray],
        *,
        language: str | None = None,
        hotwords: Sequence[str] = (),
        beams: int | None = None,
    ) -> list[Recognized]:
        self.seen += [len(part) for part in parts]
        return [Recognized("words here", language="en") for _ in parts]


def test_the_kit_passes_and_catches() -> None:
    assert all(result.ok for result in check_recognizer(ReaderRecognizer))

    class Counts(Fixed):
        """A segment says something else beside another."""

        def recognize(self, parts, **options) -> list[Recognized]:
            return [Recognized(f"one of {len(parts)}") for _ in parts]

    failed = [r.check for r in check_recognizer(Counts) if not r.ok]
    assert failed == ["batch equals single"]


def test_a_model_recognises_by_the_part_that_it_names(folder: Path) -> None:
    model = UniAudio.from_pretrained(folder)
    wav = syllables(4.0)
    by_part = model.transcribe(wav, 16_000).text
    assert by_part == byte_tokenizer().decode([32])
    assert isinstance(model.recognizer, ReaderRecognizer)
    by_lm = model.use_recognizer("lm").transcribe(wav, 16_000).text
    assert model.recognizer is None
    assert by_part != by_lm
    assert model.use_recognizer("model").transcribe(wav, 16_000).text == by_part
    assert model.use_recognizer("reader").transcribe(wav, 16_000).text == by_part


def test_what_is_saved_comes_back_with_its_recogniser(folder: Path, tmp_path) -> None:
    model = UniAudio.from_pretrained(folder)
    again = UniAudio.from_pretrained(model.save_pretrained(tmp_path / "copy"))
    wav = syllables(3.0)
    assert model.transcribe(wav, 16_000).text == again.transcribe(wav, 16_000).text


def test_segments_cover_the_speech_and_silence_is_not_read(small: UniAudio) -> None:
    made = Fixed()
    small.use_recognizer(made)
    quiet = small.transcribe(np.zeros(32_000, np.float32), 16_000)
    assert quiet.text == "" and not made.seen
    rng = np.random.default_rng(0)
    burst = np.sin(np.arange(16_000) / 16_000 * 7) * 0.2 * rng.standard_normal(16_000)
    wav = np.concatenate([burst, np.zeros(40_000), burst]).astype(np.float32)
    found = small.transcribe(wav, 16_000)
    assert found.text == "words here words here"
    assert found.language == "en"
    assert max(made.seen) < 32_000
    assert found.segments[0].start == 0
    assert found.segments[-1].end == pytest.approx(len(wav) / 16_000)


def test_what_is_no_recogniser_is_refused(folder: Path, small: UniAudio, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no weights for the recogniser"):
        small.use_recognizer("reader")
    with pytest.raises(UserError, match="whisper:FOLDER_OR_NAME"):
        small.use_recognizer("whisper")
    with pytest.raises(UserError, match="recognizer"):
        small.use_recognizer("no-such-recogniser")
    installed = importlib.util.find_spec("faster_whisper") is not None
    with pytest.raises(UserError, match="no Whisper model at" if installed else "faster-whisper"):
        small.use_recognizer(f"whisper:{tmp_path}/nothing").transcribe(np.ones(16_000), 16_000)
    other = write_reader(tmp_path / "other", small.tokenizer.config.latent_dim + 1)
    with pytest.raises(UserError, match="latents a frame"):
        small.use_recognizer(other).transcribe(np.ones(16_000), 16_000)
    (other / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        small.use_recognizer(other).transcribe(np.ones(16_000), 16_000)
    model = UniAudio.from_pretrained(folder)
    with pytest.raises(UserError, match="--recognizer lm"):
        model.transcribe(np.ones(16_000), 16_000, word_weight=0.5)
    with pytest.raises(UserError, match="en"):
        model.transcribe(np.ones(16_000), 16_000, language="zh")


def test_the_command_takes_one_and_refuses_before_a_model_is_loaded(
    folder: Path, tmp_path: Path, uniaudio: Callable, monkeypatch
) -> None:
    import soundfile as sf

    recording = tmp_path / "a.wav"
    sf.write(recording, syllables(2.0).numpy(), 16_000)
    own = uniaudio("asr", "-m", folder, recording)
    assert own.code == 0
    assert uniaudio("asr", "-m", folder, "--recognizer", "model", recording).out == own.out
    by_lm = uniaudio("asr", "-m", folder, "--recognizer", "lm", recording)
    assert by_lm.code == 0 and by_lm.out != own.out
    monkeypatch.setattr(UniAudio, "from_pretrained", lambda *_, **__: pytest.fail("loaded"))
    for options, said in (
        (["--recognizer", "nowhere/"], "recognizer"),
        (["--recognizer", "whisper"], "whisper:FOLDER_OR_NAME"),
        (["--word-weight", "1"], "--recognizer lm"),
    ):
        ran = uniaudio("asr", "-m", folder, *options, recording)
        assert ran.code == 2 and said in ran.err and ran.err.count("\n") == 1


@torch.no_grad()
@pytest.mark.parametrize("chunk", [1, 4, 15])
def test_a_stream_of_chunks_gives_what_the_recording_gives(chunk: int) -> None:
    torch.manual_seed(3)
    reader = Reader(ReaderConfig(latent_dim=6, **SIZES)).eval()
    latents = torch.randn(1, 50, 6)
    whole = reader.encode(latents, None, chunk)
    state = EncoderState()
    parts = [reader.extend(latents[:, i : i + chunk], state) for i in range(0, 50, chunk)]
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-5)


@torch.no_grad()
def test_more_hypotheses_never_give_a_less_likely_text() -> None:
    torch.manual_seed(4)
    reader = Reader(ReaderConfig(latent_dim=6, **SIZES)).eval()
    for parameter in reader.parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    text = TextTokenizer(byte_tokenizer())
    encoded = reader.encode(torch.randn(1, 30, 6))

    def score(pieces: list[int]) -> float:
        marks = [reader.config.start, reader.config.no_times, *pieces]
        scores, _ = reader.decode(torch.tensor([marks]), reader.memory(encoded))
        chances = scores[0].log_softmax(-1)
        after = [*pieces, reader.config.end]
        total = sum(float(chances[i + 1, piece]) for i, piece in enumerate(after))
        return total / (len(pieces) + 1) ** 0.8

    greedy, cut = search(reader, encoded, 1, 12, Hints(text, (), 0.0))
    wide, _ = search(reader, encoded, 6, 12, Hints(text, (), 0.0))
    best = reader.decode(
        torch.tensor([[reader.config.start, reader.config.no_times]]), reader.memory(encoded)
    )[0][0, -1].argmax()
    if greedy:
        assert greedy[0] == best
    if not cut:
        assert score(wide) >= score(greedy) - 1e-4
    hinted, _ = search(reader, encoded, 6, 12, Hints(text, ("zq",), 30.0))
    assert "zq" in text.decode(hinted).lower()


@given(
    st.lists(st.integers(0, 5), max_size=20),
    st.lists(st.integers(0, 5), min_size=1, max_size=6),
    st.integers(4, 9),
)
def test_a_loop_is_cut_to_one_round(start: list[int], unit: list[int], rounds: int) -> None:
    kept = _without_loop([*start, *unit * rounds])
    if len(unit) * rounds >= 12:
        assert len(kept) <= len(start) + len(unit)
    elif not start or start[-1] != unit[-1]:  # else what comes before may belong to the loop
        assert len(kept) >= len(start)
    assert [*start, *unit * rounds][: len(kept)] == kept
