"""Watermarks of synthetic speech: what a plugin extends, and how marks are put in and found.

Axes: T samples, C channels. This module needs NumPy only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

DEFAULT_WATERMARK = "spectral"
_FADE_SECONDS = 0.005  # of a mark at the ends of a span, so that no step is heard


class Marker(ABC):
    """Marks one recording, piece by piece. The pieces' lengths change nothing in the result."""

    @abstractmethod
    def push(self, samples: np.ndarray) -> np.ndarray:
        """The next samples (m,) or (m, C), floats in [-1, 1]; gives those that are ready.

        Fewer may come back than went in. The results of all calls and of `flush`, joined, are as
        long as all that went in, and of its type.
        """

    @abstractmethod
    def flush(self) -> np.ndarray:
        """The samples that are left, at the end of the recording."""


@dataclass(frozen=True)
class Detection:
    """What was found in a recording.

    Attributes:
        found: whether it holds the mark.
        confidence: 1 minus the bound on the probability that a recording without the mark gives
            evidence as strong as this; 0 where there is no evidence.
        score: the strongest evidence, in standard deviations of what unmarked sound gives.
        threshold: the score from which the mark counts as found in a recording of this length.
        false_alarm_rate: the bound that the threshold keeps, for a whole recording.
        spans: (start, end) in seconds, in order: where the mark was found.
        speed: of the recording against the marked one (1.0: not changed); None: not found.
    """

    found: bool
    confidence: float
    score: float
    threshold: float
    false_alarm_rate: float
    spans: tuple[tuple[float, float], ...] = ()
    speed: float | None = None


class Watermark(ABC):
    """Puts an inaudible mark into synthetic speech, and finds it again.

    `uniaudio plugins validate NAME` checks: shape and type stay; pieces of any length give the
    same samples; the same input gives the same output; the mark is quiet; it is found in what was
    marked, also after noise, another level, 16-bit samples and telephone band, and not in what was
    not marked.
    """

    @abstractmethod
    def new_marker(self, sample_rate: int) -> Marker:
        """A marker for a recording at `sample_rate` Hz."""

    @abstractmethod
    def detect(self, samples: np.ndarray, sample_rate: int) -> Detection:
        """Look for the mark in a recording (T,) or (T, C), floats in [-1, 1], of any length."""

    def mark(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """A whole recording (T,) or (T, C), marked."""
        marker = self.new_marker(sample_rate)
        return np.concatenate([marker.push(samples), marker.flush()])

    def mark_spans(
        self, samples: np.ndarray, sample_rate: int, spans: Sequence[tuple[int, int]]
    ) -> np.ndarray:
        """Mark the samples [start, end) of each span, and leave all others bit by bit as they are.

        The mark is faded in and out within a span.
        """
        out = samples.copy()
        for start, end in spans:
            if end <= start:
                continue
            part = samples[start:end]
            marked = self.mark(part, sample_rate)
            n = min(max(1, round(_FADE_SECONDS * sample_rate)), (end - start) // 2)
            ramp = (np.arange(n) + 0.5) / n if n else np.zeros(0)
            weight = np.concatenate([ramp, np.ones(end - start - 2 * n), ramp[::-1]])
            weight = weight.astype(samples.dtype).reshape(-1, *[1] * (samples.ndim - 1))
            out[start:end] = part + weight * (marked - part)
        return out


def marked_pieces(marker: Marker, pieces: Iterable[Any]) -> Iterator[np.ndarray]:
    """The pieces of a recording, marked; none is empty."""
    for piece in pieces:
        made = marker.push(np.asarray(piece, dtype=np.float32))
        if len(made):
            yield made
    rest = marker.flush()
    if len(rest):
        yield rest
