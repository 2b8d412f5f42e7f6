"""The published benchmark's text rules, reproduced for ``--compat ming``.

The rules are kept with their oddities (evaluation.md names them): they exist to reproduce figures.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from audio_eval.text.align import Counts

#: The punctuation list of zhon 2.1.1 (``zhon.hanzi.punctuation``), by code point, in its order.
ZHON_PUNCTUATION = (
    "\uff02\uff03\uff04\uff05\uff06\uff07\uff08\uff09\uff0a\uff0b\uff0c\uff0d\uff0f"
    "\uff1a\uff1b\uff1c\uff1d\uff1e\uff20\uff3b\uff3c\uff3d\uff3e\uff3f\uff40"
    "\uff5b\uff5c\uff5d\uff5e\uff5f\uff60\uff62\uff63\uff64\u3000\u3001\u3003"
    "\u3008\u3009\u300a\u300b\u300c\u300d\u300e\u300f\u3010\u3011\u3014\u3015"
    "\u3016\u3017\u3018\u3019\u301a\u301b\u301c\u301d\u301e\u301f\u3030\u303e\u303f"
    "\u2013\u2014\u2018\u2019\u201b\u201c\u201d\u201e\u201f\u2026\u2027\ufe4f\ufe51\ufe54"
    "\u00b7\uff01\uff0e\uff1f\uff61\u3002"
)
_DELETED = dict.fromkeys(map(ord, ZHON_PUNCTUATION + string.punctuation.replace("'", "")))


def macro_tokens(text: str, language: str) -> list[str]:
    """Tokens of the utterance-wise error rate: punctuation deleted (the apostrophe stays), then
    characters (Chinese) or lower-cased words, split the way jiwer splits."""
    text = text.translate(_DELETED).replace("  ", " ")
    text = " ".join(text) if language.startswith("zh") else text.lower()
    # jiwer: runs of white space become one space, the ends are stripped, only spaces split.
    return [word for word in re.sub(r"\s\s+", " ", text).strip().split(" ") if word]


#: Characters that are dropped where a token would start with one (the full stop is not here).
_DROPPED = frozenset("!,?、。！，；？：「」︰『』《》|")
_SPACES = frozenset(" \t\r\n")


def micro_tokens(text: str) -> list[str]:
    """Tokens of the corpus-wise error rate, upper-cased.

    Letters without case (Chinese characters) are tokens by themselves. Anything else runs to the
    next space or non-ASCII character, whatever punctuation it holds; what starts with ``<`` ends
    after its ``>`` and falls out as a tag.
    """
    out = []
    i = 0
    while i < len(text):
        char = text[i]
        kind = unicodedata.category(char)
        if char in _DROPPED or char in _SPACES or kind in ("Zs", "Cn"):
            i += 1
            continue
        j = i + 1
        if kind != "Lo":
            end = ">" if char == "<" else " "
            while j < len(text) and text[j] < "\x80" and text[j] not in _SPACES | {end}:
                j += 1
            if j < len(text) and text[j] == ">":
                j += 1
        token = _without_tags(text[i:j].upper())
        if token:
            out.append(token)
        i = j
    return out


def _without_tags(token: str) -> str:
    # A "<" without its ">" swallows the rest.
    return re.sub(r"<[^>]*(?:>|$)", "", token)


def micro_counts(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[Counts, int]:
    """Errors and correct tokens of the published alignment.

    Of equal costs, deletion is preferred to insertion, and both to pairing two tokens.
    """
    rows, columns = len(reference) + 1, len(hypothesis) + 1
    previous = list(range(columns))
    steps = [["I"] * columns]
    for i in range(1, rows):
        current = [i]
        step = ["D"]
        for j in range(1, columns):
            same = reference[i - 1] == hypothesis[j - 1]
            best, kind = previous[j] + 1, "D"
            if current[j - 1] + 1 < best:
                best, kind = current[j - 1] + 1, "I"
            if previous[j - 1] + (not same) < best:
                best, kind = previous[j - 1] + (not same), "C" if same else "S"
            current.append(best)
            step.append(kind)
        previous = current
        steps.append(step)
    counts = dict.fromkeys("SDIC", 0)
    i, j = rows - 1, columns - 1
    while i or j:
        kind = steps[i][j]
        counts[kind] += 1
        i, j = i - (kind != "I"), j - (kind != "D")
    errors = Counts(counts["S"], counts["D"], counts["I"], len(reference))
    return errors, counts["C"]


@dataclass
class MicroTotal:
    """The corpus-wise error rate as the published script prints it."""

    utterances: int = 0
    wrong: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    correct: int = 0
    total: int = 0

    def add(self, reference: str, hypothesis: str) -> None:
        """Count one utterance (texts, not tokens)."""
        counts, correct = micro_counts(micro_tokens(reference), micro_tokens(hypothesis))
        self.utterances += 1
        self.wrong += counts.errors > 0
        self.substitutions += counts.substitutions
        self.deletions += counts.deletions
        self.insertions += counts.insertions
        self.correct += correct
        self.total += counts.reference

    @property
    def wer_percent(self) -> float:
        """100 (S + D + I) / N, 0 for no words."""
        errors = self.substitutions + self.deletions + self.insertions
        return 100.0 * errors / self.total if self.total else 0.0

    def line(self) -> str:
        """``WER = 21.86, SER = 76.00, All = 183, C = 152(83.06%), S = ..., D = ..., I = ...``"""
        sentence = 100.0 * self.wrong / self.utterances if self.utterances else 0.0

        def share(count: int) -> str:
            return f"{count}({100.0 * count / self.total if self.total else 0.0:.2f}%)"

        return (
            f"WER = {self.wer_percent:.2f}, SER = {sentence:.2f}, All = {self.total}, "
            f"C = {share(self.correct)}, S = {share(self.substitutions)}, "
            f"D = {share(self.deletions)}, I = {share(self.insertions)}"
        )
