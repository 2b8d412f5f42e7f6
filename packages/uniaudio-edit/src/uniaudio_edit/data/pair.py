"""A training pair: what is heard, what is asked, what should come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

SAMPLE_RATE = 16000
SEMANTIC_TASKS = ("insertion", "deletion", "substitution")


class NoPairError(Exception):
    """This clip cannot be made into a pair of this task; `reason` is a word for the report."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass
class Pair:
    """One pair before it is written.

    Attributes:
        task: as in an instruction; `parallel` pairs are "emotion" or "dialect".
        source, target: (T,) float32 at 16 kHz.
        cot: the target's text with the edited region between two [MASK]s; "" for sound edits.
        source_spans, target_spans: what was edited, in seconds; sound edits change everything.
        params: what was drawn ({"factor": 1.3}, {"noises": ["rain"], "snr_db": 7.5}, ...).
    """

    task: str
    instruction: str
    source: np.ndarray
    target: np.ndarray
    source_text: str
    target_text: str
    cot: str = ""
    source_spans: list[tuple[float, float]] = field(default_factory=list)
    target_spans: list[tuple[float, float]] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)


def seconds_of(start: int, end: int) -> tuple[float, float]:
    """Samples as seconds, rounded to the sample."""
    return round(start / SAMPLE_RATE, 6), round(end / SAMPLE_RATE, 6)
