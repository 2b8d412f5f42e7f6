"""What of a recording is recognised: its speech, at one level, cut at pauses.

A model recognises what it was trained on: segments of a certain length at a certain level. A
detector of speech by energy finds where someone speaks; noise, tones and silence are left out.
Not in the paper.

Axes: T samples, F frames of 20 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FRAME = 0.02
LEVEL = 10 ** (-24.0 / 20)
"""Root mean square of the speech that is recognised: the level of common corpora."""
SILENT = 1e-5
"""Full scale is 1; below this peak nothing is recognised (-100 dB)."""
_STEADY_DB = 5.0  # what varies less is a noise or a tone
_MARGIN = 0.2  # seconds of silence kept around speech
_SHORTEST = 0.06  # seconds; what is shorter is a click
_BRIDGED = 0.1  # seconds of a gap inside a word
_SMOOTH = 3  # frames
_BLOCK = 8192  # frames that are transformed together
_SEARCHED = 0.4  # of a segment's end, where the quietest place is looked for


@dataclass(frozen=True)
class Segment:
    """A part of a recording in samples: [start, end) of it, and [first, last) of its speech; they
    are equal where there is none."""

    start: int
    end: int
    first: int
    last: int


def centred(wav: np.ndarray) -> np.ndarray:
    """A recording (T,) without its direct current."""
    return wav - np.float32(wav.mean(dtype=np.float64)) if len(wav) else wav


def at_level(wav: np.ndarray, rate: int, far: float = 1.0) -> np.ndarray:
    """Speech (T,) at the level `LEVEL`, whatever level it was recorded at.

    Args:
        far: recordings whose level is within this factor of it stay as they are.
    """
    power = _power(wav, rate)
    loud = power[power > power.max(initial=0.0) * 10**-3]
    if not len(loud) or loud.mean() <= 0:
        return wav
    factor = float(LEVEL / np.sqrt(loud.mean()))
    if far > 1.0 and 1 / far <= factor <= far:
        return wav
    return (wav * np.float32(factor)).astype(np.float32)


def find_speech(wav: np.ndarray, rate: int) -> np.ndarray:
    """Which frames (F,) are speech: louder than the recording's background, and not steady as
    noises and tones are."""
    level = 10 * np.log10(_band_power(wav, rate) + 1e-14)
    sounding = level[level > 20 * np.log10(SILENT)]
    if not len(sounding):
        return np.zeros(len(level), dtype=bool)
    high, low = np.percentile(sounding, 95), np.percentile(level, 10)
    threshold = high - 35.0
    if high - low > 12.0:
        threshold = max(threshold, low + 0.3 * (high - low))
    near = np.convolve(level > threshold, np.ones(_SMOOTH))[_SMOOTH // 2 :][: len(level)]
    active = near >= _SMOOTH / 2
    for start, end in runs(active):
        inside = level[start:end]
        if end - start >= 10 and np.ptp(np.percentile(inside, (10, 95))) < _STEADY_DB:
            active[start:end] = False
    return active


def _band_power(wav: np.ndarray, rate: int) -> np.ndarray:
    """Power (F,) of each frame from 200 to 4000 Hz: rumble is not speech."""
    step = max(1, int(FRAME * rate))
    count = len(wav) // step
    if not count:
        return _power(wav, rate)
    bins = np.fft.rfftfreq(step, 1 / rate)
    low, high = np.searchsorted(bins, (200.0, 4000.0))
    window = np.hanning(step).astype(np.float32)
    out = np.zeros(count)
    for at in range(0, count, _BLOCK):
        block = wav[at * step : min(count, at + _BLOCK) * step].reshape(-1, step)
        spectrum = np.abs(np.fft.rfft(block * window, axis=1)[:, low:high]) ** 2
        out[at : at + len(block)] = spectrum.sum(axis=1) * (4 / step**2)
    return out


def runs(active: np.ndarray) -> list[tuple[int, int]]:
    """[start, end) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def segments(wav: np.ndarray, rate: int, longest: float, pause: float = np.inf) -> list[Segment]:
    """Parts that cover a recording (T,) without overlap, cut at pauses.

    Args:
        longest: seconds of speech in a part, at most.
        pause: seconds without speech at which a part ends.
    """
    step = max(1, int(FRAME * rate))
    found = [
        (a, b)
        for a, b in joined_runs(find_speech(wav, rate), round(_BRIDGED / FRAME))
        if (b - a) * FRAME >= _SHORTEST
    ]
    if not found:
        return [Segment(0, len(wav), 0, 0)]
    most = max(1, int(longest / FRAME))
    power = _power(wav, rate)
    groups: list[tuple[int, int]] = []
    for a, b in found:
        pieces = _halved(a, b, most, power)
        if groups and a - groups[-1][1] < pause / FRAME and b - groups[-1][0] <= most:
            groups[-1] = (groups[-1][0], b)
        else:
            groups += pieces
    margin = round(_MARGIN / FRAME)
    out: list[Segment] = []
    for i, (a, b) in enumerate(groups):
        before = groups[i - 1][1] if i else None
        after = groups[i + 1][0] if i + 1 < len(groups) else None
        start = 0 if before is None else (before + a) // 2 * step
        end = len(wav) if after is None else (b + after) // 2 * step
        first = max(start, (a - margin) * step)
        out.append(Segment(start, end, first, min(end, (b + margin) * step)))
    return out


def joined_runs(active: np.ndarray, gap: int) -> list[tuple[int, int]]:
    """The runs of True, with those together that have at most `gap` frames between them."""
    return _bridged(runs(active), gap)


def _bridged(found: list[tuple[int, int]], gap: int) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for a, b in found:
        if out and a - out[-1][1] <= gap:
            out[-1] = (out[-1][0], b)
        else:
            out.append((a, b))
    return out


def _halved(start: int, end: int, most: int, power: np.ndarray) -> list[tuple[int, int]]:
    """A run of frames, cut at its quietest places into parts of at most `most` frames."""
    parts = []
    while end - start > most:
        begin = start + most - max(1, int(_SEARCHED * most))
        smooth = np.convolve(power[begin : start + most], np.ones(5), mode="same")
        cut = begin + int(smooth.argmin())
        parts.append((start, max(cut, start + 1)))
        start = parts[-1][1]
    return [*parts, (start, end)]


def _power(wav: np.ndarray, rate: int) -> np.ndarray:
    """Mean square (F,) of each whole frame; of a shorter recording, of all of it."""
    step = max(1, int(FRAME * rate))
    if len(wav) < step:
        return np.square(wav, dtype=np.float64).mean(keepdims=True) if len(wav) else np.zeros(0)
    frames = wav[: len(wav) // step * step].reshape(-1, step)
    return np.square(frames, dtype=np.float64).mean(axis=1)
