"""Recognition that follows several texts at once, and that hints can speak up for.

Greedy decoding takes the likeliest token and cannot go back on it; a beam keeps the K likeliest
texts so far. Hints (hotwords) earn a text a bonus for each token of a word that is among them,
which it keeps only if the word is said to its end: shallow fusion with a prefix tree, after
Williams et al., "Contextual speech recognition in end-to-end neural network systems using beam
search" (Interspeech 2018). Neither is in the paper; the published way is K = 1 without a bonus.

Axes: K hypotheses, V vocabulary, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from uniaudio_lm.generation import Item
from uniaudio_lm.text.tokenizer import TextTokenizer

if TYPE_CHECKING:
    from uniaudio_lm.models.uniaudio import UniAudio

_MARGIN = 64
MAX_BEAMS = 64


@dataclass
class _Node:
    """A place in the prefix tree of the hints."""

    children: dict[int, _Node] = field(default_factory=dict)
    complete: bool = False


@dataclass(frozen=True)
class _Place:
    """Where a hypothesis stands among the hints, and the bonus that it may lose again."""

    node: _Node | None = None
    gained: float = 0.0


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

    def follow(self, place: _Place, token: int, first: bool) -> tuple[_Place, float]:
        """One more token: where the hypothesis stands then, and what its score changes by.

        `first`: nothing of the text has been said yet.
        """
        change, node = 0.0, place.node
        if node is not None:
            child = node.children.get(token)
            if child is not None:
                return _Place(child, place.gained + self.boost), self.boost
            if not (node.complete and self._opens_word(token)):
                change = -place.gained
        start = self._first if first else self._inside
        child = start.children.get(token)
        if child is None:
            return _Place(), change
        return _Place(child, self.boost), change + self.boost

    def expected(self, place: _Place, first: bool) -> list[int]:
        """The tokens that begin a hint or go on with one."""
        start = self._first if first else self._inside
        going = [] if place.node is None else list(place.node.children)
        return [*start.children, *going]

    def ended(self, place: _Place) -> float:
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


@dataclass(frozen=True)
class _Hypothesis:
    tokens: tuple[int, ...]
    score: float
    """Log-probability and bonus."""
    place: _Place = _Place()

    @property
    def rank(self) -> float:
        """Score a token: without this, short texts win."""
        return self.score / max(1, len(self.tokens))


@torch.no_grad()
def beam_search(
    model: UniAudio, item: Item, beams: int, hints: Hints, *, led: bool
) -> tuple[list[int], bool]:
    """The tokens of an item in text mode, and whether `item.max_steps` cut them.

    Args:
        beams: K, 1 to 64.
        led: whether the prompt ends with the language and its tab, so that the text comes first.

    Raises:
        ValueError: another K, or an item that does not begin with text.
    """
    if not 1 <= beams <= MAX_BEAMS or item.mode != "text" or item.max_steps is None:
        raise ValueError(f"beam search follows 1 to {MAX_BEAMS} texts of a bounded length")
    backbone = model.backbone
    mask = None if item.audio_mask is None else item.audio_mask[None]
    state = backbone.new_state(1, len(item.embeds) + item.max_steps + _MARGIN)
    hidden = backbone(item.embeds[None], state, audio_mask=mask)[:, -1]
    open_ = [_Hypothesis((), 0.0)]
    ended: list[_Hypothesis] = []
    tab = hints.text.encode("\t")[-1]
    for _ in range(item.max_steps):
        scores = backbone.logits(hidden).log_softmax(dim=-1)  # (K, V)
        best = scores.topk(min(2 * beams, scores.shape[-1]), dim=-1)
        found: list[tuple[_Hypothesis, int]] = []
        for row, hypothesis in enumerate(open_):
            chances = dict(zip(best.indices[row].tolist(), best.values[row].tolist(), strict=True))
            first = _is_first(hypothesis, tab, led)
            if hints:  # a hint may speak up for a token that is not among the likeliest
                for token in hints.expected(hypothesis.place, first):
                    chances.setdefault(token, float(scores[row, token]))
            found += [
                (_extended(hints, hypothesis, token, chance, item, first), row)
                for token, chance in chances.items()
            ]
        found.sort(key=lambda pair: -pair[0].score)
        open_, rows = [], []
        for hypothesis, row in found:
            if hypothesis.tokens[-1] in item.end_tokens:
                if len(open_) < beams:
                    ended.append(hypothesis)
            elif len(open_) < beams:
                open_.append(hypothesis)
                rows.append(row)
        best_end = max((h.rank for h in ended), default=None)
        if len(ended) >= beams or (best_end is not None and open_[0].rank < best_end):
            break
        state = state.select(torch.tensor(rows))
        tokens = torch.tensor([[h.tokens[-1]] for h in open_], device=model.device)
        hidden = backbone(backbone.embed(tokens), state)[:, -1]
    if ended:
        return list(max(ended, key=lambda h: h.rank).tokens), False
    return list(open_[0].tokens), True


def _is_first(hypothesis: _Hypothesis, tab: int, led: bool) -> bool:
    """Whether the next token begins the text: the language and a tab come before it."""
    return hypothesis.tokens[-1] == tab if hypothesis.tokens else led


def _extended(  # noqa: PLR0917
    hints: Hints, hypothesis: _Hypothesis, token: int, chance: float, item: Item, first: bool
) -> _Hypothesis:
    place, score = hypothesis.place, hypothesis.score + chance
    tokens = (*hypothesis.tokens, token)
    if token in item.end_tokens:
        return _Hypothesis(tokens, score + hints.ended(place))
    if hints:
        place, change = hints.follow(place, token, first)
        score += change
    return _Hypothesis(tokens, score, place)
