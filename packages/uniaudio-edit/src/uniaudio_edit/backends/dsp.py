"""`dsp`: the sound operations, one after the other, on the whole recording.

What each does stands in its file under `operations`; plugins may add more.
"""

from __future__ import annotations

from importlib.metadata import version

from uniaudio_edit.interfaces import Change, EditBackend, EditRequest, EditResult
from uniaudio_edit.operations.base import CutOperation, Sound, SoundOperation
from uniaudio_edit.pcm import from_float, to_float
from uniaudio_edit.plugins import edit_operations


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
            wav = operation.apply(wav, op.params, sound)
            if operation.library:
                role, distribution = operation.library
                models[role] = f"{distribution} {version(distribution)}"
        bits = int(request.options.get("bits", 8 * request.pcm.dtype.itemsize))
        pcm, clipped = from_float(wav, request.pcm.dtype, bits)
        if clipped:
            sound.notes.append(f"{clipped} samples clipped")
        index = request.plan.operations.index(request.operations[0])
        change = Change((0, len(request.pcm)), (0, len(pcm)), index)
        return EditResult(pcm, [change], sound.notes, models)
