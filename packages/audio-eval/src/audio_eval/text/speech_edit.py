"""When an edit of words counts as done in SpeechEditBench (v1.1, its `docs/evaluation.md`).

The rules look only for the pieces that an edit names: the new piece is said, the old one is not.
They say nothing of the other words; the exact match does.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

VERSION = "1"
TYPES = {"replace": "substitution", "insert": "insertion", "delete": "deletion"}
"""What the benchmark calls the tasks."""


@dataclass(frozen=True)
class NamedEdit:
    """What an edit names.

    Attributes:
        kind: a key of `TYPES`.
        old: the piece that goes; "" of an insertion.
        new: the piece that comes; "" of a deletion.
        after: what stands in front of an insertion; "" where it is not said.
    """

    kind: str
    old: str = ""
    new: str = ""
    after: str = ""

    def __post_init__(self) -> None:
        if self.kind not in TYPES:
            raise ValueError(f"edit_type is one of {', '.join(TYPES)}, not {self.kind!r}")
        needed = "edit_original" if self.kind == "delete" else "edit_target"
        if not (self.old if self.kind == "delete" else self.new):
            raise ValueError(f"a {self.kind} needs '{needed}'")


def normalized(text: str, language: str) -> str:
    """English: lower case, letters and digits with one space between words; other languages:
    Chinese characters, letters and digits without spaces. Full-width forms become plain ones."""
    text = unicodedata.normalize("NFKC", text)
    if language == "en":
        return " ".join(re.sub(r"[^a-z0-9\s]", " ", text.lower()).split())
    return re.sub(r"[^\u4e00-\u9fffA-Za-z0-9]", "", text)


def edit_done(edit: NamedEdit, heard: str, language: str) -> bool:
    """Whether what was heard has the edit: pieces are looked for as strings, as published."""
    said = normalized(heard, language)
    old, new, after = (normalized(x, language) for x in (edit.old, edit.new, edit.after))
    if edit.kind == "delete":
        return old not in said
    if new not in said:
        return False
    if edit.kind == "replace":
        return not old or old not in said
    return not after or -1 < said.find(after) <= said.find(new)
