"""Hotwords that speak up for themselves.

A text gets a bonus for each token of a word that is among them, and keeps it only if the
word is said to its end: shallow fusion with a prefix tree, after Williams et al., "Contextual
speech recognition in end-to-end neural network systems using beam search" (Interspeech 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from uniaudio_lm.text.tokenizer import TextTokenizer


@dataclass
class _Node:
    """A place in the prefix tree of the hints."""

    children: dict[int, _Node] = field(default_factory=dict)
    complete: bool = False


@dataclass(frozen=True)
class HintPlace:
    """Where a hypothesis stands among the hints, and the bonus that it may lose again."""

    node: _Node | None = None
    gained: float = 0.0


NOWHERE = HintPlace()


class Hints:
    """The prefix trees of hints, in the pieces that a text tokenizer makes of them.

    Args:
        boost: bonus of a token, in nats.
    """

    def __init__(self, text: TextTokenizer, words: Sequence[str], boost: float) -> None:
        self.text, self.boost = text, boost
        self._inside, self._first = _Node(), _Node()
        self._opens: dict[int, bool] = {}
        for word in words if boost else ():
            for form in dict.fromkeys((word, word.lower(), word[:1].upper() + word[1:])):
                _insert(self._inside, text.encode(" " + form))
                _insert(self._first, text.encode(form))

    def __bool__(self) -> bool:
        return bool(self._inside.children)

    def follow(self, place: HintPlace, token: int, first: bool) -> tuple[HintPlace, float]:
        """One more token: where the hypothesis stands then, and what its score changes by.

        `first`: nothing of the text has been said yet.
        """
        change, node = 0.0, place.node
        if node is not None:
            child = node.children.get(token)
            if child is not None:
                return HintPlace(child, place.gained + self.boost), self.boost
            if not (node.complete and self._opens_word(token)):
                change = -place.gained
        start = self._first if first else self._inside
        child = start.children.get(token)
        if child is None:
            return HintPlace(), change
        return HintPlace(child, self.boost), change + self.boost

    def expected(self, place: HintPlace, first: bool) -> list[int]:
        """The tokens that begin a hint or go on with one."""
        start = self._first if first else self._inside
        going = [] if place.node is None else list(place.node.children)
        return [*start.children, *going]

    def ended(self, place: HintPlace) -> float:
        """What the score of a text that ends here changes by."""
        return 0.0 if place.node is None or place.node.complete else -place.gained

    def _opens_word(self, token: int) -> bool:
        """Whether a token goes on no word: a space or a mark stands in front of it."""
        known = self._opens.get(token)
        if known is None:
            piece = self.text.decode([token])
            known = self._opens[token] = not piece[:1].isalnum()
        return known


def _insert(node: _Node, tokens: Sequence[int]) -> None:
    for token in tokens:
        node = node.children.setdefault(token, _Node())
    node.complete = True
