"""Where each token of a known sequence is: the best CTC path, in memory that does not grow with
the product of both lengths.

The states are blank, token, blank, token, ..., blank (2n + 1). Only a band of states around the
best one is followed, which is exact for up to `band / 2` tokens and wide enough for minutes of
speech otherwise; back pointers exist for one block of frames at a time and are computed again from
checkpoints. Axes: T frames, V symbols, n tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

BLANK = 0
_BAND, _BLOCK = 4096, 2048
_EVERY = 16  # frames between moves of the band
_MOST = 8 * _EVERY  # states that it moves at once


def fewest_frames(tokens: Sequence[int], repeatable: int = -1) -> int:
    """Frames that a path needs at least: one a token, and a blank between equal ones."""
    return len(tokens) + sum(a == b != repeatable for a, b in pairwise(tokens))


def forced_path(
    log_probs: np.ndarray,
    tokens: Sequence[int],
    *,
    repeatable: int = -1,
    band: int = _BAND,
    block: int = _BLOCK,
) -> np.ndarray | None:
    """The likeliest path through all tokens.

    Args:
        log_probs: (T, V), symbol 0 is the blank.
        tokens: n symbols, each at least 1.
        repeatable: a symbol that may follow itself without a blank.
        band: states that are followed at a time.
        block: frames whose back pointers are kept.

    Returns:
        (T,) int64: the token (0 to n - 1) of each frame, -1 where there is none (blank); every
        token has a frame. None where the tokens do not fit into T frames.
    """
    frames, count = len(log_probs), len(tokens)
    if fewest_frames(tokens, repeatable) > frames:
        return None
    if not count:
        return np.full(frames, -1, dtype=np.int64)
    lattice = _Lattice(log_probs, tokens, repeatable, max(4, min(band, 2 * count + 1)))
    checkpoints = []
    alpha, low = lattice.start()
    lows = np.zeros(frames, dtype=np.int64)
    for first in range(0, frames, block):
        checkpoints.append((alpha, low))
        last = min(frames, first + block)
        alpha, low = lattice.run(alpha, low, first, last, lows, None)
    states = lattice.states
    ends = [s - low for s in (states - 1, states - 2)]
    at = max(ends, key=lambda place: alpha[place]) + low
    if not np.isfinite(alpha[at - low]):
        return None
    path = np.empty(frames, dtype=np.int64)
    for number in range(len(checkpoints) - 1, -1, -1):
        alpha, low = checkpoints[number]
        first, last = number * block, min(frames, (number + 1) * block)
        back = np.zeros((last - first, lattice.band), dtype=np.uint8)
        lattice.run(alpha, low, first, last, lows, back)
        for t in range(last - 1, first - 1, -1):
            path[t] = at
            at -= int(back[t - first, at - lows[t]])
    return np.where(path % 2 == 1, path // 2, -1)


class _Lattice:
    """One step of the recursion after another, over a band of states."""

    def __init__(
        self, log_probs: np.ndarray, tokens: Sequence[int], repeatable: int, band: int
    ) -> None:
        self.log_probs = log_probs
        self.frames, self.states, self.band = len(log_probs), 2 * len(tokens) + 1, band
        self.band = min(band, self.states)
        padding = band + _MOST
        self.labels = np.zeros(self.states + padding, dtype=np.int64)
        self.labels[1 : self.states : 2] = tokens
        # The step over a blank is for tokens that differ from the one before.
        self.skip = np.zeros(self.states + padding, dtype=bool)
        here = self.labels[3 : self.states : 2]
        before = self.labels[1 : self.states - 2 : 2]
        self.skip[3 : self.states : 2] = (here != before) | (here == repeatable)
        self.outside = np.zeros(self.states + padding, dtype=bool)
        self.outside[self.states :] = True

    def start(self) -> tuple[np.ndarray, int]:
        """The scores before the first frame: only the first two states can come."""
        alpha = np.full(self.band, -np.inf, dtype=np.float32)
        return alpha, 0

    def run(  # noqa: PLR0917
        self,
        alpha: np.ndarray,
        low: int,
        first: int,
        last: int,
        lows: np.ndarray,
        back: np.ndarray | None,
    ) -> tuple[np.ndarray, int]:
        """Frames [first, last). `lows` is written where `back` is None, and followed otherwise."""
        band = self.band
        padded = np.full(band + 2 + _MOST, -np.inf, dtype=np.float32)
        for t in range(first, last):
            if t == 0:
                new = np.full(band, -np.inf, dtype=np.float32)
                new[:2] = self.log_probs[0, self.labels[:2]]
                lows[0] = 0
                alpha, low = new, 0
                continue
            if back is None:
                here = self._next_low(alpha, low, t)
                lows[t] = here
            else:
                here = int(lows[t])
            move = here - low
            padded[2 : 2 + band] = alpha
            before = padded[move : move + band + 2]
            stay, one, two = before[2:], before[1:-1], before[:-2]
            two = np.where(self.skip[here : here + band], two, -np.inf)
            best = np.maximum(stay, one)
            if back is not None:
                row = back[t - first]
                row[one > stay] = 1
                row[two > best] = 2
            np.maximum(best, two, out=best)
            best += self.log_probs[t, self.labels[here : here + band]]
            best[self.outside[here : here + band]] = -np.inf
            if t % _EVERY == 0:  # or float32 would lose the small differences of a long path
                best -= best.max()
            alpha, low = best, here
        return alpha, low

    def _next_low(self, alpha: np.ndarray, low: int, t: int) -> int:
        """Where the band begins: around the best state, and early enough at the end to hold the
        last one."""
        end = self.states - self.band
        if low >= end:
            return low
        here = low
        if t % _EVERY == 0:
            wanted = low + int(alpha.argmax()) - self.band // 2
            here = min(max(here, wanted), low + _MOST)
        return min(max(here, end - (self.frames - 1 - t)), end)
