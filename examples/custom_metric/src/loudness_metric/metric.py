"""How much louder or softer the output is than the reference, in dB."""

from __future__ import annotations

import numpy as np

from audio_eval.interfaces import (
    ComponentInfo,
    Item,
    ItemFailedError,
    Metric,
    MetricResult,
    MetricUnavailableError,
    ScoringContext,
)


class LevelDifference(Metric):
    """Absolute difference of RMS levels in dB; silence counts as -100 dB."""

    info = ComponentInfo(
        name="level_difference",
        version="1",
        summary="difference of the RMS levels of output and reference",
        needs_reference=True,
        unit="dB",
        higher_is_better=False,
        failure_value=100.0,
    )

    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        """Level difference of one output."""
        if item.reference is None:
            raise MetricUnavailableError("the item has no reference recording")
        if item.audio is None:
            raise ItemFailedError("no output")
        output, reference = (_level(context.audio(p)[0]) for p in (item.audio, item.reference))
        return MetricResult(abs(output - reference), details={"output_db": output})


def _level(wav: np.ndarray) -> float:
    """RMS level of ``wav`` (T,) in dB, at least -100."""
    return 20.0 * float(np.log10(max(1e-5, float(np.sqrt(np.mean(wav.astype(np.float64) ** 2))))))
