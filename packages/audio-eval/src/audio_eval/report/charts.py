"""Charts as inline SVG: intervals side by side, and histograms. Colours come from the page's CSS.

Classes `s0`, `s1`, ... are the systems in the order of the table; text uses the page's font.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audio_eval.report.tables import number


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers that span [low, high], about `count` of them.

    Raises:
        ValueError: not two finite numbers in order.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"no axis from {low} to {high}")
    if low == high:
        low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def _tick(value: float) -> str:
    return f"{value:.10g}"


def intervals(rows: Sequence[tuple[int, str, Mapping[str, Any]]], unit: str) -> str:
    """Values with their 95 % intervals, one line per system: (class number, title, summary)."""
    points = [(k, name, *_point(summary)) for k, name, summary in rows]
    numbers = [x for _, _, value, ci in points for x in (value, *ci)]
    span = (min(numbers), max(numbers))
    if unit == "%" and span[0] == span[1] and 0.0 <= span[0] <= 100.0:
        span = (0.0, 100.0)
    ticks = nice_ticks(*span)
    low, high = ticks[0], ticks[-1]
    width, left, right, line = 360, 8, 12, 20
    height = line * len(points) + 24

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (width - left - right)

    out = [_open(width, height, f"95 % intervals in {unit or 'the unit of the metric'}")]
    bottom = line * len(points) + 4
    for tick in ticks:
        out.append(
            f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="2" y2="{bottom}"/>'
        )
        out.append(_label(x(tick), bottom + 14, _tick(tick), _anchor(x(tick), width)))
    for place, (k, name, value, (a, b)) in enumerate(points):
        y = line * place + line / 2 + 2
        said = f"{name}: {number(value, unit)} {unit}"
        out.append(f'<g class="s{k}"><title>{html.escape(said)}</title>')
        out.append(f'<line class="ci" x1="{x(a):.1f}" x2="{x(b):.1f}" y1="{y}" y2="{y}"/>')
        out.append(f'<circle class="dot" cx="{x(value):.1f}" cy="{y}" r="4.5"/></g>')
    return "".join(out) + "</svg>"


def _point(summary: Mapping[str, Any]) -> tuple[float, tuple[float, float]]:
    """Value and interval; without an interval the value itself."""
    value = float(summary["value"])
    low, high = summary.get("ci95") or (value, value)
    return value, (float(low), float(high))


def histogram(series: Sequence[tuple[int, str, Sequence[float]]], unit: str) -> str:
    """Shares of items per bin, one outline per system (the first one filled): (class, title,
    values)."""
    everything = np.concatenate([np.asarray(v, dtype=np.float64) for _, _, v in series])
    low, high = float(everything.min()), float(everything.max())
    # One far outlier must not squeeze the rest: the last bin takes all beyond the 99th percentile.
    cap = float(np.percentile(everything, 99))
    capped = high > low and cap < low + 0.7 * (high - low)
    ticks = nice_ticks(low, cap if capped else high)
    first, last = ticks[0], ticks[-1]
    bins = 20
    edges = np.linspace(first, last, bins + 1)
    width, height, left, right, top, bottom = 360, 170, 34, 12, 8, 24
    shares = []
    for _, _, values in series:
        counts, _ = np.histogram(np.clip(values, first, last), bins=edges)
        shares.append(100.0 * counts / max(1, len(values)))
    marks = nice_ticks(0.0, max(float(s.max()) for s in shares), 3)
    ceiling = marks[-1]

    def x(value: float) -> float:
        return left + (value - first) / (last - first) * (width - left - right)

    def y(share: float) -> float:
        return height - bottom - share / ceiling * (height - top - bottom)

    out = [_open(width, height, "distribution over items")]
    for mark in marks:
        ends = f'x1="{left}" x2="{width - right}"'
        out.append(f'<line class="grid" {ends} y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>')
        out.append(_label(left - 5, y(mark) + 3.5, f"{_tick(mark)}%", "end"))
    for tick in ticks:
        text = ("≥" if capped and tick == last else "") + _tick(tick)
        out.append(_label(x(tick), height - 8, text, _anchor(x(tick), width)))
    for place, ((k, name, values), share) in enumerate(zip(series, shares, strict=True)):
        steps = [f"M{x(first):.1f},{y(0):.1f}"]
        for b in range(bins):
            steps.append(f"V{y(share[b]):.1f}H{x(edges[b + 1]):.1f}")
        steps.append(f"V{y(0):.1f}")
        kind = "fill" if place == 0 else "step"
        mean = number(float(np.mean(values)), unit)
        out.append(
            f'<g class="s{k}"><title>{html.escape(name)}: mean {mean} {html.escape(unit)}</title>'
        )
        out.append(f'<path class="{kind}" d="{"".join(steps)}"/></g>')
    return "".join(out) + "</svg>"


def shares(series: Sequence[tuple[int, str, Sequence[float]]]) -> str:
    """For right-or-wrong metrics: the share of items that pass, one bar per system."""
    width, line, left, right = 360, 30, 8, 52
    height = line * len(series) + 4
    out = [_open(width, height, "share of items that pass")]
    for place, (k, name, values) in enumerate(series):
        data = np.asarray(values, dtype=np.float64)
        passed = int(np.sum(data > 0))
        share = passed / max(1, len(data))
        y = line * place + 8
        full = width - left - right
        said = f"{name}: {passed} of {len(data)}"
        out.append(f'<g class="s{k}"><title>{html.escape(said)}</title>')
        out.append(f'<rect class="track" x="{left}" y="{y}" width="{full}" height="14" rx="3"/>')
        size = f'width="{full * share:.1f}" height="14"'
        out.append(f'<rect class="bar" x="{left}" y="{y}" {size} rx="3"/></g>')
        out.append(_label(width - right + 8, y + 11, f"{passed}/{len(data)}", "start"))
    return "".join(out) + "</svg>"


def _open(width: float, height: float, title: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{html.escape(title)}">'
    )


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _anchor(x: float, width: float) -> str:
    """Keep the outermost labels inside the picture."""
    return "start" if x < 16 else "end" if x > width - 20 else "middle"
