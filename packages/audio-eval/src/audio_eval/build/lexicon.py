"""Which words to delete, insert and put in place of others: learned from the manifest's own texts.

There is no tagger here. English: two words are taken to be of one kind when they share a hand-made
class (days, numbers, colours, ...) or the same ending, and a candidate is better the more often
the manifest shows it beside the same neighbours. Chinese has no spaces, so word boundaries come
first: known words of the classes, and runs of two to four characters that the manifest repeats and
that hold together better than chance.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from audio_eval.build.lexicon_data import EN_CLASSES, EN_OPENERS, ZH_CLASSES
from audio_eval.build.units import Language, SourceText, fold

START, END = "<s>", "</s>"
_ENDINGS = ("ing", "tion", "ness", "ment", "ity", "ies", "ed", "ly", "er", "est", "s", "al", "y")
_MIN_REPEATS = 3
_MIN_COHESION = 2.0


@dataclass
class Lexicon:
    """Counts over the texts of one language.

    Attributes:
        words: how often each folded word was seen (Chinese: each segmented word).
        pairs: how often one word followed another, with `<s>` and `</s>` at the ends.
        shown: the usual spelling of a folded word.
        proper: folded words seen only with a capital, and not only at the start of a text.
    """

    language: Language
    words: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    shown: dict[str, str] = field(default_factory=dict)
    proper: frozenset[str] = frozenset()
    _known: frozenset[str] = frozenset()
    _by_class: dict[str, list[str]] = field(default_factory=dict)
    _followers: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def learn(cls, texts: Iterable[SourceText], language: Language) -> Lexicon:
        """Count words and neighbours over `texts` of one language."""
        texts = list(texts)
        lexicon = cls(language)
        if language == "zh":
            lexicon._known = _chinese_words(texts)
        inside: dict[str, Counter[str]] = {}
        for text in texts:
            words = [text.phrase(a, b) for a, b in lexicon.segment(text)]
            keys = [START, *(fold(w) for w in words), END]
            lexicon.pairs.update(itertools.pairwise(keys))
            lexicon.words.update(keys[1:-1])
            for place, word in enumerate(words):
                if place or language == "zh":
                    inside.setdefault(fold(word), Counter())[word] += 1
        for key in lexicon.words:
            forms = inside.get(key)
            lexicon.shown[key] = max((n, form) for form, n in forms.items())[1] if forms else key
        capital = {key for key, forms in inside.items() if all(f[:1].isupper() for f in forms)}
        always = {w for name in ("day", "month") for w in EN_CLASSES[name]}
        lexicon.proper = frozenset(capital | always)
        for key in sorted(lexicon.words):
            lexicon._by_class.setdefault(lexicon.word_class(key), []).append(key)
        for first, second in sorted(lexicon.pairs):
            lexicon._followers.setdefault(first, []).append(second)
        return lexicon

    def segment(self, text: SourceText) -> list[tuple[int, int]]:
        """The words of a text as spans of units (English: one unit each)."""
        if self.language == "en":
            return [(i, i + 1) for i in range(len(text))]
        spans: list[tuple[int, int]] = []
        index = 0
        while index < len(text):
            size = 1
            for longer in range(min(4, len(text) - index), 1, -1):
                part = text.units[index : index + longer]
                if all(not u.trail for u in part[:-1]) and (
                    "".join(u.core for u in part) in self._known
                ):
                    size = longer
                    break
            spans.append((index, index + size))
            index += size
        return spans

    def word_class(self, word: str) -> str:
        """A name for the kind of a folded word; "" for one with nothing to go by."""
        classes = EN_CLASSES if self.language == "en" else ZH_CLASSES
        for name, members in classes.items():
            if word in members:
                return name
        if self.language == "zh":
            return f"zh{len(word)}"
        if word in EN_OPENERS:
            return f"={word}"
        if word.isdigit():
            return "digits"
        if len(word) <= 2:
            return "short"
        return next((f"-{e}" for e in _ENDINGS if word.endswith(e) and len(word) > len(e) + 2), "")

    def alternatives(self, word: str, before: str, after: str, rng: random.Random) -> list[str]:
        """Words that could stand where `word` stands, best first (ties in a random order).

        Args:
            word, before, after: folded; `before` and `after` are the neighbours or the end marks.
        """
        kind = self.word_class(word)
        if kind.startswith("=") or kind == "short":
            return []
        classes = EN_CLASSES if self.language == "en" else ZH_CLASSES
        pool = dict.fromkeys([*classes.get(kind, ()), *self._by_class.get(kind, ())])
        pool.pop(word, None)
        options = [w for w in pool if w not in {before, after}]
        if self.language == "en":
            options = [w for w in options if article_fits(before, w)]
        in_class = set(classes.get(kind, ()))
        scored = []
        for option in options:
            left, right = self.pairs[before, option], self.pairs[option, after]
            fit = left + right
            # The same ending alone is not enough ("morning" for "running"); no ending at all, or a
            # Chinese word of the same length, is even less of one.
            seen = (left and right) if self.language == "zh" or not kind else fit
            if option not in in_class and not seen:
                continue
            if (option in self.proper) != (word in self.proper):
                continue
            bonus = 1.0 if option in in_class else 0.0
            scored.append((-(bonus + math.log1p(fit)) + rng.random(), option))
        return [self.spell(option) for _, option in sorted(scored)]

    def spell(self, word: str) -> str:
        """The usual spelling inside a sentence of a folded word."""
        if word in self.shown:
            return self.shown[word]
        return word.capitalize() if word in self.proper or word == "i" else word

    def between(self, before: str, after: str, rng: random.Random) -> list[str]:
        """Words that the manifest shows after `before` and in front of `after`, best first."""
        scored = [
            (-math.log1p(self.pairs[before, word] * follow) + rng.random(), word)
            for word in self._followers.get(before, ())
            if word not in {before, after, END} and (follow := self.pairs[word, after])
        ]
        return [self.spell(word) for _, word in sorted(scored)]

    def joins(self, before: str, after: str) -> bool:
        """True when the manifest shows `after` right after `before`."""
        return self.pairs[before, after] > 0


def article_fits(before: str, word: str) -> bool:
    """ "a" wants a consonant, "an" a vowel (by spelling, which is right nearly always)."""
    if before not in {"a", "an"}:
        return True
    return (word[0] in "aeiou") == (before == "an")


def _chinese_words(texts: Sequence[SourceText]) -> frozenset[str]:
    """Known words, and repeated runs of characters that hold together better than chance."""
    known = {w for members in ZH_CLASSES.values() for w in members}
    grams: Counter[str] = Counter()
    total = 0
    for text in texts:
        cores = text.cores()
        total += len(cores)
        for size in range(1, 5):
            for start in range(len(cores) - size + 1):
                if all(not u.trail for u in text.units[start : start + size - 1]):
                    grams["".join(cores[start : start + size])] += 1
    for gram, count in grams.items():
        if len(gram) < 2 or count < _MIN_REPEATS:
            continue
        cohesion = min(
            math.log(count * total / (grams[gram[:cut]] * grams[gram[cut:]]))
            for cut in range(1, len(gram))
        )
        if cohesion > _MIN_COHESION:
            known.add(gram)
    return frozenset(known)
