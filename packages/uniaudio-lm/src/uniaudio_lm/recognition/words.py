"""Which words there are, and which follow which: a language model of words beside that of pieces.

A small language model that writes in pieces of words writes words that there are not. Texts earn
what a back-off bigram model says of their words, and a word's part so far what its likeliest word
would earn (shallow fusion with look-ahead; Gulcehre et al., "On using monolingual corpora in neural
machine translation", 2015; Ney and Ortmanns, "Progress in dynamic programming search for LVCSR",
2000). Not in the paper.

The file `words.xz` of a model folder (LZMA): a line of JSON, then words in order, front-coded, then
bytes: what each word costs, what backing off from it costs, and its known successors.
"""

from __future__ import annotations

import bisect
import json
import lzma
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from mingtok_audio.core.errors import FormatError
from mingtok_audio.core.files import atomic_write_bytes
from uniaudio_lm.text.front_coding import front_coded, front_decoded
from uniaudio_lm.text.length import is_cjk

WORDS_NAME = "words.xz"
FORMAT = "uniaudio-words"
START, END = "<s>", "</s>"
STEP = 0.125
"""Costs are bytes, in units of so many nats."""
MAX_BYTES = 64 << 20
_FLOOR = 10.0  # nats that a known word costs at most
_UNKNOWN, _LETTER = 10.0, 1.0  # and one that is not known, with each letter
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
        return min(found, _FLOOR)

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
        return min(float(self.costs[first:last].min()), _FLOOR)

    # --- files -----------------------------------------------------------------------------------

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

    def save(self, path: Path, dictionary: Iterable[str] = ()) -> None:
        """Write the file; words of `dictionary` that cost the most are left out, and come from
        there when it is read."""
        most = float(self.costs.max(initial=0.0))
        given = set(dictionary)
        follows = {w for _, known in self.after.values() for w in known} | set(self.after)
        kept = [
            (w, float(c)) for w, c in zip(self.words, self.costs, strict=True)
            if w in follows or w not in given or c < most
        ]  # fmt: skip
        place = {w: i + 2 for i, (w, _) in enumerate(kept)} | {START: 0, END: 1}
        if len(place) > 65535:
            raise ValueError("a file holds at most 65,533 words")
        counts, backing, following, pair_costs = [], [], [], []
        for word in (START, END, *(w for w, _ in kept)):
            back, known = self.after.get(word, (0.0, {}))
            found = sorted((place[w], cost) for w, cost in known.items())
            counts.append(len(found))
            backing.append(back)
            following += np.diff([0, *(i for i, _ in found)]).tolist()
            pair_costs += [cost for _, cost in found]
        head = {
            "format": FORMAT, "format_version": 1, "words": len(kept), "pairs": len(following),
            "end": self.end, "unseen": most,
        }  # fmt: skip
        parts = [
            json.dumps(head).encode(),
            "\n".join(front_coded([w for w, _ in kept])).encode("ascii"),
            _bytes([c for _, c in kept]), _bytes(backing),
            *_planes(counts), *_planes(following), _bytes(pair_costs),
        ]  # fmt: skip
        data = parts[0] + b"\n" + parts[1] + b"\0" + b"".join(parts[2:])
        atomic_write_bytes(path, lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))

    @classmethod
    def load(cls, path: Path, dictionary: Iterable[str] = ()) -> WordModel:
        """Read a file that was written with the same dictionary.

        Raises:
            FormatError: no such file, or a damaged one.
        """
        try:
            with lzma.open(path) as stream:
                data = stream.read(MAX_BYTES)
            first, _, rest = data.partition(b"\n")
            head = json.loads(first)
            if head.get("format") != FORMAT or head.get("format_version") != 1:
                raise FormatError(f"{path} is no file of words that this release reads")
            coded, _, numbers = rest.partition(b"\0")
            count, pairs = int(head["words"]), int(head["pairs"])
            sizes = [count, count + 2, 2 * (count + 2), 2 * pairs, pairs]
            if sum(sizes) != len(numbers):
                raise ValueError("its parts have other lengths")
            own, backing, counts, following, costs = np.split(
                np.frombuffer(numbers, dtype=np.uint8), np.cumsum(sizes)[:-1]
            )
            words = front_decoded(coded.decode("ascii").split("\n")) if coded else []
            if len(words) != count:
                raise ValueError("words are missing")
            names = [START, END, *words]
            after, at = {}, 0
            steps = _joined(following)
            for name, back, number in zip(names, backing, _joined(counts), strict=True):
                if number:
                    chosen = np.cumsum(steps[at : at + number])
                    found = STEP * costs[at : at + number].astype(float)
                    known = {names[i]: float(c) for i, c in zip(chosen, found, strict=True)}
                    after[name] = (STEP * float(back), known)
                    at += int(number)
            of = dict.fromkeys(dictionary, float(head["unseen"]))
            of |= zip(words, (STEP * own.astype(float)).tolist(), strict=True)
            everything = sorted(of)
            return cls(everything, np.asarray([of[w] for w in everything]), after, head["end"])
        except (OSError, lzma.LZMAError, EOFError, ValueError, KeyError, IndexError) as error:
            raise FormatError(f"{path} cannot be read: {error}") from error


def _bytes(costs: Sequence[float]) -> bytes:
    return np.clip(np.round(np.asarray(costs, dtype=float) / STEP), 0, 255).astype("u1").tobytes()


def _planes(numbers: Sequence[int]) -> tuple[bytes, bytes]:
    """Low bytes and high bytes apart: each compresses better alone."""
    found = np.asarray(numbers, dtype=np.uint16)
    return (found & 255).astype("u1").tobytes(), (found >> 8).astype("u1").tobytes()


def _joined(planes: np.ndarray) -> np.ndarray:
    low, high = np.split(planes.astype(np.int64), 2)
    return low + 256 * high


def find_words(folder: Path) -> WordModel | None:
    """The words of a model folder; None where it has none. Those of the pronunciation table that
    ships are known beside them."""
    path = folder / WORDS_NAME
    if not path.is_file():
        return None
    from uniaudio_lm.phonemizers.table import read_packed

    return WordModel.load(path, read_packed())


def copy_words(source: Path | None, target: Path) -> None:
    """Take the words of a model folder along to another one."""
    path = None if source is None else source / WORDS_NAME
    if path is not None and path.is_file() and path.resolve() != (target / WORDS_NAME).resolve():
        atomic_write_bytes(target / WORDS_NAME, path.read_bytes())


# --- texts that are being written ----------------------------------------------------------------


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
        return -self.weight * (_FLOOR if cost > _FLOOR and self._may_be(part) else cost)

    def ended(self, place: WordPlace) -> float:
        """What a text earns that ends here."""
        last = self._earned(place.before, place.part) if place.part else 0.0
        before = place.part or place.before
        return last - self.weight * self.model.cost(before, END)

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


def words_of(text: str) -> list[str]:
    """The words of a text as this model writes them."""
    kept = "".join(c if c.isalnum() or c == "'" else " " for c in text.lower().replace("’", "'"))
    return [word.strip("'") for word in kept.split() if word.strip("'")]
