"""Did an edit stay where it was declared? Read from the spans that the system says it changed.

``parameters["changed"]``: a list of ``[[a, b], [c, d]]``, samples ``[a, b)`` of the source became
samples ``[c, d)`` of the output (also read from ``parameters["receipt"]``, an edit receipt). An
output whose system declares nothing cannot be checked; so that silence does not pay, a declared
span that is the whole clip is allowed but scores what it preserves: nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from audio_eval.dsp import power_spectrum
from audio_eval.interfaces import (
    ComponentInfo,
    Item,
    ItemFailedError,
    Metric,
    MetricResult,
    MetricUnavailableError,
    ScoringContext,
)
from audio_eval.metrics.acoustic import source_audio
from audio_eval.scoring.naming import SEMANTIC_TASKS

Spans = list[tuple[tuple[int, int], tuple[int, int]]]


def declared_spans(item: Item) -> Spans:
    """The changed spans of an item, checked to be in order.

    Raises:
        MetricUnavailableError: nothing is declared.
        ItemFailedError: what is declared makes no sense.
    """
    raw: Any = item.parameters.get("changed")
    receipt = item.parameters.get("receipt")
    if raw is None and isinstance(receipt, str | Path):
        from mingtok_audio.core.config import load_json
        from mingtok_audio.core.errors import UserError

        try:
            raw = load_json(receipt).get("changed")
        except (UserError, AttributeError) as error:
            raise ItemFailedError(f"receipt: {error}") from None
    if raw is None:
        raise MetricUnavailableError("the output does not declare what it changed")
    try:
        spans = []
        for entry in raw:
            receipt_entry = isinstance(entry, dict)
            (a, b), (c, d) = (entry["source"], entry["output"]) if receipt_entry else entry
            spans.append(((int(a), int(b)), (int(c), int(d))))
    except (TypeError, ValueError, KeyError):
        raise ItemFailedError("the declared spans are not [[a, b], [c, d]] pairs") from None
    end = (0, 0)
    for (a, b), (c, d) in sorted(spans):
        if not (end[0] <= a <= b and end[1] <= c <= d):
            raise ItemFailedError("the declared spans overlap or run backwards")
        end = (b, d)
    return sorted(spans)


def outside_pairs(
    source: np.ndarray, output: np.ndarray, spans: Spans
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Stretches of source and output that should be the same, in order.

    Raises:
        ItemFailedError: between the spans the lengths differ, so they cannot be right.
    """
    out = []
    a0 = c0 = 0
    for (a, b), (c, d) in [*spans, ((len(source),) * 2, (len(output),) * 2)]:
        if b > len(source) or d > len(output):
            raise ItemFailedError("a declared span lies after the end of the recording")
        if a - a0 != c - c0:
            raise ItemFailedError(
                f"{a - a0} source samples should have become {c - c0} unchanged ones"
            )
        out.append((source[a0:a], output[c0:c]))
        a0, c0 = b, d
    return out


class _Locality(Metric):
    """Source and output at the source's own rate, split along the declared spans."""

    def applies(self, item: Item) -> str:
        return "" if item.task in SEMANTIC_TASKS else "only for edits of a part of the clip"

    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        spans = declared_spans(item)
        source, rate = source_audio(item, context)
        if item.audio is None:
            raise ItemFailedError("no output")
        output, output_rate = context.audio(item.audio)
        if output_rate != rate:
            raise ItemFailedError(f"the sample rate changed from {rate} to {output_rate} Hz")
        return self.measure(source, output, spans, rate)

    @abstractmethod
    def measure(
        self, source: np.ndarray, output: np.ndarray, spans: Spans, sample_rate: int
    ) -> MetricResult:
        """The metric of source (T,) and output (U,)."""


class Preservation(_Locality):
    """Share of the source's samples that are found unchanged, bit for bit, outside the edit.

    In percent of all source samples outside the declared spans; an output that declares the whole
    clip preserves 0.
    """

    info = ComponentInfo(
        name="preservation",
        summary="share of samples outside the declared edit that equal the source bit for bit",
        needs_source=True,
        unit="%",
        higher_is_better=True,
        failure_value=0.0,
    )

    def measure(
        self, source: np.ndarray, output: np.ndarray, spans: Spans, sample_rate: int
    ) -> MetricResult:
        pairs = outside_pairs(source, output, spans)
        total = sum(len(a) for a, _ in pairs)
        same = sum(int(np.count_nonzero(a == b)) for a, b in pairs)
        details = {"outside": total, "same": same, "outside_share": total / len(source)}
        return MetricResult(100.0 * same / total if total else 0.0, details=details)


class OutsideDistance(_Locality):
    """Log-spectral distance in dB outside the declared edit: 0 where nothing changed."""

    info = ComponentInfo(
        name="outside_lsd",
        summary="log-spectral distance outside the declared edit",
        needs_source=True,
        unit="dB",
        higher_is_better=False,
    )

    def measure(
        self, source: np.ndarray, output: np.ndarray, spans: Spans, sample_rate: int
    ) -> MetricResult:
        pairs = [p for p in outside_pairs(source, output, spans) if len(p[0]) >= 400]
        if not pairs:
            raise MetricUnavailableError("less than 400 samples lie outside the declared edit")
        rows = []
        for a, b in pairs:
            first, second = (np.log10(np.maximum(power_spectrum(x), 1e-8)) for x in (a, b))
            rows.append(10.0 * np.sqrt(np.mean((first - second) ** 2, axis=1)))
        return MetricResult(float(np.mean(np.concatenate(rows))))


class BoundaryClick(_Locality):
    """How much the output jumps at the edges of the edit, against how it jumps elsewhere.

    The largest second difference within 1 ms of an edge, over the 99.9th percentile of the
    source's, in dB: below 0 is inaudible, a hard cut in voiced speech is 10 to 30.
    """

    info = ComponentInfo(
        name="boundary_click",
        summary="jump at the edges of the edit over the jumps of the source",
        needs_source=True,
        unit="dB",
        higher_is_better=False,
    )

    def measure(
        self, source: np.ndarray, output: np.ndarray, spans: Spans, sample_rate: int
    ) -> MetricResult:
        edges = sorted({e for _, (c, d) in spans for e in (c, d) if 0 < e < len(output)})
        if not edges:
            raise MetricUnavailableError("the declared edit has no edge inside the output")
        usual = float(np.percentile(np.abs(np.diff(source.astype(np.float64), 2)), 99.9))
        jumps = np.abs(np.diff(output.astype(np.float64), 2))
        reach = max(2, sample_rate // 1000)
        worst = max(float(jumps[max(0, e - reach) : e + reach].max(initial=0.0)) for e in edges)
        return MetricResult(20.0 * float(np.log10(max(worst, 1e-7) / max(usual, 1e-7))))
