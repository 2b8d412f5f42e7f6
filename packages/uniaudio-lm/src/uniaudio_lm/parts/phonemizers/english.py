"""English words to ARPABET: the dictionary, its inflections, letter names, and a small network.

The dictionary is CMUdict (Carnegie Mellon University, BSD-2-Clause; `data/LICENSE-cmudict.txt`).
Words with several pronunciations take the first. Everything is a function of the word alone.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from uniaudio_lm.interfaces import Phonemizer
from uniaudio_lm.parts.phonemizers.letters import LETTERS, PHONEMES
from uniaudio_lm.parts.phonemizers.table import load_letters, read_packed, unpacked
from uniaudio_lm.text.words import is_single, split_words

_LONGEST = 40  # letters that the network reads at once
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SIGNS = {
    "&": "and", "%": "percent", "+": "plus", "=": "equals", "#": "number", "*": "star",
    "@": "at", "°": "degrees", "$": "dollars", "€": "euros", "£": "pounds", "¥": "yen",
    "§": "section",
}  # fmt: skip
_LETTER_PIECE = re.compile(r"[a-z']+|[0-9]|[^a-z0-9']", re.IGNORECASE)
_VOICELESS, _SIBILANT = {"P", "T", "K", "F", "TH"}, {"S", "Z", "SH", "ZH", "CH", "JH"}


class EnglishPhonemizer(Phonemizer):
    """ARPABET with stress digits. Other scripts give no phonemes.

    Digits and signs that a text normaliser left are read one by one.

    Args:
        stress: keep the digits of vowels ("AH0"); False strips them.
    """

    languages = ("en",)

    def __init__(self, *, stress: bool = True) -> None:
        self.stress = stress
        bare = dict.fromkeys(p.rstrip("012") for p in PHONEMES)
        self.symbols = PHONEMES if stress else tuple(bare)

    def phonemize(self, text: str, language: str = "en") -> list[list[str]]:
        """See `Phonemizer.phonemize`."""
        found = split_words(text)
        words = [self.word(word) for word in found]
        for i, word in enumerate(found):
            # "A M", "A I": the name of the letter, not the article.
            beside = [*found[max(0, i - 1) : i], *found[i + 1 : i + 2]]
            if word == "A" and any(len(w) == 1 and w.isupper() for w in beside):
                words[i] = ["EY1"]
        if self.stress:
            return words
        return [[p.rstrip("012") for p in word] for word in words]

    def word(self, word: str) -> list[str]:
        """The phonemes of one word, with stress."""
        out: list[str] = []
        if is_single(word):
            return out
        plain = _without_accents(word)
        pieces = _LETTER_PIECE.findall(plain)
        for i, piece in enumerate(pieces):
            if piece == "A" and "." in word and all(len(p) == 1 for p in pieces):
                out.append("EY1")  # "U.S.A"
            elif not i and "-" in word and len(pieces) > 1 and piece.lower() in _PREFIXES:
                out += _PREFIXES[piece.lower()]  # "re-entry"
            elif piece.isdigit():
                out += self._letters(_DIGITS[int(piece)])
            elif piece in _SIGNS:
                out += self._letters(_SIGNS[piece])
            elif piece[0].lower() in LETTERS:
                out += self._letters(piece)
        return out

    def _letters(self, word: str) -> list[str]:
        """A word of letters and apostrophes."""
        low = word.lower()
        found = look_up(low)
        if found is None and "'" in low:
            found = look_up(low.strip("'"))
            low = low.replace("'", "") if low.strip("'").count("'") else low.strip("'")
        if found is not None:
            return list(found)
        if not low:
            return []
        if word.isupper() and len(word) <= 5 and not (set("aeiouy") & set(low)):
            return [p for letter in low for p in look_up(letter) or ()]
        return list(guess(low))


_PREFIXES = {
    "re": ("R", "IY1"), "de": ("D", "IY1"), "co": ("K", "OW1"), "pre": ("P", "R", "IY1"),
    "e": ("IY1",),
}  # fmt: skip


@lru_cache(maxsize=65536)
def guess(word: str) -> tuple[str, ...]:
    """What the network makes of a word of lower-case letters and apostrophes."""
    parts = [word[start : start + _LONGEST] for start in range(0, len(word), _LONGEST)]
    return tuple(p for part in load_letters().read(parts) for p in part)


@lru_cache(maxsize=65536)
def look_up(word: str) -> tuple[str, ...] | None:
    """The dictionary's phonemes of a lower-case word, or of the stem of an inflected one."""
    table = read_packed()
    said = table.get(word)
    if said is not None:
        return tuple(unpacked(said))
    if word.endswith("s'"):
        return look_up(word[:-1])
    for ending in ("'s", "s"):
        stem = table.get(word.removesuffix(ending)) if word.endswith(ending) else None
        if stem is not None and len(word) > len(ending) + 1:
            phonemes = unpacked(stem)
            return tuple(phonemes + _plural(phonemes[-1]))
    return None


def _plural(last: str) -> list[str]:
    if last in _SIBILANT:
        return ["IH0", "Z"]
    return ["S"] if last in _VOICELESS else ["Z"]


_LIGATURES = str.maketrans({"æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "ß": "ss", "ø": "o",
                            "Ø": "o", "ł": "l", "Ł": "l", "đ": "d", "ð": "th", "þ": "th",
                            "’": "'", "ı": "i"})  # fmt: skip


def _without_accents(word: str) -> str:
    apart = unicodedata.normalize("NFKD", word.translate(_LIGATURES))
    return "".join(c for c in apart if not unicodedata.combining(c))
