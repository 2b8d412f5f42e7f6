"""One item of a set being built, and why others were turned away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from audio_eval.build.presets import Cell
from audio_eval.build.sources import Recording

#: Every reason an item, a text or a recording is turned away for, and what it means.
REASONS: dict[str, str] = {
    "text_empty": "the transcript is empty",
    "text_symbols": "the transcript has brackets, quotes or symbols that are not read as written",
    "text_mixed_script": "a Chinese transcript with Latin letters or digits: what is a unit there?",
    "text_too_short": "fewer units than an edit leaves something of",
    "duplicate_text": "another recording says the same",
    "missing_audio": "the recording is not there",
    "unreadable_audio": "the recording cannot be decoded",
    "audio_too_long": "longer than the limit (the published scorer reads 30 s)",
    "unsafe_id": "the id cannot name a file",
    "no_proposal": "no place or no words for an edit of this kind were found",
    "no_wording": "no unambiguous way to point at the place in this wording",
    "empty_result": "nothing would be left",
    "no_change": "the edited text equals the original",
    "ambiguous_match": "the quoted words are there more than once",
    "index_out_of_range": "an index or ordinal beyond the text",
    "not_in_text": "the quoted words are not in the text",
    "empty_quote": "quotation marks with no words between them",
    "two_readings": "the instruction can be read in two ways that give different texts",
    "not_understood": "the second path cannot read the instruction",
    "paths_disagree": "the two paths give different edited texts",
    "duplicate_item": "the same original and edited text are already in the set",
    "writer_failed": "the wording writer raised or gave nothing",
    "judge_disagrees": "the judge gives another edited text",
    "parameter_disagrees": "the number read from the instruction is not the one meant",
    "would_clip": "the louder target would leave the range of samples",
    "no_words": "the aligner gave no usable word times",
    "no_donor": "no other recording of the same speaker to take words from",
}


class ItemRejectedError(Exception):
    """This attempt makes no sound item; `reason` is a key of `REASONS`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


#: Makes samples when the item is written: () -> (wav float32 (T,), sample rate in Hz).
MakeAudio = Callable[[], tuple[Any, int]]


@dataclass(frozen=True)
class Draft:
    """An item that passed every check but is not on disk yet.

    Attributes:
        parameters: task values by the names of `interfaces.Item.parameters`, and how the item was
            made (`kind`, `locator`, `spans`).
        source: makes the recording to be edited; None takes the file of `recording` as it is.
        target: makes the recording that a perfect edit equals, where there is one.
    """

    recording: Recording
    cell: Cell
    instruction: str
    original_text: str
    edited_text: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    source: MakeAudio | None = None
    target: MakeAudio | None = None


@dataclass
class Rejections:
    """Counts of reasons, and the first examples of each."""

    examples_per_reason: int = 20
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, str]] = field(default_factory=list)

    def add(self, reason: str, recording: str, detail: str = "", cell: Cell | None = None) -> None:
        """Count one rejection."""
        self.counts[reason] += 1
        if self.counts[reason] <= self.examples_per_reason:
            row = {"reason": reason, "id": recording, "detail": detail}
            self.examples.append(row | ({"cell": str(cell)} if cell else {}))

    def to_dict(self) -> dict[str, Any]:
        """`reasons` (with their meaning and count) and `examples`."""
        reasons = {
            reason: {"count": count, "meaning": REASONS.get(reason, "")}
            for reason, count in sorted(self.counts.items())
        }
        return {"reasons": reasons, "examples": self.examples}
