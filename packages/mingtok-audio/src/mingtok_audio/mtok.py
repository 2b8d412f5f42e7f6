"""The `.mtok` file: latents as safetensors with a versioned header. numpy only, never pickle.

Tensors, in this order on disk: `lengths`, `num_samples` and, where known, `source_num_samples`
(B,) I64; `scale` (D,) F32 for int8; `values` (B, L, D) F32, F16 or I8 (then `values * scale`).
The header's `__metadata__` says what they mean (`MtokHeader.metadata`). The small tensors come
first and the header is padded to a size that is known from the start, so a stream of any length
is appended without being held in memory, and the same latents always give the same bytes (the
safetensors library writes its metadata in an order that changes from run to run).

Axes: B clips, L frames, D latent dimensions.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np

from mingtok_audio.core.errors import FormatError
from mingtok_audio.core.files import os_reason
from mingtok_audio.core.models.weights import TensorInfo, parse_safetensors_header

FORMAT = "mtok"
FORMAT_VERSION = 1
# A version to what rewrites its metadata as the next version has it. Raise FORMAT_VERSION, add the
# step from the version before, and files of every earlier version are still read.
MIGRATIONS: dict[int, Callable[[dict[str, str]], dict[str, str]]] = {}
MTOK_SUFFIX = ".mtok"
Storage = Literal["float32", "float16", "int8"]
STORAGES: tuple[Storage, ...] = get_args(Storage)

# The inverse STFT of frames after a point reaches back over it: (n_fft / hop - 1) / 2 frames, 2
# for every model there is. A few more cost nothing and leave room for longer windows.
LOOKAHEAD_FRAMES = 8

MAX_HEADER = 1 << 16
_MAX_CLIPS = 1 << 20
_MAX_DIM = 1 << 16
MAX_COUNT = 1 << 53
DTYPES: dict[str, tuple[str, str]] = {  # storage: (safetensors, numpy)
    "float32": ("F32", "<f4"),
    "float16": ("F16", "<f2"),
    "int8": ("I8", "|i1"),
}
_COUNTS = ("lengths", "num_samples", "source_num_samples")


@dataclass(frozen=True)
class MtokHeader:
    """What a file says about its latents. Counts are per clip; `frames` is L, the longest."""

    latent_dim: int
    batch: int = 1
    frames: int = 0
    lengths: tuple[int, ...] = ()
    num_samples: tuple[int, ...] = ()
    sample_rate: int = 16000
    frame_rate: float = 50.0
    source_sample_rate: int | None = None
    source_num_samples: tuple[int, ...] | None = None
    model_id: str = ""
    model_hash: str = ""
    sampled: bool = False
    storage: Storage = "float32"
    decoder_warmup_frames: int | None = None
    """Frames to read before a point to decode from there; None: all of them."""
    context_samples: int = 0
    """Decoded samples before the clip begins: the warm-up that a partial read kept."""
    crc32: str | None = None
    format_version: int = FORMAT_VERSION

    @property
    def hop_length(self) -> int:
        return round(self.sample_rate / self.frame_rate)

    @property
    def seconds(self) -> float:
        """Length of the longest clip."""
        return max(self.num_samples, default=0) / self.sample_rate

    def span(
        self, start: float | None, end: float | None, warmup_frames: int | None
    ) -> tuple[slice, int, slice]:
        """Which frames to read for the times [start, end), in seconds.

        Returns:
            The frames, how many decoded samples to drop first, and the clip's samples that then
            follow. An `end` after the last sample means the last sample.

        Raises:
            FormatError: times that are not in the clip or not in order.
        """
        total, rate, hop = max(self.num_samples, default=0), self.sample_rate, self.hop_length
        for value, what in ((start, "start"), (end, "end")):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise FormatError(f"the {what} time must be 0 or more seconds, not {value}")
        first = round((start or 0.0) * rate)
        stop = total if end is None else min(total, round(end * rate))
        if first >= total:
            raise FormatError(
                f"the start time {start or 0} s is after the end of the clip ({total / rate:.3f} s)"
            )
        if stop <= first:
            raise FormatError(f"the end time {end} s must be after the start time {start or 0} s")
        begin = self.context_samples + first
        low = 0 if warmup_frames is None else max(0, begin // hop - warmup_frames)
        high = min(self.frames, -(-(self.context_samples + stop) // hop) + LOOKAHEAD_FRAMES)
        return slice(low, high), begin - low * hop, slice(first, stop)

    def metadata(self) -> dict[str, str]:
        optional = {
            "source_sample_rate": self.source_sample_rate,
            "decoder_warmup_frames": self.decoder_warmup_frames,
            "crc32": self.crc32,
        }
        return {
            "format": FORMAT,
            "format_version": str(self.format_version),
            "sample_rate": str(self.sample_rate),
            "frame_rate": repr(float(self.frame_rate)),
            "hop_length": str(self.hop_length),
            "model_id": self.model_id,
            "model_hash": self.model_hash,
            "posterior": "sampled" if self.sampled else "mode",
            "storage": self.storage,
            "context_samples": str(self.context_samples),
            **{key: str(value) for key, value in optional.items() if value is not None},
        }

    def table(self) -> dict[str, tuple[str, list[int]]]:
        """Tensor names to (safetensors dtype, shape), in the order of the file."""
        table: dict[str, tuple[str, list[int]]] = {
            name: ("I64", [self.batch]) for name in count_names(self)
        }
        if self.storage == "int8":
            table["scale"] = ("F32", [self.latent_dim])
        table["values"] = (DTYPES[self.storage][0], [self.batch, self.frames, self.latent_dim])
        return table


class MtokReader:
    """Read a file, whole or in parts; use as a context manager.

    The header is checked before anything is allocated. Raises `FormatError`, in one line that
    names the file, for whatever is not a whole `.mtok` file of a version that is known here.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._scale: np.ndarray | None = None
        try:
            self._file = self.path.open("rb")
        except (OSError, ValueError) as error:
            reason = os_reason(error) if isinstance(error, OSError) else str(error)
            raise FormatError(f"cannot read {self.path}: {reason}") from error
        try:
            self.header = self._parse()
        except OSError as error:
            self._file.close()
            raise FormatError(f"cannot read {self.path}: {os_reason(error)}") from error
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, start: int = 0, stop: int | None = None, clip: int = 0) -> np.ndarray:
        """Frames [start, stop) of one clip: (n, D) float32."""
        header = self.header
        stop = header.frames if stop is None else min(stop, header.frames)
        kind = np.dtype(DTYPES[header.storage][1])
        row = header.latent_dim * kind.itemsize
        self._file.seek(self._values_at + (clip * header.frames + start) * row)
        data = self._exactly(max(0, stop - start) * row)
        values = np.frombuffer(data, kind).reshape(-1, header.latent_dim).astype(np.float32)
        if self._scale is not None:
            with np.errstate(over="ignore"):
                values *= self._scale
        if not np.isfinite(values).all():
            raise FormatError(f"{self.path} is damaged: its latents hold NaN or infinity")
        return values

    def blocks(self, frames: slice, size: int) -> Iterator[np.ndarray]:
        """Frames (n, D) of the first clip, `size` at a time."""
        for start in range(frames.start, frames.stop, size):
            yield self.read(start, min(start + size, frames.stop))

    def verify(self) -> None:
        """Compare the values with the header's checksum; raises `FormatError` where they differ."""
        header = self.header
        if header.crc32 is None:
            return
        size = header.batch * header.frames * header.latent_dim
        left = size * np.dtype(DTYPES[header.storage][1]).itemsize
        self._file.seek(self._values_at)
        crc = 0
        while left:
            data = self._exactly(min(left, 1 << 20))
            crc = zlib.crc32(data, crc)
            left -= len(data)
        if f"{crc:08x}" != header.crc32:
            raise FormatError(f"{self.path} is damaged: its values do not match its checksum")

    def _exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) != count:
            raise FormatError(f"{self.path} is truncated")
        return data

    def _parse(self) -> MtokHeader:
        where = str(self.path)
        size = os.fstat(self._file.fileno()).st_size
        prefix = self._file.read(9)
        if not prefix:
            raise FormatError(f"{where} is empty (0 bytes)")
        if len(prefix) < 9 or prefix[8:] != b"{":
            raise FormatError(f"{where} is not a {MTOK_SUFFIX} file (made by mingtok encode)")
        length = struct.unpack("<Q", prefix[:8])[0]
        if length > MAX_HEADER:
            raise FormatError(f"{where} is not a {MTOK_SUFFIX} file: its header is too large")
        if length > size - 8:
            raise FormatError(f"{where} is truncated inside its header")
        self._file.seek(8)
        table = parse_safetensors_header(self._exactly(length), size - 8 - length, where)
        meta: dict[str, str] = table.pop("__metadata__")
        if meta.get("format") != FORMAT:
            raise FormatError(
                f"{where} is a safetensors file, but holds no latents ('format' is not 'mtok')"
            )
        header = _parse_metadata(_migrated(meta, where), table, where)
        counts: dict[str, tuple[int, ...]] = {}
        for name in _COUNTS:
            if name in table:
                self._file.seek(8 + length + table[name].start)
                data = self._exactly(8 * header.batch)
                counts[name] = tuple(np.frombuffer(data, "<i8").tolist())
        header = replace(header, **counts)
        problem = count_problem(header)
        if problem is not None:
            raise FormatError(f"{where} is damaged: {problem}")
        if "scale" in table:
            self._file.seek(8 + length + table["scale"].start)
            self._scale = np.frombuffer(self._exactly(4 * header.latent_dim), "<f4")
            if not (np.isfinite(self._scale).all() and (self._scale > 0).all()):
                raise FormatError(f"{where} is damaged: its scale holds invalid values")
        self._values_at = 8 + length + table["values"].start
        return header


def parse_storage(name: str) -> Storage:
    """`name` as a storage. Raises `FormatError` for an unknown one."""
    known: dict[str, Storage] = {storage: storage for storage in STORAGES}
    if name not in known:
        raise FormatError(f"unknown storage '{name}'; use {', '.join(STORAGES)}")
    return known[name]


def read_header(path: str | os.PathLike[str]) -> MtokHeader:
    """The checked header of a file, without its values. Raises `FormatError`."""
    with MtokReader(path) as reader:
        return reader.header


def count_names(header: MtokHeader) -> tuple[str, ...]:
    return _COUNTS if header.source_num_samples is not None else _COUNTS[:2]


def count_problem(header: MtokHeader) -> str | None:
    """Why the counts cannot be true, or None."""
    for name in _COUNTS:
        counts = getattr(header, name)
        if counts is None:
            continue
        if len(counts) != header.batch:
            return f"{name} has {len(counts)} entries for {header.batch} clips"
        if not all(0 <= count <= MAX_COUNT for count in counts):
            return f"{name} holds a count that is out of range"
    for length, samples in zip(header.lengths, header.num_samples, strict=True):
        if length > header.frames:
            return f"a length of {length} exceeds its {header.frames} frames"
        if samples and samples + header.context_samples > length * header.hop_length:
            return f"{length} frames cannot give {samples} samples"
    return None


def _migrated(meta: dict[str, str], where: str) -> dict[str, str]:
    """A file's metadata as the current version writes it."""
    text = meta.get("format_version", "none")
    version = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else -1
    while version in MIGRATIONS and version < FORMAT_VERSION:
        meta, version = MIGRATIONS[version](meta), version + 1
    if version != FORMAT_VERSION or text != str(int(text)):
        raise FormatError(
            f"{where} has format_version {text[:20]}; this release reads {FORMAT_VERSION}: upgrade "
            "mingtok-audio"
        )
    return {**meta, "format_version": str(FORMAT_VERSION)}


def _parse_metadata(meta: dict[str, str], table: dict[str, TensorInfo], where: str) -> MtokHeader:
    def bad(why: str) -> FormatError:
        return FormatError(f"{where} has a damaged header: {why}")

    def natural(key: str, default: int | None = None, limit: int = MAX_COUNT) -> int:
        text = meta.get(key, "" if default is None else str(default))
        if not (text.isascii() and text.isdigit()) or len(text) > 16 or int(text) > limit:
            raise bad(f"{key} is {text[:40]!r}, not a whole number up to {limit}")
        return int(text)

    known: dict[str, Storage] = {name: name for name in STORAGES}
    storage = known.get(meta.get("storage", ""))
    if storage is None:
        raise bad(f"unknown storage {meta.get('storage', 'none')[:40]!r}")
    if meta.get("posterior") not in ("mode", "sampled"):
        raise bad("posterior must be 'mode' or 'sampled'")
    crc = meta.get("crc32")
    if crc is not None and not (len(crc) == 8 and all(c in "0123456789abcdef" for c in crc)):
        raise bad("crc32 is not a checksum")
    rate, hop = natural("sample_rate", limit=10**7), natural("hop_length", limit=10**7)
    try:
        frame_rate = float(meta.get("frame_rate", ""))
    except ValueError:
        frame_rate = math.nan
    if not (rate and hop and abs(frame_rate * hop - rate) < 1e-6 * rate):
        raise bad("sample_rate, frame_rate and hop_length do not go together")
    values = table.get("values")
    if values is None or len(values.shape) != 3:
        raise bad("it has no values (B, L, D)")
    batch, frames, dim = values.shape
    if not (1 <= batch <= _MAX_CLIPS and frames and 1 <= dim <= _MAX_DIM):
        raise bad(f"values of shape {list(values.shape)} are not valid latents")
    header = MtokHeader(
        latent_dim=dim,
        batch=batch,
        frames=frames,
        sample_rate=rate,
        frame_rate=frame_rate,
        source_sample_rate=natural("source_sample_rate") if "source_sample_rate" in meta else None,
        source_num_samples=() if "source_num_samples" in table else None,
        model_id=meta.get("model_id", ""),
        model_hash=meta.get("model_hash", ""),
        sampled=meta["posterior"] == "sampled",
        storage=storage,
        decoder_warmup_frames=(
            natural("decoder_warmup_frames") if "decoder_warmup_frames" in meta else None
        ),
        context_samples=natural("context_samples", 0),
        crc32=crc,
    )
    expected = header.table()
    for name in sorted(set(expected) | set(table)):
        if name not in table:
            raise bad(f"the tensor '{name}' is missing")
        if name not in expected:
            raise bad(f"it has a tensor '{name[:80]}' that this version does not know")
        dtype, shape = expected[name]
        if table[name].dtype != dtype or list(table[name].shape) != shape:
            raise bad(
                f"the tensor '{name}' is {table[name].dtype} {list(table[name].shape)}, "
                f"expected {dtype} {shape}"
            )
    return header
