"""The shipped language model does its real job: it says sentences that it hears again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mingtok_audio import MingTok, load_audio
from mingtok_audio.core.errors import ConfigError
from uniaudio_lm import UniAudio
from uniaudio_lm.cli import app
from uniaudio_lm.weights import shipped_folder

DATA = Path(__file__).resolve().parents[2] / "examples" / "data"
SENTENCES = (
    "The weather was good all day.",
    "She opened the door and looked into the garden.",
    "We will meet again in the morning.",
    "He wrote a long letter to his brother.",
)


@pytest.fixture(scope="module")
def nano() -> UniAudio:
    return UniAudio.from_pretrained("nano")


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z' ]", " ", text.lower()).split()


def errors(said: str, heard: str) -> int:
    """Word errors, at most as many as there are words."""
    reference, hypothesis = words(said), words(heard)
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(hypothesis, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return min(row[-1], len(reference))


def loop_error(model: UniAudio) -> float:
    """Share of words lost between saying and hearing."""
    speeches = model.synthesize_batch(list(SENTENCES))
    lost = sum(
        errors(text, model.transcribe(s.wav.numpy(), s.sample_rate).text) if len(s.wav) else
        len(words(text))
        for text, s in zip(SENTENCES, speeches, strict=True)
    )  # fmt: skip
    return lost / sum(len(words(text)) for text in SENTENCES)


def test_it_stops_by_itself_after_a_plausible_time(nano: UniAudio) -> None:
    for text, speech in zip(SENTENCES, nano.synthesize_batch(list(SENTENCES)), strict=True):
        assert speech.stop_reason == "stop", text
        seconds = len(speech.wav) / speech.sample_rate
        assert 0.15 * len(words(text)) < seconds < 0.8 * len(words(text)) + 1.0
        level = float(speech.wav.square().mean().sqrt())
        assert 0.01 < level < 0.3


def test_it_hears_what_it_says_and_every_part_is_needed(
    nano: UniAudio, script: Callable[[str], ModuleType]
) -> None:
    whole = loop_error(nano)
    assert whole < 0.4  # half of what is lost is said badly, half is heard badly
    for part in ("backbone", "generation_head", "compressor", "tokenizer.semantic"):
        model = UniAudio.from_pretrained("nano")
        script("ablation").shuffle(model.model.get_submodule(part))
        assert loop_error(model) > whole + 0.1, part


@pytest.mark.parametrize("part", [{"generation_head": "dit"}, {"compressor": "pooling"}])
def test_the_parts_that_ship_beside_its_own_do_the_same_job(part: dict[str, str]) -> None:
    assert loop_error(UniAudio.from_pretrained("nano", **part)) < 0.6


def test_it_is_saved_and_loaded_again_with_a_tokenizer_that_was_trained_on(tmp_path: Path) -> None:
    model = UniAudio.from_pretrained("nano")
    semantic = model.tokenizer.semantic
    assert semantic is not None
    with torch.no_grad():
        next(semantic.parameters()).mul_(1.01)
    again = UniAudio.from_pretrained(model.save_pretrained(tmp_path))
    wav, rate = load_audio(DATA / "librivox_0880.wav")
    assert again.transcribe(wav, rate) == model.transcribe(wav, rate)
    assert again.config.recognition.recognizer is not None, "it reads latents, which are the same"
    # And the pin is of what was written: another tokenizer in its place is refused.
    weights = tmp_path / "tokenizer" / "model.safetensors"
    MingTok.from_pretrained("nano").save_pretrained(weights.parent)
    with pytest.raises(ConfigError, match="was trained with the tokenizer"):
        UniAudio.from_pretrained(tmp_path)


def test_a_saved_model_drops_a_recogniser_that_its_encoder_left_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = UniAudio.from_pretrained("nano")
    with torch.no_grad():
        next(model.tokenizer.encoder.parameters()).mul_(1.01)
    again = UniAudio.from_pretrained(model.save_pretrained(tmp_path))
    assert "recognises speech by the language model" in caplog.text
    wav, rate = load_audio(DATA / "librivox_0880.wav")
    assert again.transcribe(wav, rate).text == model.use_recognizer("lm").transcribe(wav, rate).text


def test_it_streams_what_it_says_at_once(nano: UniAudio) -> None:
    whole = nano.synthesize(SENTENCES[0], seed=3)
    pieces = list(nano.synthesize_stream(SENTENCES[0], seed=3))
    assert len(pieces) > 3
    assert float((torch.cat(pieces) - whole.wav).abs().max()) < 1e-4
    again = nano.synthesize(SENTENCES[0], seed=3)
    assert torch.equal(again.wav, whole.wav)


def test_commands_work_without_a_model_option(tmp_path: Path) -> None:
    runner = CliRunner()
    said = tmp_path / "said.wav"
    result = runner.invoke(app, ["tts", SENTENCES[0], "-o", str(said)])
    assert result.exit_code == 0, result.output
    wav, rate = load_audio(said)
    assert rate == 16000 and float(np.abs(wav).max()) > 0.05
    result = runner.invoke(app, ["asr", str(said), "--json"])
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout.splitlines()[-1])
    assert row["text"].strip() and row["words"]
    result = runner.invoke(app, ["voices"])
    assert result.exit_code == 0 and "hibari" in result.output


def test_the_set_is_small_and_has_a_card() -> None:
    folder = shipped_folder()
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 44e6
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    for phrase in ("WER", "Apache-2.0", "CC BY-SA 3.0", "not"):
        assert phrase in card


def test_it_knows_words_and_takes_them_along(nano: UniAudio, tmp_path: Path) -> None:
    assert nano.config.recognition.word_weight > 0
    assert nano.config.recognition.coverage is not None
    words = nano.words
    assert words is not None and len(words.words) > 100_000
    assert words.cost("the", "house") < 10 < words.cost("the", "houfe")
    assert words.cost("last", "night") < words.cost("last", "knight")
    other = UniAudio.from_pretrained(nano.save_pretrained(tmp_path / "copy"))
    assert other.words is not None and other.words.words == words.words
    assert other.config.recognition == nano.config.recognition
