"""What can be wrong with an instruction, in words a user can act on."""

from __future__ import annotations

from collections.abc import Sequence

from mingtok_audio.core.errors import UserError


class InstructionError(UserError):
    """An instruction that cannot be carried out: not understood, out of range, contradictory."""


class NotUnderstoodError(InstructionError):
    """An instruction that a parser can make nothing of."""


class NotFoundError(InstructionError):
    """The words that an instruction names are not in the text, as a parser reads it.

    Attributes:
        close: what in the text is written most like them; "" where nothing is.
        wanted: the words; "" where the parser cannot say.
    """

    def __init__(self, message: str, close: str = "", wanted: str = "") -> None:
        self.close, self.wanted = close, wanted
        super().__init__(f"{message} (is '{close}' meant?)" if close else message)


class TextNeededError(InstructionError):
    """An instruction about words, while it is not known what the recording says."""


class AmbiguousInstructionError(InstructionError):
    """An instruction with more than one reading.

    Attributes:
        candidates: one line for each reading, in the order of the text; `--which N` picks one.
    """

    def __init__(self, message: str, candidates: Sequence[str]) -> None:
        self.candidates = list(candidates)
        super().__init__(message)


class MissingPartError(UserError):
    """An edit that needs a part (a model, an aligner, a sound) that is not there."""
