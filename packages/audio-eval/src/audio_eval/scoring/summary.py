"""From per-item results to one number with an interval, and what it covers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audio_eval.interfaces import ItemResult, Metric, MetricResult, MetricSummary

RESAMPLES = 1000


def summarize(
    metric: Metric, results: Sequence[MetricResult], *, compat: str = "none", seed: int = 0
) -> MetricSummary:
    """One metric over items: the quoted value, both averages, a 95 % interval, what is in it.

    The interval is a percentile bootstrap over items (1000 resamples, seeded). Items without a
    value are counted, never dropped unseen; see ``MetricSummary``.
    """
    info = metric.info
    valued = [r for r in results if r.value is not None and r.status in ("ok", "failed")]
    counts = Counter(r.status for r in results)
    no_value = sum(r.status == "failed" and r.value is None for r in results)
    reasons = Counter(r.reason for r in results if r.status == "unavailable")
    common: dict[str, Any] = {
        "unit": info.unit,
        "higher_is_better": info.higher_is_better,
        "n": len(valued),
        "failed": counts["failed"],
        "unavailable": counts["unavailable"],
        "skipped": counts["skipped"],
    }
    notes = [_times(text, count, len(results)) for text, count in reasons.most_common(3)]
    if no_value:
        notes.append(f"{no_value} failed outputs have no value and are not in it")
    # Failed outputs alone say nothing about a metric that could not be computed on the others.
    if not valued or (counts["unavailable"] and not counts["ok"]):
        reason = "; ".join(notes) or "it applies to no item here"
        return MetricSummary(None, **common, status="unavailable", reason=reason)
    values = np.array([float(r.value or 0.0) for r in valued])
    pairs = [metric.ratio(r) for r in valued]
    picks = _picks(len(valued), seed)
    macro = float(values.mean())
    micro, ratios, both = None, None, None
    if all(pair is not None for pair in pairs):
        both = np.array([pair for pair in pairs if pair is not None], dtype=np.float64)
        # No reference at all: the errors stand for themselves, as in Counts.rate.
        micro = float(100.0 * both[:, 0].sum() / max(1.0, both[:, 1].sum()))
        ratios = 100.0 * both[picks, 0].sum(1) / np.maximum(1.0, both[picks, 1].sum(1))
    quote_micro = metric.quoted(compat) == "micro" and ratios is not None
    draws = ratios if quote_micro and ratios is not None else values[picks].mean(1)
    interval = _interval(draws, both if quote_micro else None)
    return MetricSummary(
        micro if quote_micro else macro,
        **common,
        ci95=interval,
        macro=macro,
        micro=micro,
        status="partial" if notes else "ok",
        reason="; ".join(notes),
    )


def _interval(draws: np.ndarray, counts: np.ndarray | None) -> tuple[float, float] | None:
    """The 95 % interval of resampled values (RESAMPLES,).

    Items that are all alike say nothing of others: no interval, unless errors were counted (counts
    (n, 2): errors, of how many). Then no error in N leaves room for a rate up to 1 - 0.025^(1/N).
    """
    low, high = (float(v) for v in np.percentile(draws, [2.5, 97.5]))
    if low < high:
        return low, high
    if counts is None:
        return None
    errors, total = counts.sum(axis=0)
    if total < 1 or errors not in (0, total):
        return None
    room = 100.0 * 0.025 ** (1.0 / float(total))
    return (0.0, 100.0 - room) if errors == 0 else (room, 100.0)


def _times(text: str, count: int, total: int) -> str:
    return text if count == total else f"{count} of {total}: {text}"


def _picks(count: int, seed: int) -> np.ndarray:
    """Item indices (RESAMPLES, count); the same for every metric of a run, so that metrics and
    systems are resampled alike."""
    return np.random.default_rng(seed).integers(0, count, size=(RESAMPLES, count))


def summarize_all(
    metrics: Mapping[str, Metric],
    results: Sequence[ItemResult],
    *,
    compat: str = "none",
    seed: int = 0,
    drop_skipped: bool = False,
) -> dict[str, MetricSummary]:
    """A summary per metric. ``drop_skipped`` leaves out metrics that apply to none of the items."""
    out = {}
    for name, metric in metrics.items():
        column = [r.metrics[name] for r in results if name in r.metrics]
        if drop_skipped and all(r.status == "skipped" for r in column):
            continue
        out[name] = summarize(metric, column, compat=compat, seed=seed)
    return out
