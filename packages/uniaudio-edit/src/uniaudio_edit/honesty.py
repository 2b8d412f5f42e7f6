"""What a backend declares is checked before anything is written. Axes: T samples, C channels."""

from __future__ import annotations

import numpy as np

from mingtok_audio.core.errors import UserError
from uniaudio_edit.interfaces import Change, EditResult

_BLOCK = 1 << 20


def check_result(result: EditResult, source: np.ndarray, name: str, bits: int) -> None:
    """A backend must tell the truth about what it changed."""
    pcm = result.pcm
    if pcm.dtype != source.dtype or pcm.ndim != 2 or pcm.shape[1] != source.shape[1]:
        raise UserError(f"the backend {name} changed the type or the channels of the samples")
    if pcm.dtype.kind == "i" and _finer(pcm, bits):
        raise UserError(f"the backend {name} made samples finer than {bits} bits")
    n, m = len(source), len(pcm)
    position_s = position_o = 0
    for change in [*result.changes, Change((n, n), (m, m), -1)]:
        (a, b), (c, d) = change.source, change.output
        kept, made = source[position_s:a], pcm[position_o:c]
        if not (position_s <= a <= b and position_o <= c <= d) or not _equal(kept, made):
            raise UserError(f"the backend {name} changed samples that it did not declare")
        position_s, position_o = b, d


def _finer(pcm: np.ndarray, bits: int) -> bool:
    """Whether samples use more than the upper `bits` bits."""
    rest = (1 << (np.iinfo(pcm.dtype).bits - bits)) - 1
    return rest > 0 and any(
        bool(np.any(pcm[i : i + _BLOCK] & rest)) for i in range(0, len(pcm), _BLOCK)
    )


def _equal(one: np.ndarray, two: np.ndarray) -> bool:
    """As `np.array_equal`, in blocks."""
    return len(one) == len(two) and all(
        np.array_equal(one[i : i + _BLOCK], two[i : i + _BLOCK]) for i in range(0, len(one), _BLOCK)
    )
