"""What the header of an audio file promises, compared with what the file holds.

libsndfile reads a cut-off file without a word: it returns the samples that are there. A download
that broke, or a recorder that died, would become a shorter clip. So the containers are read here
just far enough to tell.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

# Writers to a pipe cannot go back to fill in the size: ffmpeg leaves all ones, sox 0x7ffff000.
_UNKNOWN_SIZE = 0x7FFFF000


def find_truncation(stream: BinaryIO) -> str | None:
    """Why the file cannot be complete, or None. The stream is seekable; its place is kept.

    Covers wav (RIFF and RF64), aiff, au, ogg pages and mp3 with a length tag. FLAC has no lengths
    in its container: there the reader compares decoded samples with the header's count.
    """
    place = stream.tell()
    try:
        stream.seek(0, 2)
        size = stream.tell()
        stream.seek(0)
        magic = stream.read(12)
        if magic[:4] in (b"RIFF", b"RIFX", b"RF64") and magic[8:] == b"WAVE":
            return _chunks(stream, size, ">" if magic[:4] == b"RIFX" else "<", b"data")
        if magic[:4] == b"FORM" and magic[8:] in (b"AIFF", b"AIFC"):
            return _chunks(stream, size, ">", b"SSND")
        if magic[:4] in (b".snd", b"dns.") and len(magic) == 12:
            begin, length = struct.unpack(">II" if magic[:4] == b".snd" else "<II", magic[4:])
            return _compare(length, size - begin)
        if magic[:4] == b"OggS":
            return _ogg(stream, size)
        if magic[:3] == b"ID3" or (len(magic) > 1 and magic[0] == 0xFF and magic[1] >= 0xE0):
            return _mp3(stream, size, magic)
        return None
    finally:
        stream.seek(place)


def streamed_sizes(stream: BinaryIO) -> dict[int, bytes]:
    """The sizes that a wav file should have where its writer, which could not seek, left 0.

    Returns:
        Bytes by their place in the file; empty where the file's own sizes are right. The stream is
        seekable; its place is kept.
    """
    place = stream.tell()
    try:
        size = stream.seek(0, 2)
        stream.seek(0)
        magic = stream.read(12)
        if magic[:4] not in (b"RIFF", b"RIFX") or magic[8:] != b"WAVE":
            return {}
        order = ">" if magic[:4] == b"RIFX" else "<"
        position = 12
        while position + 8 <= size:
            stream.seek(position)
            name, length = struct.unpack(f"{order}4sI", stream.read(8))
            held = size - position - 8
            if name == b"data":
                if length or not held or _is_chunk_list(stream, position + 8, size, order):
                    return {}
                return {
                    4: struct.pack(f"{order}I", min(size - 8, 0xFFFFFFFF)),
                    position + 4: struct.pack(f"{order}I", min(held, 0xFFFFFFFF)),
                }
            position += 8 + length + (length & 1)
        return {}
    finally:
        stream.seek(place)


def _is_chunk_list(stream: BinaryIO, position: int, size: int, order: str) -> bool:
    """Whether chunks, and nothing else, fill a file from here: its audio is empty on purpose."""
    while position + 8 <= size:
        stream.seek(position)
        name, length = struct.unpack(f"{order}4sI", stream.read(8))
        if not all(32 <= byte < 127 for byte in name):
            return False
        position += 8 + length + (length & 1)
    return position in (size, size + 1)


def _compare(promised: int, held: int) -> str | None:
    if promised >= _UNKNOWN_SIZE or promised <= held:
        return None
    return _missing(promised, held)


def _missing(promised: int, held: int) -> str:
    return f"it is truncated: its header promises {promised} bytes of audio, it holds {held}"


def _chunks(stream: BinaryIO, size: int, order: str, audio: bytes) -> str | None:
    """Walk the chunks of a RIFF or IFF file to the one with the samples."""
    position = 12
    long_size: int | None = None  # RF64 keeps the real size in a chunk of its own
    while position + 8 <= size:
        stream.seek(position)
        name, length = struct.unpack(f"{order}4sI", stream.read(8))
        held = size - position - 8
        if name == b"ds64" and held >= 16:
            long_size = struct.unpack("<8xQ", stream.read(16))[0]
        if name == audio:
            if length == 0xFFFFFFFF and long_size is not None:
                return None if long_size <= held else _missing(long_size, held)
            return _compare(length, held)
        position += 8 + length + (length & 1)
    return "it is truncated: it ends before its audio data"


def _ogg(stream: BinaryIO, size: int) -> str | None:
    position = 0
    while position < size:
        stream.seek(position)
        header = stream.read(27)
        if not header.startswith(b"OggS"):
            return None  # other bytes between or after the pages: leave them to the decoder
        table = stream.read(header[26]) if len(header) == 27 else b""
        if len(header) < 27 or len(table) < header[26]:
            return "it is truncated: it ends inside an Ogg page"
        end = position + 27 + len(table) + sum(table)
        if end > size:
            return "it is truncated: it ends inside an Ogg page"
        position = end
    return None


def _mp3(stream: BinaryIO, size: int, magic: bytes) -> str | None:
    position = 0
    if magic[:3] == b"ID3":
        stream.seek(6)
        a, b, c, d = stream.read(4)
        position = 10 + (a << 21 | b << 14 | c << 7 | d)
        if position >= size:
            return "it is truncated: it ends inside its ID3 tag"
    stream.seek(position)
    frame = stream.read(1024)
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] < 0xE0:
        return None
    # The length tag sits after the side information, whose size depends on version and channels.
    version1 = (frame[1] >> 3) & 3 == 3
    mono = (frame[3] >> 6) & 3 == 3
    tag = 4 + ((17 if mono else 32) if version1 else (9 if mono else 17))
    if frame[tag : tag + 4] not in (b"Xing", b"Info") or len(frame) < tag + 16:
        return None
    flags = int.from_bytes(frame[tag + 4 : tag + 8], "big")
    if not flags & 2:
        return None
    field = tag + 8 + (4 if flags & 1 else 0)
    promised = int.from_bytes(frame[field : field + 4], "big")
    held = size - position
    return _missing(promised, held) if promised > held else None
