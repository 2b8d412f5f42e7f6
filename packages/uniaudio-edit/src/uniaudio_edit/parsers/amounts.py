"""How much of an acoustic edit is allowed."""

from __future__ import annotations

from uniaudio_edit.errors import InstructionError
from uniaudio_edit.plan import Operation

_LIMITS = {
    ("speed", "factor"): (0.1, 10.0),
    ("volume", "factor"): (0.0, 100.0),
    ("volume", "db"): (-96.0, 60.0),
    ("pitch", "semitones"): (-24.0, 24.0),
    ("fade", "in"): (0.001, 3600.0),
    ("fade", "out"): (0.001, 3600.0),
    ("add_sound", "snr_db"): (-40.0, 80.0),
}


def check_amount(op: Operation) -> None:
    """Refuse amounts out of range (InstructionError)."""
    for (kind, name), (low, high) in _LIMITS.items():
        value = op.params.get(name)
        if op.type == kind and value is not None and not low <= value <= high:
            raise InstructionError(f"{kind} {name} {value:g} is out of range: {low:g} to {high:g}")
