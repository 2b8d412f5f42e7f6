"""The aligner's units: 39 English phonemes without stress, and how any word is written in them.

Chinese syllables are written in the nearest of them, other scripts as wildcards. One inventory for
all languages keeps the network small and lets a mixed text align.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mingtok_audio.core.errors import UserError
from uniaudio_lm.parts.phonemizers.english import EnglishPhonemizer
from uniaudio_lm.text.words import is_single, split_words

if TYPE_CHECKING:
    from uniaudio_lm.interfaces import TextNormalizer

_NAMES = (
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V "
    "W Y Z ZH"
)
PHONES: tuple[str, ...] = tuple(_NAMES.split())
INDEX = {phone: i + 1 for i, phone in enumerate(PHONES)}  # 0 is the blank
WILDCARD = len(PHONES) + 1
"""Any phone; the network has no output for it."""

_INITIALS = {
    "b": "B", "p": "P", "m": "M", "f": "F", "d": "D", "t": "T", "n": "N", "l": "L", "g": "G",
    "k": "K", "h": "HH", "j": "JH", "q": "CH", "x": "SH", "zh": "JH", "ch": "CH", "sh": "SH",
    "r": "R", "z": "Z", "c": "S", "s": "S",
}  # fmt: skip
_FINALS = {
    "a": "AA", "o": "AO", "e": "AH", "i": "IY", "u": "UW", "v": "IY", "ai": "AA IY", "ei": "EH IY",
    "ao": "AA UW", "ou": "AO UW", "an": "AA N", "en": "AH N", "ang": "AA NG", "eng": "AH NG",
    "ong": "UH NG", "er": "ER", "ia": "Y AA", "ie": "Y EH", "iao": "Y AA UW", "iou": "Y AO UW",
    "ian": "Y EH N", "in": "IY N", "iang": "Y AA NG", "ing": "IY NG", "iong": "Y UH NG",
    "ua": "W AA", "uo": "W AO", "uai": "W AA IY", "uei": "W EH IY", "uan": "W AA N",
    "uen": "W AH N", "uang": "W AA NG", "ueng": "W AH NG", "ve": "Y EH", "van": "Y EH N",
    "vn": "IY N", "ê": "EH",
}  # fmt: skip
_BUZZED = {"zh", "ch", "sh", "r", "z", "c", "s"}  # before them, i is a buzz
_CHINESE_DIGITS = dict(zip("0123456789", "零一二三四五六七八九", strict=True))


@dataclass(frozen=True)
class SpokenWord:
    """A word as it is written, and its symbols."""

    text: str
    symbols: tuple[int, ...]


class Speller:
    """Texts to words with symbols.

    Args:
        normalizer: says numbers and signs in full, a word at a time, so that they can be mapped
            back; without one they are said digit by digit.
    """

    def __init__(self, normalizer: TextNormalizer | None = None) -> None:
        self._normalizer = normalizer
        self._english = EnglishPhonemizer(stress=False)
        self._mandarin: Any = None
        self._has_mandarin = True

    def words(self, text: str, language: str = "en") -> list[SpokenWord]:
        """The words of a text in order. Each has at least one symbol."""
        written = split_words(text)
        chinese = self._chinese("".join(w if is_single(w) else " " for w in written))
        out: list[SpokenWord] = []
        at = 0
        for word in written:
            if is_single(word):
                symbols = chinese[at]
                at += 1
            else:
                before = out[-1].text if out and not is_single(out[-1].text) else ""
                symbols = self._word(word, before, language)
            out.append(SpokenWord(word, symbols or (WILDCARD,)))
        return out

    def _word(self, word: str, before: str, language: str) -> tuple[int, ...]:
        spoken = word
        unit = any(c.isdigit() for c in before)  # as in "5 kg"
        if unit or any(not c.isalpha() and c not in "'’-." for c in word):
            spoken = self._in_full(word, before, language)
        symbols: list[int] = []
        for part in split_words(spoken):
            if is_single(part):
                symbols += self._chinese(part)[0]
            else:
                symbols += [INDEX[p] for p in self._english.phonemize(part, "en")[0]]
        if not symbols:  # letters of another script: one wildcard each
            symbols = [WILDCARD] * min(12, sum(c.isalpha() for c in word))
        return tuple(symbols)

    def _in_full(self, word: str, before: str, language: str) -> str:
        if self._normalizer is not None:
            # With the word before it a number may be a year, a date, or have a unit.
            lead = self._normalizer.normalize(before, language) + " " if before else ""
            spoken = self._normalizer.normalize(f"{before} {word}".strip(), language)
            if not spoken.startswith(lead):
                lead, spoken = "", self._normalizer.normalize(word, language)
            spoken = spoken[len(lead) :]
            if split_words(spoken):
                return spoken
        if language.startswith("zh"):
            return "".join(_CHINESE_DIGITS.get(c, c) for c in word)
        return word

    def _chinese(self, characters: str) -> list[tuple[int, ...]]:
        """Of each character; spaces separate what is read together."""
        singles = [c for c in characters if c != " "]
        if not singles:
            return []
        if self._mandarin is None and self._has_mandarin:
            from uniaudio_lm.parts.phonemizers.mandarin import MandarinPhonemizer

            try:
                self._mandarin = MandarinPhonemizer(tones=False)
            except UserError:
                self._has_mandarin = False
        if self._mandarin is None:
            return [(WILDCARD, WILDCARD)] * len(singles)
        read = [p for part in characters.split() for p in self._mandarin.phonemize(part, "zh")]
        return [_syllable(syllable) for syllable in read]


def _syllable(parts: Sequence[str]) -> tuple[int, ...]:
    """Initial and final of pinyin, without tones."""
    if not parts:
        return ()
    initial = parts[0] if len(parts) > 1 else ""
    final = parts[-1]
    if final == "i" and initial in _BUZZED:
        names = f"{_INITIALS[initial]} IH"
    else:
        names = f"{_INITIALS.get(initial, '')} {_FINALS.get(final, '')}"
    return tuple(INDEX[name] for name in names.split())
