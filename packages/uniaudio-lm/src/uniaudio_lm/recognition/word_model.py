"""Which words there are, and which follow which: a language model of words beside that of pieces.

A back-off bigram model with absolute discounting. Its file is `recognition.word_file`'s, what texts
earn by it `recognition.words`'s. Not in the paper.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np

START, END = "<s>", "</s>"
FLOOR = 10.0
"""Nats that a known word costs at most."""
_UNKNOWN, _LETTER = 10.0, 1.0  # what one that is not known costs, with each letter
_DISCOUNT = 0.75
_UNSEEN = 0.3  # how often a word that is only in the dictionary counts as seen


class WordModel:
    """Costs (-log probabilities, nats) of words after words.

    Args:
        words: in order, without `START` and `END`; lower case, letters and apostrophes.
        costs: (N,) of `words`.
        after: {word before: (cost of backing off, {word: cost})}; `START` and `END` may be in it.
        end: what the end of a text costs where nothing is known.
    """

    def __init__(
        self,
        words: Sequence[str],
        costs: np.ndarray,
        after: Mapping[str, tuple[float, Mapping[str, float]]],
        end: float = 3.0,
    ) -> None:
        self.words, self.costs, self.after, self.end = list(words), costs, after, end
        self._best = lru_cache(maxsize=65536)(self._search)

    def cost(self, before: str, word: str) -> float:
        """Of `word` (or `END`) after the word `before` (or `START`)."""
        backing, known = self.after.get(before, (0.0, {}))
        found = known.get(word)
        if found is None:
            alone = self.end if word == END else self._alone(word)
            if alone is None:
                return _UNKNOWN + _LETTER * len(word)
            found = backing + alone
        return min(found, FLOOR)

    def best(self, part: str) -> float:
        """Least cost of a word that begins with `part`."""
        return self._best(part)

    def _alone(self, word: str) -> float | None:
        at = bisect.bisect_left(self.words, word)
        known = at < len(self.words) and self.words[at] == word
        return float(self.costs[at]) if known else None

    def _search(self, part: str) -> float:
        first = bisect.bisect_left(self.words, part)
        last = bisect.bisect_left(self.words, part + "~")  # behind every letter
        if first == last:
            return _UNKNOWN + _LETTER * len(part)
        return min(float(self.costs[first:last].min()), FLOOR)

    @classmethod
    def counted(
        cls, texts: Iterable[Sequence[str]], dictionary: Iterable[str] = (), least: int = 1
    ) -> WordModel:
        """From texts, each a list of words. Words of `dictionary` are known without being seen;
        pairs seen less than `least` times are left out (absolute discounting)."""
        alone: Counter[str] = Counter()
        pairs: dict[str, Counter[str]] = {}
        for text in texts:
            for before, word in zip((START, *text), (*text, END), strict=True):
                alone[word] += 1
                pairs.setdefault(before, Counter())[word] += 1
        end = alone.pop(END, 0)
        # What was seen once is often misspelt.
        words = sorted({*dictionary, *(w for w, count in alone.items() if count > 1)})
        total = sum(alone.values()) + end + _UNSEEN * (len(words) + 1)
        costs = -np.log([(alone[w] + _UNSEEN) / total for w in words])
        of = dict(zip(words, costs.tolist(), strict=True))
        of[END] = float(-np.log((end + _UNSEEN) / total))
        after = {}
        for before, found in pairs.items():
            kept = {w: c for w, c in found.items() if c >= least and w in of}
            seen = sum(found.values())
            left = 1 - sum(c - _DISCOUNT for c in kept.values()) / seen
            known = {
                w: float(-np.log((c - _DISCOUNT) / seen + left * np.exp(-of[w])))
                for w, c in kept.items()
            }
            if known and (before in of or before == START):
                after[before] = (float(-np.log(left)), known)
        return cls(words, np.asarray(costs), after, of[END])
