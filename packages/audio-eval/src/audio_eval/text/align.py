"""Edit distance, error counts and alignment of token lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Counts:
    """Errors of a hypothesis: substitutions, deletions, insertions, and reference tokens."""

    substitutions: int
    deletions: int
    insertions: int
    reference: int

    @property
    def errors(self) -> int:
        """S + D + I."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors over reference tokens; an empty reference counts as one token."""
        return self.errors / max(1, self.reference)

    def to_dict(self) -> dict[str, int]:
        """``{"S", "D", "I", "N"}``."""
        return {
            "S": self.substitutions,
            "D": self.deletions,
            "I": self.insertions,
            "N": self.reference,
        }


#: One column of an alignment: indices into reference and hypothesis, None for a gap.
Pair = tuple[int | None, int | None]


def distances(
    reference: Sequence[str], hypothesis: Sequence[str], substitution: int = 1
) -> np.ndarray:
    """Edit distances (N + 1, M + 1) int32 of all prefixes; one row is one vector operation.

    ``substitution`` is what replacing a token costs: with 2, as many tokens as possible match.

    Within a row, the insertions chain: ``d[j] = min over k <= j of (best[k] + j - k)``, which is
    a running minimum of ``best[k] - k``.
    """
    numbers: dict[str, int] = {}
    ref = np.array([numbers.setdefault(t, len(numbers)) for t in reference], dtype=np.int64)
    hyp = np.array([numbers.setdefault(t, len(numbers)) for t in hypothesis], dtype=np.int64)
    steps = np.arange(len(hyp) + 1, dtype=np.int32)
    table = np.empty((len(ref) + 1, len(hyp) + 1), dtype=np.int32)
    table[0] = steps
    for i in range(1, len(ref) + 1):
        best = table[i - 1] + 1
        np.minimum(best[1:], table[i - 1, :-1] + substitution * (hyp != ref[i - 1]), out=best[1:])
        table[i] = np.minimum.accumulate(best - steps) + steps
    return table


def align(reference: Sequence[str], hypothesis: Sequence[str], substitution: int = 1) -> list[Pair]:
    """An optimal alignment. Ties, read from the end: pair the tokens, then delete, then insert."""
    table = distances(reference, hypothesis, substitution)
    i, j = len(reference), len(hypothesis)
    out: list[Pair] = []
    while i or j:
        here = table[i, j]
        cost = substitution * (reference[i - 1] != hypothesis[j - 1]) if i and j else 0
        if i and j and here == table[i - 1, j - 1] + cost:
            i, j = i - 1, j - 1
            out.append((i, j))
        elif i and here == table[i - 1, j] + 1:
            i -= 1
            out.append((i, None))
        else:
            j -= 1
            out.append((None, j))
    return out[::-1]


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> Counts:
    """Errors of the alignment that ``align`` picks."""
    return counts_of(align(reference, hypothesis), reference, hypothesis)


def counts_of(pairs: Sequence[Pair], reference: Sequence[str], hypothesis: Sequence[str]) -> Counts:
    """Errors of a given alignment."""
    substitutions = deletions = insertions = total = 0
    for i, j in pairs:
        total += i is not None
        if i is None:
            insertions += 1
        elif j is None:
            deletions += 1
        elif reference[i] != hypothesis[j]:
            substitutions += 1
    return Counts(substitutions, deletions, insertions, total)
