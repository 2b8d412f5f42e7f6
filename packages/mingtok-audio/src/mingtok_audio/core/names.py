"""Names of files as people and systems write them: links, and two ways to write an accent."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection
from pathlib import Path


def same_name(text: str) -> str:
    """A name in one spelling (NFC), to compare names: a Mac writes letter and accent apart."""
    return unicodedata.normalize("NFC", text)


def as_stored(path: Path) -> Path:
    """`path` as the file system spells it, where it holds the same name with accents written
    otherwise; else as it is."""
    if path.exists():
        return path
    for form in ("NFC", "NFD"):
        other = Path(unicodedata.normalize(form, str(path)))
        if other.exists():
            return other
    return path


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Files under `folder` with one of `suffixes` (lower case), sorted by path, without hidden
    ones. Linked folders are followed, each real folder once; a link to nothing with such a name is
    among the files, so that opening it says what is wrong.

    Raises:
        OSError: `folder` cannot be read.
    """
    os.listdir(folder)  # a walk passes over a folder that may not be read; this says so  # noqa: PTH208
    seen: set[tuple[int, int]] = set()
    found: list[Path] = []
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        about = here.stat()
        if (about.st_dev, about.st_ino) in seen:
            folders.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = here / name
            if name.startswith(".") or path.suffix.lower() not in suffixes:
                continue
            if path.is_file() or (path.is_symlink() and not path.exists()):
                found.append(path)
    return sorted(found)
