"""Which items went worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audio_eval.interfaces import ItemResult

_EXACT_ITEMS = 4000  # beyond, ties are ranked by their order: all pairs would not fit in memory


def worst_first(
    rows: Sequence[ItemResult], metrics: Mapping[str, Mapping[str, Any]]
) -> tuple[list[ItemResult], list[str]]:
    """Items from worst to best, and the metrics that say so.

    Failed items come first; then by the mean rank over all metrics that have a better side, each
    ranked among the items it applies to (0 best, 1 worst; ties share their mean rank).
    """
    used, ranks = [], {row.item.id: [] for row in rows}
    for name, summary in metrics.items():
        direction = summary.get("higher_is_better")
        valued = [
            (row.item.id, float(result.value))
            for row in rows
            if (result := row.metrics.get(name)) is not None and result.value is not None
        ]
        if direction is None or len({value for _, value in valued}) < 2:
            continue
        used.append(name)
        values = np.array([v for _, v in valued]) * (-1.0 if direction else 1.0)
        below = (values[:, None] > values[None, :]).sum(1) if len(values) <= _EXACT_ITEMS else None
        if below is None:
            order = values.argsort(kind="stable").argsort(kind="stable")
            position = order.astype(np.float64)
        else:
            ties = (values[:, None] == values[None, :]).sum(1)
            position = below + (ties - 1) / 2
        for (key, _), rank in zip(valued, position / max(1, len(values) - 1), strict=True):
            ranks[key].append(float(rank))

    def badness(row: ItemResult) -> tuple[bool, float]:
        own = ranks[row.item.id]
        return bool(row.error), float(np.mean(own)) if own else 0.0

    return sorted(rows, key=badness, reverse=True), used
