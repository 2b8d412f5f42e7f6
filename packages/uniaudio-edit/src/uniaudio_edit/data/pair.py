"""A training pair: source, instruction and target."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, Protocol

import numpy as np

SAMPLE_RATE = 16000
Style = Literal["published", "en", "zh"]
"""What an instruction is written in: the published phrasing, English or Chinese."""
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


class Material(Protocol):
    """What an operation makes a training pair of; see `material.ClipMaterial`."""

    @property
    def longest_span(self) -> int:
        """Most units that an edit touches."""
        ...

    @property
    def sounds(self) -> list[str]:
        """Names of the recorded sounds."""
        ...

    def wav(self) -> np.ndarray:
        """The recording (T,) float32 at 16 kHz."""
        ...

    def style(self, rng: Random) -> Style:
        """What an instruction for this recording is written in."""
        ...

    def pair(
        self, task: str, instruction: str, source: np.ndarray, target: np.ndarray, **params: Any
    ) -> Pair:
        """A pair of a sound edit: both sides say the same."""
        ...

    def spoken(self) -> Any:
        """The recording with the times of its units (`spoken.Spoken`)."""
        ...

    def donor(self, rng: Random) -> Any:
        """Another recording, as `spoken`."""
        ...

    def parallel(self, rng: Random) -> tuple[np.ndarray, str, str]:
        """A recording of the same words, what differs ("emotion" or "dialect"), and its label."""
        ...

    def under_noise(self, rng: Random) -> tuple[np.ndarray, np.ndarray, list[str], float]:
        """The recording under one to three noises, it alone, their names, and the SNR in dB."""
        ...

    def with_sound(self, name: str, rng: Random) -> tuple[np.ndarray, np.ndarray, float]:
        """The recording, the same with a background sound, and the SNR in dB."""
        ...
