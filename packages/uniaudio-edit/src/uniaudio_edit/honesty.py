"""What a backend declares is checked before anything is written. Axes: T samples, C channels."""

from __future__ import annotations

import numpy as np

from mingtok_audio.core.errors import UserError
from uniaudio_edit.interfaces import Change, EditResult


def check_result(result: EditResult, source: np.ndarray, name: str, bits: int) -> None:
    """A backend must tell the truth about what it changed."""
    pcm = result.pcm
    if pcm.dtype != source.dtype or pcm.ndim != 2 or pcm.shape[1] != source.shape[1]:
        raise UserError(f"the backend {name} changed the type or the channels of the samples")
    if pcm.dtype.kind == "i" and np.any(pcm & ((1 << (np.iinfo(pcm.dtype).bits - bits)) - 1)):
        raise UserError(f"the backend {name} made samples finer than {bits} bits")
    n, m = len(source), len(pcm)
    position_s = position_o = 0
    for change in [*result.changes, Change((n, n), (m, m), -1)]:
        (a, b), (c, d) = change.source, change.output
        kept, made = source[position_s:a], pcm[position_o:c]
        if not (position_s <= a <= b and position_o <= c <= d) or not np.array_equal(kept, made):
            raise UserError(f"the backend {name} changed samples that it did not declare")
        position_s, position_o = b, d
