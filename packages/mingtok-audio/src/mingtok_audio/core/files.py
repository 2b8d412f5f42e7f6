"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import hashlib
import os
import platform
import re
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
    temporary = folder / f".{target.stem[:40]}.{_writer_mark()}{target.suffix}"
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


# The temporary names of `atomic_write`: host, process, and a random part.
_BEGUN = re.compile(
    r"\..*\.(?P<host>[0-9a-f]{6})-(?P<pid>[0-9a-f]{1,8})-[0-9a-f]{8}(\.\w+)?", re.DOTALL
)


def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def _writer_mark() -> str:
    return f"{_host()}-{os.getpid():x}-{secrets.token_hex(4)}"


def begun_by_the_dead(folder: Path) -> list[Path]:
    """Temporary files of `atomic_write` in a folder whose process, of this machine, is gone.

    Raises:
        OSError: the folder cannot be read.
    """
    host = _host()
    found = []
    for path in folder.iterdir():
        mark = _BEGUN.fullmatch(path.name)
        if mark is not None and mark["host"] == host and not _alive(int(mark["pid"], 16)):
            found.append(path)
    return found


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's
    try:  # Linux: a killed process that its parent has not asked about yet has a number still
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return True
    return state[:1] != [b"Z"]


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
