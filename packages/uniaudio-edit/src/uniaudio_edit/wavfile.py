"""What stands around the samples of a file: the bytes of a wav, tags and cue points.

Axes: T samples, C channels. Files are read and written in blocks: an hour takes no more memory
than a minute.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write
from uniaudio_edit.plan import Change

_MAX_AROUND = 16 << 20  # bytes that are kept besides samples
_BLOCK = 1 << 20  # samples
_SIZE_UNKNOWN = 0xFFFFFFFF
_MU_LAW, _NEGATIVE_ZERO = 7, 0x7F
_OF_SAMPLES = (b"fmt ", b"data", b"fact", b"PEAK", b"ds64", b"JUNK", b"FLLR", b"PAD ")
_STRINGS = (
    *("title", "copyright", "software", "artist", "comment"),
    *("date", "album", "license", "tracknumber", "genre"),
)


@dataclass(frozen=True)
class _Chunk:
    name: bytes
    start: int
    size: int


def _chunks(stream: BinaryIO) -> Iterator[_Chunk]:
    """The chunks of a RIFF or RF64 wav, as far as they can be followed."""
    stream.seek(0, 2)
    total = stream.tell()
    stream.seek(0)
    magic = stream.read(12)
    if magic[:4] not in (b"RIFF", b"RF64") or magic[8:12] != b"WAVE":
        return
    position, long_size = 12, None
    while position + 8 <= total:
        stream.seek(position)
        name, size = struct.unpack("<4sI", stream.read(8))
        if name == b"ds64" and size >= 24:
            long_size = struct.unpack("<Q", stream.read(16)[8:])[0]
        if name == b"data" and size >= 0x7FFFF000:  # longer than 32 bits can say, or not said
            size = total - position - 8 if long_size is None else long_size
        size = min(size, total - position - 8)
        yield _Chunk(name, position + 8, size)
        position += 8 + size + size % 2


# --- the bytes around the samples -----------------------------------------------------------------


def file_shell(path: Path, pcm: np.ndarray) -> bytes:
    """What surrounds the samples (T, C) in a wav file: the lengths of what comes before and after
    them (8 bytes each), these two, and the signs of the zeros, of which mu-law has two. b"" where
    the file is not such a wav."""
    with path.open("rb") as stream:
        data = next((c for c in _chunks(stream) if c.name == b"data"), None)
        if data is None:
            return b""
        stream.seek(0, 2)
        tail_size = stream.tell() - data.start - data.size
        if data.start + tail_size > _MAX_AROUND:
            return b""
        stream.seek(0)
        head = stream.read(data.start)
        layout = _layout(head)
        signs = _signs(stream, pcm) if layout[0] == _MU_LAW else b""
        stream.seek(data.start)
        held = 0
        for block in _raw_blocks(pcm, layout, signs):
            if stream.read(len(block)) != block:
                return b""
            held += len(block)
        if not held:
            return b""
        tail = stream.read(_MAX_AROUND)
        return struct.pack("<QQ", len(head), len(tail)) + head + tail + signs


def write_shelled(path: Path, shell: bytes, pcm: np.ndarray, sha256: str) -> bool:
    """Write a file again from its shell and samples; False, and nothing written, where it does not
    come out with the checksum that it had."""
    if len(shell) < 16:
        return False
    before, after = struct.unpack("<QQ", shell[:16])
    rest = shell[16:]
    head, tail, signs = rest[:before], rest[before : before + after], rest[before + after :]
    layout = _layout(head)
    digest = hashlib.sha256(head)
    for block in _raw_blocks(pcm, layout, signs):
        digest.update(block)
    digest.update(tail)
    if digest.hexdigest() != sha256:
        return False
    with atomic_write(path) as temporary, temporary.open("wb") as out:
        out.write(head)
        for block in _raw_blocks(pcm, layout, signs):
            out.write(block)
        out.write(tail)
    return True


def _signs(stream: BinaryIO, pcm: np.ndarray) -> bytes:
    """A bit for each zero of mu-law samples, packed: whether it is the negative one. The stream
    stands at the first sample."""
    bits: list[np.ndarray] = []
    for start in range(0, len(pcm), _BLOCK):
        said = pcm[start : start + _BLOCK].reshape(-1)
        codes = np.frombuffer(stream.read(said.size), np.uint8)
        if codes.size != said.size:
            return b""
        bits.append(codes[said == 0] == _NEGATIVE_ZERO)
    return np.packbits(np.concatenate(bits)).tobytes() if bits else b""


def _layout(head: bytes) -> tuple[int, int]:
    """(format tag, bits) of the samples, by the chunks before them; (0, 0) where there are none."""
    for chunk in _chunks(io.BytesIO(head)):
        if chunk.name == b"fmt " and chunk.size >= 16:
            fields = head[chunk.start : chunk.start + chunk.size]
            tag, bits = struct.unpack("<H12xH", fields[:16])
            if tag == 0xFFFE and len(fields) >= 26:
                tag = struct.unpack("<H", fields[24:26])[0]
            return tag, bits
    return 0, 0


def _raw_blocks(pcm: np.ndarray, layout: tuple[int, int], signs: bytes) -> Iterator[bytes]:
    """Samples as a wav of that layout keeps them, in blocks; nothing where it is another type."""
    negative = np.unpackbits(np.frombuffer(signs, np.uint8)).astype(bool)
    zeros = 0
    for start in range(0, len(pcm), _BLOCK):
        block = np.ascontiguousarray(pcm[start : start + _BLOCK])
        raw = _raw(block, layout)
        if raw is None:
            return
        if layout[0] == _MU_LAW:
            codes, places = np.frombuffer(raw, np.uint8).copy(), np.flatnonzero(block == 0)
            signed = negative[zeros : zeros + len(places)]
            zeros += len(places)
            codes[places[: len(signed)][signed]] = _NEGATIVE_ZERO
            raw = codes.tobytes()
        yield raw


def _raw(pcm: np.ndarray, layout: tuple[int, int]) -> bytes | None:
    match (*layout, pcm.dtype.name):
        case (1, 8, "int16"):
            return ((pcm >> 8) + 128).astype(np.uint8).tobytes()
        case (1, 24, "int32"):
            little = (pcm >> 8).astype("<i4").reshape(-1, 1).view(np.uint8)
            return little.reshape(-1, 4)[:, :3].tobytes()
        case (1, 16, "int16") | (1, 32, "int32") | (3, 32, "float32") | (3, 64, "float64"):
            return pcm.astype(pcm.dtype.newbyteorder("<"), copy=False).tobytes()
        case (6, 8, "int16") | (7, 8, "int16"):
            return _companded("ALAW" if layout[0] == 6 else "ULAW")[pcm.view(np.uint16)].tobytes()
    return None


@cache
def _companded(kind: str) -> np.ndarray:
    """The code (65536,) uint8 of each 16-bit sample that A-law or mu-law can say."""
    import soundfile

    codes = np.arange(256, dtype=np.uint8)
    raw = io.BytesIO(codes.tobytes())
    said, _ = soundfile.read(
        raw, dtype="int16", samplerate=8000, channels=1, format="RAW", subtype=kind
    )
    table = np.zeros(65536, np.uint8)
    table[said.astype(np.int16).view(np.uint16)] = codes  # of the two zeros of mu-law the last, 255
    return table


# --- tags and cue points --------------------------------------------------------------------------


@dataclass(frozen=True)
class Tags:
    """What a file says about itself.

    Attributes:
        chunks: of a wav, as bytes to be put after its samples.
        strings: title, artist, ... of other formats.
    """

    chunks: bytes = b""
    strings: tuple[tuple[str, str], ...] = ()


def read_tags(path: Path, output: Path, changes: Sequence[Change]) -> tuple[Tags, list[str]]:
    """What of a file's tags its edit keeps, and notes about what it cannot.

    A wav keeps all of its chunks in a wav; cue points move with the samples. Between formats the
    usual texts (title, artist, ...) are kept.
    """
    notes: list[str] = []
    if path.suffix.lower() == output.suffix.lower() == ".wav":
        with path.open("rb") as stream:
            wanted = [c for c in _chunks(stream) if c.name not in _OF_SAMPLES]
            if sum(c.size for c in wanted) > _MAX_AROUND:
                return Tags(), ["tags dropped: there are more than 16 MB of them"]
            out = bytearray()
            for chunk in wanted:
                stream.seek(chunk.start)
                data = stream.read(chunk.size)
                if chunk.name == b"cue " and changes:
                    data, moved = _moved_cues(data, changes)
                    notes += [f"{moved} cue points moved with the samples"] if moved else []
                elif chunk.name == b"smpl" and changes:
                    notes.append("sampler loops dropped: they may lie in what was edited")
                    continue
                out += struct.pack("<4sI", chunk.name, len(data)) + data + b"\0" * (len(data) % 2)
            return Tags(bytes(out)), notes
    import soundfile

    with soundfile.SoundFile(path) as file:
        found = [(name, getattr(file, name)) for name in _STRINGS]
    strings = tuple((name, text) for name, text in found if isinstance(text, str) and text)
    if path.suffix.lower() == ".wav":
        with path.open("rb") as stream:
            lost = [c.name for c in _chunks(stream) if c.name not in (*_OF_SAMPLES, b"LIST")]
        if lost:
            names = ", ".join(sorted({name.decode("latin-1").strip() for name in lost}))
            notes.append(f"dropped, as {output.suffix} has no place for it: {names}")
    return Tags(strings=strings), notes


def _moved_cues(data: bytes, changes: Sequence[Change]) -> tuple[bytes, int]:
    """A cue chunk whose points follow the samples, and how many moved."""
    count = min(struct.unpack("<I", data[:4])[0] if len(data) >= 4 else 0, (len(data) - 4) // 24)
    out, moved = bytearray(data), 0
    for n in range(max(0, count)):
        for offset in (4, 20):  # the play order and the sample, both counted in samples
            (value,) = struct.unpack_from("<I", data, 4 + 24 * n + offset)
            new = min(_SIZE_UNKNOWN, moved_sample(value, changes))
            struct.pack_into("<I", out, 4 + 24 * n + offset, new)
        moved += new != value
    return bytes(out), moved


def moved_sample(position: int, changes: Sequence[Change]) -> int:
    """Where a sample of the source is in the output; inside a change, at the same share of it."""
    shift = 0
    for change in changes:
        (a, b), (c, d) = change.source, change.output
        if position < a:
            break
        if position < b:
            return c + (position - a) * (d - c) // max(1, b - a)
        shift = d - b
    return position + shift


def add_chunks(path: Path, chunks: bytes) -> None:
    """Put chunks after the samples of a wav that has just been written."""
    if not chunks:
        return
    with path.open("r+b") as file:
        file.seek(0, 2)
        if file.tell() % 2:
            file.write(b"\0")
        file.write(chunks)
        size = file.tell() - 8
        if size > _SIZE_UNKNOWN:
            raise UserError(f"{path}: samples and tags are too long for a wav")
        file.seek(4)
        file.write(struct.pack("<I", size))


def set_strings(file: Any, strings: Sequence[tuple[str, str]]) -> None:
    """Texts of a `soundfile.SoundFile` that is being written."""
    for name, text in strings:
        setattr(file, name, text)
