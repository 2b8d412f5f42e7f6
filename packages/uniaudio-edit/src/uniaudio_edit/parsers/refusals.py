"""How the rules say that an instruction cannot be carried out."""

from __future__ import annotations

from typing import NoReturn

from uniaudio_edit.errors import (
    AmbiguousInstructionError,
    InstructionError,
    NotFoundError,
    TextNeededError,
)
from uniaudio_edit.parsers.quoting import Quoted
from uniaudio_edit.parsers.resolve import LookupFailed
from uniaudio_edit.parsers.units import Text

_EXAMPLES = (
    "say for example: replace 'old' with 'new', delete the last two words, insert 'so' after "
    "'and', make it 20% faster"
)


def not_understood(quoted: Quoted) -> str:
    """What to say of an instruction that fits no rule."""
    shown = quoted.text
    for index, content in enumerate(quoted.quotes):
        shown = shown.replace(chr(0xE000 + index), f"'{content}'")
    shown = shown if len(shown) <= 80 else f"{shown[:79]}…"
    return (
        f"this instruction is not understood: {shown} (instructions are read in English and "
        f"Chinese); {_EXAMPLES}"
    )


def refuse(failure: LookupFailed, text: Text) -> NoReturn:
    """Raise what a failed look-up means to the user."""
    if failure.candidates:
        raise AmbiguousInstructionError(
            f"the instruction is ambiguous: {failure.message}", failure.candidates
        )
    if not len(text) and failure.kind in ("missing", "range"):
        raise TextNeededError(
            "what the recording says is not known, so no words can be edited; give it with --text"
        )
    kind = NotFoundError if failure.kind == "missing" else InstructionError
    raise kind(failure.message)
