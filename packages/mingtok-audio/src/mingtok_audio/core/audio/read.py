"""Audio files in: wav, flac, ogg, opus, mp3, aiff and au through libsndfile. Writing: audio_write.

Axes: C channels, T samples. Samples are float32; integer files become x / 2^(bits - 1), so that
`save_audio` gives the same integers back.

What is not speech is refused in one line that names the file: not audio, zero samples, NaN or
infinity, a sample rate out of range, a file shorter than its header says.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np

from mingtok_audio.core.audio.channels import ChannelMeter, Mix, choose_channels
from mingtok_audio.core.audio.check import find_truncation, streamed_sizes
from mingtok_audio.core.audio.resampler import (
    StreamResampler,
    check_sample_rate,
    resample,
)
from mingtok_audio.core.errors import AudioError
from mingtok_audio.core.files import os_reason
from mingtok_audio.core.names import files_below
from mingtok_audio.core.native_stderr import captured_stderr

if TYPE_CHECKING:
    import soundfile


AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au")
_BLOCK = 1 << 16  # samples per read
_UNKNOWN_FRAMES = 1 << 60  # libsndfile's count for a stream whose header leaves it open
# libmpg123 reports a damaged file to descriptor 2 by itself; ours is the one message.
_MPG123 = ("[src/libmpg123", "Note: ")
# Of wav and aiff: their header counts the samples that went into the coder.
_BLOCK_CODECS = ("MPEG_", "IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_", "NMS_ADPCM")
_BLOCK_CODEC_SLACK = 4096
_HEARD_SECONDS = 30.0  # an ordinary file of several channels is measured no longer than this
_NO_DECODER = (".m4a", ".mp4", ".aac", ".wma", ".webm", ".amr")

AudioSource = str | os.PathLike[str] | bytes | BinaryIO
Channel = Literal["mix"] | int


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says. `num_samples` counts one channel, `seconds` = it / rate."""

    path: str
    sample_rate: int
    channels: int
    num_samples: int
    seconds: float
    format: str
    subtype: str


def load_audio(
    path: AudioSource,
    sample_rate: int | None = None,
    channel: Channel = "mix",
    start: float | None = None,
    end: float | None = None,
) -> tuple[np.ndarray, int]:
    """Read a file, bytes, an open binary file, or `"-"` (standard input).

    Args:
        sample_rate: resample to this rate in Hz; None keeps the file's.
        channel: "mix" averages the channels that carry sound (see `channels`), a number
            (from 0) picks one.
        start, end: seconds in the file; an `end` after the file's end means its end.

    Returns:
        The samples (T,) float32, T >= 1, and their rate in Hz.

    Raises:
        AudioError: in one line that names the file.
    """
    with _open(path, channel) as (file, name, mix):
        rate = file.samplerate
        target = rate if sample_rate is None else check_sample_rate(sample_rate)
        first, stop = _span(file, name, start, end)
        wav = np.concatenate(list(_blocks(file, name, mix, first, stop)))
    return (wav if target == rate else resample(wav, rate, target)), target


def iter_audio_blocks(
    path: AudioSource,
    block_seconds: float = 10.0,
    *,
    sample_rate: int | None = None,
    channel: Channel = "mix",
    start: float | None = None,
    end: float | None = None,
) -> Iterator[np.ndarray]:
    """The samples that `load_audio` returns, in blocks, in constant memory.

    Each block but the last has `round(block_seconds * sample_rate)` samples (at least one).

    Raises:
        AudioError: as `load_audio`; damage inside the file is found when it is reached.
    """
    with _open(path, channel) as (file, name, mix):
        rate = file.samplerate
        target = rate if sample_rate is None else check_sample_rate(sample_rate)
        first, stop = _span(file, name, start, end)
        size = max(1, round(block_seconds * target))
        stream = StreamResampler(rate, target)
        pending: list[np.ndarray] = []
        held = 0
        for block in _with_tail(stream, _blocks(file, name, mix, first, stop)):
            pending.append(block)
            held += len(block)
            if held >= size:
                joined = np.concatenate(pending)
                whole = held - held % size
                for begin in range(0, whole, size):
                    yield joined[begin : begin + size]
                pending, held = [joined[whole:]], held - whole
        if held:
            yield np.concatenate(pending)


def _with_tail(stream: StreamResampler, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    for block in blocks:
        yield stream.push(block)
    yield stream.finish()


def audio_info(path: AudioSource) -> AudioInfo:
    """What the header of a file says, without decoding it.

    Raises:
        AudioError: not audio, no samples, or a wav, ogg or mp3 shorter than its header says.
    """
    with _open(path, 0) as (file, name, mix):
        if file.frames >= _UNKNOWN_FRAMES:
            total = sum(len(block) for block in _blocks(file, name, mix, 0, None))
        else:
            total = file.frames
        return AudioInfo(
            name,
            file.samplerate,
            file.channels,
            total,
            total / file.samplerate,
            file.format,
            file.subtype,
        )


def find_audio_files(folder: str | os.PathLike[str]) -> list[Path]:
    """Audio files anywhere under `folder`, sorted by path; hidden files and folders left out."""
    return files_below(Path(folder), AUDIO_SUFFIXES)


@contextmanager
def _open(source: AudioSource, channel: Channel) -> Iterator[tuple[soundfile.SoundFile, str, Mix]]:
    """The decoder, a name for messages, and which channels to average; refuses what cannot be
    used before decoding."""
    import soundfile

    stream, name = _stream(source)
    with stream:
        if not stream.read(1):
            raise AudioError(f"{name} is empty (0 bytes)")
        stream.seek(0)
        problem = find_truncation(stream)
        if problem is not None:
            raise AudioError(f"{name} cannot be used: {problem}")
        stream.seek(0)
        try:
            file = _decoder(stream)
        except (soundfile.LibsndfileError, TypeError) as error:
            raise AudioError(_not_audio(name, error)) from error
        with file:
            check_sample_rate(file.samplerate, f"{name} cannot be used: its sample rate")
            if file.frames == 0:
                raise AudioError(f"{name} holds no samples")
            yield file, name, _mix_of(file, name, channel)


def _mix_of(file: soundfile.SoundFile, name: str, channel: Channel) -> Mix:
    """Which channels to average. Reads a file of several channels from its start until they are
    all heard, and goes back."""
    import soundfile

    _check_channel(channel, file.channels, name)
    if channel != "mix":
        return Mix((int(channel),))
    everything = Mix(tuple(range(file.channels)))
    if file.channels == 1:
        return everything
    meter = ChannelMeter.of(file.channels)
    mix = everything
    try:
        while True:
            block = _read(file, _BLOCK, [])
            if not len(block):
                break
            if np.isfinite(block).all():  # whoever reads the samples says where they are not
                meter.add(block)
            mix = choose_channels(meter)
            if mix == everything and meter.count > _HEARD_SECONDS * file.samplerate:
                break
        file.seek(0)
    except (soundfile.LibsndfileError, RuntimeError):
        return everything  # a damaged file: the read that follows names the place
    if mix.remark:
        warnings.warn(f"{name}: {mix.remark}", stacklevel=2)
    return mix


class _Overlaid(io.RawIOBase):
    """A file with some bytes replaced: the sizes that a streaming writer left at zero."""

    def __init__(self, stream: BinaryIO, patches: dict[int, bytes]) -> None:
        self._stream, self._patches = stream, patches

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readinto(self, buffer: Any) -> int:
        place = self._stream.tell()
        data = bytearray(self._stream.read(len(buffer)))
        for at, patch in self._patches.items():
            for i, byte in enumerate(patch, at - place):
                if 0 <= i < len(data):
                    data[i] = byte
        buffer[: len(data)] = data
        return len(data)


def _decoder(stream: io.BytesIO | io.BufferedReader) -> soundfile.SoundFile:
    import soundfile

    start = stream.read(3)
    stream.seek(0)
    file: Any = stream
    patches = streamed_sizes(stream)
    if patches:
        file = _Overlaid(stream, patches)
        return soundfile.SoundFile(file)
    if not isinstance(stream, io.BytesIO) and os.name != "nt":
        # By descriptor libsndfile reads the file itself, faster than through Python, and goes by
        # its content: by name it would take a text called x.mp3 for mp3.
        file = os.dup(stream.fileno())
        os.lseek(file, 0, os.SEEK_SET)
    if start.startswith(b"ID3") or (len(start) > 1 and start[0] == 0xFF and start[1] >= 0xE0):
        with captured_stderr(_MPG123):
            return soundfile.SoundFile(file)
    return soundfile.SoundFile(file)


def _stream(source: AudioSource) -> tuple[io.BytesIO | io.BufferedReader, str]:
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source), "the audio given as bytes"
    if isinstance(source, str | os.PathLike):
        if os.fspath(source) == "-":
            if sys.stdin is None:
                raise AudioError("standard input is closed")
            return io.BytesIO(sys.stdin.buffer.read()), "standard input"
        path = Path(source)
        try:
            if path.is_dir():
                raise AudioError(f"{path} is a folder, not an audio file")
            if path.exists() and not path.is_file():
                return io.BytesIO(path.read_bytes()), str(path)  # a pipe cannot seek
            return path.open("rb"), str(path)
        except (OSError, ValueError) as error:
            reason = os_reason(error) if isinstance(error, OSError) else str(error)
            raise AudioError(f"cannot read {path}: {reason}") from error
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        return io.BytesIO(source.read()), str(name) if isinstance(name, str) else "the audio given"
    raise AudioError(f"audio comes from a path, bytes or a file, not {type(source).__name__}")


def _not_audio(name: str, error: Exception) -> str:
    suffix = Path(name).suffix.lower()
    if suffix in _NO_DECODER:
        return f"{name}: {suffix} files cannot be read here; convert it to wav or flac first"
    reason = _reason(error)
    return f"{name} is not readable audio ({reason}); give a wav, flac, ogg or mp3 file"


def _reason(error: Exception) -> str:
    text = str(getattr(error, "error_string", error))
    return text.removeprefix("Error : ").rstrip(".")


def _span(
    file: soundfile.SoundFile, name: str, start: float | None, end: float | None
) -> tuple[int, int | None]:
    """`start` and `end` as sample numbers of the file; None is its end."""
    rate = file.samplerate
    for value, what in ((start, "start"), (end, "end")):
        if value is not None and not (np.isfinite(value) and value >= 0):
            raise AudioError(f"the {what} time must be 0 or more seconds, not {value}")
    first = round((start or 0.0) * rate)
    stop = None if end is None else round(end * rate)
    if stop is not None and stop <= first:
        raise AudioError(f"the end time {end} s must be after the start time {start or 0} s")
    if first >= file.frames:
        raise AudioError(
            f"the start time {start} s is after the end of {name} ({file.frames / rate:.3f} s)"
        )
    return first, stop


def _blocks(
    file: soundfile.SoundFile, name: str, mix: Mix, first: int, stop: int | None
) -> Iterator[np.ndarray]:
    """Mono blocks of the samples [first, stop), checked; refuses a file that ends early."""
    import soundfile

    promised = file.frames
    known = promised < _UNKNOWN_FRAMES
    # Coders of blocks count what they put in, and the decoder gives what comes out.
    slack = _BLOCK_CODEC_SLACK if file.subtype.startswith(_BLOCK_CODECS) else 0
    wanted = promised if stop is None else min(stop, promised)
    position = first
    complaints: list[str] = []
    try:
        if first:
            file.seek(first)
        while position < wanted:
            block = _read(file, min(_BLOCK, wanted - position), complaints)
            if not len(block):
                break
            _check_finite(block, name, position, file.samplerate)
            position += len(block)
            yield _mono(block, mix.channels)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        seconds = position / file.samplerate
        raise AudioError(
            f"{name} is damaged or truncated somewhere after {seconds:.1f} s ({_reason(error)})"
        ) from error
    if known and position < min(wanted, promised - slack):
        raise AudioError(
            f"{name} cannot be used: it is truncated: its header promises {promised} samples, "
            f"{position} are there"
        )
    if position == first:
        raise AudioError(f"{name} holds no samples")
    if complaints:
        warnings.warn(f"{name} is damaged in {len(complaints)} place(s)", stacklevel=2)


def _mono(block: np.ndarray, channels: tuple[int, ...]) -> np.ndarray:
    """(T, C) -> the mean of some channels (T,)."""
    if len(channels) == 1:
        return np.ascontiguousarray(block[:, channels[0]])
    return (block if len(channels) == block.shape[1] else block[:, channels]).mean(axis=1)


def _read(file: soundfile.SoundFile, count: int, complaints: list[str]) -> np.ndarray:
    """The next samples (n, C); what the mp3 decoder had to make up is noted in `complaints`."""
    if file.format != "MP3":
        return file.read(count, dtype="float32", always_2d=True)
    with captured_stderr(_MPG123) as said:
        block = file.read(count, dtype="float32", always_2d=True)
    complaints += [line for line in said if "error" in line]
    return block


def _check_channel(channel: Channel, channels: int, name: str) -> None:
    if channel == "mix":
        return
    if isinstance(channel, bool) or not isinstance(channel, int):
        raise AudioError(f'the channel must be "mix" or a number from 0, not {channel!r}')
    if not 0 <= channel < channels:
        last = f"0 to {channels - 1}" if channels > 1 else "only 0"
        raise AudioError(f"{name} has no channel {channel}; it has {last}")


def _check_finite(block: np.ndarray, name: str, position: int, rate: int) -> None:
    finite = np.isfinite(block)
    if not finite.all():
        row = int(np.argmin(finite.all(axis=1)))
        kind = "NaN" if np.isnan(block[row]).any() else "infinity"
        raise AudioError(
            f"{name} cannot be used: it holds {kind} (sample {position + row}, "
            f"{(position + row) / rate:.3f} s)"
        )
