"""Where a recording is silent, by its own levels. Axes: T samples, C channels."""

from __future__ import annotations

import numpy as np

from mingtok_audio.core.errors import UserError

_FRAME_SECONDS = 0.020
_HOP_SECONDS = 0.010
_SHORTEST_GAP_SECONDS = 0.120  # shorter ones are closures of stops
_ROOM_SECONDS = 0.060  # that speech keeps on both sides: soft beginnings and ends
_UNDER_SPEECH_DB, _OVER_FLOOR_DB, _LEAST_CONTRAST_DB = 40.0, 8.0, 14.0


def pauses(wav: np.ndarray, rate: int) -> list[tuple[int, int]]:
    """Silent stretches [a, b) of (T, C), in samples, those at both ends among them.

    A frame is silent where it is 40 dB under the loud frames, or near the recording's own floor.

    Raises:
        UserError: too little difference between loud and soft to tell speech from pauses.
    """
    frame, hop = max(1, round(_FRAME_SECONDS * rate)), max(1, round(_HOP_SECONDS * rate))
    power = np.mean(np.square(wav), axis=1)
    sums = np.concatenate([[0.0], np.cumsum(power)])
    starts = np.arange(0, max(1, len(wav) - frame + 1), hop)
    ends = np.minimum(starts + frame, len(wav))
    level = 10.0 * np.log10((sums[ends] - sums[starts]) / np.maximum(1, ends - starts) + 1e-12)
    speech, floor = float(np.percentile(level, 95)), float(np.percentile(level, 5))
    if speech - floor < _LEAST_CONTRAST_DB:
        if speech < -80.0:
            raise UserError("the recording is silent throughout")
        raise UserError(
            "no pauses can be told from the speech: the softest parts are only "
            f"{speech - floor:.0f} dB under the loudest"
        )
    threshold = min(speech - 12.0, max(floor + _OVER_FLOOR_DB, speech - _UNDER_SPEECH_DB))
    loud = np.flatnonzero(level > threshold)
    found: list[tuple[int, int]] = []
    room, shortest = round(_ROOM_SECONDS * rate), round(_SHORTEST_GAP_SECONDS * rate)
    position = 0
    edges = [(int(starts[i]), int(ends[i])) for i in loud] + [(len(wav) + room, len(wav) + room)]
    for start, end in edges:
        low = position + (room if position else 0)
        high = min(len(wav), start - room)
        if high - low >= shortest:
            found.append((low, high))
        position = max(position, end)
    return found
