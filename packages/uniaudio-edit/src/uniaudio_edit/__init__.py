"""Edit speech by saying what to change, and change nothing else.

Public names are imported when they are used: `import uniaudio_edit` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mingtok_audio.core.lazy import lazy_names

if TYPE_CHECKING:
    from uniaudio_edit.editor import Edited, Editor
    from uniaudio_edit.errors import AmbiguousInstructionError, InstructionError
    from uniaudio_edit.interfaces import Word
    from uniaudio_edit.plan import Operation, Plan
    from uniaudio_edit.receipt import Receipt, read_receipt

__version__ = "0.1.0"


__all__ = [
    "AmbiguousInstructionError",
    "Edited",
    "Editor",
    "InstructionError",
    "Operation",
    "Plan",
    "Receipt",
    "Word",
    "__version__",
    "read_receipt",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AmbiguousInstructionError": "uniaudio_edit.errors",
        "Edited": "uniaudio_edit.editor",
        "Editor": "uniaudio_edit.editor",
        "InstructionError": "uniaudio_edit.errors",
        "Operation": "uniaudio_edit.plan",
        "Plan": "uniaudio_edit.plan",
        "Receipt": "uniaudio_edit.receipt",
        "Word": "uniaudio_edit.interfaces",
        "read_receipt": "uniaudio_edit.receipt",
    },
)
