"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mingtok_audio.core.errors import UserError


def os_reason(error: OSError) -> str:
    """Why the operating system refused, in words ("no space left on device")."""
    reason = error.strerror or str(error) or type(error).__name__
    return reason[:1].lower() + reason[1:]


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; put it in place when the block succeeds.

    The temporary name keeps the suffix of `path` (writers pick their format by it), starts with a
    dot, and is removed when the block raises. An existing `path` stays whole until the end. A link
    is followed; a device or pipe (`/dev/null`) is written into, never replaced.

    Raises:
        UserError: the folder does not exist, is not a folder, cannot be written, or is full.
    """
    shown = Path(path)
    _check_target(shown)
    target = shown.resolve()
    special = target.exists() and not target.is_file()
    folder = Path(tempfile.gettempdir()) if special else target.parent
    temporary = folder / f".{target.stem[:40]}.{secrets.token_hex(6)}{target.suffix}"
    try:
        # Made here for its mode: some writers would make it readable by the owner alone.
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
        yield temporary
        if special:
            with temporary.open("rb") as source, target.open("wb") as device:
                shutil.copyfileobj(source, device)
        else:
            _commit(temporary, target, mode)
    except OSError as error:
        # An error about another file (an input read inside the block) is not about the output.
        if error.filename is not None and Path(os.fsdecode(error.filename)) not in {
            temporary,
            target,
        }:
            raise
        raise UserError(f"cannot write {shown}: {os_reason(error)}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _check_target(target: Path) -> None:
    if not str(target) or "\0" in str(target):
        raise UserError(f"cannot write {str(target)!r}: not a file name")
    try:
        if target.is_dir():
            raise UserError(f"cannot write {target}: it is a folder; give a file name")
        folder = target.parent
        if not folder.is_dir():
            what = "is not a folder" if folder.exists() else "does not exist: create it first"
            raise UserError(f"cannot write {target}: {folder} {what}")
    except OSError as error:
        raise UserError(f"cannot write {target}: {os_reason(error)}") from error


def _commit(temporary: Path, target: Path, mode: int) -> None:
    # Some writers hide a full disk until the data has to reach it.
    with temporary.open("rb+") as written:
        os.fsync(written.fileno())
    temporary.chmod((target.stat().st_mode if target.exists() else mode) & 0o7777)
    temporary.replace(target)


def atomic_write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path` through `atomic_write`."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def atomic_write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8 to `path` through `atomic_write`."""
    atomic_write_bytes(path, text.encode("utf-8"))
