"""Recognition that follows several texts at once.

Greedy decoding takes the likeliest token and cannot go back on it; a beam keeps the K best texts
so far. What a text is worth is its log-probability, and what hints, known words and coverage say of
it. None of this is in the paper; the published way is K = 1 without any of it.

Axes: K hypotheses, V vocabulary, D width, P audio patches.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from uniaudio_lm.config import MAX_BEAMS
from uniaudio_lm.model.attention import AttentionProbe
from uniaudio_lm.model.generation import Item
from uniaudio_lm.recognition.coverage import Heard
from uniaudio_lm.recognition.words import BEGINNING, KnownWords, WordPlace
from uniaudio_lm.text.hints import NOWHERE, HintPlace, Hints

if TYPE_CHECKING:
    from uniaudio_lm.interfaces import BackboneState
    from uniaudio_lm.model.speech_lm import SpeechLM

_MARGIN = 64
_MOST_ENDED = 6  # times K texts
_PATIENCE = 4  # tokens that texts are followed for after a better one has ended
_USUAL_TOKENS = 10  # ranks are per token, and so is a fault in a text of this length


@dataclass(frozen=True)
class Listening:
    """What coverage needs: the heads that look at what is said, the cost of a patch that is left
    out (nats), and in which patches of the item (P,) bool something is said."""

    probe: AttentionProbe
    weight: float
    speech: np.ndarray


@dataclass(frozen=True)
class _Hypothesis:
    tokens: tuple[int, ...]
    score: float
    """Log-probability, and what hints and finished words earned."""
    place: HintPlace = NOWHERE
    word: WordPlace = BEGINNING
    promised: float = 0.0
    """The highest bonus that the unfinished word can still get."""
    heard: Heard | None = None
    fault: float = 0.0
    """Cost of what was left out or said again."""

    @property
    def worth(self) -> float:
        """Among texts of as many tokens."""
        return self.score + self.promised - self.fault

    @property
    def rank(self) -> float:
        """A token: without this, short texts win."""
        said = (self.score + self.promised) / max(1, len(self.tokens))
        return said - self.fault / _USUAL_TOKENS


class _Search:
    """Makes hypotheses longer."""

    def __init__(
        self,
        item: Item,
        hints: Hints,
        words: KnownWords | None,
        listening: Listening | None,
        led: bool,
    ) -> None:
        self.item, self.hints, self.words, self.listening = item, hints, words, listening
        self.led = led
        self.tab = hints.text.encode("\t")[-1]
        self._pieces: dict[int, str] = {}

    def start(self) -> _Hypothesis:
        """Nothing yet; what is said is followed from where the text begins."""
        return _Hypothesis((), 0.0, heard=self._nothing_heard() if self.led else None)

    def _nothing_heard(self) -> Heard | None:
        return None if self.listening is None else Heard(np.zeros(len(self.listening.speech)))

    def candidates(
        self,
        hypothesis: _Hypothesis,
        scores: torch.Tensor,
        count: int,
        attention: np.ndarray | None,
    ) -> list[_Hypothesis]:
        """With each of the `count` likeliest tokens of `scores` (V,), and with those that a hint
        expects; `attention` (P,) says where the next token is said."""
        best = scores.topk(min(count, scores.shape[-1]))
        chances = dict(zip(best.indices.tolist(), best.values.tolist(), strict=True))
        # The language and a tab come before the text.
        first = hypothesis.tokens[-1] == self.tab if hypothesis.tokens else self.led
        if self.hints:  # a hint may speak up for a token that is not among the likeliest
            for token in self.hints.expected(hypothesis.place, first):
                chances.setdefault(token, float(scores[token]))
        heard, missing, left = hypothesis.heard, 0.0, 0.0
        if self.listening is not None and heard is not None and attention is not None:
            missing = self.listening.weight * heard.faults(self.listening.speech, ended=True)
            heard = heard.follow(attention)
            left = self.listening.weight * heard.faults(self.listening.speech, ended=False)
        found = []
        for token, chance in chances.items():
            tokens, score = (*hypothesis.tokens, token), hypothesis.score + chance
            if token in self.item.end_tokens:
                score += self.hints.ended(hypothesis.place)
                if self.words is not None:
                    score += self.words.ended(hypothesis.word)
                found.append(_Hypothesis(tokens, score, fault=missing))
                continue
            place, word, promised = hypothesis.place, hypothesis.word, 0.0
            if self.hints:
                place, change = self.hints.follow(place, token, first)
                score += change
            if self.words is not None:
                word, earned = self.words.follow(word, self._piece(token))
                score, promised = score + earned, self.words.promised(word)
            now = self._nothing_heard() if token == self.tab else heard
            found.append(_Hypothesis(tokens, score, place, word, promised, now, left))
        return found

    def _piece(self, token: int) -> str:
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self.hints.text.decode([token])
        return known


@torch.no_grad()
def beam_search(
    model: SpeechLM,
    item: Item,
    beams: int,
    hints: Hints,
    *,
    led: bool,
    words: KnownWords | None = None,
    listening: Listening | None = None,
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
    search = _Search(item, hints, words, listening, led)
    backbone = model.backbone
    mask = None if item.audio_mask is None else item.audio_mask[None]
    with ExitStack() as watched:
        if listening is not None:
            watched.enter_context(listening.probe.watch())
        state = backbone.new_state(1, len(item.embeds) + item.max_steps + _MARGIN)
        hidden = backbone(item.embeds[None], state, audio_mask=mask)[:, -1]
        open_, ended, behind = [search.start()], list[_Hypothesis](), 0
        for _ in range(item.max_steps):
            scores = backbone.logits(hidden).log_softmax(dim=-1)  # (K, V)
            looks = _looks(listening, state, item, len(open_))
            found = [
                (longer, row)
                for row, hypothesis in enumerate(open_)
                for longer in search.candidates(hypothesis, scores[row], 2 * beams, looks[row])
            ]
            found.sort(key=lambda pair: -pair[0].worth)
            kept = []
            for longer, row in found:
                if len(kept) == beams:
                    break
                if longer.tokens[-1] in item.end_tokens:
                    ended.append(longer)
                else:
                    kept.append((longer, row))
            kept = _staying(kept)
            open_, rows = [longer for longer, _ in kept], [row for _, row in kept]
            behind = behind + 1 if _are_behind(open_, ended) else 0
            if not open_ or behind >= _PATIENCE or len(ended) >= _MOST_ENDED * beams:
                break
            state = state.select(torch.tensor(rows))
            tokens = torch.tensor([[h.tokens[-1]] for h in open_], device=model.device)
            hidden = backbone(backbone.embed(tokens), state)[:, -1]
    if ended:
        return list(max(ended, key=lambda h: h.rank).tokens), False
    return list(max(open_, key=lambda h: h.worth).tokens), True


def _staying(kept: list[tuple[_Hypothesis, int]]) -> list[tuple[_Hypothesis, int]]:
    """In an order that leaves most texts in the rows of their beginnings: those need no copy."""
    places: list[tuple[_Hypothesis, int] | None] = [None] * len(kept)
    others = []
    for pair in kept:
        if pair[1] < len(places) and places[pair[1]] is None:
            places[pair[1]] = pair
        else:
            others.append(pair)
    return [others.pop(0) if pair is None else pair for pair in places]


def _looks(
    listening: Listening | None, state: BackboneState, item: Item, count: int
) -> list[np.ndarray | None]:
    """Where the next token of each hypothesis is said, (P,) each."""
    if listening is None or item.audio_mask is None:
        return [None] * count
    attention = listening.probe.last(state).cpu()
    audio = torch.nn.functional.pad(
        item.audio_mask.cpu(), (0, attention.shape[1] - len(item.audio_mask))
    )
    return list(attention[:, audio].numpy())


def _are_behind(open_: list[_Hypothesis], ended: list[_Hypothesis]) -> bool:
    """Whether an ended text ranks above all that are open."""
    best = max((h.rank for h in ended), default=None)
    return best is not None and max((h.rank for h in open_), default=best) < best
