"""What `uniaudio tts` is to say: texts as they are given, standard input, files, folders, lines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import os_reason
from uniaudio_lm.text.markup import INVISIBLE

MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Text:
    """A text, what to call it in messages, and the name of its file in an output folder."""

    name: str
    stem: str
    text: str


def read_texts(given: Sequence[str], lines: bool) -> tuple[list[Text], bool]:
    """The texts, and whether they are a batch (several, a folder, or lines).

    Args:
        given: a text, "-" (standard input), "@FILE", or "@FOLDER" (the .txt files in it).
        lines: each line of a file or of standard input is a text of its own; what stands before
            a tab names it.

    Raises:
        UserError: a file that cannot be read, two texts of one name.
    """
    found: list[Text] = []
    several = lines or len(given) > 1
    for number, source in enumerate(given, 1):
        if source == "-":
            _add(found, "standard input", "stdin", read_stdin(), lines)
        elif source.startswith("@") and Path(source[1:]).is_dir():
            several = True
            files = sorted(p for p in Path(source[1:]).iterdir() if p.suffix.lower() == ".txt")
            if not files:
                raise UserError(f"{source[1:]} holds no .txt files")
            for file in files:
                _add(found, str(file), file.stem, read_file(file), lines)
        elif source.startswith("@"):
            file = Path(source[1:])
            _add(found, str(file), file.stem, read_file(file), lines)
        else:
            shown = source if len(source) <= 40 else f"{source[:39]}…"
            found.append(Text(f"text {number} ({shown!r})", f"{number:04d}", source))
    if several:
        if not found:
            raise UserError("there are no lines to say")
        seen: dict[str, Text] = {}
        for text in found:
            first = seen.setdefault(text.stem.casefold(), text)
            if first is not text:
                raise UserError(f"{first.name} and {text.name} have the same name '{text.stem}'")
    return found, several


def _add(found: list[Text], name: str, stem: str, content: str, lines: bool) -> None:
    if not lines:
        found.append(Text(name, stem, content))
        return
    for number, line in enumerate(content.splitlines(), 1):
        before, tab, after = line.partition("\t")
        if not line.strip():
            continue
        label = before.translate(INVISIBLE).strip() if tab else f"{stem}-{number:04d}"
        if not label or label.startswith(".") or set(label) & set('/\\:*?"<>|\0'):
            raise UserError(f"{name}, line {number}: {label!r} before the tab is not a file name")
        found.append(Text(f"{name}, line {number}", label, after if tab else line))


def read_file(path: Path) -> str:
    """A text file. Raises `UserError` where it cannot be read or is not UTF-8."""
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise UserError(f"the text file {path} is over {MAX_BYTES >> 20} MB")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserError(f"cannot read the text file {path}: {reason}") from error


def read_stdin() -> str:
    """Standard input as text: UTF-8, whatever the locale, with or without a byte order mark."""
    if sys.stdin is None:
        raise UserError("standard input is closed: give a text, or @FILE")
    try:
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read standard input: {os_reason(error)}") from error
    if len(data) > MAX_BYTES:
        raise UserError(f"standard input is over {MAX_BYTES >> 20} MB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("standard input is not UTF-8 text") from error


def open_text(source: str) -> str:
    """A text given as itself or as "@FILE"."""
    return read_file(Path(source[1:])) if source.startswith("@") else source
