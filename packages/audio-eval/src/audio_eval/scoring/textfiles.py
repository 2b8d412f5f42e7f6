"""Text files as people write them: lines, JSON rows, transcripts by id. Errors name the line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mingtok_audio.core.errors import UserError

MAX_MANIFEST_BYTES = 256 * 1024 * 1024


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 text file (a byte order mark is dropped).

    Raises:
        UserError: not there, too large, or not UTF-8 (naming the line).
    """
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise UserError(f"{path}: larger than {MAX_MANIFEST_BYTES >> 20} MiB; split it")
        raw = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file or folder") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{path}: is UTF-16; save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UserError(f"{path}: line {line} is not UTF-8; save the whole file as UTF-8") from None
    if "\0" in text:
        raise UserError(f"{path}: holds NUL bytes, so it is not a text file")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def read_texts(path: Path) -> dict[str, str]:
    """Texts by id, from JSONL (``id``/``uid``/``uniq_id``/``key`` and ``text``/``hypothesis``/
    ``pred_text``) or lines ``id<tab or | or space>text``.

    Raises:
        UserError: a line that is neither, or an id used twice.
    """
    out: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        if line.lstrip().startswith("{"):
            row = json_object(path, number, line)
            key = _first(row, ("id", "uid", "uniq_id", "key"))
            text = _first(row, ("hypothesis", "hyp", "pred_text", "text"))
            if key is None or text is None:
                raise UserError(f"{path}: line {number}: needs 'id' and 'text' (or 'hypothesis')")
        else:
            for separator in ("\t", "|", " "):
                if separator in line:
                    key, text = line.split(separator, 1)
                    break
            else:
                key, text = line, ""
        if str(key) in out:
            raise UserError(f"{path}: line {number}: the id {str(key)!r} is used twice")
        out[str(key).strip()] = str(text).strip()
    return out


def json_rows(path: Path, lines: list[str]) -> list[tuple[int, dict[str, Any]]]:
    """Objects of a JSONL file, or of one JSON array, with their line (or place) from 1."""
    if lines and "".join(lines).lstrip().startswith("["):
        try:
            data = json.loads("\n".join(lines))
        except ValueError as error:
            raise UserError(f"{path}: not JSON: {error}") from None
        rows = list(enumerate(data, 1))
        for number, row in rows:
            if not isinstance(row, dict):
                raise UserError(f"{path}: entry {number} is not an object")
        return rows
    return [(n, json_object(path, n, x)) for n, x in enumerate(lines, 1) if x.strip()]


def json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"{path}: line {number} is not JSON: {error}") from None
    if not isinstance(row, dict):
        raise UserError(f"{path}: line {number} is not a JSON object")
    return row


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)
