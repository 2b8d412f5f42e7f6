"""Phonemes as text, for models that read those.

A phoneme is written between ⟨ and ⟩: such pieces are tokens of the text tokenizer, one each, and
no letter of a word is ever taken for one. Spaces and punctuation stay: they are pauses and tone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from uniaudio_lm.text.words import split_words

if TYPE_CHECKING:
    from uniaudio_lm.interfaces import Phonemizer

PUNCTUATION = frozenset(',.;:!?…—()"“”，。；：！？、')


def written(symbols: Iterable[str]) -> str:
    """The phonemes of a word as text."""
    return "".join(f"⟨{symbol}⟩" for symbol in symbols)


def phoneme_text(text: str, phonemizer: Phonemizer, language: str) -> str:
    """A text with its words as phonemes. What the phonemizer cannot read stays as letters."""
    words = split_words(text)
    said = phonemizer.phonemize(text, language)
    if len(said) != len(words):
        # A phonemizer with words of its own: their order is all there is.
        return " ".join(written(word) for word in said if word)
    out, at = "", 0
    for word, symbols in zip(words, said, strict=True):
        start = text.find(word, at)
        out += _between(text[at:start], bool(out))
        out += written(symbols) if symbols else word
        at = start + len(word)
    return out + _between(text[at:], False)


def _between(piece: str, between_words: bool) -> str:
    """Punctuation of a piece, and a space after it where two words were apart."""
    marks = "".join(c for c in piece if c in PUNCTUATION)
    return marks + (" " if between_words and piece else "")


def manifest_text(symbols: Sequence[str]) -> str:
    """A manifest's phonemes as text: spaces and punctuation as they are, pauses left out."""
    return "".join(
        s if s == " " or s in PUNCTUATION else "" if s == "_" else written([s]) for s in symbols
    ).strip()
