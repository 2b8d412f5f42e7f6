"""Where to edit and with what words: sensible changes, most fitting first by chance.

A proposal is only a `Change`; whether it makes a sound item is decided in `semantic.py`. The
heuristics keep phrases whole: no span that ends on "the", no noun torn from its article, no
Chinese word cut in two.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from audio_eval.build import lexicon_data as data
from audio_eval.build.edits import Change, Kind
from audio_eval.build.lexicon import END, START, Lexicon, article_fits
from audio_eval.build.units import SourceText, Task, fold

_MAX_WORDS = 4
_EDGE_SHARE = 0.45  # of index items: "the first 3 words", "at the end"


def propose(
    source: SourceText, task: Task, kind: Kind, lexicon: Lexicon, rng: random.Random
) -> Iterator[Change]:
    """Changes of one kind for one text, in the order to try them."""
    if task == "insertion":
        yield from _insertions(source, kind, lexicon, rng)
        return
    spans = _spans(source, kind, lexicon, rng)
    for start, stop in spans:
        if task == "deletion":
            yield Change("deletion", _repeated(source, start, stop, kind, rng))
            continue
        for payload in replacements(source, start, stop, lexicon, rng)[:2]:
            yield Change("substitution", _repeated(source, start, stop, kind, rng), None, payload)


def _repeated(
    source: SourceText, start: int, stop: int, kind: Kind, rng: random.Random
) -> tuple[tuple[int, int], ...]:
    """Now and then every place of a repeated word, where an instruction can say so."""
    places = source.occurrences(start, stop)
    count = stop - start
    apart = all(b - a >= count for a, b in itertools.pairwise(places))
    if kind == "content" and len(places) > 1 and apart and rng.random() < 0.25:
        return tuple((place, place + count) for place in places)
    return ((start, stop),)


def _spans(
    source: SourceText, kind: Kind, lexicon: Lexicon, rng: random.Random
) -> list[tuple[int, int]]:
    """Spans of whole words that may go, better ones first (with some chance)."""
    words = lexicon.segment(source)
    total = len(words)
    limit = min(_MAX_WORDS, max(1, total // 2))
    scored = []
    for first in range(total):
        for last in range(first, min(total, first + limit)):
            if last - first + 1 == total:
                continue
            fit = _span_fit(source, words, first, last, lexicon)
            edge = first == 0 or last == total - 1
            if kind == "index" and edge:
                fit += 1.5 if rng.random() < _EDGE_SHARE else -0.5
            fit -= 0.35 * (last - first)
            scored.append((-(fit + 2.0 * rng.random()), words[first][0], words[last][1]))
    return [(start, stop) for _, start, stop in sorted(scored)]


def _span_fit(
    source: SourceText, words: list[tuple[int, int]], first: int, last: int, lexicon: Lexicon
) -> float:
    """How well a span of words goes: phrases are kept whole, what is left should still join."""
    keys = [fold(source.phrase(a, b)) for a, b in words]
    before = keys[first - 1] if first else START
    after = keys[last + 1] if last + 1 < len(keys) else END
    fit = 1.0 if lexicon.joins(before, after) else 0.0
    closes = bool(source.units[words[last][1] - 1].trail)
    if lexicon.language == "en":
        if keys[last] in data.EN_OPENERS and after != END:
            fit -= 2.0
        if before in data.EN_DETERMINERS and (after in data.EN_OPENERS or after == END):
            fit -= 2.0
        if before in data.EN_DETERMINERS and closes:
            fit -= 2.0
        if not article_fits(before, after):
            fit -= 3.0
        leads = before in data.EN_OPENERS and before not in data.EN_SUBJECTS
        if leads and (after == END or closes or after in data.EN_OPENERS):
            fit -= 1.5
        if all(k in data.EN_OPENERS for k in keys[first : last + 1]):
            fit -= 1.0
        return fit
    if keys[last][-1] in data.ZH_OPENING or before[-1:] in data.ZH_OPENING:
        fit -= 1.0
    if keys[first][0] in data.ZH_LEANING or (after != END and after[0] in data.ZH_LEANING):
        fit -= 1.0
    if words[last][1] - words[first][0] == 1:
        fit -= 0.5
    return fit


def replacements(
    source: SourceText, start: int, stop: int, lexicon: Lexicon, rng: random.Random
) -> list[str]:
    """New words for the units of a span, best first; empty when nothing sensible is known."""
    words = [w for w in lexicon.segment(source) if start <= w[0] and w[1] <= stop]
    if not words or words[0][0] != start or words[-1][1] != stop:
        return []
    segments = lexicon.segment(source)
    keys = [fold(source.phrase(a, b)) for a, b in segments]
    first, last = segments.index(words[0]), segments.index(words[-1])
    before = keys[first - 1] if first else START
    after = keys[last + 1] if last + 1 < len(keys) else END
    # One word of the span changes and the rest is said again, or the span shrinks to one word.
    options: list[str] = []
    order = list(range(first, last + 1))
    rng.shuffle(order)
    for place in order:
        left = keys[place - 1] if place > first else before
        right = keys[place + 1] if place < last else after
        for word in lexicon.alternatives(keys[place], left, right, rng)[:2]:
            parts = [source.phrase(*segments[k]) for k in range(first, last + 1)]
            parts[place - first] = word
            options.append((" " if source.language == "en" else "").join(parts))
    if first != last:
        options += [w for w in lexicon.between(before, after, rng)[:2] if fold(w) not in keys]
    if start == 0 and source.language == "en" and source.units[0].core[:1].isupper():
        options = [o[:1].upper() + o[1:] for o in options]
    old = fold(source.phrase(start, stop))
    return [o for o in dict.fromkeys(options) if fold(o) != old]


def _insertions(
    source: SourceText, kind: Kind, lexicon: Lexicon, rng: random.Random
) -> Iterator[Change]:
    """Places for new words, with the words: learned ones first, else from the small lists."""
    words = lexicon.segment(source)
    keys = [fold(source.phrase(a, b)) for a, b in words]
    places = list(range(len(words) + 1))
    rng.shuffle(places)
    if kind == "index" and rng.random() < _EDGE_SHARE:
        places.insert(0, rng.choice((0, len(words))))
    for place in dict.fromkeys(places):
        before = keys[place - 1] if place else START
        after = keys[place] if place < len(keys) else END
        position = words[place][0] if place < len(words) else len(source)
        options = _new_words(source, position, before=before, after=after, lexicon=lexicon, rng=rng)
        for payload in options[:2]:
            if any(fold(word) in keys for word in payload.split()):
                continue
            yield Change("insertion", (), position, payload)


def _new_words(
    source: SourceText,
    position: int,
    *,
    before: str,
    after: str,
    lexicon: Lexicon,
    rng: random.Random,
) -> list[str]:
    english = lexicon.language == "en"
    if before == START:
        starts = list(data.EN_STARTS if english else data.ZH_STARTS)
        # A comma in the instruction only where the text itself has punctuation.
        plain = not any(u.trail for u in source.units)
        return rng.sample([s.rstrip(",") if plain else s for s in starts], 2)
    if after == END:
        question = english and source.units[-1].trail.endswith("?")
        return [] if question else rng.sample(data.EN_ENDS if english else data.ZH_ENDS, 2)
    learned = lexicon.between(before, after, rng)
    if english:
        learned = [
            w
            for w in learned
            if fold(w) not in data.EN_OPENERS and len(w) > 2 and article_fits(before, fold(w))
        ]
        if before in data.EN_DETERMINERS and after not in data.EN_OPENERS:
            fitting = [w for w in data.EN_ADJECTIVES if article_fits(before, w)]
            learned = [w for w in learned if fold(w) not in data.EN_ADVERBS]
            return (learned + rng.sample(fitting, min(2, len(fitting))))[:2]
        if (before in data.EN_SUBJECTS or before in data.EN_AUXILIARIES) and (
            after not in data.EN_DETERMINERS | data.EN_AUXILIARIES
            and not source.units[position - 1].trail
        ):
            return (learned + rng.sample(data.EN_ADVERBS, 2))[:2]
        return learned[:2]
    if before in data.ZH_PRONOUNS and after[0] not in data.ZH_LEANING:
        learned += rng.sample(data.ZH_ADVERBS, 2)
    elif after in {w for name in ("quality", "mood") for w in data.ZH_CLASSES[name]}:
        learned += rng.sample(data.ZH_DEGREES, 2)
    return learned[:2]
