"""Weights on disk: safetensors only, checked before a byte of them is used.

A model folder holds `model.safetensors`, or `model.safetensors.index.json` that names shards. An
index comes from strangers, so a shard is a plain file name in the same folder: no path, no link.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mingtok_audio.core.config import parse_json, read_text
from mingtok_audio.core.errors import ConfigError, FormatError, HubError
from mingtok_audio.core.files import os_reason
from mingtok_audio.core.models.compact import expanded, scaled_names

if TYPE_CHECKING:
    import torch

WEIGHTS_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"
MAX_HEADER_BYTES = 64 << 20
MAX_TENSORS = 500_000
MAX_INDEX_BYTES = 64 << 20
_PICKLES = (
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".pkl",
    ".pickle",
    ".joblib",
    ".npy",
    ".npz",
    ".msgpack",
    ".h5",
)
_SHARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors")
_DTYPE_BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "U16": 16,
    "I16": 16,
    "F16": 16,
    "BF16": 16,
    "U32": 32,
    "I32": 32,
    "F32": 32,
    "U64": 64,
    "I64": 64,
    "F64": 64,
    "C64": 64,
}


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file: its safetensors dtype name ("F32"), shape, and bytes [start, end)."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_safetensors_header(
    path: str | os.PathLike[str], max_header: int = MAX_HEADER_BYTES
) -> dict[str, Any]:
    """The checked header of a safetensors file: tensor names to `TensorInfo`, `__metadata__` to
    a dict of texts (empty where the file has none).

    Raises:
        FormatError: not safetensors, a header over `max_header` bytes or `MAX_TENSORS` tensors, a
            tensor whose size does not follow from its shape, overlaps, gaps, or a file that ends
            before (or goes on after) its tensors.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            prefix = stream.read(8)
            if len(prefix) < 8:
                raise FormatError(f"{file} is truncated: {size} bytes are not a safetensors file")
            length = struct.unpack("<Q", prefix)[0]
            if length > max_header:
                raise FormatError(
                    f"{file} is not a safetensors file, or its header is over {max_header} bytes"
                )
            if length > size - 8:
                raise FormatError(f"{file} is truncated inside its header")
            raw = stream.read(length)
    except OSError as error:
        raise FormatError(f"cannot read {file}: {os_reason(error)}") from error
    return parse_safetensors_header(raw, size - 8 - length, str(file))


def parse_safetensors_header(raw: bytes, data_size: int, where: str) -> dict[str, Any]:
    """`raw` (the JSON part) checked against `data_size` bytes of tensors; see
    `read_safetensors_header`."""
    try:
        table = parse_json(raw.decode("utf-8"), where)
    except (UnicodeDecodeError, ConfigError) as error:
        raise FormatError(f"{where} has a damaged safetensors header ({error})") from error
    if not isinstance(table, dict):
        raise FormatError(f"{where} has a damaged safetensors header (no table)")
    if len(table) > MAX_TENSORS:
        raise FormatError(f"{where} has {len(table)} tensors; more than {MAX_TENSORS} are refused")
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise FormatError(f"{where} has a damaged safetensors header (metadata must be texts)")
    tensors = {name: _tensor_info(name, entry, where) for name, entry in table.items()}
    position = 0
    for name, info in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if info.start != position:
            raise FormatError(
                f"{where} has a damaged header: tensor '{name}' overlaps or leaves a gap"
            )
        position = info.end
    if position > data_size:
        raise FormatError(
            f"{where} is truncated: its header promises {position} bytes of tensors, it holds "
            f"{data_size}"
        )
    if position < data_size:
        raise FormatError(f"{where} has {data_size - position} bytes that no tensor owns")
    return {**tensors, "__metadata__": metadata}


def _tensor_info(name: str, entry: Any, where: str) -> TensorInfo:
    def bad(why: str) -> FormatError:
        return FormatError(f"{where} has a damaged header: tensor '{name[:200]}' {why}")

    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise bad("has no dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPE_BITS:
        raise bad(f"has the unknown type {str(dtype)[:40]}")
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2:
        raise bad("has a shape or offsets that are not whole numbers")
    count = 1
    for axis in shape:
        count *= axis
        if count > 1 << 60:
            raise bad("is too large")
    if offsets[1] - offsets[0] != count * _DTYPE_BITS[dtype] // 8:
        raise bad("has a size that does not follow from its shape")
    return TensorInfo(dtype, tuple(shape), offsets[0], offsets[1])


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 1 << 60 for v in value)


def weight_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The safetensors files of a model or component folder, in the order of their names.

    Raises:
        HubError: no weights, only pickles, a shard that is missing, a link, or outside the folder.
    """
    root = Path(folder)
    single, index = root / WEIGHTS_NAME, root / INDEX_NAME
    if _present(single):
        _check_plain(single, root)
        return [single]
    if _present(index):
        _check_plain(index, root)
        names = sorted(set(shard_names(index).values()))
        for name in names:
            if not _present(root / name):
                raise HubError(f"{index} names the shard {name}, which is not in the folder")
            _check_plain(root / name, root)
        return [root / name for name in names]
    if not root.is_dir():
        raise HubError(f"{root} is not a folder with {WEIGHTS_NAME}")
    found = sorted(p.name for p in root.iterdir() if p.suffix.lower() in _PICKLES)
    if found:
        raise HubError(
            f"{root} holds no {WEIGHTS_NAME} but {found[0]}, a format that can run code when it is "
            "loaded; only safetensors weights are read: ask for them, or convert them where you "
            "trust the file"
        )
    raise HubError(f"{root} holds no weights ({WEIGHTS_NAME} or {INDEX_NAME})")


def shard_names(index: Path) -> dict[str, str]:
    """The checked weight map of an index file: tensor name to shard file name.

    Raises:
        HubError: not an index, or a shard that is not a plain `.safetensors` file name.
    """
    try:
        data = parse_json(read_text(index, MAX_INDEX_BYTES), str(index))
    except ConfigError as error:
        raise HubError(str(error)) from error
    table = data.get("weight_map") if isinstance(data, dict) else None
    if not isinstance(table, dict) or not table or len(table) > MAX_TENSORS:
        raise HubError(f"{index} has no weight_map of tensor names to shards")
    for tensor, shard in table.items():
        if not isinstance(shard, str) or not _SHARD.fullmatch(shard) or ".." in shard:
            raise HubError(
                f"{index} puts '{tensor[:200]}' into {shard!r}; a shard must be a plain "
                ".safetensors file name in the same folder"
            )
    return table


def _present(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _check_plain(path: Path, root: Path) -> None:
    """Refuse links, but those of a download cache: snapshots/<commit>/x -> ../../blobs/<hash>."""
    if path.is_symlink():
        target = path.resolve()
        if root.parent.name == "snapshots":
            blobs = root.parent.parent / "blobs"
            if target.parent == blobs.resolve() and target.is_file():
                return
        raise HubError(f"{path} is a link; weights must be plain files in their folder: copy it")
    if not path.is_file():
        raise HubError(f"{path} is not a file")


def load_tensors(folder: str | os.PathLike[str]) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of a folder's weights by name, one at a time, on the CPU in its own dtype
    (float32 for those kept in 8 or 6 bits, see `core.compact`).

    Raises:
        HubError: as `weight_files`, or a shard without a tensor that the index puts there.
        FormatError: as `read_safetensors_header`.
    """
    root = Path(folder)
    files = weight_files(root)
    expected: dict[str, str] | None = None
    if files[0].name != WEIGHTS_NAME:
        expected = shard_names(root / INDEX_NAME)
    wanted: dict[Path, list[str]] = {}
    for file in files:
        names = [n for n in read_safetensors_header(file) if n != "__metadata__"]
        if expected is not None:
            mapped = [tensor for tensor, shard in expected.items() if shard == file.name]
            missing = sorted(set(mapped) - set(names))
            if missing:
                raise HubError(f"{file} lacks the tensor '{missing[0]}' that the index puts there")
            names = mapped
        wanted[file] = names
    scaled = scaled_names(name for names in wanted.values() for name in names)
    yield from expanded(_opened(wanted), scaled)


def _opened(wanted: dict[Path, list[str]]) -> Iterator[tuple[str, torch.Tensor]]:
    """The named tensors of each file, as they are there."""
    from safetensors import SafetensorError, safe_open

    for file, names in wanted.items():
        try:
            with safe_open(str(file), framework="pt") as opened:
                for name in names:
                    yield name, opened.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise FormatError(f"{file} cannot be read: {error}") from error


def sha256_of_weights(folder: str | os.PathLike[str]) -> str:
    """SHA-256 (64 hex digits) of a folder's weights.

    For one file it is the file's own SHA-256 (what `sha256sum model.safetensors` prints). For
    shards it is the SHA-256 of the lines that `sha256sum` prints for them in the order of their
    names.

    Raises:
        HubError: as `weight_files`.
    """
    files = weight_files(folder)
    digests = [sha256_of_file(file) for file in files]
    if len(files) == 1 and files[0].name == WEIGHTS_NAME:
        return digests[0]
    lines = "".join(f"{d}  {f.name}\n" for d, f in zip(digests, files, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


def sha256_of_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file in hex; kept for as long as the file is not written again."""
    file = Path(path)
    try:
        status = file.stat()
        return _digest(str(file.resolve()), status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise FormatError(f"cannot read {file}: {os_reason(error)}") from error


@lru_cache(maxsize=256)
def _digest(path: str, size: int, mtime_ns: int) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def save_tensors(
    path: str | os.PathLike[str],
    tensors: dict[str, torch.Tensor],
    metadata: dict[str, str] | None = None,
) -> None:
    """Write a safetensors file atomically; tensors are made contiguous and moved to the CPU.

    Raises:
        UserError: the file system refuses.
        FormatError: nothing to write.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    from mingtok_audio.core.files import atomic_write

    if not tensors:
        raise FormatError(f"cannot write {path}: there are no tensors")
    # clone() gives shared (tied) tensors their own storage: a file stores each name once.
    plain = {name: t.detach().to("cpu").contiguous().clone() for name, t in tensors.items()}
    with atomic_write(path) as temporary:
        try:
            save_file(plain, str(temporary), metadata=metadata)
        except SafetensorError as error:
            raise FormatError(f"cannot write {path}: {error}") from error


def write_json(path: str | os.PathLike[str], data: Any) -> None:
    """Write JSON (UTF-8, two spaces, a final newline) atomically."""
    from mingtok_audio.core.files import atomic_write_text

    atomic_write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
