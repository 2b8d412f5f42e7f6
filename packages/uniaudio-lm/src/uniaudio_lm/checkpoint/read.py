"""Reading weights without holding them twice: each tensor is a view on its file.

safetensors' own reader keeps every page that it has read in memory until the file is closed, so a
model would need room for its file beside itself. Here the pages of a tensor are given back as soon
as the next one is asked for.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from mingtok_audio.core.errors import FormatError, HubError
from mingtok_audio.core.files import os_reason
from mingtok_audio.core.models.compact import expanded, scaled_names
from mingtok_audio.core.models.components import PinnedModel
from mingtok_audio.core.models.hub import (
    INDEX_NAME,
    WEIGHTS_NAME,
    TensorInfo,
    read_safetensors_header,
    weight_files,
)
from mingtok_audio.core.models.weights import shard_names

TOKENIZER_FOLDER = "tokenizer"
"""Of a model folder: the speech tokenizer."""
_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "U16": torch.uint16,
    "I16": torch.int16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}


def backbone_pin(folder: Path, model: str) -> PinnedModel:
    """The backbone of a model folder as components are pinned to it: a SHA-256 of its numbers,
    whatever files, order and precision they are kept in."""
    digest = hashlib.sha256()
    prefixes = ("backbone.", "model.")  # ours, published
    found = {
        name: hashlib.sha256(tensor.float().contiguous().numpy().tobytes()).digest()
        for name, tensor in read_tensors(folder)
        if name.startswith(prefixes)
    }
    for name in sorted(found):
        digest.update(name.encode() + found[name])
    return PinnedModel(model, digest.hexdigest())


def tensor_headers(folder: str | os.PathLike[str]) -> dict[Path, dict[str, TensorInfo]]:
    """The files of a folder's weights and the tensors to take from each; all are checked before
    anything is read.

    Raises:
        HubError: no weights, a shard that is missing, a link or outside the folder, a tensor that
            is not in the shard that the index names.
        FormatError: a file that is truncated or no safetensors, a tensor that two files have.
    """
    root = Path(folder)
    files = weight_files(root)
    sharded = files[0].name != WEIGHTS_NAME
    mapped = shard_names(root / INDEX_NAME) if sharded else {}
    found: dict[Path, dict[str, TensorInfo]] = {}
    owner: dict[str, Path] = {}
    for file in files:
        header = read_safetensors_header(file)
        infos = {name: info for name, info in header.items() if isinstance(info, TensorInfo)}
        for name in infos:
            if name in owner:
                raise FormatError(
                    f"{file} and {owner[name].name} both have the tensor '{name}': which is meant "
                    "cannot be told"
                )
            owner[name] = file
        if sharded:
            wanted = [name for name, shard in mapped.items() if shard == file.name]
            for name in wanted:
                if name not in infos:
                    raise HubError(f"{file} lacks the tensor '{name}' that the index puts there")
            infos = {name: infos[name] for name in wanted}
        found[file] = infos
    return found


def read_tensors(folder: str | os.PathLike[str]) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a folder's weights by name, on the CPU in its own dtype (float32 for those
    kept in 8 bits, see `mingtok_audio.core.models.compact`), in file order.

    A tensor is a view on the file: copy it, and do not write to it.

    Raises:
        HubError, FormatError: as `tensor_headers`, before the first tensor.
    """
    headers = tensor_headers(folder)
    scaled = scaled_names(name for infos in headers.values() for name in infos)
    found = (pair for file, infos in headers.items() for pair in _read_file(file, infos))
    yield from expanded(found, scaled)


def _read_file(file: Path, infos: dict[str, TensorInfo]) -> Iterator[tuple[str, Tensor]]:
    try:
        with file.open("rb") as stream:
            header = 8 + int.from_bytes(stream.read(8), "little")
            # A private mapping counts as writable, which torch asks for; nobody writes.
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else str(error)
        raise FormatError(f"cannot read {file}: {reason}") from error
    given_back = 0
    for name, info in sorted(infos.items(), key=lambda item: item[1].start):
        dtype = _DTYPES.get(info.dtype)
        if dtype is None:
            raise FormatError(f"{file}: tensor '{name}' has the type {info.dtype}, not read here")
        start, count = header + info.start, math.prod(info.shape)
        if not count:
            yield name, torch.empty(info.shape, dtype=dtype)
            continue
        if start % dtype.itemsize:  # legal, and slow or worse on some processors
            part = bytearray(mapped[start : header + info.end])
            yield name, torch.frombuffer(part, dtype=dtype, count=count).view(info.shape)
        else:
            flat = torch.frombuffer(mapped, dtype=dtype, count=count, offset=start)
            yield name, flat.view(info.shape)
        end = (header + info.end) // mmap.PAGESIZE * mmap.PAGESIZE
        if end > given_back and hasattr(mapped, "madvise"):
            mapped.madvise(mmap.MADV_DONTNEED, given_back, end - given_back)
            given_back = end
