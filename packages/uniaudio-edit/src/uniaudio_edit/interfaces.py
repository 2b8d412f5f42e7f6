"""What a plugin for the editor extends: instruction parsers and edit backends.

Axes: T samples, C channels. PCM is (T, C) in the source's own integer (or float) type.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from uniaudio_edit.plan import Change, Operation, Plan

if TYPE_CHECKING:
    import numpy as np

    from uniaudio_edit.parts import Parts


@dataclass(frozen=True)
class Word:
    """A unit of a transcript and when it is spoken, in seconds."""

    text: str
    start: float
    end: float


class InstructionParser(ABC):
    """An instruction and a transcript to a plan.

    Attributes:
        needs_recording: `parse` is also given the keywords `recording` (a `pcm.Recording`) and
            `parts` (the editor's models).
    """

    needs_recording: bool = False

    @abstractmethod
    def parse(
        self, instruction: str, original_text: str, *, language: str = "", which: str = "refuse"
    ) -> Plan:
        """Understand an instruction.

        Args:
            instruction: what the user wrote.
            original_text: what the recording says; "" where it is not known (then only sound
                can be edited).
            language: of the text, "en" or "zh"; "" finds out.
            which: what to do where several places match: "refuse", "first", "last", "all", or
                the number of a candidate from 1.

        Raises:
            AmbiguousInstructionError: more than one reading; it carries them.
            TextNeededError: it is about words, and `original_text` is "".
            InstructionError: not understood, nothing matches, out of range, contradictory.
        """


@dataclass(frozen=True)
class EditRequest:
    """What a backend is asked for.

    Attributes:
        pcm: (T, C) samples of the source, in its own type.
        sample_rate: Hz.
        operations: those given to this backend, in the order of the text.
        plan: the whole plan.
        words: when each unit of the text is spoken; None where that is not known.
        seed: of everything random.
        options: of the backend, by name.
        parts: the editor's models.
    """

    pcm: np.ndarray
    sample_rate: int
    operations: Sequence[Operation]
    plan: Plan
    words: Sequence[Word] | None = None
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    parts: Parts | None = None


@dataclass
class EditResult:
    """What a backend made of it.

    Attributes:
        pcm: (T', C), the type of the request's.
        changes: in order, not overlapping; everything outside is equal to the source.
        warnings: one line each.
        models: names to ids of what was used.
        spoken: spans of `pcm`, in samples, whose speech a model made; within `changes`. They are
            given a watermark.
    """

    pcm: np.ndarray
    changes: list[Change]
    warnings: list[str] = field(default_factory=list)
    models: dict[str, str] = field(default_factory=dict)
    spoken: list[tuple[int, int]] = field(default_factory=list)


class EditBackend(ABC):
    """Carries out operations on samples.

    Attributes:
        operations: the operation types it can carry out.
        needs_words: whether it has to know when each unit is spoken, for edits of words.
        is_global: whether it changes the whole recording (so it comes after local edits).
    """

    operations: frozenset[str] = frozenset()
    needs_words: bool = False
    is_global: bool = False

    def check(self, operations: Sequence[Operation], parts: Parts) -> None:  # noqa: B027
        """Called before anything else is done: whether what the operations need is there.

        Raises:
            MissingPartError: it is not; says what to do.
        """

    @abstractmethod
    def apply(self, request: EditRequest) -> EditResult:
        """Make the edit.

        Raises:
            MissingPartError: a model, an aligner or a sound is not there; says which.
            UserError: the operation cannot be done on this recording.
        """
