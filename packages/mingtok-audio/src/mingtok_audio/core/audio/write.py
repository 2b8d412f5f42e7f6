"""Audio files out, atomically, and saying how many samples clipped.

Axes: C channels, T samples. Integers are written as round(x * 2^(bits - 1)), the inverse of what
`load_audio` reads: a decoded 16-bit file written again has the same samples. (libsndfile itself
multiplies by 2^15 - 1, which does not.)
"""

from __future__ import annotations

import io
import os
import struct
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mingtok_audio.core.audio.resampler import check_sample_rate
from mingtok_audio.core.errors import AudioError, UserError
from mingtok_audio.core.files import atomic_write

if TYPE_CHECKING:
    import soundfile

# suffix: (libsndfile's format, default subtype)
# Not opus: libsndfile 1.2 spoils the last milliseconds when it closes such a file.
_FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".oga": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
WRITABLE_SUFFIXES = tuple(_FORMATS)
_INTEGER_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_FLOATS = {"FLOAT": np.float32, "DOUBLE": np.float64}
_BLOCK = 1 << 14  # samples per write: the Vorbis encoder overruns its stack on long writes
_UNKNOWN_SIZE = 0xFFFFFFFF


class AudioWriter:
    """Write a file piece by piece; it appears under its name only when all went well.

    Use as a context manager. Leaving the block by an exception removes what was written.

    Args:
        path: its suffix picks the format (wav, flac, ogg, oga, mp3).
        sample_rate: Hz.
        subtype: libsndfile's name of the sample format; default 16 bit, or the codec's own.

    Attributes:
        num_samples: samples written so far, per channel.
        clipped: samples beyond [-1, 1] so far, over all channels (0 for float formats, which
            keep them).

    Raises:
        AudioError: format, subtype or rate that cannot be written, NaN or infinity, no samples.
        UserError: the file system refuses.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sample_rate: int,
        channels: int = 1,
        subtype: str | None = None,
    ) -> None:
        self.path = Path(path)
        self.sample_rate = check_sample_rate(sample_rate)
        self.channels = channels
        self.num_samples = 0
        self.clipped = 0
        self._format, self.subtype = _format_of(self.path, subtype)
        self._stack = ExitStack()
        self._file: soundfile.SoundFile | None = None

    def __enter__(self) -> Self:
        import soundfile

        temporary = self._stack.enter_context(atomic_write(self.path))
        try:
            temporary.touch()  # so that a folder without permission is named by the system's words
            self._file = soundfile.SoundFile(
                temporary,
                "w",
                samplerate=self.sample_rate,
                channels=self.channels,
                format=self._format,
                subtype=self.subtype,
            )
        except BaseException as error:
            self._stack.__exit__(type(error), error, error.__traceback__)
            if isinstance(error, soundfile.LibsndfileError | ValueError):
                raise AudioError(
                    f"cannot write {self.path}: {self._format} cannot hold {self.channels} "
                    f"channel(s) of {self.subtype} at {self.sample_rate} Hz"
                ) from error
            if isinstance(error, OSError):
                raise UserError(f"cannot write {self.path}: {error.strerror}") from error
            raise
        return self

    def write(self, samples: Any) -> None:
        """Append `samples` (T,) or (C, T): array or tensor, float in [-1, 1], or integer PCM."""
        if self._file is None:
            raise AudioError(f"{self.path} is not open for writing")
        frames = _as_frames(samples, self.channels, str(self.path))
        for begin in range(0, len(frames), _BLOCK):
            block, clipped = _quantise(frames[begin : begin + _BLOCK], self.subtype)
            self.clipped += clipped
            self._append(block)
        self.num_samples += len(frames)

    def _append(self, block: np.ndarray) -> None:
        import soundfile

        assert self._file is not None
        try:
            self._file.write(block)
        except (soundfile.LibsndfileError, AssertionError) as error:
            # A full disk shows as fewer samples written than given.
            raise UserError(
                f"cannot write {self.path}: the samples did not reach the disk (is it full?)"
            ) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        file, self._file = self._file, None
        with self._stack:
            if file is not None:
                file.close()
            if error is not None:
                # The stack has to see the exception, or it would put the file in place.
                self._stack.pop_all().__exit__(kind, error, trace)
                return
            self._verify(Path(str(file.name)) if file is not None else self.path)

    def _verify(self, temporary: Path) -> None:
        import soundfile

        if not self.num_samples:
            raise AudioError(f"cannot write {self.path}: there are no samples")
        try:
            held = soundfile.info(str(temporary)).frames
        except soundfile.LibsndfileError:
            held = 0
        lossless = self.subtype in _INTEGER_BITS or self.subtype in _FLOATS
        if held == 0 or (lossless and held != self.num_samples):
            raise UserError(
                f"cannot write {self.path}: the samples did not reach the disk (is it full?)"
            )


def save_audio(
    path: str | os.PathLike[str], wav: Any, sample_rate: int, subtype: str | None = None
) -> int:
    """Write `wav` (T,) or (C, T), array or tensor, to `path`; the suffix picks the format.

    Returns:
        How many samples lay beyond [-1, 1] and were clipped (always 0 for float formats).

    Raises:
        AudioError: NaN or infinity, no samples, another shape, or a format that cannot hold it.
        UserError: the file system refuses; nothing is left behind.
    """
    array = _as_array(wav, str(path))
    channels = 1 if array.ndim == 1 else array.shape[0]
    with AudioWriter(path, sample_rate, channels, subtype) as writer:
        writer.write(array)
    return writer.clipped


def wav_bytes(wav: Any, sample_rate: int, subtype: str = "PCM_16") -> bytes:
    """A whole wav file in memory, for pipes: `wav` (T,) or (C, T)."""
    import soundfile

    array = _as_array(wav, "audio")
    frames = _as_frames(array, 1 if array.ndim == 1 else array.shape[0], "audio")
    if not len(frames):
        raise AudioError("cannot write audio: there are no samples")
    _format_of(Path("audio.wav"), subtype)
    block, _ = _quantise(frames, subtype)
    buffer = io.BytesIO()
    soundfile.write(buffer, block, check_sample_rate(sample_rate), subtype=subtype, format="WAV")
    return buffer.getvalue()


def wav_header(sample_rate: int, channels: int = 1, num_samples: int | None = None) -> bytes:
    """The 44 bytes before 16-bit PCM; None for a stream whose length is not known yet."""
    rate = check_sample_rate(sample_rate)
    size = _UNKNOWN_SIZE if num_samples is None else num_samples * channels * 2
    riff = _UNKNOWN_SIZE if num_samples is None else min(size + 36, _UNKNOWN_SIZE)
    head = struct.pack(
        "<4sI4s4sIHHIIHH",
        b"RIFF",
        riff,
        b"WAVE",
        b"fmt ",
        16,
        1,
        channels,
        rate,
        rate * channels * 2,
        channels * 2,
        16,
    )
    return head + struct.pack("<4sI", b"data", min(size, _UNKNOWN_SIZE))


def _format_of(path: Path, subtype: str | None) -> tuple[str, str]:
    import soundfile

    known = _FORMATS.get(path.suffix.lower())
    if known is None:
        raise AudioError(
            f"cannot write {path}: the file name must end in {', '.join(WRITABLE_SUFFIXES)}"
        )
    chosen = known[1] if subtype is None else subtype.upper()
    if not soundfile.check_format(known[0], chosen):
        raise AudioError(f"cannot write {path}: {known[0]} has no sample format {subtype}")
    return known[0], chosen


def _as_array(samples: Any, name: str) -> np.ndarray:
    """(T,) or (C, T) as float, from an array, a tensor or integer PCM."""
    if hasattr(samples, "detach"):  # a torch tensor, without importing torch
        samples = samples.detach().to("cpu")
        if samples.is_floating_point():
            samples = samples.float()
        samples = samples.numpy()
    array = np.asarray(samples)
    if array.ndim not in (1, 2):
        raise AudioError(f"cannot write {name}: samples must be (T,) or (C, T), not {array.shape}")
    if array.dtype.kind == "i":
        return array / -float(np.iinfo(array.dtype).min)
    if array.dtype.kind != "f":
        raise AudioError(f"cannot write {name}: samples of type {array.dtype} are not audio")
    return array


def _as_frames(samples: Any, channels: int, name: str) -> np.ndarray:
    """(T, C), libsndfile's order, checked."""
    array = _as_array(samples, name)
    frames = array[:, None] if array.ndim == 1 else array.T
    if frames.shape[1] != channels:
        raise AudioError(
            f"cannot write {name}: {frames.shape[1]} channel(s) given, {channels} expected"
        )
    if not np.isfinite(frames).all():
        raise AudioError(f"cannot write {name}: the samples hold NaN or infinity")
    return frames


def _quantise(frames: np.ndarray, subtype: str) -> tuple[np.ndarray, int]:
    """`frames` in the type that libsndfile writes unchanged, and how many samples clipped."""
    if subtype in _FLOATS:
        return frames.astype(_FLOATS[subtype]), 0
    clipped = int(np.count_nonzero(np.abs(frames) > 1.0))
    bits = _INTEGER_BITS.get(subtype)
    if bits is None:  # a codec: it takes floats
        return np.clip(frames, -1.0, 1.0).astype(np.float32), clipped
    full = float(1 << (bits - 1))
    integers = np.clip(np.rint(frames.astype(np.float64) * full), -full, full - 1)
    container, shift = (np.int16, 16 - bits) if bits <= 16 else (np.int32, 32 - bits)
    return integers.astype(container) << shift, clipped
