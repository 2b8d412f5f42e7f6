"""Decode a recording: one rate, one channel, no offset, one level; clipped places are marked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mingtok_audio.core.audio import StreamResampler, audio_info, iter_audio_blocks
from mingtok_audio.core.audio.resampler import check_sample_rate
from mingtok_audio.curation.interfaces import FileStage
from mingtok_audio.curation.recording import FRAME, Recording

_BLOCK_SECONDS = 10.0
_SILENT_DB = -80.0
_FLAT = 0.985  # of the block's peak: samples there belong to a flat top
_FLAT_RUN = 3  # samples in a row, at the least
_QUIET_PEAK = 0.05  # a block below this full-scale peak is not looked at for clipping
_ACTIVE_DB = 40.0


class Standardise(FileStage):
    """Audio at one rate and level.

    Args:
        rate: Hz.
        level_db: RMS of the active frames in dBFS; None leaves the level.
        max_gain_db: recordings are not made louder than by this.
        silent_db: a recording whose loudest frame (20 ms) is below this is dropped.
    """

    columns = {
        "source_rate": "int",
        "source_channels": "int",
        "source_format": "text",
        "source_seconds": "float",
        "offset": "float",
        "gain_db": "float",
    }

    def __init__(
        self,
        rate: int = 16000,
        level_db: float | None = -23.0,
        max_gain_db: float = 40.0,
        silent_db: float = _SILENT_DB,
    ) -> None:
        self.rate = check_sample_rate(rate, "standardise.rate")
        self.level_db, self.max_gain_db, self.silent_db = level_db, max_gain_db, silent_db

    def run(self, recording: Recording) -> None:
        """Fill the recording; track `clipped` holds the share of clipped samples of each frame."""
        info = audio_info(recording.source.path)
        recording.values |= {
            "source_rate": info.sample_rate,
            "source_channels": info.channels,
            "source_format": f"{info.format}/{info.subtype}",
            "source_seconds": round(info.seconds, 6),
        }
        meter = _Meter(info.sample_rate)
        blocks = iter_audio_blocks(recording.source.path, _BLOCK_SECONDS)
        recording.fill(self._resampled(meter, blocks, info.sample_rate), self.rate)
        recording.tracks["clipped"] = meter.clipped()
        peak_db, level_db = meter.levels()
        if peak_db < self.silent_db:
            recording.drop("silent", f"no frame is louder than {self.silent_db:g} dBFS")
        gain_db = 0.0
        if self.level_db is not None and np.isfinite(level_db):
            gain_db = min(self.level_db - level_db, self.max_gain_db)
        recording.correct(meter.offset, 10 ** (gain_db / 20))
        recording.values |= {"offset": round(meter.offset, 7), "gain_db": round(gain_db, 3)}

    def _resampled(
        self, meter: _Meter, blocks: Iterator[np.ndarray], rate: int
    ) -> Iterator[np.ndarray]:
        stream = StreamResampler(rate, self.rate)
        for block in blocks:
            meter.add(block)
            yield stream.push(block)
        yield stream.finish()


class _Meter:
    """Level, offset and clipping of blocks at the file's own rate."""

    def __init__(self, rate: int) -> None:
        self._size = max(1, round(rate * FRAME))
        self._sum, self._count = 0.0, 0
        self._rest = np.zeros(0, np.float32)
        self._clip_rest = np.zeros(0, bool)
        self._means: list[np.ndarray] = []
        self._squares: list[np.ndarray] = []
        self._clipped: list[np.ndarray] = []

    def add(self, block: np.ndarray) -> None:
        self._sum += float(block.sum(dtype=np.float64))
        self._count += len(block)
        wav = np.concatenate([self._rest, block])
        flat = np.concatenate([self._clip_rest, clipped_samples(block)])
        whole = len(wav) // self._size * self._size
        if whole:
            frames = wav[:whole].reshape(-1, self._size).astype(np.float64)
            self._means.append(frames.mean(axis=1))
            self._squares.append(np.square(frames).mean(axis=1))
            shares = flat[:whole].reshape(-1, self._size).mean(axis=1)
            self._clipped.append(shares.astype(np.float32))
        self._rest, self._clip_rest = wav[whole:].copy(), flat[whole:].copy()

    @property
    def offset(self) -> float:
        """The mean sample."""
        return self._sum / max(1, self._count)

    def clipped(self) -> np.ndarray:
        """Share (F,) of clipped samples in each frame, the last and shorter one too."""
        tail = [np.array([self._clip_rest.mean()], np.float32)] if len(self._clip_rest) else []
        return np.concatenate([*self._clipped, *tail]) if self._clipped or tail else _EMPTY

    def levels(self) -> tuple[float, float]:
        """Of the loudest frame, and of the frames within 40 dB of it, in dBFS without offset."""
        if not self._squares:
            wav = self._rest.astype(np.float64) - self.offset
            power = np.array([np.mean(np.square(wav))]) if len(wav) else np.zeros(1)
        else:
            mean, square = np.concatenate(self._means), np.concatenate(self._squares)
            power = square - 2 * self.offset * mean + self.offset**2
        top = float(power.max())
        if top <= 0:
            return -np.inf, -np.inf
        active = power[power > top * 10 ** (-_ACTIVE_DB / 10)]
        return 10 * float(np.log10(top)), 10 * float(np.log10(active.mean()))


_EMPTY = np.zeros(0, np.float32)


def clipped_samples(wav: np.ndarray) -> np.ndarray:
    """Which samples (T,) lie on a flat top: three or more in a row within 1.5 % of the peak."""
    peak = float(np.abs(wav).max(initial=0.0))
    if peak < _QUIET_PEAK:
        return np.zeros(len(wav), bool)
    out = np.zeros(len(wav), bool)
    for high in (wav >= _FLAT * peak, wav <= -_FLAT * peak):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], high.view(np.int8), [0]))))
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            if last - first >= _FLAT_RUN:
                out[first:last] = True
    return out
