"""A keyed pattern of small gains in time and frequency (multiplicative spread spectrum).

The spectrum is cut into cells of 24 ms by one band. A key chooses a sign for each of 256 by 34
cells, and the cell's level is raised or lowered by 1 to 3.5 dB; after 6.1 s the pattern begins
again. A gain that follows the signal lies under its own masking, survives codecs and changes of
level, and needs no weights.

The detector measures the level of each cell, takes away what its neighbours predict, and
correlates the rest with the pattern over windows of 0.5 to 6 s, every position of the pattern and
speeds of 0.9 to 1.1 (with and without a change of pitch). For sound that knows nothing of the key,
the sum of a window is a Rademacher sum: the signs are fair coins, whatever the sound is. Its tail
is at most 3.18 times that of a normal distribution (Bentkus and Dzindzalieta, "A tight Gaussian
bound for weighted sums of Rademacher random variables", Bernoulli 21, 2015), and the number of
all sums that are tried bounds the false alarms of a whole recording.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mingtok_audio.core.errors import UserError
from uniaudio_lm.watermarking import Detection, Marker, Watermark

CELL_SECONDS = 0.024
CELLS = 256  # of a period in time
_LOW, _HIGH = 200.0, 7600.0  # Hz
_NARROWEST, _RELATIVE = 100.0, 1 / 12  # width of a band: Hz, or this part of its frequency
# Depth in dB at frequencies in Hz: little where single harmonics are heard apart.
_DEPTH = ((200.0, 1.0), (600.0, 3.5), (3400.0, 3.5), (3600.0, 3.0), (7600.0, 3.0))

_MARK_HOP = 0.005  # s; a frame is four hops

_HOP, _FRAME = 0.008, 0.020  # s, of the detector's spectra
_PHASES = 5  # positions within a cell that are tried
_CORE = 3  # of five parts of a cell, those in the middle, where neighbours leak least
_NEIGHBOURS = 4  # bands on each side whose mean is taken away
_SATURATION = 6.0  # dB: larger deviations count little more
_FLOOR = 1e-6  # of the loud cells' power: below it is nothing but rounding
_WINDOWS = (20, 40, 80, 160, 256)  # cells; no more than a period, so that no sign counts twice
_TOGETHER = 4  # cells that are summed first: windows begin and end with them
_BLOCK = 512  # cells that are searched together; blocks overlap by a period
_SPEED_STEP, _SPEED_RANGE = 1.005, (-21, 20)  # factor, and powers of it: 0.90 to 1.10
_CLEARLY = 1.1  # times the score: another speed than 1 must be better by this
_ENOUGH = 4.0  # seconds of a mark that tell its speed
_NEAR = 14  # steps of speed at which a search at the speed 1 can still find the mark
_TAIL = 3.18
FALSE_ALARM_RATE = 5e-4


def band_edges() -> np.ndarray:
    """Edges in Hz of the bands, (bands + 1,)."""
    edges = [_LOW]
    while edges[-1] < _HIGH:
        edges.append(edges[-1] + max(_NARROWEST, edges[-1] * _RELATIVE))
    return np.array(edges)


_EDGES = band_edges()
_BANDS = len(_EDGES) - 1


@lru_cache(8)
def pattern(key: str) -> np.ndarray:
    """The signs (CELLS, bands) of a key."""
    count = CELLS * _BANDS
    digest = hashlib.shake_256(f"uniaudio spectral watermark 1:{key}".encode())
    bits = np.unpackbits(np.frombuffer(digest.digest(-(-count // 8)), np.uint8))[:count]
    return (2.0 * bits - 1.0).reshape(CELLS, _BANDS)


class SpectralWatermark(Watermark):
    """The built-in watermark; see the module.

    Args:
        key: any text; a mark is found with the key that it was made with.
        false_alarm_rate: bound on the probability that a recording without the mark is said to
            hold it, 0 to 1.

    Raises:
        UserError: a rate that is none.
    """

    def __init__(self, key: str = "", *, false_alarm_rate: float = FALSE_ALARM_RATE) -> None:
        if not 0.0 < false_alarm_rate < 1.0:
            raise UserError(
                f"false_alarm_rate must be between 0 and 1, exclusive, not {false_alarm_rate}"
            )
        self._signs = pattern(key)
        self._rate = false_alarm_rate

    def new_marker(self, sample_rate: int) -> SpectralMarker:
        """See `Watermark.new_marker`."""
        return SpectralMarker(self._signs, sample_rate)

    def detect(self, samples: np.ndarray, sample_rate: int) -> Detection:
        """See `Watermark.detect`."""
        return _Search(samples, sample_rate, self._signs, self._rate).run()


class SpectralMarker(Marker):
    """Gains in overlapping frames. Sums are made in one order, whatever pieces come."""

    def __init__(self, signs: np.ndarray, sample_rate: int) -> None:
        self._hop = max(2, round(_MARK_HOP * sample_rate))
        self._size = 4 * self._hop
        # A periodic root of a Hann window, before and after: squares of four sum to two.
        self._window = np.sin(np.pi * np.arange(self._size) / self._size)
        self._rate = sample_rate
        self._depth, self._band = _depths(np.fft.rfftfreq(self._size, 1 / sample_rate))
        self._signs = signs
        self._frame = 0
        self._received = self._given = 0
        self._pending: np.ndarray | None = None
        self._tails = np.zeros((0, 0))
        self._kind, self._flat = np.dtype(np.float32), True

    def push(self, samples: np.ndarray) -> np.ndarray:
        """See `Marker.push`."""
        block = np.asarray(samples)
        if self._pending is None:
            self._kind, self._flat = block.dtype, block.ndim == 1
            channels = 1 if self._flat else block.shape[1]
            self._pending = np.zeros((self._size - self._hop, channels))
            self._tails = np.zeros((3, self._size, channels))
        block = block.reshape(len(block), self._pending.shape[1]).astype(np.float64)
        self._received += len(block)
        self._pending = np.concatenate([self._pending, block])
        return self._ready()

    def flush(self) -> np.ndarray:
        """See `Marker.flush`."""
        if self._pending is None:
            return np.zeros(0, self._kind)
        zeros = np.zeros((self._size, self._pending.shape[1]))
        self._pending = np.concatenate([self._pending, zeros])
        return self._ready()

    def _ready(self) -> np.ndarray:
        assert self._pending is not None
        hop, size = self._hop, self._size
        count = max(0, (len(self._pending) - size) // hop + 1)
        # A hop of output is the sum of what four frames have there: this one and three before.
        starts = np.arange(count) * hop
        frames = self._pending[starts[:, None] + np.arange(size)]  # (n, size, C)
        spectra = np.fft.rfft(frames * self._window[:, None], axis=1)
        spectra *= self._gains(count)[:, :, None]
        made = np.fft.irfft(spectra, size, axis=1) * (0.5 * self._window[:, None])
        frames = np.concatenate([self._tails, made])
        parts = [frames[3 - i : 3 - i + count, i * hop : (i + 1) * hop] for i in range(4)]
        sound = ((parts[3] + parts[2]) + parts[1]) + parts[0]
        sound = sound.reshape(count * hop, sound.shape[-1])
        source = self._pending[: count * hop]
        # The frames begin before the recording: three hops of zeros come first.
        skipped = max(0, 3 - self._frame) * hop
        self._frame += count
        self._tails = frames[count:]
        self._pending = self._pending[count * hop :]
        sound, source = sound[skipped:], source[skipped:]
        room = min(len(sound), self._received - self._given)
        self._given += room
        source, sound = source[:room], sound[:room]
        limit = np.maximum(1.0, np.abs(source))
        # Digital silence stays it: a frame would spread the speech beside a pause into it.
        sound = np.where(source == 0, 0.0, np.clip(sound, -limit, limit)).astype(self._kind)
        return sound[:, 0] if self._flat else sound

    def _gains(self, count: int) -> np.ndarray:
        """Gains (count, bins) of the next frames; a frame counts as of its middle."""
        middles = (self._frame + np.arange(count)) * self._hop - self._size // 2 + self._hop
        cells = np.floor(middles / (self._rate * CELL_SECONDS)).astype(int) % CELLS
        return 10.0 ** (self._signs[cells][:, self._band] * self._depth / 20.0)


def _depths(frequencies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth in dB and band of each bin; the depth is 0 outside the bands."""
    band = np.searchsorted(_EDGES, frequencies, side="right") - 1
    inside = (band >= 0) & (band < _BANDS)
    places, depths = zip(*_DEPTH, strict=True)
    return np.interp(frequencies, places, depths) * inside, np.clip(band, 0, _BANDS - 1)


@dataclass(frozen=True)
class _Hit:
    """A stretch that stands out.

    Attributes:
        score: of the stretch.
        start, end: in seconds.
        origin: when the pattern began, in seconds modulo its period.
        speed, scale: of time and of frequencies.
    """

    score: float
    start: float
    end: float
    origin: float
    speed: float
    scale: float


class _Search:
    """Looks for a pattern in one recording."""

    def __init__(
        self, samples: np.ndarray, sample_rate: int, signs: np.ndarray, false_alarm_rate: float
    ) -> None:
        self._samples = samples[:, None] if samples.ndim == 1 else samples
        self._rate = sample_rate
        self._signs = signs.astype(np.float32)
        turned = [np.roll(self._signs, -i, axis=0) for i in range(_TOGETHER)]
        self._groups = np.ascontiguousarray(np.concatenate(turned, axis=1).T)
        self._allowed = false_alarm_rate
        self._hop = max(1, round(_HOP * sample_rate))
        self._size = max(4, round(_FRAME * sample_rate))
        self._step = self._hop / sample_rate
        self.seconds = len(samples) / sample_rate

    def run(self) -> Detection:
        """Search at the speed of the recording, and only without success at others."""
        tried = self._count()
        threshold = _threshold(self._allowed / max(tried, 1))
        best, hits = self._pass([(1.0, 1.0)], threshold)
        if hits:
            exact = self._exact(max(hits, key=lambda hit: hit.score), threshold)
            if exact != (1.0, 1.0):
                again, found = self._pass([exact], threshold)
                if again > _CLEARLY * best:
                    best, hits = again, found
        else:
            best, hits = self._pass([(1.0, 1.0), *_other_speeds()], threshold)
        bound = min(1.0, tried * _TAIL * _normal_tail(best))
        spans = _spans(hits)
        return Detection(
            bool(hits),
            1.0 - bound,
            round(best, 3),
            round(threshold, 3),
            self._allowed,
            spans,
            max(hits, key=lambda hit: hit.score).speed if hits else None,
        )

    def _pass(
        self, speeds: list[tuple[float, float]], threshold: float
    ) -> tuple[float, list[_Hit]]:
        """The best score of all blocks at some speeds, and what is beyond the threshold."""
        best, hits = 0.0, list[_Hit]()
        for start, power in self._blocks():
            for speed, scale in speeds:
                score, found = self._look(start, power, speed, scale, threshold)
                best = max(best, score)
                hits += found
        return best, hits

    def _exact(self, hit: _Hit, threshold: float) -> tuple[float, float]:
        """The speed and scale that fit best where a search at the speed 1 found the mark."""
        first = max(0, int((hit.start - 0.25) * self._rate))
        last = int((min(hit.end, hit.start + _ENOUGH) + 0.25) * self._rate)
        power = self._power(self._samples[first:last])
        best = self._look(0.0, power, 1.0, 1.0, threshold)[0], (1.0, 1.0)
        for direction in (1, -1):
            for stretched in (False, True):
                for i in range(direction, _NEAR * direction, direction):
                    speed = round(_SPEED_STEP**i, 5)
                    pair = (speed, 1.0 if stretched else speed)
                    score = self._look(0.0, power, *pair, threshold)[0]
                    if score <= best[0] and abs(i) > 1:
                        break  # downhill
                    best = max(best, (score, pair))
        return best[1]

    def _blocks(self) -> Iterator[tuple[float, np.ndarray]]:
        """(start in seconds, power (frames, bins)) of pieces that overlap by a period."""
        length = round(_BLOCK * CELL_SECONDS / self._step) * self._hop
        advance = length - round(1.12 * CELLS * CELL_SECONDS / self._step) * self._hop
        at = 0
        while True:
            part = self._samples[at : at + length]
            if len(part) >= self._size:
                yield at / self._rate, self._power(part)
            if at + length >= len(self._samples):
                return
            at += advance

    def _power(self, part: np.ndarray) -> np.ndarray:
        window = np.hanning(self._size + 1)[:-1].astype(np.float32)
        half = self._size // 2
        padded = np.pad(part.astype(np.float32), ((half, half), (0, 0)))
        starts = np.arange(0, len(padded) - self._size + 1, self._hop)
        total = np.zeros((len(starts), self._size // 2 + 1))
        for channel in padded.T:
            frames = channel[starts[:, None] + np.arange(self._size)] * window
            total += np.square(np.abs(np.fft.rfft(frames, axis=1)))
        return total

    def _count(self) -> int:
        """How many sums `run` tries at most, over all blocks and speeds."""
        speeds = [1.0, *(speed for speed, _ in _other_speeds())]
        count = 0
        length = round(_BLOCK * CELL_SECONDS / self._step) * self._hop
        advance = length - round(1.12 * CELLS * CELL_SECONDS / self._step) * self._hop
        blocks = 1 + max(0, -(-(len(self._samples) - length) // advance))
        frames = min(length, len(self._samples)) // self._hop + 1
        for speed in speeds:
            for phase in range(_PHASES):
                cells = _cells(frames * self._step, speed, phase)
                starts = sum(len(range(0, cells - w + 1, _stride(w))) for w in _lengths(cells))
                count += starts * CELLS
        return count * blocks

    def _look(
        self, start: float, power: np.ndarray, speed: float, scale: float, threshold: float
    ) -> tuple[float, list[_Hit]]:
        """The best score of a block, and the places beyond the threshold."""
        whitened = self._whitened(power, speed, scale)
        best, hits = 0.0, list[_Hit]()
        cell = CELL_SECONDS / speed
        for phase in range(_PHASES):
            rows = whitened[phase::_PHASES]
            rows = rows[: _cells(len(power) * self._step, speed, phase)]
            if not len(rows):
                continue
            sums, weights = self._sums(rows)
            for width in _lengths(len(rows)):
                size, stride = width // _TOGETHER, _stride(width) // _TOGETHER
                power_of = weights[size::stride] - weights[:-size:stride]
                gains = sums[size::stride] - sums[:-size:stride]
                scores = gains / np.sqrt(np.maximum(power_of, 1e-9))[:, None]
                top = float(scores.max())
                best = max(best, top)
                if top < threshold:
                    continue
                for place, turn in zip(*np.nonzero(scores >= threshold), strict=True):
                    first = int(place) * stride * _TOGETHER
                    a, b, score = _refined(rows, self._signs, int(turn), first, first + width)
                    at = start + phase / _PHASES * cell
                    origin = (at - turn * cell) % (CELLS * cell)
                    hits.append(_Hit(score, at + a * cell, at + b * cell, origin, speed, scale))
        return best, hits

    def _sums(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Running sums (k + 1, CELLS) of each alignment's products with k times four cells, and
        (k + 1,) of squares."""
        count = len(rows) // _TOGETHER
        rows = rows[: count * _TOGETHER].reshape(count, -1)
        products = rows @ self._groups  # (k, CELLS): four cells with the pattern from each cell on
        sums = np.zeros((count + 1, CELLS), np.float32)
        for place in range(count):
            turn = place * _TOGETHER % CELLS
            np.add(sums[place, : CELLS - turn], products[place, turn:],
                   out=sums[place + 1, : CELLS - turn])  # fmt: skip
            np.add(sums[place, CELLS - turn :], products[place, :turn],
                   out=sums[place + 1, CELLS - turn :])  # fmt: skip
        weights = np.zeros(count + 1)
        np.cumsum(np.square(rows).sum(axis=1), out=weights[1:])
        return sums, weights

    def _whitened(self, power: np.ndarray, speed: float, scale: float) -> np.ndarray:
        """Deviation (k, bands) of each cell's level from its neighbours', every fifth of a cell."""
        width = self._rate / self._size
        edges = _EDGES * scale
        used = int(np.count_nonzero(edges[1:] <= self._rate / 2))
        if not used:
            return np.zeros((0, _BANDS), np.float32)
        along = np.zeros((len(power), power.shape[1] + 1))
        np.cumsum(power, axis=1, out=along[:, 1:])
        bands = np.diff(_between(along.T, edges[: used + 1] / width + 0.5).T, axis=1)
        summed = np.zeros((len(bands) + 1, used))
        np.cumsum(bands, axis=0, out=summed[1:])
        step = CELL_SECONDS / _PHASES / speed
        count = int(len(power) * self._step / step) - _PHASES + 1
        if count <= 0:
            return np.zeros((0, _BANDS), np.float32)
        margin = (_PHASES - _CORE) / 2 * step
        starts = np.arange(count) * step
        low = _between(summed, (starts + margin) / self._step + 0.5)
        high = _between(summed, (starts + _PHASES * step - margin) / self._step + 0.5)
        energy = np.maximum(high - low, 0.0)
        floor = _FLOOR * (np.percentile(energy.sum(axis=1), 95) / used + 1e-12)
        level = (10.0 * np.log10(energy + 0.1 * floor)).astype(np.float32)
        deviation = level - _beside(level)
        sums = np.zeros((count, used + 1), np.float32)
        np.cumsum(deviation, axis=1, out=sums[:, 1:])
        first = np.maximum(np.arange(used) - _NEIGHBOURS, 0)
        last = np.minimum(np.arange(used) + _NEIGHBOURS + 1, used)
        deviation -= (sums[:, last] - sums[:, first]) / (last - first)
        weight = (energy / (energy + floor)).astype(np.float32)
        deviation = _SATURATION * np.tanh(deviation / _SATURATION) * weight
        spread = np.square(deviation).sum(axis=1) / np.maximum(weight.sum(axis=1), 1.0) + 1.0
        out = np.zeros((count, _BANDS), np.float32)
        out[:, :used] = deviation / np.sqrt(spread)[:, None]
        return out


def _other_speeds() -> list[tuple[float, float]]:
    """(speed, scale of frequencies): played faster or slower, and stretched at the same pitch."""
    speeds = [round(_SPEED_STEP**i, 5) for i in range(*_SPEED_RANGE) if i]
    return [pair for speed in speeds for pair in ((speed, speed), (speed, 1.0))]


def _cells(seconds: float, speed: float, phase: int) -> int:
    """Whole cells that begin at a phase."""
    parts = int(seconds * speed * _PHASES / CELL_SECONDS) - _PHASES + 1
    return max(0, -(-(parts - phase) // _PHASES))


def _lengths(cells: int) -> list[int]:
    """The windows in cells that are tried where `cells` are there."""
    whole = cells // _TOGETHER * _TOGETHER
    fitting = [width for width in _WINDOWS if width <= whole]
    return fitting or ([whole] if whole else [])


def _stride(width: int) -> int:
    return max(1, width // 4 // _TOGETHER) * _TOGETHER


def _between(sums: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Running sums (n + 1, ...) at fractional places (m,), linearly between."""
    places = np.clip(places, 0.0, len(sums) - 1)
    whole = np.minimum(places.astype(int), len(sums) - 2)
    rest = (places - whole)[:, None]
    return sums[whole] * (1.0 - rest) + sums[whole + 1] * rest


def _beside(level: np.ndarray) -> np.ndarray:
    """The mean of the cells before and after, or the one that there is."""
    before = np.concatenate([level[_PHASES : 2 * _PHASES], level[:-_PHASES]])
    after = np.concatenate([level[_PHASES:], level[-2 * _PHASES : -_PHASES]])
    if len(before) != len(level):  # shorter than two cells
        return level
    return 0.5 * (before + after)


def _refined(
    rows: np.ndarray, signs: np.ndarray, turn: int, first: int, last: int
) -> tuple[int, int, float]:
    """The stretch around a window that gives the highest score at the same alignment: where a
    window reaches beyond the mark, or the mark beyond a window. And that score."""
    along = (rows * signs[(turn + np.arange(len(rows))) % CELLS]).sum(axis=1)
    sums = np.concatenate([[0.0], np.cumsum(along)])
    weights = np.concatenate([[0.0], np.cumsum(np.square(rows).sum(axis=1))])
    score = 0.0
    for _ in range(2):
        ends = np.arange(first + 1, min(len(sums), first + CELLS + 1))
        gain = (sums[ends] - sums[first]) / np.sqrt(np.maximum(weights[ends] - weights[first], 1.0))
        last = int(ends[int(np.argmax(gain))])
        starts = np.arange(max(0, last - CELLS), last)
        gain = (sums[last] - sums[starts]) / np.sqrt(
            np.maximum(weights[last] - weights[starts], 1.0)
        )
        first, score = int(starts[int(np.argmax(gain))]), float(gain.max())
    return first, last, score


def _spans(hits: list[_Hit]) -> tuple[tuple[float, float], ...]:
    """The places of all hits, joined where they touch. A weak window that only reaches into a
    strong one's span says nothing of its own."""
    chosen: list[_Hit] = []
    for hit in sorted(hits, key=lambda h: -h.score):
        around = [h for h in chosen if h.start < hit.end and hit.start < h.end]
        if all(_same(hit, h) and hit.score > 0.7 * h.score for h in around):
            chosen.append(hit)
    spans: list[tuple[float, float]] = []
    for hit in sorted(chosen, key=lambda h: h.start):
        if spans and hit.start <= spans[-1][1] + 10 * CELL_SECONDS:
            spans[-1] = (spans[-1][0], max(spans[-1][1], hit.end))
        else:
            spans.append((hit.start, hit.end))
    return tuple((round(a, 3), round(b, 3)) for a, b in spans)


def _same(a: _Hit, b: _Hit) -> bool:
    """Whether two stretches belong to one mark."""
    period = CELLS * CELL_SECONDS / a.speed
    apart = abs(a.origin - b.origin) % period
    return a.speed == b.speed and min(apart, period - apart) < 0.75 * CELL_SECONDS


def _normal_tail(score: float) -> float:
    return 0.5 * math.erfc(score / math.sqrt(2.0))


def _threshold(probability: float) -> float:
    """The score that a Rademacher sum exceeds with at most this probability."""
    low, high = 0.0, 40.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if _TAIL * _normal_tail(middle) > probability:
            low = middle
        else:
            high = middle
    return high
