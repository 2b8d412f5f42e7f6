"""Splits without leaks: no speaker, recording or duplicate in two of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from mingtok_audio.core.errors import UserError
from mingtok_audio.curation.interfaces import CorpusStage, Row


class Splits(CorpusStage):
    """`split` of each segment: "train", "valid" or "test".

    What shares a speaker, a recording or a duplicate stays together. Where it goes depends on the
    names in it alone, so a corpus that grows keeps its splits, unless two groups grow together.

    Args:
        valid, test: shares, of groups.
        seed: another assignment.
    """

    columns = {"split": "text"}
    needs = ("speaker", "duplicate_group")

    def __init__(self, valid: float = 0.02, test: float = 0.02, seed: int = 0) -> None:
        if min(valid, test) < 0 or valid + test >= 1:
            raise ValueError(
                f"valid and test are shares that leave some to train, not {valid}, {test}"
            )
        self.valid, self.test, self.seed = valid, test, seed

    def run(self, rows: Sequence[Row]) -> None:
        """Fill `split`, and check it.

        Raises:
            UserError: the check found a leak (a fault of this stage).
        """
        groups = _Groups()
        for row in rows:
            groups.join(_keys(row))
        for row in rows:
            row["split"] = self._of(groups.name(_keys(row)[0]))
        leaks = find_leaks(rows)
        if leaks:
            raise UserError(f"the splits leak: {leaks[0]}")

    def _of(self, group: str) -> str:
        digest = hashlib.sha256(f"{self.seed}/{group}".encode("utf-8", "surrogatepass")).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        if place < self.test:
            return "test"
        return "valid" if place < self.test + self.valid else "train"


def find_leaks(rows: Sequence[Row]) -> list[str]:
    """What is in more than one split: a line for each speaker, recording or duplicate."""
    seen: dict[str, set[str]] = {}
    for row in rows:
        for key in _keys(row):
            seen.setdefault(key, set()).add(row.get("split") or "")
    return [
        f"{key.replace(chr(0), ' ')} is in {' and '.join(sorted(splits))}"
        for key, splits in sorted(seen.items())
        if len(splits) > 1
    ]


def _keys(row: Row) -> list[str]:
    keys = [f"recording\0{row['source']}"]
    if row.get("speaker"):
        keys.append(f"speaker\0{row['speaker']}")
    if row.get("duplicate_group"):
        keys.append(f"duplicate\0{row['duplicate_group']}")
    return keys


class _Groups:
    """Sets that grow together; each is named by its least member."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def name(self, key: str) -> str:
        parent = self._parent
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    def join(self, keys: Sequence[str]) -> None:
        names = sorted({self.name(key) for key in keys})
        for name in names[1:]:
            self._parent[name] = names[0]
