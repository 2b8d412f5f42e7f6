"""How long a text takes to say, roughly, and in which language it is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

SYLLABLES_PER_SECOND = 4.5
_PAUSE = 0.25  # seconds at the end of a clause
_VOWELS = re.compile(r"[aeiouyàâäéèêëîïôöùûüÿáíóúãõå]+")
_WORD = re.compile(r"[^\W\d_]+|\d|[,.;:!?，。；：！？、…]", re.UNICODE)
_CLAUSE_END = re.compile(r"[,.;:!?，。；：！？、…]")


def is_spoken(text: str) -> bool:
    """Whether there is anything to say: a letter or a digit of any script."""
    return any(unicodedata.category(c)[0] in "LN" for c in text)


def is_cjk(character: str) -> bool:
    """Whether a character is a syllable by itself (Han, Hangul, Kana)."""
    return "\u3040" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3"


def guess_language(text: str) -> str:
    """ "zh" where Han characters outnumber other words, else "en"."""
    han = sum("\u4e00" <= c <= "\u9fff" for c in text)
    return "zh" if han > len(re.findall(r"[A-Za-z]+", text)) else "en"


def syllables(text: str) -> float:
    """A guess of the syllables of a text in any script."""
    count = 0.0
    for piece in _WORD.findall(text):
        cjk = sum(is_cjk(c) for c in piece)
        if piece.isdigit():
            count += 1.5
        elif cjk:
            count += len(piece)
        elif not _CLAUSE_END.fullmatch(piece):
            vowels = len(_VOWELS.findall(piece.lower()))
            # Letters without vowels are spelled out.
            count += vowels if vowels else len(piece)
    return count


def speech_seconds(text: str, rate: float = SYLLABLES_PER_SECOND) -> float:
    """A guess of how long a text takes at `rate` syllables a second; at least 0.3 s."""
    pauses = len(_CLAUSE_END.findall(text))
    return max(0.3, syllables(text) / rate + _PAUSE * pauses)


def joined(texts: Sequence[str]) -> str:
    """Texts one after another: a space between them where their script has spaces."""
    out = ""
    for text in texts:
        if out and text and not (is_cjk(out[-1]) and is_cjk(text[0])):
            out += " "
        out += text
    return out
