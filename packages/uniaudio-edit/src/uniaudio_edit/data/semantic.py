"""Insertion, deletion and substitution pairs from recordings with word times (paper, 6.2).

The target is always the recording as it is; the source is made from it by cutting: words taken
out, a stretch of another recording put in, or a stretch of the same recording moved over others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from uniaudio_edit.data.cot import mark
from uniaudio_edit.data.cuts import FADE_SECONDS, boundaries, join
from uniaudio_edit.data.pair import SAMPLE_RATE, NoPairError, Pair, seconds_of
from uniaudio_edit.data.wording import Style, places, quoted, references, semantic_templates, styles
from uniaudio_edit.errors import InstructionError
from uniaudio_edit.interfaces import Word
from uniaudio_edit.parsers.grammar import GrammarParser
from uniaudio_edit.parsers.units import Text, TextEdit, apply_edits

_JOIN_SECONDS = 0.060
"""What counts as edited around a join where words went (a deletion leaves nothing else)."""
_SHORTEST_SECONDS = 0.12
_TRIES = 24


@dataclass(frozen=True)
class Spoken:
    """A recording, its text, and the points between its units where it can be cut."""

    wav: np.ndarray
    text: Text
    points: list[int]

    @classmethod
    def of(cls, wav: np.ndarray, text: str, words: Sequence[Word]) -> Spoken:
        """Of samples (T,) at 16 kHz with the times of each unit."""
        return cls(wav, Text(text), boundaries(wav, SAMPLE_RATE, words))

    def span(self, i: int, j: int) -> np.ndarray:
        """The samples of units [i, j)."""
        return self.wav[self.points[i] : self.points[j]]

    def seconds(self, i: int, j: int) -> float:
        """How long units [i, j) are."""
        return (self.points[j] - self.points[i]) / SAMPLE_RATE


_parser = GrammarParser()


def insertion(spoken: Spoken, rng: Random, longest: int) -> Pair:
    """The source lacks words of the recording."""
    i, j = _draw_span(spoken, rng, longest, keep=2)
    target = spoken.text
    source_text = Text(apply_edits(target, [TextEdit(i, j, "")]))
    source, spans = join(
        [spoken.wav[: spoken.points[i]], spoken.wav[spoken.points[j] :]], SAMPLE_RATE
    )
    instruction = _worded(
        _Ask("insertion", source_text, (i, i), target.slice(i, j), target.raw), rng
    )
    edge, fade = spans[1][0], round(FADE_SECONDS * SAMPLE_RATE)
    return Pair(
        "insertion", instruction, source, spoken.wav, source_text.raw, target.raw,
        cot=mark(target.raw, (i, j)),
        source_spans=[seconds_of(edge, min(len(source), edge + fade))],
        target_spans=[seconds_of(spoken.points[i], spoken.points[j])],
        params={"units": [i, j]},
    )  # fmt: skip


def deletion(spoken: Spoken, donor: Spoken, rng: Random, longest: int) -> Pair:
    """The source has a stretch of another recording in it, which is to go."""
    target = spoken.text
    k = rng.randint(0, len(target))
    i, j = _draw_span(donor, rng, longest, keep=0)
    phrase = donor.text.slice(i, j)
    source_text = Text(apply_edits(target, [TextEdit(k, k, phrase)]))
    count = j - i
    at = spoken.points[k]
    pieces = [spoken.wav[:at], _matched(donor.span(i, j), spoken.wav), spoken.wav[at:]]
    source, spans = join(pieces, SAMPLE_RATE)
    instruction = _worded(_Ask("deletion", source_text, (k, k + count), "", target.raw), rng)
    reach = round(_JOIN_SECONDS * SAMPLE_RATE)
    return Pair(
        "deletion", instruction, source, spoken.wav, source_text.raw, target.raw,
        cot=mark(target.raw, (k, k)),
        source_spans=[seconds_of(*spans[1])],
        target_spans=[seconds_of(max(0, at - reach), min(len(spoken.wav), at + reach))],
        params={"units": [k, k + count]},
    )  # fmt: skip


def substitution(spoken: Spoken, rng: Random, longest: int) -> Pair:
    """In the source, a stretch of the recording lies over another one of its stretches."""
    target, n = spoken.text, len(spoken.text)
    for _ in range(_TRIES):
        i, j = _draw_span(spoken, rng, longest, keep=2)
        p, q = _draw_span(spoken, rng, longest, keep=0)
        same = [u.key for u in target.units[i:j]] == [u.key for u in target.units[p:q]]
        if (q <= i or p >= j) and not same:
            break
    else:
        raise NoPairError("too_short")
    phrase = target.slice(p, q)
    source_text = Text(apply_edits(target, [TextEdit(i, j, phrase)]))
    if len(source_text) != n - (j - i) + (q - p):
        raise NoPairError("text")
    pieces = [spoken.wav[: spoken.points[i]], spoken.span(p, q), spoken.wav[spoken.points[j] :]]
    source, spans = join(pieces, SAMPLE_RATE)
    instruction = _worded(
        _Ask("substitution", source_text, (i, i + q - p), target.slice(i, j), target.raw), rng
    )
    return Pair(
        "substitution", instruction, source, spoken.wav, source_text.raw, target.raw,
        cot=mark(target.raw, (i, j)),
        source_spans=[seconds_of(*spans[1])],
        target_spans=[seconds_of(spoken.points[i], spoken.points[j])],
        params={"units": [i, i + q - p], "moved": [p, q]},
    )  # fmt: skip


def _draw_span(spoken: Spoken, rng: Random, longest: int, keep: int) -> tuple[int, int]:
    """Units [i, j), at most `longest`, long enough to be heard, `keep` units left over."""
    n = len(spoken.text)
    for _ in range(_TRIES):
        size = rng.randint(1, max(1, min(longest, n - keep)))
        if size > n - keep:
            continue
        i = rng.randint(0, n - size)
        if spoken.seconds(i, i + size) >= _SHORTEST_SECONDS:
            return i, i + size
    raise NoPairError("too_short")


def _matched(piece: np.ndarray, wav: np.ndarray) -> np.ndarray:
    """`piece` at the level of `wav`: an inserted stretch is not told by its loudness alone."""

    def level(x: np.ndarray) -> float:
        return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) if len(x) else 0.0

    mine, wanted = level(piece), level(wav)
    if mine == 0.0 or wanted == 0.0:
        return piece
    gain = min(4.0, max(0.25, wanted / mine))
    peak = float(np.abs(piece).max())
    return (piece * min(gain, 0.99 / peak)).astype(np.float32)


@dataclass(frozen=True)
class _Ask:
    """What an instruction is to say: units [i, j) of `text` become `new`, which gives `wanted`."""

    task: str
    text: Text
    span: tuple[int, int]
    new: str
    wanted: str


def _worded(ask: _Ask, rng: Random) -> str:
    """An instruction that has exactly one reading, and that reading is the target's text."""
    order = list(styles(ask.text.language))
    rng.shuffle(order)
    for style in order:
        for template in semantic_templates(ask.task, style, rng):
            for sentence in _filled(template, ask, style, rng):
                if reads_as(sentence, ask.text.raw, ask.wanted):
                    return sentence
    raise NoPairError("no_wording")


def _filled(template: str, ask: _Ask, style: Style, rng: Random) -> list[str]:
    if "{place}" in template:
        names = places(ask.text, ask.span[0], style, rng)
    else:
        names = references(ask.text, ask.span, style, rng)
    new = quoted(ask.new, style, rng)
    return [template.format(ref=name, place=name, new=new) for name in names]


def reads_as(instruction: str, text: str, wanted: str) -> bool:
    """Whether the grammar reads `instruction` on `text` in one way, and as the text `wanted`."""
    try:
        plan = _parser.parse(instruction, text)
    except InstructionError:
        return False
    return _letters(plan.edited_text) == _letters(wanted)


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())
