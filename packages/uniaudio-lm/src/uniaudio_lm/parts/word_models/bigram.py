"""The built-in word model: a back-off bigram model with absolute discounting (not in the paper).

Its file is `words.json.xz` of a model folder: one JSON object, compressed with xz, with the lists

    words       in order, lower case, without `START` and `END`
    costs       of each word alone (unigram), in steps of 0.125 nats, as all costs
    backoff     of START, END and each word: cost of backing off from it
    successors  of START, END and each word: how many follow it
    next, pair  of all successors, one word after the other: differences of their positions in
                [START, END, *words], and their costs

and the numbers `end` (cost of the end of a text) and `unseen`, in nats. Words of the shipped
pronunciation table that the lists leave out cost `unseen`.
"""

from __future__ import annotations

import bisect
import json
import lzma
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from mingtok_audio.core.errors import FormatError
from mingtok_audio.core.files import atomic_write_bytes
from uniaudio_lm.interfaces import WordModel
from uniaudio_lm.parts.phonemizers.table import read_packed

START, END = WordModel.START, WordModel.END
FLOOR = WordModel.FLOOR
FILE, FORMAT, FORMAT_VERSION = "words.json.xz", "uniaudio-words", 2
STEP = 0.125
MAX_BYTES = 64 << 20
_CACHED = 65536  # beginnings of words whose cheapest continuation is kept
_UNKNOWN, _LETTER = 10.0, 1.0  # what one that is not known costs, with each letter
_DISCOUNT = 0.75
_UNSEEN = 0.3  # how often a word that is only in the dictionary counts as seen


class BigramModel(WordModel):
    """Costs (-log probabilities, nats) of words after words.

    Args:
        words: in order, without `START` and `END`; lower case, letters and apostrophes.
        costs: (N,) of `words`.
        after: {word before: (cost of backing off, {word: cost})}; `START` and `END` may be in it.
        end: what the end of a text costs where nothing is known.
    """

    def __init__(
        self,
        words: Sequence[str] = (),
        costs: np.ndarray | None = None,
        after: Mapping[str, tuple[float, Mapping[str, float]]] | None = None,
        end: float = 3.0,
    ) -> None:
        self.words, self.end = list(words), end
        self.costs = np.zeros(len(self.words)) if costs is None else costs
        self.after = {} if after is None else after
        self._cheapest: dict[str, float] = {}

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
        cost = self._cheapest.get(part)
        if cost is None:
            if len(self._cheapest) >= _CACHED:
                self._cheapest = {}
            cost = self._cheapest[part] = self._search(part)
        return cost

    def _alone(self, word: str) -> float | None:
        at = bisect.bisect_left(self.words, word)
        known = at < len(self.words) and self.words[at] == word
        return float(self.costs[at]) if known else None

    def _search(self, part: str) -> float:
        first = bisect.bisect_left(self.words, part)
        last = bisect.bisect_left(self.words, part + "~")  # after every letter
        if first == last:
            return _UNKNOWN + _LETTER * len(part)
        return min(float(self.costs[first:last].min()), FLOOR)

    @classmethod
    def counted(
        cls, texts: Iterable[Sequence[str]], dictionary: Iterable[str] = (), least: int = 1
    ) -> BigramModel:
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

    # --- its file --------------------------------------------------------------------------------

    files = (FILE,)

    def load(self, folder: Path) -> None:
        """Read `words.json.xz` of a model folder.

        Raises:
            FormatError: no such file, or a damaged one.
        """
        path = folder / FILE
        try:
            with lzma.open(path) as stream:
                data = json.loads(stream.read(MAX_BYTES))
            if data["format"] != FORMAT or data["format_version"] != FORMAT_VERSION:
                raise FormatError(f"{path} is not a file of words that this release reads")
            self._take(data, read_packed())
        except (
            OSError,
            lzma.LZMAError,
            EOFError,
            ValueError,
            KeyError,
            IndexError,
            TypeError,
            RecursionError,
        ) as error:
            raise FormatError(f"{path} cannot be read: {error}") from error

    def _take(self, data: Mapping[str, Any], dictionary: Iterable[str]) -> None:
        words = [str(word) for word in data["words"]]
        names = [START, END, *words]
        after, at = {}, 0
        for name, back, count in zip(names, data["backoff"], data["successors"], strict=True):
            if count:
                places = accumulate(data["next"][at : at + count])
                pairs = zip(places, data["pair"][at : at + count], strict=True)
                after[name] = (STEP * back, {names[i]: STEP * cost for i, cost in pairs})
                at += count
        if at != len(data["next"]) or at != len(data["pair"]):
            raise ValueError("its lists have other lengths")
        of = dict.fromkeys(dictionary, float(data["unseen"]))
        of |= zip(words, (STEP * cost for cost in data["costs"]), strict=True)
        self.words, self.after, self.end = sorted(of), after, float(data["end"])
        self.costs = np.asarray([of[word] for word in self.words], dtype=float)
        self._cheapest = {}

    def save(self, folder: Path) -> Path:
        """Write `words.json.xz` into a folder; words of the shipped pronunciation table that cost
        the most are left out, and come from there when it is read."""
        most = float(self.costs.max(initial=0.0))
        given = set(read_packed())
        follows = {w for _, known in self.after.values() for w in known} | set(self.after)
        kept = {
            w: float(c) for w, c in zip(self.words, self.costs, strict=True)
            if w in follows or w not in given or c < most
        }  # fmt: skip
        names = [START, END, *kept]
        place = {w: i for i, w in enumerate(names)}
        backoff, successors, following, pair = [], [], [], []
        for word in names:
            back, known = self.after.get(word, (0.0, {}))
            found = sorted((place[w], cost) for w, cost in known.items())
            successors.append(len(found))
            backoff.append(_steps(back))
            places = [i for i, _ in found]
            following += [b - a for a, b in zip([0, *places], places, strict=False)]
            pair += [_steps(cost) for _, cost in found]
        data = {
            "format": FORMAT, "format_version": FORMAT_VERSION, "end": self.end,
            "unseen": most, "words": list(kept), "costs": [_steps(c) for c in kept.values()],
            "backoff": backoff, "successors": successors, "next": following, "pair": pair,
        }  # fmt: skip
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
        path = folder / FILE
        atomic_write_bytes(path, lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))
        return path


def _steps(cost: float) -> int:
    return round(cost / STEP)
