"""Word-level shallow fusion with look-ahead.

A small language model of pieces of words spells words that do not exist. A hypothesis adds the
log-probability that a word model gives its words, and for an unfinished word that of the best
completion (Gulcehre et al., "On using monolingual corpora in neural machine
translation", 2015; Ney and Ortmanns, "Progress in dynamic programming search for LVCSR", 2000). Not
in the paper.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from uniaudio_lm.config import PartConfig
from uniaudio_lm.interfaces import WordModel
from uniaudio_lm.plugins import get_host
from uniaudio_lm.text.length import is_cjk


@dataclass(frozen=True)
class WordPlace:
    """Where a text stands: the word before, and what there is of the next one."""

    before: str = WordModel.START
    part: str = ""


BEGINNING = WordPlace()
_FLOOR = WordModel.FLOOR


class KnownWords:
    """Word-level shallow fusion with look-ahead.

    Args:
        weight: of a cost, nats for nats.
        bonus: added for every word; without it few and long words win.
        expected: hotwords, which are words whatever the model knows.
    """

    def __init__(
        self, model: WordModel, weight: float, bonus: float, expected: Iterable[str] = ()
    ) -> None:
        self.model, self.weight, self.bonus = model, weight, bonus
        self._expected = sorted({w for text in expected for w in words_of(text)})

    def follow(self, place: WordPlace, piece: str) -> tuple[WordPlace, float]:
        """One more piece of text: the new state, and the score of the words that it finished."""
        before, part, earned = place.before, place.part, 0.0
        for character in piece.lower().replace("’", "'"):
            alone = is_cjk(character)
            if part and alone:
                earned += self._earned(before, part)
                before, part = part, ""
            if character.isalnum() or (character == "'" and part):
                part += character
            elif character == "\t":  # the language's name ends here
                before, part, earned = WordModel.START, "", 0.0
            elif part:
                earned += self._earned(before, part)
                before, part = part, ""
        return WordPlace(before, part), earned

    def promised(self, place: WordPlace) -> float:
        """The highest score that the unfinished word can still get."""
        part = place.part
        if not part:
            return 0.0
        cost = self.model.best(part)
        return -self.weight * (_FLOOR if cost > _FLOOR and self._may_be(part) else cost)

    def ended(self, place: WordPlace) -> float:
        """The score of the last word of a text that ends here."""
        last = self._earned(place.before, place.part) if place.part else 0.0
        before = place.part or place.before
        return last - self.weight * self.model.cost(before, WordModel.END)

    def _earned(self, before: str, part: str) -> float:
        word = part.rstrip("'")
        at = bisect.bisect_left(self._expected, word)
        is_expected = at < len(self._expected) and self._expected[at] == word
        most = _FLOOR if is_expected or word.isdecimal() else math.inf
        return self.bonus - self.weight * min(most, self.model.cost(before, word))

    def _may_be(self, part: str) -> bool:
        at = bisect.bisect_left(self._expected, part)
        return part.isdecimal() or (
            at < len(self._expected) and self._expected[at].startswith(part)
        )


def load_word_model(part: PartConfig, folder: Path) -> WordModel:
    """A word model by its plugin's name, with its files of a model folder.

    Raises:
        PluginError: no such plugin.
        FormatError: its files are missing or damaged.
    """
    made = cast(WordModel, get_host().create("word_model", part.name, **part.options))
    made.load(folder)
    return made


def words_of(text: str) -> list[str]:
    """The words of a text as this model writes them."""
    kept = "".join(c if c.isalnum() or c == "'" else " " for c in text.lower().replace("’", "'"))
    return [word.strip("'") for word in kept.split() if word.strip("'")]
