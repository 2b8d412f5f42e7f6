"""The shipped aligner finds the words of recordings that it never heard, and an edit needs no more
than the text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from mingtok_audio import MingTok, load_audio
from uniaudio_lm.cli import app
from uniaudio_lm.parts.aligners import load_aligner
from uniaudio_lm.parts.aligners.loading import shipped_aligner

DATA = Path(__file__).resolve().parents[2] / "examples" / "data"
ITEMS = {
    Path(row["audio"]).name: row["text"]
    for row in map(json.loads, (DATA / "manifest.jsonl").read_text(encoding="utf-8").splitlines())
}
NAME = "librispeech_1089-134686-0000.flac"


def level(wav: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(wav)))) if len(wav) else 0.0


@pytest.mark.parametrize("name", sorted(ITEMS))
def test_words_lie_on_speech_in_order(name: str) -> None:
    wav, rate = load_audio(DATA / name)
    aligner = load_aligner(tokenizer=MingTok.from_pretrained("nano"))
    words = aligner.align(wav, ITEMS[name], "en")
    assert len(words) == len(ITEMS[name].split())
    edges = [edge for word in words for edge in (word.start, word.end)]
    assert edges == sorted(edges) and edges[0] >= 0 and edges[-1] <= len(wav) / rate
    inside = np.concatenate([wav[round(w.start * rate) : round(w.end * rate)] for w in words])
    spoken = np.zeros(len(wav), dtype=bool)
    for word in words:
        spoken[round(word.start * rate) : round(word.end * rate)] = True
    assert level(inside) > 2 * level(wav[~spoken])


def test_a_text_that_is_not_said_scores_lower() -> None:
    wav, _ = load_audio(DATA / NAME)
    aligner = load_aligner()
    said = aligner.align(wav, ITEMS[NAME], "en")
    other = aligner.align(wav, " ".join(reversed(ITEMS[NAME].split())), "en")
    assert np.mean([w.score for w in said]) > np.mean([w.score for w in other]) + 0.05


def test_a_word_is_deleted_with_nothing_but_the_text(tmp_path: Path) -> None:
    output = tmp_path / "out.wav"
    arguments = [
        "edit", str(DATA / NAME), "delete 'turnips and carrots'", "--text", ITEMS[NAME],
        "-o", str(output),
    ]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    source, rate = soundfile.read(DATA / NAME, dtype="int16")
    edited, _ = soundfile.read(output, dtype="int16")
    assert 0.5 < (len(source) - len(edited)) / rate < 2.5  # three words
    receipt = json.loads((tmp_path / "out.receipt.json").read_text(encoding="utf-8"))
    (begin, end), (first, last) = (receipt["changed"][0][side] for side in ("source", "output"))
    assert np.array_equal(source[:begin], edited[:first])
    assert np.array_equal(source[end:], edited[last:])


def test_it_ships_small_with_its_card() -> None:
    folder = shipped_aligner()
    assert folder is not None
    assert sum(file.stat().st_size for file in folder.iterdir()) < 2e6
    assert "CC BY-SA 3.0" in (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
