"""Which files are curated, and what is known of each.

An input is an audio file, a folder (all audio below it), or an input manifest: JSON lines with
`audio` (relative to it) and as it pleases `text`, `speaker`, `language`, `licence` (or `license`)
and `origin` (or `source`), where the recording comes from.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mingtok_audio.core.audio import AUDIO_SUFFIXES
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import os_reason
from mingtok_audio.curation.recording import Source

# Audio that cannot be decoded here is named in the manifest and not passed over.
_UNDECODED = (".m4a", ".mp4", ".aac", ".wma", ".webm", ".amr")
_SUFFIXES = frozenset({s.lower() for s in AUDIO_SUFFIXES} | set(_UNDECODED))
_FIELDS = {"license": "licence", "source": "origin"}
_KNOWN = ("text", "speaker", "language", "licence", "origin")
UNREADABLE = "unreadable"
NO_LICENCE = "no_licence"


def find_sources(
    inputs: Sequence[str],
    *,
    licence: str | None = None,
    origin: str | None = None,
    require_licence: bool = False,
    leave_out: Path | None = None,
) -> list[Source]:
    """The sources of some inputs, sorted by name, each file once.

    Args:
        licence, origin: of all files whose manifest does not say.
        require_licence: drop what has no licence or no origin.
        leave_out: a folder that is not looked into (the output).

    Raises:
        UserError: an input that is not there, a manifest that is not one, or no audio at all.
    """
    if not inputs:
        raise UserError("no input given; name audio files, folders or .jsonl manifests")
    found: dict[Path, Source] = {}
    for given in inputs:
        for source in _sources_of(given, leave_out):
            known = {k: v for k, v in (("licence", licence), ("origin", origin)) if v}
            fields = {**known, **source.fields}
            made = Source(source.name, source.path, fields, source.reason, source.problem)
            if require_licence and not made.reason:
                made = _with_licence(made)
            found.setdefault(_identity(made.path), made)
    if not found:
        raise UserError(f"there is no audio in {', '.join(inputs)}")
    return sorted(found.values(), key=lambda s: (s.name, str(s.path)))


def _with_licence(source: Source) -> Source:
    lacking = [name for name in ("licence", "origin") if not source.fields.get(name)]
    if not lacking:
        return source
    problem = f"it has no {' and no '.join(lacking)}"
    return Source(source.name, source.path, source.fields, NO_LICENCE, problem)


def _identity(path: Path) -> Path:
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError):
        return path.absolute()  # a link to nowhere, or to itself


def _sources_of(given: str, leave_out: Path | None) -> Iterator[Source]:
    if given == "-":
        raise UserError("curation reads files, not standard input")
    path = Path(given)
    try:
        is_folder, exists = path.is_dir(), os.path.lexists(path)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read '{given}': {error}") from error
    if not given or not exists:
        raise UserError(f"there is no file or folder '{given}'")
    if is_folder:
        skipped = None if leave_out is None else leave_out.resolve()
        yield from _walk(path, skipped, set())
    elif path.suffix.lower() == ".jsonl":
        yield from _manifest(path)
    else:
        yield _checked(path, {})


def _walk(folder: Path, skipped: Path | None, seen: set[tuple[int, int]]) -> Iterator[Source]:
    """Audio below a folder. Links are followed; a folder is entered once, whatever leads to it."""
    try:
        status = folder.stat()
        key = (status.st_dev, status.st_ino)
        if key in seen or (skipped is not None and folder.resolve() == skipped):
            return
        seen.add(key)
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Source(_printable(folder), folder, {}, UNREADABLE, f"cannot open: {os_reason(error)}")
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        try:
            is_folder = entry.is_dir()
        except OSError:
            is_folder = False
        if is_folder:
            yield from _walk(path, skipped, seen)
        elif path.suffix.lower() in _SUFFIXES:
            yield _checked(path, {})


def _checked(path: Path, fields: Mapping[str, Any]) -> Source:
    """A source; one that cannot be opened says why."""
    name = _printable(path)
    if name != str(path):
        problem = "its name is not UTF-8: rename it"
        return Source(name, path, fields, UNREADABLE, problem)
    try:
        if not path.is_file():
            what = "a link to nothing" if path.is_symlink() else "not a file"
            if path.exists() or path.is_symlink():
                return Source(name, path, fields, UNREADABLE, f"it is {what}")
            return Source(name, path, fields, UNREADABLE, "it is not there")
        with path.open("rb"):
            pass
    except (OSError, RuntimeError, ValueError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else str(error)
        return Source(name, path, fields, UNREADABLE, f"cannot open: {reason}")
    return Source(name, path, fields)


def _manifest(path: Path) -> Iterator[Source]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _row(path, number, line)
    except (OSError, UnicodeDecodeError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else str(error)
        raise UserError(f"cannot read {path}: {reason}") from error


def _row(path: Path, number: int, line: str) -> Source:
    try:
        row = json.loads(line)
        audio = row["audio"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise UserError(f"{path}:{number}: expected an object with 'audio'") from error
    if not isinstance(audio, str) or not audio or "\0" in audio:
        raise UserError(f"{path}:{number}: 'audio' must be a file name, not {audio!r}")
    fields: dict[str, Any] = {}
    for name, value in row.items():
        field = _FIELDS.get(name, name)
        if field not in _KNOWN or value is None:
            continue
        if not isinstance(value, str):
            raise UserError(f"{path}:{number}: '{name}' must be a text, not {value!r}")
        # JSON can hold half a character, which no other format can.
        fields[field] = value.encode("utf-8", "replace").decode("utf-8")
    return _checked(path.parent / audio, fields)


def _printable(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def source_key(source: Source) -> str:
    """A short name of a source that is safe in any file name, and is its own."""
    stem = re.sub(r"[^\w-]+", "_", Path(source.name).stem)[:40].strip("_") or "audio"
    digest = hashlib.sha256(source.name.encode()).hexdigest()[:10]
    return f"{stem}-{digest}"
