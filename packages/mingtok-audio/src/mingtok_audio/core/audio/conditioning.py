"""Bringing a recording into the range that a recogniser was trained on.

Recognition must not depend on the level of a recording, on a constant offset of its sound card, or
on which of its channels the speaker is in. The channels are settled when a file is read
(`choose_channels`, by `load_audio(channel="mix")`); the rest by `condition`, which every task that
*understands* speech calls. The tokenizer does not call it: its copies keep the level and the offset
of what it was given, sample by sample, and a caller who wants them changed says so.

`condition` returns ordinary recordings unchanged, bit for bit: it acts on an offset beyond 2 % of
the speech, a drift beyond 10 % of it, or a level outside `LEVEL_RANGE_DB`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mingtok_audio.core.speech import active_level

LEVEL_RANGE_DB = (-32.0, -12.0)
"""dBFS of active speech that recognition takes as they are."""
TARGET_DB = -22.0
"""Where others are brought to."""
_QUIETEST_DB = -90.0  # below lies what dither and empty inputs hold: nothing to make louder
_OFFSET_SHARE = 0.02
_DRIFT_SHARE = 0.10
_DRIFT_SECONDS = 0.1

SILENT_CHANNEL = 1e-4
"""Power of a channel beside the loudest one's below which it is left out (-40 dB)."""
_CANCELLED = 0.05  # power of the mean beside the loudest channel's: 13 dB are lost


@dataclass(frozen=True)
class Conditioned:
    """A recording and what was done to it.

    Attributes:
        samples: (T,) float32.
        offset: that was subtracted.
        gain_db: that was applied; 0.0 where the level was left alone.
    """

    samples: np.ndarray
    offset: float = 0.0
    gain_db: float = 0.0


def condition(wav: np.ndarray, sample_rate: int) -> Conditioned:
    """A recording (T,) without offset or drift and at a usual level.

    The same speech at another level or with another offset gives nearly the same samples; silence
    and ordinary recordings are returned as they are.
    """
    if not len(wav):
        return Conditioned(wav)
    offset = float(np.mean(wav, dtype=np.float64))
    centred = (wav - np.float32(offset)).astype(np.float32)
    level = active_level(centred)
    if abs(offset) <= _OFFSET_SHARE * level:
        centred, offset = wav, 0.0
    for _ in range(3):  # each time removes all but a hundredth of a slow drift
        drift = _drift(centred, sample_rate)
        if float(np.std(drift)) <= _DRIFT_SHARE * active_level(centred - drift):
            break
        centred = (centred - drift).astype(np.float32)
    level = active_level(centred)
    level_db = 20 * np.log10(max(level, 1e-12))
    if level_db < _QUIETEST_DB or LEVEL_RANGE_DB[0] <= level_db <= LEVEL_RANGE_DB[1]:
        return Conditioned(centred, offset)
    gain_db = float(TARGET_DB - level_db)
    gain = np.float32(10 ** (gain_db / 20))
    return Conditioned((centred * gain).astype(np.float32), offset, gain_db)


def _drift(wav: np.ndarray, sample_rate: int) -> np.ndarray:
    """What moves slower than speech can: the mean of the 0.1 s around each sample, (T,)."""
    half = max(1, round(_DRIFT_SECONDS * sample_rate / 2))
    total = np.concatenate(([0.0], np.cumsum(wav, dtype=np.float64)))
    at = np.arange(len(wav))
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(wav))
    return ((total[high] - total[low]) / (high - low)).astype(np.float32)


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
