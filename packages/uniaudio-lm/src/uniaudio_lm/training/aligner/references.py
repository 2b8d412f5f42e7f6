"""Known phoneme times of a manifest, as frame labels and word times.

Manifests may hold `phonemes` (IPA in the convention of misaki; a space between words, stress marks
and punctuation as symbols of their own, "_" at either end) with `durations` in seconds.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uniaudio_lm.parts.aligners.units import INDEX
from uniaudio_lm.text.words import is_single, split_words

IGNORED = -100

_SYMBOLS = {
    "æ": "AE", "ʌ": "AH", "ə": "AH", "ᵊ": "AH", "ɐ": "AH", "ɤ": "AH", "ɑ": "AA", "ɒ": "AA",
    "a": "AA", "ɔ": "AO", "o": "AO", "ɛ": "EH", "e": "EH", "ɜ": "ER", "ɚ": "ER", "ɪ": "IH",
    "ᵻ": "IH", "ɨ": "IH", "i": "IY", "y": "IY", "ʊ": "UH", "u": "UW", "A": "EY", "I": "AY",
    "O": "OW", "Q": "OW", "W": "AW", "Y": "OY", "b": "B", "d": "D", "f": "F", "ɡ": "G", "g": "G",
    "h": "HH", "x": "HH", "j": "Y", "ɥ": "Y", "k": "K", "l": "L", "m": "M", "n": "N", "ŋ": "NG",
    "p": "P", "ɹ": "R", "ɻ": "R", "r": "R", "s": "S", "ʦ": "S", "ɕ": "SH", "ʂ": "SH", "ʃ": "SH",
    "t": "T", "T": "T", "ɾ": "T", "v": "V", "w": "W", "z": "Z", "ʣ": "Z", "ʒ": "ZH", "ð": "DH",
    "θ": "TH", "ʤ": "JH", "ʧ": "CH", "ʨ": "JH", "ꭧ": "JH",
}  # fmt: skip
_BREATHED = {"ꭧ": "CH", "ʨ": "CH"}  # before ʰ
_PLAIN = {"p": "B", "t": "D", "k": "G"}  # of Chinese, without ʰ
_BEFORE, _AFTER = "ˈˌ", "ːʰ→↗↘↓"
_SILENT = set(" _—-…")


@dataclass(frozen=True)
class Timed:
    """A symbol of the aligner (0 is silence) from `start` to `end` in seconds; `word` is the
    number of the group between spaces that it is in, -1 outside."""

    symbol: int
    start: float
    end: float
    word: int


def read_timed(
    phonemes: Sequence[str], durations: Sequence[float], language: str = "en"
) -> list[Timed]:
    """A manifest's phonemes with their times; marks share the time of what they belong to.

    Raises:
        ValueError: the columns are not of one length, or a symbol is unknown.
    """
    if len(phonemes) != len(durations):
        raise ValueError(f"{len(phonemes)} phonemes and {len(durations)} durations")
    chinese = language.startswith("zh")
    out: list[Timed] = []
    at, begun, word, inside = 0.0, None, 0, False
    for i, (phoneme, seconds) in enumerate(zip(phonemes, durations, strict=True)):
        start, at = at, at + float(seconds)
        if phoneme in _BEFORE:
            begun = start if begun is None else begun
            continue
        if phoneme in _AFTER:
            if out and out[-1].symbol:
                last = out.pop()
                out.append(Timed(last.symbol, last.start, at, last.word))
            continue
        if phoneme in _SILENT or unicodedata.category(phoneme)[0] == "P":
            if inside and phoneme in _SILENT:
                word, inside = word + 1, False
            out.append(Timed(0, start, at, -1))
            begun = None
            continue
        start = start if begun is None else begun
        begun = None
        name = _name(phonemes, i, chinese)
        if name == "R" and out and _colours(phonemes, i, chinese):
            last = out.pop()
            out.append(Timed(INDEX["ER"], last.start, at, last.word))
            continue
        inside = True
        out.append(Timed(INDEX[name], start, at, word))
    return out


def _name(phonemes: Sequence[str], i: int, chinese: bool) -> str:
    phoneme = phonemes[i]
    following = phonemes[i + 1] if i + 1 < len(phonemes) else ""
    breathed = following == "ʰ"
    if breathed and phoneme in _BREATHED:
        return _BREATHED[phoneme]
    if chinese and not breathed and phoneme in _PLAIN:
        return _PLAIN[phoneme]
    if phoneme not in _SYMBOLS:
        raise ValueError(f"the phoneme {phoneme!r} is unknown")
    return _SYMBOLS[phoneme]


def _colours(phonemes: Sequence[str], i: int, chinese: bool) -> bool:
    """Whether the r at `i` is one sound with the vowel before it, as the dictionary writes it."""
    before = phonemes[i - 1]
    following = phonemes[i + 1] if i + 1 < len(phonemes) else ""
    return not chinese and i > 0 and before in ("ɜ", "ə") and following not in ("ˈ", "ˌ")


def frame_labels(timed: Sequence[Timed], frames: int, frame_rate: float) -> np.ndarray:
    """(frames,) int64: the symbol at the middle of each frame, `IGNORED` after the last one."""
    out = np.full(frames, IGNORED, dtype=np.int64)
    if not timed:
        return out
    middle = (np.arange(frames) + 0.5) / frame_rate
    ends = np.array([t.end for t in timed])
    place = np.searchsorted(ends, middle, side="right")
    known = place < len(timed)
    symbols = np.array([t.symbol for t in timed], dtype=np.int64)
    out[known] = symbols[place[known]]
    return out


def word_times(
    timed: Sequence[Timed], text: str, language: str = "en"
) -> list[tuple[str, float, float]] | None:
    """The words of `text` with start and end, or None where the phonemes are in other groups
    (numbers said in several words, hyphens, Chinese)."""
    words = split_words(text)
    count = max((t.word for t in timed), default=-1) + 1
    if not words or count != len(words) or any(is_single(w) for w in words):
        return None
    spans: list[list[Timed]] = [[] for _ in words]
    for t in timed:
        if t.word >= 0:
            spans[t.word].append(t)
    return [(w, span[0].start, span[-1].end) for w, span in zip(words, spans, strict=True)]
