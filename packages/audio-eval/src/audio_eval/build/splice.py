"""Where to cut a recording so that no word is cut: between words, where it is quietest.

`wav (T,)` float32 throughout; spans are seconds or samples as named.
"""

from __future__ import annotations

import numpy as np

from mingtok_audio.core.speech import quietest


def cut_points(
    wav: np.ndarray, sample_rate: int, words: list[tuple[float, float]], start: int, stop: int
) -> tuple[int, int]:
    """Samples [a, b) that hold words `start` to `stop` (exclusive) and cut no neighbour.

    Each cut lies where it is quietest between the middle of the word outside and the middle of
    the word inside; before the first and after the last word it may go to the end of the file.

    Args:
        words: (start, end) seconds of every word.
    """

    def middle(index: int) -> int:
        a, b = words[index]
        return int((a + b) / 2 * sample_rate)

    def edge(outer: int, inner: int, boundary: tuple[float, float]) -> int:
        # Times of an aligner are off by up to some tens of milliseconds: look a bit further than
        # the gap it reports, but never past the middle of a word.
        reach = int(0.06 * sample_rate)
        low = max(min(outer, inner), int(min(boundary) * sample_rate) - reach)
        high = min(max(outer, inner), int(max(boundary) * sample_rate) + reach)
        return quietest(wav, sample_rate, low, high)

    if start == 0:
        first = 0
    else:
        first = edge(middle(start - 1), middle(start), (words[start - 1][1], words[start][0]))
    if stop == len(words):
        last = len(wav)
    else:
        last = edge(middle(stop - 1), middle(stop), (words[stop - 1][1], words[stop][0]))
    return first, max(first, last)
