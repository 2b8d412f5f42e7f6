"""`dsp`: the sound operations, one after the other, on the whole recording.

What each does stands in its file under `operations`; plugins may add more.
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from uniaudio_edit.interfaces import Change, EditBackend, EditRequest, EditResult
from uniaudio_edit.operations.base import CutOperation, Sound, SoundOperation
from uniaudio_edit.pcm import from_float, to_float
from uniaudio_edit.plugins import blamed, edit_operations

_BLOCK = 1 << 20
_APART_SECONDS = 0.5
"""What lies unchanged between two declared changes."""


class DspBackend(EditBackend):
    """Sound edits of the whole recording; lengths are right to the sample."""

    needs_words = False
    is_global = True

    def __init__(self) -> None:
        self._sounds = {
            name: operation
            for name, operation in edit_operations().items()
            if isinstance(operation, SoundOperation) and not isinstance(operation, CutOperation)
        }
        self.operations = frozenset(self._sounds)

    def apply(self, request: EditRequest) -> EditResult:
        """See `EditBackend.apply`."""
        wav = to_float(request.pcm)  # (T, C)
        sound = Sound(request.sample_rate, request.seed, request.options)
        models: dict[str, str] = {}
        for op in request.operations:
            operation = self._sounds[op.type]
            with blamed("edit_operation", op.type):
                wav = operation.apply(wav, op.params, sound)
            if operation.library:
                role, distribution = operation.library
                models[role] = f"{distribution} {version(distribution)}"
        bits = int(request.options.get("bits", 8 * request.pcm.dtype.itemsize))
        pcm, clipped = from_float(wav, request.pcm.dtype, bits)
        del wav
        if clipped:
            sound.notes.append(f"{clipped} samples clipped")
        index = request.plan.operations.index(request.operations[0])
        spans = changed_spans(request.pcm, pcm, round(_APART_SECONDS * request.sample_rate))
        changes = [Change(source, output, index) for source, output in spans]
        return EditResult(pcm, changes, sound.notes, models)


def changed_spans(
    before: np.ndarray, after: np.ndarray, apart: int
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The spans of the source and the output that differ; all of both where the lengths do.

    Args:
        before, after: (T, C) and (T', C).
        apart: equal samples that are needed between two spans.
    """
    if len(before) != len(after):
        return [((0, len(before)), (0, len(after)))]
    spans: list[tuple[int, int]] = []
    for start in range(0, len(before), _BLOCK):
        block = slice(start, start + _BLOCK)
        places = start + np.flatnonzero((before[block] != after[block]).any(axis=1))
        if not len(places):
            continue
        breaks = np.flatnonzero(np.diff(places) > apart)
        starts, ends = [places[0], *places[breaks + 1]], [*places[breaks], places[-1]]
        for a, b in zip(starts, ends, strict=True):
            if spans and a - spans[-1][1] < apart:
                spans[-1] = (spans[-1][0], int(b) + 1)
            else:
                spans.append((int(a), int(b) + 1))
    return [(span, span) for span in spans]
