"""Whether a text says all of a recording, in order, and once.

A language model may leave words of a recording out, or say them twice, and find that likely. Where
some of its attention heads were taught to look at the patch that the next token is said in (guided
attention), they tell how far a text has come and what it has left behind. After Chorowski and
Jaitly, "Towards better decoding and language model integration in sequence to sequence models"
(Interspeech 2017); not in the paper.

Axes: K texts, P audio patches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HEARD = 0.3
"""Attention that a patch has got, or its neighbours, when it has been said."""
QUIET_DB = 30.0
"""Below the loudest patch: silence, which no text needs to say."""
SLACK = 2
"""Patches in a row that one token can say without looking at them."""
_FOUND = 0.2  # attention on one patch that says where a text is
_NEIGHBOUR = 0.7
_MOST = 3.0  # attention that a patch can need: tokens said in it
_BACK = 2.0  # patches that a text may seem to go back
_BACK_COST = 0.5


@dataclass(frozen=True)
class Heard:
    """What a text has said. `got` (P,): attention so far; `furthest`: the patch it has come to;
    `back`: patches it has gone back in all."""

    got: np.ndarray
    furthest: int = 0
    back: float = 0.0

    def follow(self, attention: np.ndarray) -> Heard:
        """One more token, said where the attention (P,) is."""
        total = float(attention.sum())
        centre = float(attention @ np.arange(len(attention))) / max(total, 1e-6)
        back = max(0.0, self.furthest - _BACK - centre) * total
        at = int(attention.argmax()) if len(attention) and attention.max() > _FOUND else 0
        return Heard(self.got + attention, max(self.furthest, at), self.back + back)

    def faults(self, speech: np.ndarray, *, ended: bool) -> float:
        """Patches of speech (P,) bool left out (`ended`: all that were not said; else those before
        the place where the text is), and what was said again."""
        stop = len(speech) if ended else max(0, self.furthest - 1)
        left = speech[:stop] & (_near(self.got)[:stop] < HEARD)
        missed = int(_behind(left, SLACK).sum())
        again = float(np.maximum(self.got - _MOST, 0.0).sum())
        return missed + again + _BACK_COST * self.back


def _behind(left: np.ndarray, slack: int) -> np.ndarray:
    """Of each run of patches that are left out, those after the first `slack`."""
    for _ in range(slack):
        left = left[1:] & left[:-1]
    return left


def _near(got: np.ndarray) -> np.ndarray:
    """A neighbour's attention counts, though less."""
    capped = np.minimum(got, 1.0)
    beside = np.zeros_like(capped)
    beside[:-1] = capped[1:]
    beside[1:] = np.maximum(beside[1:], capped[:-1])
    return np.maximum(capped, _NEIGHBOUR * beside)


def speech_patches(wav: np.ndarray, patches: int, size: int) -> np.ndarray:
    """(P,) bool: the patches of `size` samples of a recording (T,) in which something is said."""
    padded = np.zeros(patches * size, dtype=np.float64)
    padded[: min(len(wav), len(padded))] = wav[: len(padded)]
    power = np.square(padded).reshape(patches, size).mean(axis=1)
    return power > max(float(power.max(initial=0.0)) * 10 ** (-QUIET_DB / 10), 1e-12)
