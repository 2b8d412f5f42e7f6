"""Our normaliser: one per language, the same for reference and hypothesis.

- English: first one way of writing each thing (see ``text.english``), then Whisper's rules
  (Radford et al. 2022, appendix C): case, punctuation, fillers, contractions, spelling, numbers.
- Chinese: compatibility forms to plain ones (full width to half), traditional to simplified,
  numbers to how they are read, punctuation dropped, lower case; every Chinese character is a
  token, other words stay whole.
- Any other language: Whisper's basic one (case, symbols, punctuation); where the script has no
  spaces, characters.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from audio_eval.text.english import after_whisper, before_whisper
from audio_eval.text.invisible import without_invisible
from audio_eval.text.numbers_zh import read_numbers, same_numbers
from mingtok_audio.core.script import HAN

if TYPE_CHECKING:
    from collections.abc import Callable

#: Raise when a rule changes: part of every cache key that depends on text.
VERSION = "3"

_ZH_TOKEN = re.compile(rf"[{HAN}]|[^\s{HAN}]+")
_ELLIPSIS = re.compile(r"\.{2,}|…")
#: Languages written without spaces: one character is one token.
_NO_SPACES = {"ja", "th", "lo", "my", "km"}
_CHINESE = {"zh", "yue", "cmn", "wuu", "nan"}


def is_chinese(language: str) -> bool:
    """Whether texts of this language are compared by Chinese characters."""
    return language.split("-", maxsplit=1)[0].lower() in _CHINESE


def tokens(text: str, language: str) -> list[str]:
    """Tokens that errors are counted in: words, in Chinese characters."""
    code = language.split("-", maxsplit=1)[0].lower()
    if code in _CHINESE:
        return _ZH_TOKEN.findall(normalize_chinese(text))
    if code == "en":
        # Whisper's rules take one full stop off a word and leave the others of an ellipsis.
        written = before_whisper(_ELLIPSIS.sub(" ", without_invisible(text)))
        words = after_whisper(_english()(written)).split()
        return [word for word in words if any(c.isalnum() for c in word)]
    flat = _basic()(without_invisible(text))
    return [c for c in flat if not c.isspace()] if code in _NO_SPACES else flat.split()


def characters(text: str, language: str) -> list[str]:
    """Characters that the character error rate is counted in: normalised, without spaces."""
    return list("".join(tokens(text, language)))


def normalize_chinese(text: str) -> str:
    """Chinese text with one way of writing each thing; see the module's docstring."""
    text = unicodedata.normalize("NFKC", without_invisible(text)).lower()
    text = same_numbers(_simplified()(read_numbers(text)))
    # Marks stay on their letters; punctuation and symbols fall out, an apostrophe joins.
    out = []
    for char in text:
        kind = unicodedata.category(char)[0]
        if char in "'’":
            continue
        out.append(char if kind in "LMN" else " ")
    return re.sub(rf"(?<=[{HAN}])\s+(?=[{HAN}])", "", " ".join("".join(out).split()))


@cache
def _english() -> Callable[[str], str]:
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer()


@cache
def _basic() -> Callable[[str], str]:
    from whisper_normalizer.basic import BasicTextNormalizer

    return BasicTextNormalizer()


@cache
def _simplified() -> Callable[[str], str]:
    from opencc import OpenCC

    return OpenCC("t2s").convert


def to_simplified(text: str) -> str:
    """Traditional to simplified Chinese characters; other text as it is."""
    return _simplified()(text)
