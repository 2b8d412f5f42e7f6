"""Metrics of acoustic edits: speed, pitch, volume; and plain durations."""

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
from audio_eval.metrics.outputs import output_audio


def source_audio(item: Item, context: ScoringContext) -> tuple[np.ndarray, int]:
    """The edited recording (T,) and its rate.

    Raises:
        MetricUnavailableError: there is none, or it is unusable.
    """
    if item.source is None:
        raise MetricUnavailableError("the item has no source recording")
    try:
        return context.audio(item.source)
    except ItemFailedError as error:
        raise MetricUnavailableError(f"source: {error}") from error


def parameter(item: Item, name: str) -> float:
    """A number that the instruction asks for.

    Raises:
        MetricUnavailableError: the item does not carry it.
    """
    value = item.parameters.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MetricUnavailableError(f"the item's instruction gives no {name}")
    return float(value)


class _TaskMetric(Metric):
    """For the items of one task."""

    task: str

    def applies(self, item: Item) -> str:
        return "" if item.task == self.task else f"only for {self.task} edits"


class RelativeDurationError(_TaskMetric):
    """RDE: ``|duration - source duration / speed| / source duration`` in percent (table 14)."""

    task = "speed"
    info = ComponentInfo(
        name="rde",
        summary="relative duration error of speed edits",
        needs_source=True,
        unit="%",
        higher_is_better=False,
        # An output of no length at speed 1.
        failure_value=100.0,
    )

    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        speed = parameter(item, "speed")
        if speed <= 0:
            raise MetricUnavailableError(f"the speed {speed} is not above 0")
        source, rate = source_audio(item, context)
        if item.audio is None:
            raise ItemFailedError("no output")
        output, output_rate = context.audio(item.audio)
        before, after = len(source) / rate, len(output) / output_rate
        error = abs(after - before / speed) / before
        return MetricResult(100.0 * error, details={"seconds": after, "wanted": before / speed})


class RelativeAmplitudeError(_TaskMetric):
    """RAE: ``|mean|output| - mean|source * factor|| / mean|source|`` in percent (table 14)."""

    task = "volume"
    info = ComponentInfo(
        name="rae",
        summary="relative amplitude error of volume edits",
        needs_source=True,
        unit="%",
        higher_is_better=False,
        # Silence where the level was to stay.
        failure_value=100.0,
    )

    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        factor = parameter(item, "volume")
        source, _ = source_audio(item, context)
        output = output_audio(item, context, None)
        level = float(np.mean(np.abs(source, dtype=np.float64)))
        if level == 0:
            raise MetricUnavailableError("the source is silence")
        wanted = float(np.mean(np.abs(source.astype(np.float64) * factor)))
        found = float(np.mean(np.abs(output, dtype=np.float64)))
        details = {"level": found, "wanted": wanted}
        return MetricResult(100.0 * abs(found - wanted) / level, details=details)


class PitchError(_TaskMetric):
    """Distance in semitones between the pitch change that was asked for and the one made.

    The change is the difference of the medians of log F0 over voiced frames (autocorrelation,
    60 to 500 Hz), which does not need the two recordings aligned.
    """

    task = "pitch"
    info = ComponentInfo(
        name="pitch_error",
        summary="error of pitch edits",
        needs_source=True,
        unit="semitones",
        higher_is_better=False,
        # An octave off.
        failure_value=12.0,
    )

    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        from audio_eval.pitch import median_f0

        wanted = parameter(item, "semitones")
        source_audio(item, context)
        if item.source is None or item.audio is None:
            raise ItemFailedError("no output")
        before = median_f0(context.audio(item.source, 16000)[0])
        if before is None:
            raise MetricUnavailableError("the source has no voiced frames")
        after = median_f0(context.audio(item.audio, 16000)[0])
        if after is None:
            raise ItemFailedError("the output has no voiced frames")
        made = 12.0 * float(np.log2(after / before))
        return MetricResult(abs(made - wanted), details={"semitones": made, "wanted": wanted})


class Duration(Metric):
    """Seconds of the output, for reading the other numbers."""

    info = ComponentInfo(name="duration", summary="seconds of the output", unit="s")

    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        if item.audio is None:
            raise ItemFailedError("no output")
        wav, rate = context.audio(item.audio)
        return MetricResult(len(wav) / rate)


class RealTimeFactor(Metric):
    """Wall seconds that the system took per second of its output."""

    info = ComponentInfo(
        name="rtf",
        summary="wall seconds per second of output (below 1 is faster than real time)",
        higher_is_better=False,
    )

    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        seconds = item.parameters.get("seconds")
        if not isinstance(seconds, int | float):
            raise MetricUnavailableError(
                "nobody timed the system: score it with --system, or give 'seconds' per item"
            )
        if item.audio is None:
            raise ItemFailedError("no output")
        wav, rate = context.audio(item.audio)
        return MetricResult(float(seconds) / (len(wav) / rate))
