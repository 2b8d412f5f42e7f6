"""Many systems on one board: every pair of runs compared, and which differences are real.

All p-values of the board (every metric of every pair) are corrected together by Holm's method, so
that the chance of even one false claim on the whole board stays below 5 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from audio_eval.report.load import load_run
from audio_eval.scoring.compare import ALPHA, RESAMPLES, compare
from mingtok_audio.core.errors import UserError


def board(
    runs: Sequence[Path], seed: int = 0, *, resamples: int = RESAMPLES, names: Sequence[str] = ()
) -> dict[str, Any]:
    """Compare every pair of scored runs.

    Args:
        runs: what `score -o` wrote, two or more.
        seed: of the resampling.
        resamples: bootstrap samples and random permutations of a pair.
        names: of the systems; none: their folders' names.

    Returns:
        `{systems: [{name, path, suite, items, failed}], metrics: {name: {unit, higher_is_better,
        systems: {name: {value, ci95, n, better_than: [names]}}, pairs: [{a, b, difference, ci95,
        p_value, p_holm, better, n}]}}, warnings, seed, resamples}`; `better` is a system's name, or
        None where the difference may be chance. A pair is compared on the items that both hold.

    Raises:
        UserError: one run, one twice, one that cannot be read, or two without a common item.
    """
    if len(runs) < 2:
        raise UserError("a board needs two scored runs or more")
    labels = list(names) if names else _labels(runs)
    if len(labels) != len(runs) or len(set(labels)) != len(labels):
        raise UserError(f"a board of {len(runs)} runs needs as many different names: {labels}")
    loaded = [load_run(path) for path in runs]
    found = {
        (i, j): compare(runs[i], runs[j], seed, resamples=resamples)
        for i, j in combinations(range(len(runs)), 2)
    }
    _holm_of_all([row for result in found.values() for row in result["metrics"].values()])
    metrics: dict[str, Any] = {}
    for name in dict.fromkeys(name for run in loaded for name in run.results["metrics"]):
        pairs = [
            _pair(labels[i], labels[j], result["metrics"][name])
            for (i, j), result in found.items()
            if name in result["metrics"]
        ]
        metrics[name] = {"pairs": pairs, "systems": {}}
        for label, run in zip(labels, loaded, strict=True):
            summary = run.results["metrics"].get(name)
            if summary is None:
                continue
            metrics[name] |= {k: summary.get(k) for k in ("unit", "higher_is_better")}
            beaten = [p["b"] if p["a"] == label else p["a"] for p in pairs if p["better"] == label]
            metrics[name]["systems"][label] = {
                **{key: summary.get(key) for key in ("value", "ci95", "n")},
                "better_than": beaten,
            }
    return {
        "systems": [
            {
                "name": label,
                "path": str(run.path),
                "suite": run.results.get("suite", ""),
                "items": len(run.items()),
                "failed": run.results.get("failed", 0),
            }
            for label, run in zip(labels, loaded, strict=True)
        ],
        "metrics": metrics,
        "warnings": [
            f"{labels[i]} and {labels[j]}: {text}"
            for (i, j), result in found.items()
            for text in [*result["warnings"], *_left_out(result["items"])]
        ],
        "seed": seed,
        "resamples": resamples,
    }


def _labels(runs: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell the runs apart."""
    parts = [path.resolve().parts for path in runs]
    for depth in range(1, max(len(p) for p in parts) + 1):
        labels = ["/".join(p[-depth:]).removesuffix(".json") for p in parts]
        if len(set(labels)) == len(labels):
            return labels
    raise UserError("a board shows a run once: two of the paths are the same")


def _left_out(items: dict[str, Any]) -> list[str]:
    count = sum(len(items[key]) for key in ("only_a", "only_b", "different"))
    return [f"{count} items are not in both and are left out of the comparison"] if count else []


def _holm_of_all(rows: Sequence[dict[str, Any]]) -> None:
    """`p_holm` of every row, corrected for all of them together."""
    tested = sorted(
        (row for row in rows if row["p_value"] is not None), key=lambda row: row["p_value"]
    )
    running = 0.0
    for place, row in enumerate(tested):
        running = max(running, min(1.0, row["p_value"] * (len(tested) - place)))
        row["p_holm"] = running


def _pair(a: str, b: str, row: dict[str, Any]) -> dict[str, Any]:
    better = None
    real = row["p_holm"] is not None and row["p_holm"] < ALPHA
    if real and row["higher_is_better"] is not None:
        better = b if (row["difference"] > 0) == row["higher_is_better"] else a
    kept = {key: row[key] for key in ("difference", "ci95", "p_value", "p_holm", "n")}
    return {"a": a, "b": b, **kept, "better": better}
