"""How long a text takes to say, roughly; and cutting long texts into pieces that can be said."""

from __future__ import annotations

import re
import unicodedata

SYLLABLES_PER_SECOND = 4.5
_PAUSE = 0.25  # seconds at the end of a clause
_VOWELS = re.compile(r"[aeiouyàâäéèêëîïôöùûüÿáíóúãõå]+")
_WORD = re.compile(r"[^\W\d_]+|\d|[,.;:!?，。；：！？、…]", re.UNICODE)
_CLAUSE_END = re.compile(r"[,.;:!?，。；：！？、…]")
_SENTENCE_END = re.compile(r"(?<=[。！？!?…])|(?<=[.;:；：])(?=\s)")
_WEAK_END = re.compile(r"(?<=[，、,])|(?<=\s)")


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


def split_text(text: str, seconds: float = 12.0) -> list[str]:
    """Cut a text into pieces of at most about `seconds`, at sentence ends where it can be, then at
    commas and spaces, then anywhere. Nothing but white space is lost."""
    pieces: list[str] = []
    for sentence in _parts(" ".join(text.split()), _SENTENCE_END):
        if speech_seconds(sentence) <= seconds:
            _append(pieces, sentence, seconds)
            continue
        for clause in _parts(sentence, _WEAK_END):
            size = max(1, int(len(clause) * min(1.0, seconds / speech_seconds(clause))))
            for start in range(0, len(clause), size):
                _append(pieces, clause[start : start + size], seconds)
    return [piece for piece in (p.strip() for p in pieces) if is_spoken(piece)]


def _parts(text: str, pattern: re.Pattern[str]) -> list[str]:
    return [part for part in pattern.split(text) if part]


def _append(pieces: list[str], part: str, seconds: float) -> None:
    """Join a part to the piece before it while both fit."""
    if pieces and speech_seconds(pieces[-1] + part) <= seconds:
        pieces[-1] += part
    else:
        pieces.append(part)
