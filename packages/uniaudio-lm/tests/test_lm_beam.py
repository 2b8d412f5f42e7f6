"""Recognition by beam search, and hints that speak up for words."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mingtok_audio.core.errors import UserError
from uniaudio_lm import UniAudio
from uniaudio_lm.config import RecognitionConfig, UniAudioConfig
from uniaudio_lm.model.generation import Item
from uniaudio_lm.parts.word_models.bigram import BigramModel
from uniaudio_lm.recognition.beam import Listening, beam_search
from uniaudio_lm.recognition.words import KnownWords
from uniaudio_lm.text.hints import Hints

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden" / "unified"


@pytest.fixture(scope="module")
def model() -> UniAudio:
    return UniAudio.from_pretrained(GOLDEN)


class Letters:
    """A text tokenizer whose pieces are characters."""

    alphabet = "\t abcdefghijklmnopqrstuvwxyz."

    def encode(self, text: str) -> list[int]:
        return [self.alphabet.index(c) for c in text.lower()]

    def decode(self, ids: list[int]) -> str:
        return "".join(self.alphabet[i] for i in ids if i < len(self.alphabet))


END = len(Letters.alphabet)


class State:
    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def select(self, rows: Tensor) -> State:
        return State([self.texts[i] for i in rows.tolist()])


class Scripted:
    """A backbone that knows the chances of the next character, whatever was heard."""

    def __init__(self, chances: Callable[[str], dict[str, float]]) -> None:
        self.chances = chances

    def new_state(self, batch: int, capacity: int) -> State:
        return State([""] * batch)

    def embed(self, ids: Tensor) -> Tensor:
        return ids[..., None].float()

    def __call__(self, embeds: Tensor, state: State, audio_mask: Any = None) -> Tensor:
        ids = embeds[:, -1, 0].long().tolist()
        state.texts = [
            t + (Letters.alphabet[i] if i >= 0 else "")
            for t, i in zip(state.texts, ids, strict=True)
        ]
        out = torch.full((len(ids), 1, END + 1), -20.0)
        for row, text in enumerate(state.texts):
            for character, chance in self.chances(text).items():
                out[row, 0, END if character == "$" else Letters().encode(character)[0]] = math.log(
                    chance
                )
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden


def with_recognition(config: UniAudioConfig, **changes: Any) -> UniAudioConfig:
    found = dataclasses.replace(config.recognition, **changes)
    return dataclasses.replace(config, recognition=found)


def search(  # noqa: PLR0917
    chances: Callable[[str], dict[str, float]], beams: int, words: tuple[str, ...] = (),
    boost: float = 0.0, limit: int = 20, known: KnownWords | None = None,
    listening: Listening | None = None,
) -> str:  # fmt: skip
    made: Any = SimpleNamespace(backbone=Scripted(chances), device=torch.device("cpu"))
    letters: Any = Letters()
    item = Item(
        torch.full((9, 1), -1.0), "text", max_steps=limit, end_tokens=frozenset([END]),
        audio_mask=torch.ones(9, dtype=torch.bool),
    )  # fmt: skip
    ids, cut = beam_search(
        made, item, beams, Hints(letters, words, boost), led=True, words=known, listening=listening
    )
    return letters.decode(ids) + ("..." if cut else "")


def spelling(**texts: float) -> Callable[[str], dict[str, float]]:
    """The chances of the next character where some texts have the given weights ("_": a space)."""
    known = {text.replace("_", " ") + "$": weight for text, weight in texts.items()}

    def chances(said: str) -> dict[str, float]:
        going = {t: w for t, w in known.items() if t.startswith(said)}
        out: dict[str, float] = {}
        for text, weight in going.items():
            out[text[len(said)]] = out.get(text[len(said)], 0.0) + weight
        total = sum(out.values()) or 1.0
        return {c: w / total for c, w in out.items()}

    return chances


def test_a_beam_goes_back_on_a_likely_start() -> None:
    chances = spelling(cat=0.2, cow=0.18, cab=0.17, dog=0.3)
    assert search(chances, 1) == "cat"  # "c" is likelier than "d"
    assert search(chances, 8) == "dog"
    assert search(chances, 2, limit=2).endswith("...")


def test_a_hint_speaks_up_for_its_word_and_for_no_other() -> None:
    chances = spelling(say_lenard=0.7, say_leonid=0.3)
    assert search(chances, 4) == "say lenard"
    assert search(chances, 4, ("Leonid",), 0.5) == "say leonid"
    assert search(chances, 4, ("Leonidas", "leo"), 0.5) == "say lenard"  # not said to their ends
    assert search(chances, 4, ("onid",), 0.5) == "say lenard"  # the middle of a word is no word
    assert search(spelling(say_lenard=1.0), 4, ("leonid",), 0.5) == "say lenard"
    assert search(spelling(lenard=0.7, leonid=0.3), 1, ("leonid",), 1.0) == "leonid"


def test_known_knownspeak_against_what_is_no_word() -> None:
    model = BigramModel.counted([["say", "leonid"]] * 3)
    chances = spelling(say_lenard=0.7, say_leonid=0.3)
    assert search(chances, 4, known=KnownWords(model, 0.3, 0.0)) == "say leonid"
    assert search(chances, 4, known=KnownWords(model, 0.0, 0.0)) == "say lenard"
    # A hotword is a word.
    hinted = KnownWords(model, 0.3, 0.0, ["lenard"])
    assert search(spelling(say_lenard=0.97, say_leonid=0.03), 4, known=hinted) == "say lenard"


class Looking:
    """Heads that look at the patch of a recording, "a dog ran", that the next letter is in."""

    said = "a dog ran"

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        yield

    def last(self, state: State) -> Tensor:
        rows = []
        for text in state.texts:
            place = self.said.find(text[-3:]) + len(text[-3:]) if text else 0
            rows.append([float(i == min(place, len(self.said) - 1)) for i in range(9)])
        return torch.tensor(rows)


def test_coverage_speaks_against_texts_that_leave_out_or_repeat() -> None:
    heads: Any = Looking()
    speech = np.ones(9, dtype=bool)
    left_out = spelling(a_dog=0.8, a_dog_ran=0.2)
    again = spelling(a_dog_a_dog_a_dog_ran=0.9, a_dog_ran=0.1)
    for chances in (left_out, again):
        assert search(chances, 4, limit=40) != "a dog ran"
        listening = Listening(heads, 2.0, speech)
        assert search(chances, 4, limit=40, listening=listening) == "a dog ran"
        free = Listening(heads, 0.0, speech)
        assert search(chances, 4, limit=40, listening=free) == search(chances, 4, limit=40)


def test_one_beam_is_the_likeliest_token(model: UniAudio) -> None:
    generator = torch.Generator().manual_seed(0)
    wav = 0.1 * torch.randn(20000, generator=generator)
    plain = model.transcribe(wav, 16000)
    text = model.model.text_tokenizer
    embeds = torch.randn(9, model.model.dim, generator=generator)
    item = Item(embeds, "text", max_steps=6, end_tokens=frozenset([text.special("<|endoftext|>")]))
    found, _ = beam_search(model.model, item, 1, Hints(text, (), 0.0), led=False)
    state = model.model.backbone.new_state(1, 32)
    hidden, greedy = model.model.backbone(embeds[None], state)[:, -1], []
    for _ in range(len(found)):
        greedy.append(int(model.model.backbone.logits(hidden).argmax()))
        token = torch.tensor([[greedy[-1]]])
        hidden = model.model.backbone(model.model.backbone.embed(token), state)[:, -1]
    assert found == greedy
    assert model.transcribe(wav, 16000, beams=3) == model.transcribe(wav, 16000, beams=3)
    assert model.transcribe(wav, 16000, beams=1) == plain
    pair = model.transcribe_batch([wav, wav[:9000]], [16000, 16000], beams=3)
    assert pair[0] == model.transcribe(wav, 16000, beams=3)
    for beams in (0, 65):
        with pytest.raises(UserError, match="beams is a number from 1 to 64"):
            model.transcribe(wav, 16000, beams=beams)


def test_the_config_says_how_many(model: UniAudio, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def spy(model: Any, item: Item, beams: int, hints: Hints, **_: Any) -> Any:
        seen.append(beams)
        return [], False

    monkeypatch.setattr("uniaudio_lm.tasks.asr.beam_search", spy)
    changed = with_recognition(model.config, beams=5, hotword_boost=1.0)
    monkeypatch.setattr(model.model, "config", changed)
    wav = 0.1 * torch.randn(4000, generator=torch.Generator().manual_seed(0))
    model.transcribe(wav, 16000)
    model.transcribe(wav, 16000, hotwords=["word"], beams=1)
    assert seen == [5, 1]
    with pytest.raises(ValueError, match="beams is from 1 to 64"):
        RecognitionConfig(beams=0)


def test_the_weight_of_words_is_the_models_or_the_callers(
    model: UniAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float | None] = []

    def spy(model: Any, item: Item, beams: int, hints: Hints, **given: Any) -> Any:
        seen.append(None if given["words"] is None else given["words"].weight)
        return [], False

    monkeypatch.setattr("uniaudio_lm.tasks.asr.beam_search", spy)
    monkeypatch.setattr(model.model, "config", with_recognition(model.config, word_weight=0.5))
    wav = 0.1 * torch.randn(4000, generator=torch.Generator().manual_seed(0))
    model.transcribe(wav, 16000, beams=2)  # no words are there
    monkeypatch.setattr(model, "_words", BigramModel.counted([["a"]]))
    model.transcribe(wav, 16000, beams=2)
    model.transcribe(wav, 16000, beams=2, word_weight=2.0)
    model.transcribe(wav, 16000, beams=2, word_weight=0.0)
    assert seen == [None, 0.5, 2.0, None]
    for weight in (-0.1, 10.5, math.nan):
        with pytest.raises(UserError, match="weight of the word model is from 0 to 10"):
            model.transcribe(wav, 16000, word_weight=weight)
    with pytest.raises(ValueError, match="word_weight is from 0 to 10"):
        RecognitionConfig(word_weight=11.0)
