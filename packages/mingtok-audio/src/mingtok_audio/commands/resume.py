"""What a folder of results was made from, so that a run can be taken up again.

Every output folder holds `.mingtok.jsonl`: a line per finished result with a key of everything it
depends on (source, weights, options) and its own checksum. A result counts as done when the key
and the checksum both match: changed sources and damaged or half-copied results are made again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import os_reason
from mingtok_audio.mtok import FORMAT_VERSION

RECORD_NAME = ".mingtok.jsonl"

Entry = dict[str, Any]


class Records:
    """The records of all output folders of a run, read when first asked for.

    Args:
        name: of the file in each folder.
    """

    def __init__(self, name: str = RECORD_NAME) -> None:
        self._name = name
        self._folders: dict[Path, dict[str, Entry]] = {}

    def get(self, output: Path) -> Entry | None:
        """What is known of an output, or None."""
        folder = output.parent
        if folder not in self._folders:
            self._folders[folder] = _read(folder / self._name)
        return self._folders[folder].get(output.name)

    def add(self, output: Path, entry: Entry) -> None:
        """Note a finished result. A line at a time, so that a run that is killed loses none."""
        line = json.dumps({"output": output.name, **entry}, ensure_ascii=True) + "\n"
        path = output.parent / self._name
        try:
            with path.open("a", encoding="ascii") as stream:
                stream.write(line)
        except OSError as error:
            raise UserError(f"cannot write {path}: {os_reason(error)}") from error
        self._folders.setdefault(output.parent, {})[output.name] = entry


def _read(path: Path) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return entries
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            name = entry.pop("output")
        except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
            continue  # a line cut short by a crash: that result is made again
        if isinstance(name, str):
            entries[name] = entry
    return entries


def make_key(source_sha256: str, model_hash: str, options: dict[str, Any]) -> str:
    """A key of everything that a result depends on."""
    parts = [FORMAT_VERSION, source_sha256, model_hash, options]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def make_entry(key: str, output: Path, fields: dict[str, Any]) -> Entry:
    """The record of a result that has just been written."""
    return {"key": key, "sha256": file_sha256(output), "fields": fields}


def is_done(entry: Entry | None, key: str, output: Path) -> bool:
    """Whether the output is there, whole, and what this run would make."""
    if not entry or entry.get("key") != key or not isinstance(entry.get("fields"), dict):
        return False
    try:
        return output.is_file() and file_sha256(output) == entry.get("sha256")
    except OSError:
        return False


def file_sha256(path: Path) -> str:
    """SHA-256 of what is on disk now (`core.weights.sha256_of_file` remembers by time stamp)."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
