"""What the word operations make training pairs from: recordings with word times (paper, 6.2).

The target is always the recording as it is; the source is made from it by cutting: words taken
out, a stretch of another recording put in, or a stretch of the same recording moved over others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np

from uniaudio_edit.data.cuts import boundaries
from uniaudio_edit.data.naming import places, quoted, references, styles
from uniaudio_edit.data.pair import SAMPLE_RATE, NoPairError, Style
from uniaudio_edit.errors import InstructionError
from uniaudio_edit.grammar.engine import GrammarParser
from uniaudio_edit.interfaces import Word
from uniaudio_edit.operations.base import EditOperation
from uniaudio_edit.text import Text

JOIN_SECONDS = 0.060
"""What counts as edited around a join where words went (a deletion leaves nothing else)."""
_SHORTEST_SECONDS = 0.12
TRIES = 24


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


@cache
def _parser() -> GrammarParser:
    return GrammarParser()


def draw_span(spoken: Spoken, rng: Random, longest: int, keep: int) -> tuple[int, int]:
    """Units [i, j), at most `longest`, long enough to be heard, `keep` units left over."""
    n = len(spoken.text)
    for _ in range(TRIES):
        size = rng.randint(1, max(1, min(longest, n - keep)))
        if size > n - keep:
            continue
        i = rng.randint(0, n - size)
        if spoken.seconds(i, i + size) >= _SHORTEST_SECONDS:
            return i, i + size
    raise NoPairError("too_short")


def matched(piece: np.ndarray, wav: np.ndarray) -> np.ndarray:
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
class Ask:
    """What an instruction is to say: units [i, j) of `text` become `new`, which gives `wanted`."""

    operation: EditOperation
    text: Text
    span: tuple[int, int]
    new: str
    wanted: str


def worded(ask: Ask, rng: Random) -> str:
    """An instruction that has exactly one reading, and that reading is the target's text."""
    order = list(styles(ask.text.language))
    rng.shuffle(order)
    for style in order:
        templates = list(ask.operation.sentences[style])
        rng.shuffle(templates)
        for template in templates:
            for sentence in _filled(template, ask, style, rng):
                if reads_as(sentence, ask.text.raw, ask.wanted):
                    return sentence
    raise NoPairError("no_wording")


def _filled(template: str, ask: Ask, style: Style, rng: Random) -> list[str]:
    if "{place}" in template:
        names = places(ask.text, ask.span[0], style, rng)
    else:
        names = references(ask.text, ask.span, style, rng)
    new = quoted(ask.new, style, rng)
    return [template.format(ref=name, place=name, new=new) for name in names]


def reads_as(instruction: str, text: str, wanted: str) -> bool:
    """Whether the grammar reads `instruction` on `text` in one way, and as the text `wanted`."""
    try:
        plan = _parser().parse(instruction, text)
    except InstructionError:
        return False
    return _letters(plan.edited_text) == _letters(wanted)


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())
