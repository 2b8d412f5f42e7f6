"""Where a recording is silent, by its own levels. Axes: T samples, C channels."""

from __future__ import annotations

import numpy as np

from mingtok_audio.core.errors import UserError
from uniaudio_edit.operations.levels import energies
from uniaudio_edit.pcm import Floats

_HOP_SECONDS = 0.010  # half a frame
_SHORTEST_GAP_SECONDS = 0.120  # shorter ones are closures of stops
_ROOM_SECONDS = 0.060  # that speech keeps on both sides: soft beginnings and ends
_UNDER_SPEECH_DB, _OVER_FLOOR_DB, _LEAST_CONTRAST_DB = 40.0, 8.0, 14.0


def pauses(wav: np.ndarray | Floats, rate: int) -> list[tuple[int, int]]:
    """Silent stretches [a, b) of (T, C), in samples, those at both ends among them.

    A frame is silent where it is 40 dB under the loud frames, or near the recording's own floor.

    Raises:
        UserError: too little difference between loud and soft to tell speech from pauses.
    """
    hop = max(1, round(_HOP_SECONDS * rate))
    frame = 2 * hop
    if len(wav) < frame:
        raise UserError("the recording is too short to have pauses")
    bins = energies(wav, hop)
    level = 10.0 * np.log10((bins[:-1] + bins[1:]) / frame + 1e-12)
    starts = np.arange(len(level)) * hop
    ends = np.minimum(starts + frame, len(wav))
    ends[-1] = len(wav)
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
