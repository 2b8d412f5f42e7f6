"""Cutting a text of any length into pieces that can be said at once.

Sentences first, as a reader of English or Chinese sees them: no cut after "Dr." or in "3.5", and
closing quotes stay with their sentence. What is still too long is cut at clauses, then between
words, then anywhere but inside a character. Nothing but white space is lost.
"""

from __future__ import annotations

import re
import unicodedata

from uniaudio_lm.text.length import is_spoken, speech_seconds

_CLOSERS = "\"'”’」』）)]】》"
_SENTENCE = re.compile(
    rf"[。！？…]+[{re.escape(_CLOSERS)}]*|[.!?]+[{re.escape(_CLOSERS)}]*(?=\s|$|[\u3000-\u9fff])"
)
_CLAUSE = re.compile(
    rf"[,;:，；：、—–]+[{re.escape(_CLOSERS)}]*(?=\s|$|[\u3000-\u9fff])|[，；：、—]+"
)
_SPACE = re.compile(r"\s+")
_LINES = re.compile(r"\n\s*\n")
_WORD_BEFORE = re.compile(r"[\w.]{1,20}$")
# After these a full stop does not end a sentence. Single letters (initials) neither, but "I".
_ABBREVIATIONS = frozenset({
    "mr", "mrs", "ms", "dr", "prof", "rev", "gen", "col", "capt", "lt", "sgt", "sen", "rep", "gov",
    "st", "mt", "ft", "jr", "sr", "vs", "e.g", "i.e", "eg", "ie", "cf", "no", "nos", "vol", "fig",
    "figs", "eq", "approx", "dept", "est", "inc", "ltd", "corp", "co", "jan", "feb", "mar", "apr",
    "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "mon", "tue", "wed", "thu", "fri",
    "sat", "sun", "pp", "ed", "eds", "al", "u.s", "u.k", "a.m", "p.m", "ave", "blvd", "rd",
})  # fmt: skip
# These may end one as well: they do where a capital follows.
_MAY_END = frozenset({
    "a.m", "p.m", "u.s", "u.k", "inc", "ltd", "co", "corp", "jr", "sr", "al", "st", "ave", "blvd",
    "rd", "no", "sat", "sun", "ed", "est",
})  # fmt: skip


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, white space around them gone."""
    sentences = []
    for block in _LINES.split(text):
        start = 0
        for end in _SENTENCE.finditer(block):
            if _ends_here(block, start, end):
                sentences.append(block[start : end.end()])
                start = end.end()
        sentences.append(block[start:])
    return [s for s in (_SPACE.sub(" ", s).strip() for s in sentences) if s]


def _ends_here(block: str, start: int, end: re.Match[str]) -> bool:
    after = block[end.end() : end.end() + 8].lstrip()
    if end[0][0] in ".!?" and after and after[0].islower():
        return False  # '"Is it?" he asked', "wait... what"
    if end[0][0] != "." or end[0].startswith(".."):
        return True
    before = _WORD_BEFORE.search(block, max(start, end.start() - 20), end.start())
    word = before[0].lower().lstrip(".") if before else ""
    if end[0] != ".":  # a closing quote follows: the stop is the sentence's
        return True
    if word in _ABBREVIATIONS:
        return word in _MAY_END and (not after or after[0].isupper())
    if len(word) == 1 and word.isalpha() and word != "i":
        return not after
    return True


def split_text(text: str, seconds: float = 12.0, characters: int = 600) -> list[str]:
    """Cut a text into pieces of at most about `seconds` of speech and at most `characters`.

    Short sentences are joined while they fit; sentences that do not are cut at clauses, then
    between words, then inside them. Pieces without anything to say are left out.
    """
    return join_pieces(split_sentences(text), seconds, characters)


def join_pieces(sentences: list[str], seconds: float = 12.0, characters: int = 600) -> list[str]:
    """See `split_text`; of sentences that are known already."""
    pieces: list[str] = []

    def fits(part: str) -> bool:
        return len(part) <= characters and speech_seconds(part) <= seconds

    def append(part: str, new: bool = False) -> None:
        joined = _glue(pieces[-1], part) if pieces and not new else part
        if pieces and not new and fits(joined):
            pieces[-1] = joined
        else:
            pieces.append(part)

    for sentence in sentences:
        if fits(sentence):
            append(sentence)
            continue
        # The parts of one sentence go together, not with what was before.
        new = True
        for clause in _cut(sentence, _CLAUSE):
            for part in [clause] if fits(clause) else _words_of(clause, fits):
                append(part, new)
                new = False
    return [piece for piece in pieces if is_spoken(piece)]


def _glue(left: str, right: str) -> str:
    wide = unicodedata.east_asian_width(left[-1]) in "WF"
    return left + right if wide else f"{left} {right}"


def _cut(text: str, pattern: re.Pattern[str]) -> list[str]:
    """The text cut after each match."""
    parts, start = [], 0
    for found in pattern.finditer(text):
        parts.append(text[start : found.end()])
        start = found.end()
    return [p for p in (part.strip() for part in [*parts, text[start:]]) if p]


def _words_of(clause: str, fits) -> list[str]:
    """Words, and of a word that is too long by itself pieces."""
    parts = []
    for word in clause.split():
        rest = word
        while rest and not fits(rest):
            size = _longest(rest, fits)
            parts.append(rest[:size])
            rest = rest[size:]
        if rest:
            parts.append(rest)
    return parts


def _longest(word: str, fits) -> int:
    """The most characters of a word that fit, at least one; marks stay with their letter."""
    low, high = 1, min(len(word), 1000)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(word[:middle]) else (low, middle - 1)
    for size in range(low, max(0, low - 8), -1):
        if size == len(word) or not unicodedata.combining(word[size]):
            return size
    return low
