"""Sample-rate conversion with soxr, offline and as a stream.

Axes: T samples.

One rule for the length: `T` samples at `from_rate` become `ceil(T * to_rate / from_rate)`. soxr
rounds in its own way, so the end of the signal is followed by a little silence and the result is
cut to the rule. Offline is the stream fed once, so the two cannot differ.
"""

from __future__ import annotations

import numpy as np

from mingtok_audio.core.errors import AudioError

MIN_SAMPLE_RATE = 1_000
MAX_SAMPLE_RATE = 768_000
_QUALITY = "HQ"  # 20 bit; stop band from the lower Nyquist frequency on


def check_sample_rate(sample_rate: object, what: str = "the sample rate") -> int:
    """`sample_rate` as an int within [1 kHz, 768 kHz].

    Raises:
        AudioError: not a whole number, or out of range.
    """
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | float | np.number):
        raise AudioError(f"{what} must be a number of Hz, not {type(sample_rate).__name__}")
    value = float(sample_rate)
    if not value.is_integer() or not MIN_SAMPLE_RATE <= value <= MAX_SAMPLE_RATE:
        raise AudioError(
            f"{what} is {sample_rate} Hz; it must be a whole number from {MIN_SAMPLE_RATE} to "
            f"{MAX_SAMPLE_RATE} Hz"
        )
    return int(value)


def resampled_length(num_samples: int, from_rate: int, to_rate: int) -> int:
    """`ceil(num_samples * to_rate / from_rate)`."""
    return -(-num_samples * to_rate // from_rate)


class StreamResampler:
    """Resample a stream; the concatenation of what it returns equals `resample` of the whole.

    The filter looks ahead (about 40 ms at 16 kHz), so a `push` may return nothing yet.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self.from_rate = check_sample_rate(from_rate)
        self.to_rate = check_sample_rate(to_rate)
        self._pushed = 0
        self._emitted = 0
        self._finished = False
        self._soxr = None
        if self.from_rate != self.to_rate:
            import soxr

            self._soxr = soxr.ResampleStream(
                self.from_rate, self.to_rate, 1, dtype="float32", quality=_QUALITY
            )

    def push(self, samples: np.ndarray) -> np.ndarray:
        """The output samples (n,) float32 that `samples` (T,) make complete."""
        if self._finished:
            raise AudioError("this resampler is finished; make a new one for a new stream")
        block = np.ascontiguousarray(samples, dtype=np.float32)
        if block.ndim != 1:
            raise AudioError(f"a resampler takes samples of shape (T,), not {block.shape}")
        self._pushed += len(block)
        if self._soxr is None or not len(block):
            self._emitted += len(block)
            return block
        output = self._soxr.resample_chunk(block)
        self._emitted += len(output)
        return output

    def finish(self) -> np.ndarray:
        """The samples still inside; the stream is over."""
        if self._finished:
            raise AudioError("this resampler is finished; make a new one for a new stream")
        self._finished = True
        wanted = resampled_length(self._pushed, self.from_rate, self.to_rate) - self._emitted
        if self._soxr is None or not self._pushed:
            return np.zeros(0, dtype=np.float32)
        # One output period (and one input sample) of silence gives every sample the rule counts.
        silence = np.zeros(-(-self.from_rate // self.to_rate) + 1, dtype=np.float32)
        return self._soxr.resample_chunk(silence, last=True)[:wanted]


def resample(wav: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """`wav` (T,) or (C, T) at `to_rate`: float32, `ceil(T * to_rate / from_rate)` samples.

    Raises:
        AudioError: a rate out of range, or another shape.
    """
    array = np.asarray(wav, dtype=np.float32)
    if array.ndim == 2:
        return np.stack([resample(channel, from_rate, to_rate) for channel in array])
    stream = StreamResampler(from_rate, to_rate)
    head = stream.push(array)
    tail = stream.finish()
    return np.concatenate([head, tail]) if len(tail) else head
