"""Keeping a C library from writing to the user's terminal behind Python's back."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def captured_stderr(prefixes: tuple[str, ...]) -> Iterator[list[str]]:
    """Catch what is written to descriptor 2 inside the block.

    Yields:
        A list, filled when the block ends with the lines that start with one of `prefixes`. All
        other lines (another thread's, say) go on to where they were going.
    """
    caught: list[str] = []
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, ValueError, AttributeError):
        yield caught  # there is no stderr
        return
    try:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 2)
            try:
                yield caught
            finally:
                os.dup2(kept, 2)
                file.seek(0)
                written = file.read()
        others = b""
        for line in written.splitlines(keepends=True):
            text = line.decode("utf-8", "replace").strip()
            if text.startswith(prefixes):
                caught.append(text)
            else:
                others += line
        if others:
            os.write(2, others)
    finally:
        os.close(kept)
