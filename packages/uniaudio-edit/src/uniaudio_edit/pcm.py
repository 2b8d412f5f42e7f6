"""Recordings in their own number type: what is not edited must come out as it went in.

Axes: T samples, C channels; PCM is (T, C). Integer files are read as integers: 16 bits and less
as int16, 24 and 32 bits as int32 (24-bit samples in the upper three bytes), without any scaling.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mingtok_audio.core.audio import audio_info, check_sample_rate
from mingtok_audio.core.errors import AudioError, UserError
from mingtok_audio.core.files import atomic_write
from uniaudio_edit.wavfile import Tags, add_chunks, set_strings

# libsndfile's subtype: (numpy type, subtype that keeps such samples in a wav, bits)
_Kind = Literal["int16", "int32", "float32", "float64"]
_TYPES: dict[str, tuple[_Kind, str, int]] = {
    "PCM_S8": ("int16", "PCM_16", 8),
    "PCM_U8": ("int16", "PCM_U8", 8),
    "PCM_16": ("int16", "PCM_16", 16),
    "PCM_24": ("int32", "PCM_24", 24),
    "PCM_32": ("int32", "PCM_32", 32),
    "ULAW": ("int16", "PCM_16", 16),
    "ALAW": ("int16", "PCM_16", 16),
    "FLOAT": ("float32", "FLOAT", 32),
    "DOUBLE": ("float64", "DOUBLE", 64),
}
_FLAC_SUBTYPES = {"PCM_16": "PCM_16", "PCM_24": "PCM_24", "PCM_U8": "PCM_16"}
OUTPUT_SUFFIXES = (".wav", ".flac")
_BLOCK = 1 << 20
_MOST_CHANNELS = 32
_LOUDEST = 64.0  # no recording in [-1, 1] goes so far; integers written as floats do
_LONGEST_WAV = (1 << 32) - 4096


@dataclass(frozen=True)
class Recording:
    """A decoded file.

    Attributes:
        pcm: (T, C).
        sample_rate: Hz.
        subtype: how the samples are kept in a wav ("PCM_16", "PCM_24", "FLOAT", ...).
        bits: that are used of an integer sample.
        format: of the file it was read from ("WAV", "FLAC", ...).
        sha256: of that file's bytes; "" for samples that came from no file.
    """

    pcm: np.ndarray
    sample_rate: int
    subtype: str
    bits: int
    format: str = "WAV"
    sha256: str = ""

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.pcm) / self.sample_rate

    def describe(self) -> dict[str, Any]:
        """As in a receipt."""
        return {
            "sha256": self.sha256,
            "pcm_sha256": pcm_sha256(self.pcm),
            "sample_rate": self.sample_rate,
            "channels": self.pcm.shape[1],
            "num_samples": len(self.pcm),
            "subtype": self.subtype,
        }


def pcm_sha256(pcm: np.ndarray) -> str:
    """SHA-256 of samples (T, C) as little-endian bytes, frame after frame."""
    digest = hashlib.sha256()
    for start in range(0, len(pcm), _BLOCK):
        block = pcm[start : start + _BLOCK]
        little = block.astype(pcm.dtype.newbyteorder("<"), copy=False)
        digest.update(np.ascontiguousarray(little).data)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_recording(path: str | Path) -> Recording:
    """Decode a file without changing a sample.

    Compressed files (mp3, ogg) are decoded to 16 bits, as players do.

    Raises:
        AudioError: not audio, empty, damaged, or with NaN or infinity.
    """
    import soundfile

    file = Path(path)
    info = audio_info(file)
    lossy = info.subtype not in _TYPES
    kind, subtype, bits = ("int16", "PCM_16", 16) if lossy else _TYPES[info.subtype]
    blocks: list[np.ndarray] = []
    try:
        with soundfile.SoundFile(file) as stream:
            # Block by block: what a header promises is not allocated before it is there.
            while len(block := stream.read(_BLOCK, "float32" if lossy else kind, always_2d=True)):
                if block.dtype.kind == "f" and not np.isfinite(block).all():
                    raise AudioError(f"{file} cannot be used: it holds NaN or infinity")
                blocks.append(from_float(block, np.dtype("int16"), 16)[0] if lossy else block)
            rate = stream.samplerate
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(f"{file} is damaged ({error})") from error
    pcm = _joined(blocks)
    if not lossy and len(pcm) < info.num_samples:
        raise AudioError(
            f"{file} cannot be used: it is truncated: its header promises {info.num_samples} "
            f"samples, {len(pcm)} are there"
        )
    if not len(pcm):
        raise AudioError(f"{file} holds no samples")
    return Recording(pcm, rate, subtype, bits, info.format, file_sha256(file))


def _joined(blocks: list[np.ndarray]) -> np.ndarray:
    """The blocks as one array; each is let go when it is copied."""
    if len(blocks) <= 1:
        return blocks[0] if blocks else np.zeros((0, 1), np.int16)
    out = np.empty((sum(map(len, blocks)), blocks[0].shape[1]), blocks[0].dtype)
    position = 0
    blocks.reverse()
    while blocks:
        block = blocks.pop()
        out[position : position + len(block)] = block
        position += len(block)
    return out


def from_array(wav: Any, sample_rate: int) -> Recording:
    """Samples (T,) or (C, T), array or tensor, as a recording.

    Raises:
        AudioError: another shape or type, no samples, NaN or infinity.
    """
    if hasattr(wav, "detach"):  # a tensor; NumPy has no bfloat16
        tensor = wav.detach().cpu()
        wav = tensor.float().numpy() if "bfloat16" in str(tensor.dtype) else tensor.numpy()
    try:
        array = np.asarray(wav)
    except ValueError as error:
        raise AudioError("audio must be (T,) or (C, T), not rows of unequal lengths") from error
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    if array.ndim not in (1, 2) or not array.size:
        raise AudioError(f"audio must be (T,) or (C, T) with samples, not {array.shape}")
    if array.ndim == 2 and array.shape[0] > max(_MOST_CHANNELS, array.shape[1] - 1):
        raise AudioError(
            f"audio of shape {array.shape} would have {array.shape[0]} channels; channels come "
            "first: transpose it"
        )
    subtypes = {"int16": "PCM_16", "int32": "PCM_32", "float32": "FLOAT", "float64": "DOUBLE"}
    if array.dtype.name not in subtypes:
        raise AudioError(
            f"samples of type {array.dtype} are not audio; give int16, int32, or floats in [-1, 1]"
        )
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise AudioError("the audio holds NaN or infinity")
        if (peak := float(np.abs(array).max())) > _LOUDEST:
            raise AudioError(
                f"the audio has samples up to {peak:,.0f}, not in [-1, 1]: divide by 32768 if they "
                "are 16-bit numbers"
            )
    check_sample_rate(sample_rate)
    subtype = subtypes[array.dtype.name]
    pcm = np.ascontiguousarray(array[:, None] if array.ndim == 1 else array.T)
    return Recording(pcm, sample_rate, subtype, _TYPES[subtype][2])


def check_output(path: str | Path, source: Recording) -> str:
    """The subtype in which `path` keeps every sample of an edit of `source`.

    Raises:
        AudioError: a format that loses samples.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".wav":
        return source.subtype
    if suffix == ".flac":
        if source.subtype not in _FLAC_SUBTYPES:
            raise AudioError(
                f"cannot write {path}: flac cannot hold {source.subtype} samples unchanged; "
                "give a .wav name"
            )
        return _FLAC_SUBTYPES[source.subtype]
    raise AudioError(
        f"cannot write {path}: samples stay as they are only in {' or '.join(OUTPUT_SUFFIXES)} "
        "files; convert afterwards if need be"
    )


def write_pcm(
    path: str | Path, pcm: np.ndarray, source: Recording, tags: Tags | None = None
) -> str:
    """Write samples (T, C) of the type of `source` atomically; returns the file's SHA-256.

    Raises:
        AudioError: a format that loses samples, no samples, too long for a wav.
        UserError: the file system refuses.
    """
    import soundfile

    subtype = check_output(path, source)
    if not len(pcm):
        raise AudioError(f"cannot write {path}: there are no samples")
    if pcm.nbytes > _LONGEST_WAV:
        raise AudioError(f"cannot write {path}: {pcm.nbytes} bytes are too many for one file")
    tags = tags or Tags()
    container = "FLAC" if Path(path).suffix.lower() == ".flac" else "WAV"
    with atomic_write(path) as temporary:
        try:
            if container == "WAV" and pcm.dtype.kind == "f":
                _write_float_wav(temporary, pcm, source.sample_rate)
            else:
                channels, rate = pcm.shape[1], source.sample_rate
                with soundfile.SoundFile(
                    temporary, "w", rate, channels, subtype, format=container
                ) as file:
                    set_strings(file, tags.strings)
                    file.write(pcm)
            held = soundfile.info(str(temporary)).frames
        except soundfile.LibsndfileError as error:
            raise UserError(f"cannot write {path}: {error}") from error
        if held != len(pcm):
            raise UserError(f"cannot write {path}: not all samples reached the disk (is it full?)")
        if container == "WAV":
            add_chunks(temporary, tags.chunks)
        return file_sha256(temporary)


def _write_float_wav(path: Path, pcm: np.ndarray, sample_rate: int) -> None:
    """A float wav without the PEAK chunk that libsndfile adds: it holds the time of day, and the
    same edit must give the same file."""
    channels, width = pcm.shape[1], pcm.dtype.itemsize
    head = struct.pack(
        "<4sI4s4sIHHIIHHH4sII4sI",
        b"RIFF",
        50 + pcm.nbytes,
        b"WAVE",
        b"fmt ",
        18,
        3,
        channels,
        sample_rate,
        sample_rate * channels * width,
        channels * width,
        8 * width,
        0,
        b"fact",
        4,
        len(pcm),
        b"data",
        pcm.nbytes,
    )
    with path.open("wb") as stream:
        stream.write(head)
        for start in range(0, len(pcm), _BLOCK):
            block = pcm[start : start + _BLOCK]
            stream.write(np.ascontiguousarray(block.astype(pcm.dtype.newbyteorder("<"))).data)


class Floats:
    """Samples (T, C) as float64 in [-1, 1), converted only where they are looked at."""

    def __init__(self, pcm: np.ndarray) -> None:
        self._pcm = pcm
        self.shape = pcm.shape

    def __len__(self) -> int:
        return len(self._pcm)

    def __getitem__(self, span: slice) -> np.ndarray:
        return to_float(self._pcm[span])


class Mono:
    """The mean of the channels (T,) in the units of the samples, made where it is looked at."""

    def __init__(self, pcm: np.ndarray) -> None:
        self._pcm = pcm

    def __len__(self) -> int:
        return len(self._pcm)

    def __getitem__(self, span: slice) -> np.ndarray:
        part = self._pcm[span]
        return part[:, 0].astype(np.float64) if part.shape[1] == 1 else part.mean(axis=1)

    @cached_property
    def peak(self) -> float:
        """The largest absolute sample."""
        starts = range(0, len(self), _BLOCK)
        return max((float(np.abs(self[s : s + _BLOCK]).max()) for s in starts), default=0.0)


def to_float(pcm: np.ndarray) -> np.ndarray:
    """Samples of any type as float64 in [-1, 1)."""
    if pcm.dtype.kind == "i":
        return pcm / -float(np.iinfo(pcm.dtype).min)
    return pcm.astype(np.float64)


def from_float(wav: np.ndarray, dtype: np.dtype, bits: int) -> tuple[np.ndarray, int]:
    """float64 (T, C) as `dtype` with `bits` used bits, and how many samples clipped."""
    if dtype.kind == "f":
        return wav.astype(dtype), 0
    width, full = np.iinfo(dtype).bits, float(1 << (bits - 1))
    out, clipped = np.empty(wav.shape, dtype), 0
    for start in range(0, len(wav), _BLOCK):
        scaled = np.rint(wav[start : start + _BLOCK] * full)
        clipped += int(np.count_nonzero((scaled < -full) | (scaled > full - 1)))
        block = np.clip(scaled, -full, full - 1).astype(dtype) << (width - bits)
        out[start : start + _BLOCK] = block
    return out, clipped
