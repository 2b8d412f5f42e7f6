"""What has been computed already, in files that survive a kill at any moment.

A cache is an append-only JSONL file: one write and one ``fsync`` per entry. A line cut short by a
kill is dropped when the file is opened again, so at most the entry in hand is lost.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import os_reason
from mingtok_audio.core.jobs import file_sha256


class JsonlCache:
    """Values by key in an append-only file, written by one process.

    Args:
        path: the file; None keeps everything in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._values: dict[str, Any] = {}
        self._file: BinaryIO | None = None
        if path is not None:
            self._open(path)

    @classmethod
    def copy_of(cls, path: Path | None) -> JsonlCache:
        """What a file holds now (nothing where it is not there), in memory."""
        cache = cls(None)
        if path is not None:
            try:
                cache._read(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise UserError(f"{path}: cannot be used as a cache: {os_reason(error)}") from None
        return cache

    def _open(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            good = self._read(path) if path.exists() else 0
            self._file = path.open("r+b" if path.exists() else "w+b")
            self._file.truncate(good)
            self._file.seek(good)
        except OSError as error:
            raise UserError(f"{path}: cannot be used as a cache: {os_reason(error)}") from None

    def _read(self, path: Path) -> int:
        """Load the entries; return where the last whole one ends."""
        good = 0
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                try:
                    row = json.loads(line)
                    self._values[row["key"]] = row["value"]
                except (ValueError, KeyError, TypeError):
                    # A block that never reached the disk: what follows may be whole.
                    pass
                good += len(line)
        return good

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str) -> Any:
        """The value, or None."""
        return self._values.get(key)

    def put(self, entries: Mapping[str, Any]) -> None:
        """Add entries; when this returns they are on the disk."""
        lines = b"".join(
            json.dumps({"key": k, "value": v}, ensure_ascii=False, allow_nan=False).encode() + b"\n"
            for k, v in entries.items()
        )
        self._values.update(entries)
        if self._file is not None and lines:
            self._file.write(lines)
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


class FileHashes:
    """SHA-256 of files, computed once per size and time of change."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], str] = {}

    def of(self, path: Path) -> str:
        """Hex digest of the content, or "missing"."""
        try:
            stat = path.stat()
            key = (str(path), stat.st_size, stat.st_mtime_ns)
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = file_sha256(path)
            return known
        except OSError:
            return "missing"


def digest(*parts: Any) -> str:
    """A key from JSON values; the order of a mapping's entries does not matter."""
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
