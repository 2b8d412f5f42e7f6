"""How the published training data name words."""

from __future__ import annotations

from uniaudio_edit.plan import Operation
from uniaudio_edit.text import Text


def published_span(op: Operation, text: Text) -> str:
    """The words of an operation: quoted where they are there once, and counted otherwise.

    Positions count from 1.
    """
    assert op.text_span is not None
    i, j = op.text_span
    if text.find(op.old) == [(i, j)]:
        return f"'{op.old}'"
    return f"the characters or words from index {i + 1} to index {j}"
