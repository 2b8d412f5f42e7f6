"""Which frames of the target an edit made, and what they weigh in the loss (paper section 6.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Seconds = tuple[float, float]


def frame_weights(
    spans: Sequence[Seconds], num_frames: int, *, frame_rate: float, weight: float
) -> np.ndarray:
    """(L,) float32: `weight` for frames that a span touches, 1 for the others.

    Args:
        spans: edited stretches of the target, in seconds.
        num_frames: L.
        frame_rate: frames a second.
    """
    weights = np.ones(num_frames, np.float32)
    for start, end in spans:
        first = max(0, int(np.floor(start * frame_rate + 1e-6)))
        last = int(np.ceil(end * frame_rate - 1e-6))
        weights[first : max(last, first + 1)] = weight
    return weights
