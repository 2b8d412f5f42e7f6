"""From an edit to an instruction in words: basic (the published phrasings) or full (varied)."""

from __future__ import annotations

import random
from types import ModuleType
from typing import Literal

from audio_eval.build import wording_en, wording_zh
from audio_eval.build.edits import BASIC_LOCATORS, Change, Locator
from audio_eval.build.expand import expand
from audio_eval.build.units import Language

Wording = Literal["basic", "full"]

EN_QUOTES = ("''", '""', "‘’", "“”", "«»", "``")
_EN_WEIGHTS = (5, 4, 3, 4, 0.3, 0.3)
ZH_QUOTES = ("“”", "‘’", "「」", "『』", '""', "''")
_ZH_WEIGHTS = (6, 2, 2, 1, 2, 1)
# The published basic set writes straight single quotes nearly everywhere.
_BASIC_WEIGHTS = (8, 0, 2, 0, 0, 0)
_APOSTROPHES = frozenset("'’‘")


def write_instruction(
    change: Change,
    locator: Locator,
    *,
    wording: Wording,
    text_language: Language,
    instruction_language: Language,
    rng: random.Random,
) -> str | None:
    """An instruction for `change` that points at its place with `locator`.

    Returns None when the wording has no phrase for the locator (the basic set knows few).
    """
    if wording == "basic":
        return _basic(change, locator, rng)
    grammar = wording_en if instruction_language == "en" else wording_zh
    key = _phrase_key(locator)
    if key == "quote" and instruction_language == text_language == "en":
        alone = locator.quotes[0].isalpha() and change.task == "deletion"
        key = "bare" if alone and rng.random() < 0.1 else key
    sentence = _sentence(change, locator, key, grammar, rng)
    while sentence is not None and _clumsy(sentence):
        sentence = _sentence(change, locator, key, grammar, rng)
    if sentence is None:
        return None
    values = _values(change, locator, text_language, instruction_language, rng)
    if instruction_language == "en":
        return _finish_english(sentence, values, rng)
    end = rng.choice(("", "", "", "。"))
    return _fill(sentence, values) + end


def _sentence(
    change: Change, locator: Locator, key: str, grammar: ModuleType, rng: random.Random
) -> str | None:
    """One sentence of the grammar with its places still open; None where it has none."""
    phrases = grammar.REFERENCES if change.task != "insertion" else grammar.PLACES
    whole = grammar.FULL_WHOLE.get(locator.name) if change.task == "insertion" else None
    if whole and rng.random() < 0.4:
        return expand(rng.choice(whole), rng)
    if key not in phrases:
        return None
    slot = "{place}" if change.task == "insertion" else "{ref}"
    sentence = expand(rng.choice(grammar.FULL[change.task]), rng)
    return sentence.replace(slot, expand(rng.choice(phrases[key]), rng))


def _clumsy(sentence: str) -> bool:
    """Nobody says "please ..., please" or "slip it in in front of"."""
    return sentence.lower().count("please") > 1 or " in in " in sentence


def _basic(change: Change, locator: Locator, rng: random.Random) -> str | None:
    if locator.name not in BASIC_LOCATORS:
        return None
    sentence = rng.choice(wording_en.BASIC[change.task])
    slot = "{place}" if change.task == "insertion" else "{ref}"
    sentence = sentence.replace(slot, wording_en.BASIC_PHRASES[locator.name][0])
    texts = {"new": change.payload} if change.payload else {}
    texts |= dict(zip(("x", "y"), locator.quotes, strict=False))
    quotes = _pick_quotes(list(texts.values()), EN_QUOTES, _BASIC_WEIGHTS, rng)
    values = {name: quotes[0] + text + quotes[1] for name, text in texts.items()}
    values |= dict(zip(("i", "j"), map(str, locator.numbers), strict=False))
    return _fill(sentence, values)


def _phrase_key(locator: Locator) -> str:
    """Which entry of REFERENCES or PLACES fits the numbers of a locator."""
    name, numbers = locator.name, locator.numbers
    if name in {"first_n", "last_n"}:
        return name if numbers[0] > 1 else name.replace("_n", "_1")
    if name == "range" and numbers[0] == numbers[1]:
        return "single"
    if name == "nth_range" and numbers[1] == numbers[0] + 1:
        return "nth_pair"
    if name == "next_to":
        side = "next_after" if numbers[1] > 0 else "next_before"
        return side if numbers[0] > 1 else f"{side}_1"
    return name


def _values(
    change: Change, locator: Locator, text: Language, instruction: Language, rng: random.Random
) -> dict[str, str]:
    quoted = {"new": change.payload} if change.payload else {}
    quoted |= dict(zip(("x", "y"), locator.quotes, strict=False))
    styles, weights = (EN_QUOTES, _EN_WEIGHTS) if instruction == "en" else (ZH_QUOTES, _ZH_WEIGHTS)
    quotes = _pick_quotes(list(quoted.values()), styles, weights, rng)
    values = {name: quotes[0] + words + quotes[1] for name, words in quoted.items()}
    target = locator.quotes[0] if locator.quotes else ""
    count = len(target.split()) if text == "en" else len(target)
    in_words = rng.random() < 0.6
    first, second = (*locator.numbers, 0, 0)[:2]
    if instruction == "zh":
        values["unit"] = "字" if text == "zh" else rng.choice(("词", "单词"))
        show = wording_zh.cardinal if in_words else str
        values |= {"i": show(first or 1), "j": show(second or 1)}
        values["n"] = wording_zh.counted(first or 1) if in_words else str(first)
        values["count_x"] = wording_zh.counted(count or 1) if in_words else str(count)
        return values
    nouns = ("character", "characters") if text == "zh" else ("word", "words")
    values["unit"], values["units"] = nouns
    values["noun"] = nouns[0] if count == 1 else rng.choice((nouns[1], "phrase"))
    values |= {"noun1": nouns[1], "raw": target}
    added = len(change.payload.split()) if text == "en" else len(change.payload)
    values["newnoun"] = nouns[0] if added == 1 else rng.choice((nouns[1], "phrase"))
    number = wording_en.cardinal if in_words else str
    rank = wording_en.ordinal if in_words else wording_en.ordinal_digits
    values |= {"i": number(first), "j": number(second), "n": number(first)}
    return values | {"o": rank(first or 1), "p": rank(second or 1)}


def _pick_quotes(
    texts: list[str], styles: tuple[str, ...], weights: tuple[float, ...], rng: random.Random
) -> str:
    """A pair of quotation marks; never single ones around words with an apostrophe."""
    has_apostrophe = any(c in _APOSTROPHES for text in texts for c in text)
    pairs = list(zip(styles, weights, strict=True))
    if has_apostrophe:
        pairs = [(s, w or 1.0) for s, w in pairs if not _APOSTROPHES & set(s)]
    return rng.choices([s for s, _ in pairs], [w for _, w in pairs])[0]


def _fill(sentence: str, values: dict[str, str]) -> str:
    """Put values into `{name}` places, safe against braces inside the values."""
    parts = sentence.split("{")
    out = [parts[0]]
    for part in parts[1:]:
        name, _, rest = part.partition("}")
        out.append(values[name] + rest)
    return "".join(out)


def _finish_english(sentence: str, values: dict[str, str], rng: random.Random) -> str:
    """Capital, full stop or question mark, as people write or forget them."""
    question = sentence.lower().startswith(("could you", "can you"))
    style = rng.random()
    first = sentence[0]
    if style < 0.65:
        first = first.upper()
    elif not sentence.startswith(("I ", "I'")):
        first = first.lower()
    sentence = _fill(first + sentence[1:], values)
    if question:
        return sentence + rng.choice(("?", "?", ""))
    return sentence + (rng.choice((".", ".", "")) if style < 0.65 else rng.choice(("", "", ".")))
