"""Where to cut between the words of a recording. Samples (T,) float32."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mingtok_audio.core.speech import quietest
from uniaudio_edit.interfaces import Word

_REACH_SECONDS = 0.040


def boundaries(wav: np.ndarray, rate: int, words: Sequence[Word]) -> list[int]:
    """Where to cut between words: point k parts word k - 1 from word k, (len(words) + 1,).

    Each lies where it is quietest between the two words and a little around, for the times of an
    aligner are off by some tens of milliseconds. The points never run backwards.
    """
    reach = _REACH_SECONDS
    points: list[int] = []
    for k in range(len(words) + 1):
        before = words[k - 1] if k else None
        after = words[k] if k < len(words) else None
        if before is None and after is not None:
            low, high = after.start - 0.15, after.start
        elif after is None and before is not None:
            low, high = before.end, before.end + 0.15
        else:
            assert before is not None
            assert after is not None
            low = max(min(before.end, after.start) - reach, (before.start + before.end) / 2)
            high = min(max(before.end, after.start) + reach, (after.start + after.end) / 2)
        floor = points[-1] if points else 0
        first, last = max(floor, round(low * rate)), min(round(high * rate), len(wav)) - 1
        points.append(quietest(wav, rate, first, last, zero_crossing=False))
    return points
