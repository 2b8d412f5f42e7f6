"""What can be checked before a model is loaded: texts, hints, sampling. Free of torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Unpack

from mingtok_audio.core.errors import UserError
from uniaudio_lm.config import MAX_BEAMS, MAX_WORD_WEIGHT, Sampling, SamplingChanges
from uniaudio_lm.text.length import guess_language, is_spoken
from uniaudio_lm.text.ssml import without_marks

MAX_CHARACTERS = 100_000
_MAX_HOTWORDS = 4000  # characters of all of them
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")


def sampling_of(default: Sampling, **changes: Unpack[SamplingChanges]) -> Sampling:
    """`default` with the fields changed that are given and not None.

    Raises:
        UserError: a value out of range.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        return replace(default, **given)  # type: ignore[arg-type]
    except ValueError as error:
        raise UserError(str(error)) from error


def check_text(text: str, language: str | None, spoken: Sequence[str], model: str) -> None:
    """Refuse a text that cannot be spoken.

    Args:
        language: its code, where a caller names one.
        spoken: languages that the model's phonemizer reads; none: all are tried.

    Raises:
        UserError: nothing to say, too much of it, marks that can't be read (`text.ssml`), or in a
            language that the model does not speak.
    """
    if len(text) > MAX_CHARACTERS:
        raise UserError(
            f"the text has {len(text):,} characters; at most {MAX_CHARACTERS:,} are said at once: "
            "split it"
        )
    if language is not None and not _LANGUAGE.fullmatch(language):
        raise UserError(f"the language {language[:40]!r} is not a code such as en, zh or en-US")
    words = without_marks(text)
    if not is_spoken(words):
        shown = "is empty" if not text.strip() else "holds no letter or digit to say"
        raise UserError(f"the text {shown}")
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise UserError("the text holds bytes that are not UTF-8")
    code = re.split("[-_]", language or guess_language(words))[0].lower()
    if spoken and code not in spoken:
        raise UserError(f"model {model} speaks {', '.join(spoken)}; the text is in '{code}'")


def check_hints(language: str | None, hotwords: Sequence[str]) -> list[str]:
    """The words to expect, each once. They go into the prompt joined by commas, as published.

    Raises:
        UserError: a hint that the prompt cannot hold.
    """
    if language is not None and (
        not language.strip() or not language.isprintable() or len(language) > 100
    ):
        raise UserError(f"the language hint {language[:100]!r} is empty, too long or holds a tab")
    words = list(dict.fromkeys(w for w in (word.strip() for word in hotwords) if w))
    for word in words:
        if "," in word or not word.isprintable():
            raise UserError(f"the hotword {word[:100]!r} holds a comma or a line break")
    if sum(map(len, words)) > _MAX_HOTWORDS:
        raise UserError(f"the hotwords have over {_MAX_HOTWORDS:,} characters in all: give fewer")
    return words


def check_search(beams: int | None, word_weight: float | None) -> None:
    """Refuse numbers that a search for a text cannot have; None is the model's own.

    Raises:
        UserError: which, and what it may be.
    """
    if beams is not None and not 1 <= beams <= MAX_BEAMS:
        raise UserError(f"beams is a number from 1 to {MAX_BEAMS}, not {beams}")
    if word_weight is not None and not 0 <= word_weight <= MAX_WORD_WEIGHT:
        raise UserError(
            f"the weight of the word model is from 0 to {MAX_WORD_WEIGHT:g}, not {word_weight}"
        )
