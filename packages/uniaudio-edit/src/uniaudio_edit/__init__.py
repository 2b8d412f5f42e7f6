"""Edit speech by saying what to change, and change nothing else.

Public names are imported when they are used: `import uniaudio_edit` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uniaudio_edit.errors import AmbiguousInstructionError, InstructionError
    from uniaudio_edit.plan import Operation, Plan

__version__ = "0.1.0"

_NAMES = {
    "AmbiguousInstructionError": "uniaudio_edit.errors",
    "InstructionError": "uniaudio_edit.errors",
    "Operation": "uniaudio_edit.plan",
    "Plan": "uniaudio_edit.plan",
}

__all__ = [
    "AmbiguousInstructionError",
    "InstructionError",
    "Operation",
    "Plan",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        from importlib import import_module

        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
