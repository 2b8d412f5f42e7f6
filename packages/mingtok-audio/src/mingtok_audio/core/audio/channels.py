"""Which channels of a recording are averaged, so that its speech keeps its level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SILENT_CHANNEL = 1e-4
"""Power of a channel beside the loudest one's below which it is left out (-40 dB)."""
_CANCELLED = 0.05  # power of the mean beside the loudest channel's: 13 dB are lost


@dataclass
class ChannelMeter:
    """Powers of the channels of a recording and of their mean, without offsets.

    Attributes:
        count: samples seen.
        sums, squares: of each channel and, last, of their mean, (C + 1,).
    """

    count: int
    sums: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, channels: int) -> ChannelMeter:
        """A meter that has seen nothing."""
        return cls(0, np.zeros(channels + 1), np.zeros(channels + 1))

    def add(self, block: np.ndarray) -> None:
        """Measure (T, C) more."""
        wide = block.astype(np.float64)
        wide = np.concatenate([wide, wide.mean(axis=1, keepdims=True)], axis=1)
        self.count += len(wide)
        self.sums += wide.sum(axis=0)
        self.squares += np.square(wide).sum(axis=0)

    def powers(self) -> np.ndarray:
        """(C + 1,): of each channel, and of their mean."""
        count = max(1, self.count)
        return np.maximum(self.squares / count - np.square(self.sums / count), 0.0)


@dataclass(frozen=True)
class Mix:
    """Which channels are averaged, and why not all of them ("" where all are, or a remark)."""

    channels: tuple[int, ...]
    remark: str = ""


def choose_channels(meter: ChannelMeter) -> Mix:
    """Which channels of a recording to average so that its speech keeps its level.

    All of them, unless some are silent (one-sided stereo, 5.1 with speech in the centre): these are
    left out. Channels that cancel each other (one of them is wired the wrong way round) are not
    averaged: the loudest is taken.
    """
    powers = meter.powers()
    each = powers[:-1]
    loudest = int(np.argmax(each))
    everything = tuple(range(len(each)))
    if each[loudest] <= 0.0:
        return Mix(everything)
    sounding = tuple(i for i in everything if each[i] > SILENT_CHANNEL * each[loudest])
    # The silent ones add nothing: the mean of the others is the whole mean times a factor.
    mean = powers[-1] * (len(each) / len(sounding)) ** 2
    if len(sounding) > 1 and mean < _CANCELLED * each[loudest]:
        return Mix(
            (loudest,),
            f"its channels cancel each other; channel {loudest} is used alone",
        )
    return Mix(sounding)
