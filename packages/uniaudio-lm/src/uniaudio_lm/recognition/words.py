"""What texts earn for their words.

A small language model that writes in pieces of words writes words that there are not. Texts earn
what a bigram model says of their words, and a word's part so far what its likeliest word would earn
(shallow fusion with look-ahead; Gulcehre et al., "On using monolingual corpora in neural machine
translation", 2015; Ney and Ortmanns, "Progress in dynamic programming search for LVCSR", 2000). Not
in the paper.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable
from dataclasses import dataclass

from uniaudio_lm.recognition.word_model import END, FLOOR, START, WordModel
from uniaudio_lm.text.length import is_cjk


@dataclass(frozen=True)
class WordPlace:
    """Where a text stands: the word before, and what there is of the next one."""

    before: str = START
    part: str = ""


BEGINNING = WordPlace()


class KnownWords:
    """What texts earn for their words.

    Args:
        weight: of a cost, nats for nats.
        bonus: that every word earns: without it few and long words win.
        expected: hotwords, which are words whatever the model knows.
    """

    def __init__(
        self, model: WordModel, weight: float, bonus: float, expected: Iterable[str] = ()
    ) -> None:
        self.model, self.weight, self.bonus = model, weight, bonus
        self._expected = sorted({w for text in expected for w in words_of(text)})

    def follow(self, place: WordPlace, piece: str) -> tuple[WordPlace, float]:
        """One more piece of text: where the text stands then, and what its finished words earn."""
        before, part, earned = place.before, place.part, 0.0
        for character in piece.lower().replace("’", "'"):
            alone = is_cjk(character)
            if part and alone:
                earned += self._earned(before, part)
                before, part = part, ""
            if character.isalnum() or (character == "'" and part):
                part += character
            elif character == "\t":  # the language's name ends here
                before, part, earned = START, "", 0.0
            elif part:
                earned += self._earned(before, part)
                before, part = part, ""
        return WordPlace(before, part), earned

    def promised(self, place: WordPlace) -> float:
        """What the word that is being written can still earn."""
        part = place.part
        if not part:
            return 0.0
        cost = self.model.best(part)
        return -self.weight * (FLOOR if cost > FLOOR and self._may_be(part) else cost)

    def ended(self, place: WordPlace) -> float:
        """What a text earns that ends here."""
        last = self._earned(place.before, place.part) if place.part else 0.0
        before = place.part or place.before
        return last - self.weight * self.model.cost(before, END)

    def _earned(self, before: str, part: str) -> float:
        word = part.rstrip("'")
        at = bisect.bisect_left(self._expected, word)
        is_expected = at < len(self._expected) and self._expected[at] == word
        most = FLOOR if is_expected or word.isdecimal() else math.inf
        return self.bonus - self.weight * min(most, self.model.cost(before, word))

    def _may_be(self, part: str) -> bool:
        at = bisect.bisect_left(self._expected, part)
        return part.isdecimal() or (
            at < len(self._expected) and self._expected[at].startswith(part)
        )


def words_of(text: str) -> list[str]:
    """The words of a text as this model writes them."""
    kept = "".join(c if c.isalnum() or c == "'" else " " for c in text.lower().replace("’", "'"))
    return [word.strip("'") for word in kept.split() if word.strip("'")]
