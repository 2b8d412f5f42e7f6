"""The words that recognition knows."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from mingtok_audio.core.errors import FormatError
from uniaudio_lm.conformance import check_word_model
from uniaudio_lm.parts.word_models.bigram import END, FILE, START, BigramModel
from uniaudio_lm.recognition.words import BEGINNING, KnownWords, WordPlace, words_of

TEXTS = ["the cat sat", "the cat ran", "the dog sat down", "a dog isn't a cat"]
DICTIONARY = ["aardvark", "cat", "catalogue"]


def counted(least: int = 1) -> BigramModel:
    return BigramModel.counted((words_of(text) for text in 2 * TEXTS), DICTIONARY, least)


def test_probabilities_add_up_to_one() -> None:
    model = counted()
    for before in ("the", "cat", START, "catalogue"):
        total = sum(
            np.exp(-model.cost(before, word)) for word in [*model.words, END]
        )  # no cost is capped here: all are below ten nats
        assert total == pytest.approx(1.0, abs=1e-6)


def test_what_was_seen_costs_less() -> None:
    model = counted()
    assert model.cost("the", "cat") < model.cost("sat", "cat") < model.cost("the", "aardvark")
    assert model.cost("the", "aardvark") < 10 < model.cost("the", "qxz") < model.cost("the", "qxzz")
    assert model.cost("down", END) < model.cost("the", END)
    assert model.best("ca") == pytest.approx(model.costs[model.words.index("cat")])
    assert model.best("cata") > model.best("cat")
    assert model.best("catz") > 10
    assert "isn't" in model.words


def test_a_file_says_the_same_but_for_rounding(tmp_path: Path) -> None:
    model = counted(least=3)
    model.save(tmp_path)
    read = BigramModel()
    read.load(tmp_path)
    assert set(model.words) <= set(read.words), "it knows the shipped pronunciation table too"
    pairs = [(b, w) for b in (START, *model.words) for w in (*model.words, END)]
    for before, word in pairs:
        assert read.cost(before, word) == pytest.approx(model.cost(before, word), abs=0.13)
    assert sum(len(known) for _, known in read.after.values()) < sum(
        len(known) for _, known in counted().after.values()
    )


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=FILE):
        BigramModel().load(tmp_path)
    path = counted().save(tmp_path)
    whole = path.read_bytes()
    inside = lzma.decompress(whole)
    data = json.loads(inside)
    bad = {
        "half": whole[: len(whole) // 2],
        "text": b"words",
        "short": lzma.compress(inside[:-3]),
        "other": lzma.compress(inside.replace(b"uniaudio-words", b"something-else")),
        "no object": lzma.compress(b"[]"),
        "deep": lzma.compress(b"[" * 100_000),
    }
    for key in ("words", "costs", "backoff", "successors", "next", "pair"):
        bad[f"shorter {key}"] = lzma.compress(json.dumps(data | {key: data[key][:-1]}).encode())
        bad[f"no {key}"] = lzma.compress(json.dumps(data | {key: None}).encode())
    for what, content in bad.items():
        path.write_bytes(content)
        with pytest.raises(FormatError, match=FILE):
            BigramModel().load(tmp_path)
            pytest.fail(what)


def said(known: KnownWords, text: str, pieces: int = 1) -> tuple[WordPlace, float]:
    place, total = BEGINNING, 0.0
    for at in range(0, len(text), pieces):
        place, earned = known.follow(place, text[at : at + pieces])
        total += earned
    return place, total


def test_words_earn_when_they_end() -> None:
    model = counted()
    known = KnownWords(model, 0.5, 1.0)
    place, earned = said(known, "The cat")
    assert place == WordPlace("the", "cat")
    assert earned == pytest.approx(1.0 - 0.5 * model.cost(START, "the"))
    assert known.promised(place) == pytest.approx(-0.5 * model.best("cat"))
    assert known.ended(place) == pytest.approx(
        1.0 - 0.5 * model.cost("the", "cat") - 0.5 * model.cost("cat", END)
    )
    for pieces in (2, 3, 7):
        assert said(known, "The cat", pieces) == (place, pytest.approx(earned))
    # The name of the language is no word of the text.
    assert said(known, "English\tThe cat") == (place, pytest.approx(earned))
    # A word does not end at its apostrophe, and hyphens part words.
    assert said(known, "a dog isn’t ")[0] == WordPlace("isn't", "")
    assert said(known, "the cat-dog")[0] == WordPlace("cat", "dog")


def test_what_is_no_word_costs_by_its_length() -> None:
    known = KnownWords(counted(), 1.0, 0.0)
    short, long = said(known, "cqx ")[1], said(known, "cqxxxxxxx ")[1]
    assert long < short < said(known, "catalogue ")[1]
    # Characters that are words of their own do not hide in one long word.
    assert said(known, "走一个剧本 ")[1] < 3 * short
    assert said(known, "1984 ")[1] > short


def test_hotwords_are_words() -> None:
    model = counted()
    plain, known = KnownWords(model, 1.0, 0.0), KnownWords(model, 1.0, 0.0, ["Qxz-Vorlon"])
    assert said(plain, "vorlon ")[1] < -10
    assert said(known, "vorlon ")[1] == said(known, "qxz ")[1] == -10.0
    assert known.promised(WordPlace("the", "vor")) == -10.0
    assert known.promised(WordPlace("the", "vox")) < -10.0
    assert known.promised(BEGINNING) == 0.0


def test_the_kit_passes_the_built_in_model_and_finds_a_careless_one() -> None:
    assert [r for r in check_word_model(BigramModel) if not r.ok] == []

    class Careless(BigramModel):
        files = ("../words",)

        def cost(self, before: str, word: str) -> float:
            return -1.0

    failed = {r.check for r in check_word_model(Careless) if not r.ok}
    assert failed == {"it has defaults, and names its files", "costs are finite and not negative"}
