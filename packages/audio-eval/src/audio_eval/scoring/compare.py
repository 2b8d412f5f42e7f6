"""Is B better than A? Two runs over the same items, compared item by item.

Only items that both runs hold, with the same texts, are compared; the others are listed. For every
metric: the difference B - A with a 95 % paired-bootstrap interval, and a p-value by the test that
fits: exact McNemar where every value is right or wrong, else a paired permutation test (swapping
A and B within items). Micro-averaged rates are compared as rates over all words, not as means.
Holm's correction says what is left when several metrics are looked at together.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audio_eval.interfaces import ItemResult, MetricResult
from audio_eval.report.load import LoadedRun, load_run
from audio_eval.scoring.runner import SYSTEM
from mingtok_audio.core.errors import UserError

RESAMPLES = 10_000
_EXACT_ITEMS = 14  # 2^14 sign patterns are enumerated instead of drawn
_BLOCK = 500  # resamples at a time, to bound memory
ALPHA = 0.05
_TEXT_FIELDS = ("text", "original_text", "instruction", "language", "task")
_LISTED = 50


def compare(
    a: Path,
    b: Path,
    seed: int = 0,
    *,
    resamples: int = RESAMPLES,
    system_a: str = SYSTEM,
    system_b: str = SYSTEM,
) -> dict[str, Any]:
    """Compare two scored runs.

    Args:
        a, b: what `score -o` wrote.
        seed: of the resampling.
        resamples: bootstrap samples and random permutations.
        system_a, system_b: which system of each run ("system", or a baseline's name).

    Returns:
        `{a, b, items: {common, only_a, only_b, different}, warnings, metrics: {name: {...}}}`; per
        metric `a`, `b`, `difference`, `ci95`, `p_value`, `p_holm`, `test`, `n`, `wins` (of B),
        `losses`, `ties`, `better` ("a", "b" or None where it is not significant after Holm) and
        `excluded` (reasons and counts).

    Raises:
        UserError: unreadable runs, or no item in common.
    """
    runs = load_run(a), load_run(b)
    rows_a, rows_b = _by_id(runs[0].items(system_a)), _by_id(runs[1].items(system_b))
    common = [name for name in rows_a if name in rows_b]
    different = [n for n in common if not _same_item(rows_a[n], rows_b[n])]
    pairs = [(rows_a[n], rows_b[n]) for n in common if n not in set(different)]
    if not pairs:
        reason = "the items have the same ids but other texts" if different else "no id in common"
        raise UserError(f"{a} and {b} cannot be compared: {reason}")
    names = [n for n in runs[0].results["metrics"] if n in runs[1].results["metrics"]]
    metrics = {
        name: _compare_metric(name, pairs, runs, np.random.default_rng(seed), resamples)
        for name in names
    }
    _holm(metrics)
    for row in metrics.values():
        row["better"] = _better(row)
    return {
        "a": _about(runs[0], system_a),
        "b": _about(runs[1], system_b),
        "items": {
            "common": len(pairs),
            "only_a": [n for n in rows_a if n not in rows_b],
            "only_b": [n for n in rows_b if n not in rows_a],
            "different": different,
        },
        "warnings": _warnings(runs, names),
        "seed": seed,
        "resamples": resamples,
        "metrics": metrics,
    }


def _by_id(rows: Sequence[ItemResult]) -> dict[str, ItemResult]:
    return {row.item.id: row for row in rows}


def _same_item(a: ItemResult, b: ItemResult) -> bool:
    return all(getattr(a.item, name) == getattr(b.item, name) for name in _TEXT_FIELDS)


def _about(run: LoadedRun, system: str) -> dict[str, Any]:
    return {
        "path": str(run.path),
        "system": system,
        "suite": run.results.get("suite", ""),
        "compat": run.results.get("compat", ""),
        "items": len(run.items(system)),
    }


def _warnings(runs: tuple[LoadedRun, LoadedRun], names: Sequence[str]) -> list[str]:
    """Differences in how the two runs were scored, which no test can repair."""
    found = []
    for field in ("suite", "compat", "judges", "version"):
        first, second = (run.results.get(field) for run in runs)
        if first != second:
            found.append(f"{field} differs: {first} and {second}")
    for run, label in zip(runs, "AB", strict=True):
        own = [name for name in run.results["metrics"] if name not in names]
        if own:
            found.append(f"only {label} has the metrics {', '.join(own)}")
    return found


def _compare_metric(
    name: str,
    pairs: Sequence[tuple[ItemResult, ItemResult]],
    runs: tuple[LoadedRun, LoadedRun],
    rng: np.random.Generator,
    resamples: int,
) -> dict[str, Any]:
    summaries = [run.results["metrics"][name] for run in runs]
    excluded: Counter[str] = Counter()
    kept: list[tuple[MetricResult, MetricResult]] = []
    for row_a, row_b in pairs:
        both = (row_a.metrics.get(name), row_b.metrics.get(name))
        reason = _unusable(both)
        if reason is None:
            assert both[0] is not None and both[1] is not None
            kept.append((both[0], both[1]))
        elif reason:
            excluded[reason] += 1
    row: dict[str, Any] = {
        "unit": summaries[0].get("unit", ""),
        "higher_is_better": summaries[0].get("higher_is_better"),
        "n": len(kept),
        "excluded": dict(excluded),
    }
    empty = {"a": None, "b": None, "difference": None, "ci95": None, "p_value": None}
    if not kept:
        return row | empty | {"test": "", "average": "", "wins": 0, "losses": 0, "ties": 0}
    values = np.array([[x.value, y.value] for x, y in kept], dtype=np.float64)
    rates = _rates(kept) if all(_is_micro(s) for s in summaries) else None
    numerators, weights = (values, np.ones_like(values)) if rates is None else rates
    scale = 1.0 if rates is None else 100.0
    average_a, average_b = (
        _ratio(numerators[:, k].sum(), weights[:, k].sum(), scale) for k in (0, 1)
    )
    row |= {"a": average_a, "b": average_b, "difference": average_b - average_a}
    row["average"] = "macro" if rates is None else "micro"
    row["ci95"] = _bootstrap(numerators, weights, scale, rng, resamples)
    if rates is None and _is_binary(values):
        row |= {"test": "mcnemar exact", "p_value": _mcnemar(values)}
    else:
        p_value, exact = _permutation(numerators, weights, rng, resamples)
        row |= {"test": "permutation exact" if exact else "permutation", "p_value": p_value}
    return row | _wins(values, row["higher_is_better"])


def _unusable(both: tuple[MetricResult | None, MetricResult | None]) -> str | None:
    """None for a pair with two values, "" for one that the metric does not apply to, else why."""
    first, second = both
    if first is None or second is None:
        return "not scored in both runs"
    if first.status == "skipped" and second.status == "skipped":
        return ""
    for label, result in (("A", first), ("B", second)):
        if result.value is None:
            why = result.reason or result.status
            return f"{label}: {why}"
    return None


def _is_micro(summary: Mapping[str, Any]) -> bool:
    micro = summary.get("micro")
    return micro is not None and summary.get("value") == micro


def _rates(
    kept: Sequence[tuple[MetricResult, MetricResult]],
) -> tuple[np.ndarray, np.ndarray] | None:
    """Errors and reference lengths (items, 2) from the counts S, D, I, N in the details."""
    errors, lengths = [], []
    for pair in kept:
        if any(key not in result.details for result in pair for key in "SDIN"):
            return None
        errors.append([sum(float(r.details[key]) for key in "SDI") for r in pair])
        lengths.append([float(r.details["N"]) for r in pair])
    return np.array(errors), np.array(lengths)


def _ratio(numerator: float, denominator: float, scale: float) -> float:
    return float(scale * numerator / max(1.0, denominator))


def _bootstrap(
    numerators: np.ndarray,
    weights: np.ndarray,
    scale: float,
    rng: np.random.Generator,
    resamples: int,
) -> list[float]:
    """95 % percentile interval of B - A over resampled items."""
    count, draws = len(numerators), []
    for start in range(0, resamples, _BLOCK):
        picks = rng.integers(0, count, size=(min(_BLOCK, resamples - start), count))
        top, bottom = numerators[picks].sum(1), np.maximum(1.0, weights[picks].sum(1))
        rates = scale * top / bottom
        draws.append(rates[:, 1] - rates[:, 0])
    low, high = np.percentile(np.concatenate(draws), [2.5, 97.5])
    return [float(low), float(high)]


def _permutation(
    numerators: np.ndarray, weights: np.ndarray, rng: np.random.Generator, resamples: int
) -> tuple[float, bool]:
    """Two-sided p-value of B - A under swapping A and B within items; whether all swaps were tried.

    Only items that differ can change anything, so the few that do are often enumerated.
    """
    differs = np.any(numerators[:, 0:1] != numerators[:, 1:2], axis=1) | (
        weights[:, 0] != weights[:, 1]
    )
    moving = np.flatnonzero(differs)
    if not len(moving):
        return 1.0, True
    top, bottom = numerators[moving], weights[moving]
    fixed_top = numerators.sum(0) - top.sum(0)
    fixed_bottom = weights.sum(0) - bottom.sum(0)

    def statistic(swap: np.ndarray) -> np.ndarray:
        keep = ~swap
        first = (top[:, 0] * keep + top[:, 1] * swap).sum(1) + fixed_top[0]
        second = (top[:, 1] * keep + top[:, 0] * swap).sum(1) + fixed_top[1]
        under_a = (bottom[:, 0] * keep + bottom[:, 1] * swap).sum(1) + fixed_bottom[0]
        under_b = (bottom[:, 1] * keep + bottom[:, 0] * swap).sum(1) + fixed_bottom[1]
        return np.abs(second / np.maximum(1.0, under_b) - first / np.maximum(1.0, under_a))

    observed = float(statistic(np.zeros((1, len(moving)), bool))[0])
    limit = observed - 1e-12 * max(1.0, observed)
    if len(moving) <= _EXACT_ITEMS:
        patterns = np.arange(2 ** len(moving))[:, None] >> np.arange(len(moving)) & 1
        return float(np.mean(statistic(patterns.astype(bool)) >= limit)), True
    reached = 0
    for start in range(0, resamples, _BLOCK):
        swap = rng.random((min(_BLOCK, resamples - start), len(moving))) < 0.5
        reached += int(np.sum(statistic(swap) >= limit))
    # The observed labelling is one of the permutations, so p is never 0.
    return (reached + 1) / (resamples + 1), False


def _is_binary(values: np.ndarray) -> bool:
    """True where every value is one of two levels, 0 and 1 or 0 and 100."""
    levels = set(np.unique(values).tolist())
    return levels <= {0.0, 1.0} or levels <= {0.0, 100.0}


def _mcnemar(values: np.ndarray) -> float:
    """Exact two-sided McNemar: a binomial test on the items that changed."""
    up = int(np.sum(values[:, 1] > values[:, 0]))
    changed = up + int(np.sum(values[:, 1] < values[:, 0]))
    if changed == 0:
        return 1.0
    tail = sum(math.comb(changed, k) for k in range(min(up, changed - up) + 1))
    return min(1.0, 2.0 * tail / 2.0**changed)


def _wins(values: np.ndarray, higher_is_better: bool | None) -> dict[str, int]:
    """Items on which B is better and worse than A (for a metric without a better side: higher)."""
    change = values[:, 1] - values[:, 0]
    if higher_is_better is False:
        change = -change
    wins, losses = int(np.sum(change > 0)), int(np.sum(change < 0))
    return {"wins": wins, "losses": losses, "ties": len(change) - wins - losses}


def _holm(metrics: Mapping[str, dict[str, Any]]) -> None:
    """Add `p_holm`: each p-value corrected for looking at all the metrics of the table."""
    tested = sorted(
        (row["p_value"], name) for name, row in metrics.items() if row["p_value"] is not None
    )
    running = 0.0
    for place, (p_value, name) in enumerate(tested):
        running = max(running, min(1.0, p_value * (len(tested) - place)))
        metrics[name]["p_holm"] = running
    for row in metrics.values():
        row.setdefault("p_holm", None)


def _better(row: Mapping[str, Any]) -> str | None:
    if row["p_holm"] is None or row["p_holm"] >= ALPHA or row["higher_is_better"] is None:
        return None
    return "b" if (row["difference"] > 0) == row["higher_is_better"] else "a"


def compare_text(result: Mapping[str, Any]) -> str:
    """The comparison for people."""
    items = result["items"]
    lines = [f"A: {result['a']['path']} ({result['a']['system']})"]
    lines.append(f"B: {result['b']['path']} ({result['b']['system']})")
    lines.append(f"{items['common']} items in common")
    for key, said in (
        ("only_a", "only in A"),
        ("only_b", "only in B"),
        ("different", "other texts under the same id, left out"),
    ):
        names = items[key]
        if names:
            more = f", ... ({len(names)} in all)" if len(names) > _LISTED else ""
            lines.append(f"{said}: {', '.join(names[:_LISTED])}{more}")
    lines += [f"warning: {text}" for text in result["warnings"]]
    width = max((len(name) for name in result["metrics"]), default=0)
    for name, row in result["metrics"].items():
        lines.append(f"  {name.ljust(width)}  {_metric_text(row)}")
    return "\n".join(lines)


def _metric_text(row: Mapping[str, Any]) -> str:
    if row["difference"] is None:
        why = "; ".join(f"{reason} ({n})" for reason, n in row["excluded"].items())
        return f"nothing to compare{': ' + why if why else ''}"
    unit = f" {row['unit']}" if row["unit"] else ""
    low, high = row["ci95"]
    verdict = {"a": "A is better", "b": "B is better", None: "no significant difference"}
    out = (
        f"A {row['a']:.3f}  B {row['b']:.3f}{unit}  B - A {row['difference']:+.3f} "
        f"[{low:+.3f}, {high:+.3f}]  p {row['p_value']:.4g} (Holm {row['p_holm']:.4g}, "
        f"{row['test']})  n {row['n']}, B wins {row['wins']}, loses {row['losses']}  "
        f"{verdict[row['better']]}"
    )
    if row["excluded"]:
        out += f"; left out: {', '.join(f'{n} ({why})' for why, n in row['excluded'].items())}"
    return out
