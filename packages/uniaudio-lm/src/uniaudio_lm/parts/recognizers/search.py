"""The search for the text that a `Reader` gives a segment: K hypotheses at a time.

Scores are log-probabilities of pieces, with what hotwords add. An ended text is ranked by its score
divided by a power of its length (Wu et al., "Google's neural machine translation system", 2016,
section 7).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from uniaudio_lm.parts.recognizers.network import Reader
from uniaudio_lm.text.hints import NOWHERE, HintPlace, Hints

_PATIENCE = 4  # pieces that texts are followed for after a better one has ended
_LENGTH_POWER = 0.8


@dataclass(frozen=True)
class _Hypothesis:
    pieces: tuple[int, ...] = ()
    score: float = 0.0
    place: HintPlace = NOWHERE

    def rank(self, ended: bool) -> float:
        length = len(self.pieces) + (1 if ended else 0)
        return self.score / max(1, length) ** _LENGTH_POWER


@torch.no_grad()
def search(
    reader: Reader, encoded: Tensor, beams: int, most: int, hints: Hints
) -> tuple[list[int], bool]:
    """The pieces that a segment says, and whether `most` of them cut the text.

    Args:
        encoded: (1, T, D), what `reader.encode` gives for the segment.
        beams: K.
        most: Pieces of a text, at most.
        hints: What hotwords add.
    """
    config = reader.config
    memory = reader.memory(encoded)
    prompt = torch.tensor([[config.start, config.no_times]], device=encoded.device)
    scores, past = reader.decode(prompt, memory)
    if beams > 1:
        memory = [(k.expand(beams, -1, -1, -1), v.expand(beams, -1, -1, -1)) for k, v in memory]
    open_, ended, behind = [_Hypothesis()], list[_Hypothesis](), 0
    for _ in range(most):
        chances = scores[:, -1].float().log_softmax(-1)
        found = [
            (longer, row, is_end)
            for row, hypothesis in enumerate(open_)
            for longer, is_end in _longer(hypothesis, chances[row], 2 * beams, hints, config.end)
        ]
        found.sort(key=lambda item: -item[0].score)
        kept: list[tuple[_Hypothesis, int]] = []
        for longer, row, is_end in found[: 2 * beams]:
            if is_end:
                ended.append(longer)
            elif len(kept) < beams:
                kept.append((longer, row))
            if beams == 1:
                break
        best = max((h.rank(True) for h in ended), default=None)
        if not kept or (beams == 1 and ended):
            break
        if best is not None and max(h.rank(False) for h, _ in kept) < best:
            behind += 1
            if behind >= _PATIENCE:
                break
        else:
            behind = 0
        open_, rows = [h for h, _ in kept], [row for _, row in kept]
        if rows != list(range(past[0][0].shape[0])):
            chosen = torch.tensor(rows, device=encoded.device)
            past = [(key[chosen], value[chosen]) for key, value in past]
        pieces = torch.tensor([[h.pieces[-1]] for h in open_], device=encoded.device)
        rows_of_memory = [(k[: len(open_)], v[: len(open_)]) for k, v in memory]
        scores, past = reader.decode(pieces, rows_of_memory, None, past)
    if ended:
        return list(max(ended, key=lambda h: h.rank(True)).pieces), False
    return list(max(open_, key=lambda h: h.rank(False)).pieces), True


def _longer(
    hypothesis: _Hypothesis, chances: Tensor, count: int, hints: Hints, end: int
) -> list[tuple[_Hypothesis, bool]]:
    """The hypothesis with each of its `count` likeliest pieces and those that a hint expects; and
    whether it ends there. Of the marks only `end` can follow."""
    best = chances.topk(count)
    options = dict(zip(best.indices.tolist(), best.values.tolist(), strict=True))
    if hints:
        for piece in hints.expected(hypothesis.place, False):
            options.setdefault(piece, float(chances[piece]))
    found = []
    for piece, chance in options.items():
        if piece == end:
            score = hypothesis.score + chance + hints.ended(hypothesis.place)
            found.append((_Hypothesis(hypothesis.pieces, score), True))
        elif piece < end - 2:
            place, change = hypothesis.place, 0.0
            if hints:
                place, change = hints.follow(place, piece, False)
            pieces = (*hypothesis.pieces, piece)
            found.append((_Hypothesis(pieces, hypothesis.score + chance + change, place), False))
    return found
