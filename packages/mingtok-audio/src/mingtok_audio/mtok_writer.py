"""Writing `.mtok` files as their frames come. The format is described in `mtok`.

Axes: B clips, L frames, D latent dimensions.
"""

from __future__ import annotations

import json
import math
import os
import struct
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from mingtok_audio.core.errors import FormatError
from mingtok_audio.core.files import atomic_write
from mingtok_audio.mtok import (
    DTYPES,
    MAX_COUNT,
    MAX_HEADER,
    MtokHeader,
    count_names,
    count_problem,
    parse_storage,
)

_ROWS = 1 << 14  # rows quantised at a time


class MtokWriter:
    """Write a file as its frames come; it appears under its name only when all went well.

    Use as a context manager: `append` frames, then `finish` once. Leaving the block without
    `finish`, or by an exception, leaves nothing behind.

    Args:
        header: what to write; its frame and sample counts are taken from `finish`, but
            `source_num_samples` must say whether there will be any: None, or else () will do.

    Raises:
        FormatError: values that are not finite, do not fit the storage, or no frames at all.
        UserError: the file system refuses.
    """

    def __init__(self, path: str | os.PathLike[str], header: MtokHeader) -> None:
        parse_storage(header.storage)
        self.path = Path(path)
        # JSON cannot hold a path that is not Unicode text.
        name = header.model_id.encode("utf-8", "replace").decode("utf-8")
        self.header = replace(header, model_id=name)
        self.rows = 0
        # The counts of a stream are known at its end: the header gets room for the largest ones.
        largest = replace(self.header, frames=MAX_COUNT, crc32="0" * 8)
        text = len(_header_json(largest))
        if text > MAX_HEADER - 64:
            raise FormatError(f"cannot write {path}: a model name of {len(name)} characters")
        self._data_at = -(-(8 + text) // 64) * 64
        self._values_at = self._data_at + _small_bytes(largest)
        self._crc = 0
        self._peak = np.zeros(header.latent_dim, np.float32)
        self._stack = ExitStack()
        self._file: BinaryIO | None = None
        self._spool: BinaryIO | None = None
        self._finished = False

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_write(self.path))
            self._file = stack.enter_context(temporary.open("wb+"))
            self._file.seek(self._values_at)
            if self.header.storage == "int8":  # the scale is known only at the end
                self._spool = stack.enter_context(tempfile.TemporaryFile())
            self._stack = stack.pop_all()
        return self

    def append(self, rows: np.ndarray) -> None:
        """Add frames (n, D) float32, n >= 0; the clips of a batch one after the other."""
        assert self._file is not None, "use MtokWriter as a context manager"
        block = np.ascontiguousarray(rows, dtype="<f4")
        if not np.isfinite(block).all():
            raise FormatError(f"cannot write {self.path}: the latents hold NaN or infinity")
        self.rows += len(block)
        if self._spool is not None:
            np.maximum(self._peak, np.abs(block).max(axis=0, initial=0.0), out=self._peak)
            self._spool.write(block.tobytes())
        else:
            self._put(block)

    def finish(
        self,
        lengths: Sequence[int],
        num_samples: Sequence[int],
        source_num_samples: Sequence[int] | None = None,
    ) -> MtokHeader:
        """Write the counts (B,) of the clips and the header; returns it."""
        assert self._file is not None and not self._finished
        batch = self.header.batch
        if not self.rows or self.rows % batch:
            raise FormatError(f"cannot write {self.path}: there are no frames to write")
        scale = self._flush_spool()
        no_source = self.header.source_num_samples is None
        self.header = replace(
            self.header,
            frames=self.rows // batch,
            lengths=tuple(lengths),
            num_samples=tuple(num_samples),
            source_num_samples=None if no_source else tuple(source_num_samples or ()),
            crc32=f"{self._crc:08x}",
        )
        problem = count_problem(self.header)
        if problem is not None:
            raise FormatError(f"cannot write {self.path}: {problem}")
        counts = [getattr(self.header, name) for name in count_names(self.header)]
        small = b"".join(np.asarray(c, "<i8").tobytes() for c in counts) + scale
        room = self._data_at - 8
        self._file.seek(0)
        self._file.write(struct.pack("<Q", room) + _header_json(self.header).ljust(room) + small)
        self._finished = True
        return self.header

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None and not self._finished:
            error = FormatError(f"{self.path} was not finished")
            self._stack.__exit__(type(error), error, None)
            raise error
        self._stack.__exit__(kind, error, trace)

    def _put(self, block: np.ndarray) -> None:
        assert self._file is not None
        with np.errstate(over="ignore"):
            stored = block.astype(DTYPES[self.header.storage][1])
        if not np.isfinite(stored).all():
            raise FormatError(
                f"cannot write {self.path}: values beyond 65504 do not fit float16; "
                "store float32 or int8"
            )
        data = stored.tobytes()
        self._crc = zlib.crc32(data, self._crc)
        self._file.write(data)

    def _flush_spool(self) -> bytes:
        """Quantise what int8 held back; the scale's bytes (none for the other storages)."""
        if self._spool is None:
            return b""
        scale = (self._peak / np.float32(127)).astype("<f4")
        # A dimension that is zero, or so small that its scale would be none, is stored as zeros.
        scale = np.where(scale < np.finfo(np.float32).tiny, np.float32(1), scale)
        self._spool.seek(0)
        row = 4 * self.header.latent_dim
        while data := self._spool.read(_ROWS * row):
            block = np.frombuffer(data, "<f4").reshape(-1, self.header.latent_dim)
            self._put(np.clip(np.rint(block / scale), -127, 127))
        return scale.tobytes()


def _small_bytes(header: MtokHeader) -> int:
    """Size of the tensors before the values."""
    scale = 4 * header.latent_dim if header.storage == "int8" else 0
    return 8 * header.batch * len(count_names(header)) + scale


def _header_json(header: MtokHeader) -> bytes:
    sizes = {"I64": 8, "F32": 4, "F16": 2, "I8": 1}
    table: dict[str, Any] = {"__metadata__": header.metadata()}
    position = 0
    for name, (dtype, shape) in header.table().items():
        end = position + math.prod(shape) * sizes[dtype]
        table[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, end]}
        position = end
    return json.dumps(table, separators=(",", ":")).encode("ascii")
