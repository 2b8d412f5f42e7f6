"""Where speech goes while it is made: a file that appears when it is whole, a file that can be
played while it grows, or standard output. All are context managers with `write`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from mingtok_audio.core.audio import AudioWriter, wav_bytes, wav_header
from mingtok_audio.core.errors import AudioError, UserError
from mingtok_audio.core.files import os_reason

PART_SUFFIX = ".part"


def pcm16(samples: Any) -> bytes:
    """Samples (T,) in [-1, 1] as 16-bit little-endian PCM, rounded as `save_audio` does."""
    scaled = np.rint(np.asarray(samples, dtype=np.float64) * 32768.0)
    return np.clip(scaled, -32768, 32767).astype("<i2").tobytes()


class GrowingWav:
    """A wav file that is valid while it is written.

    It grows as `OUT.wav.part`, with a header that leaves the length open and every piece on disk
    at once, so that a player can follow it. At the end the header is completed and the file gets
    its name; when the block raises it is removed.
    """

    def __init__(self, path: str | os.PathLike[str], sample_rate: int) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != ".wav":
            raise UserError(f"--stream writes wav: {self.path} must end in .wav")
        if self.path.is_dir():
            raise UserError(f"cannot write {self.path}: it is a folder; give a file name")
        self.sample_rate = sample_rate
        self.num_samples = 0
        self._part = self.path.with_name(self.path.name + PART_SUFFIX)
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        try:
            self._file = self._part.open("wb", buffering=0)
            self._file.write(wav_header(self.sample_rate))
        except OSError as error:
            raise UserError(f"cannot write {self._part}: {os_reason(error)}") from error
        return self

    def write(self, samples: Any) -> None:
        """Append samples (T,)."""
        assert self._file is not None
        data = pcm16(samples)
        try:
            if self._file.write(data) != len(data):
                raise UserError(f"cannot write {self._part}: is the disk full?")
        except OSError as error:
            raise UserError(f"cannot write {self._part}: {os_reason(error)}") from error
        self.num_samples += len(samples)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        file, self._file = self._file, None
        assert file is not None
        try:
            if error is None:
                if not self.num_samples:
                    raise AudioError(f"cannot write {self.path}: there are no samples")
                file.seek(0)
                file.write(wav_header(self.sample_rate, num_samples=self.num_samples))
                os.fsync(file.fileno())
            file.close()
            if error is None:
                self._part.replace(self.path)
        except OSError as failure:
            raise UserError(f"cannot write {self.path}: {os_reason(failure)}") from failure
        finally:
            file.close()
            self._part.unlink(missing_ok=True)


class StdoutWav:
    """A wav on standard output: at once, with a header that leaves the length open, or with
    `stream` False as a whole at the end."""

    def __init__(self, sample_rate: int, stream: bool) -> None:
        self.sample_rate, self.stream = sample_rate, stream
        self.num_samples = 0
        self._held: list[np.ndarray] = []

    def __enter__(self) -> Self:
        return self

    def write(self, samples: Any) -> None:
        """Append samples (T,)."""
        if not self.stream:
            self._held.append(np.asarray(samples, dtype=np.float32))
        else:
            if not self.num_samples:
                self._out(wav_header(self.sample_rate))
            self._out(pcm16(samples))
        self.num_samples += len(samples)

    def _out(self, data: bytes) -> None:
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UserError(f"cannot write to standard output: {os_reason(error)}") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is None and self._held:
            self._out(wav_bytes(np.concatenate(self._held), self.sample_rate))


def open_sink(output: str, sample_rate: int, stream: bool) -> AudioWriter | GrowingWav | StdoutWav:
    """The sink for an output: "-", or a file."""
    if output == "-":
        return StdoutWav(sample_rate, stream)
    return GrowingWav(output, sample_rate) if stream else AudioWriter(output, sample_rate)
