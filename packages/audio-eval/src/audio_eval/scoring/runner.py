"""Scoring a suite: items times metrics, with a cache, workers, baselines and a record of failures.

What a metric gave for an item is cached under the content of everything it depends on: the files'
hashes, the item's texts, the metric's name, version and options, the judges' identities. So a
second run computes nothing, a changed wav is scored again, and a killed run goes on where it was.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audio_eval import __version__
from audio_eval.interfaces import (
    Item,
    ItemFailedError,
    ItemResult,
    JudgeUnavailableError,
    Metric,
    MetricResult,
    MetricUnavailableError,
)
from audio_eval.scoring.cache import JsonlCache, digest
from audio_eval.scoring.context import Context
from audio_eval.scoring.summary import summarize_all
from mingtok_audio.core.errors import UserError, one_line
from mingtok_audio.core.files import atomic_write_text

logger = logging.getLogger("audio_eval")

SYSTEM = "system"


@dataclass(frozen=True)
class Outputs:
    """Where a run writes: a folder, or with a name ending in ``.json`` a file and its neighbour."""

    results: Path
    per_item: Path
    cache: Path
    folder: Path

    @classmethod
    def at(cls, out: Path, cache: Path | None = None) -> Outputs:
        """The files of a run for what the user gave as ``-o``."""
        if out.suffix == ".json":
            folder = out.parent
            base = out.with_suffix("")
            work = base.parent / f".{base.name}.audio-eval"
            return cls(out, base.parent / f"{base.name}.items.jsonl", cache or work, folder)
        return cls(out / "results.json", out / "per_item.jsonl", cache or out / "cache", out)


@dataclass
class Run:
    """One scoring run.

    Args:
        suite: its name, for the results.
        metrics: by name.
        context: judges, cache, settings.
        cache: of metric results.
        workers: threads; models are used by one at a time.
    """

    suite: str
    metrics: Mapping[str, Metric]
    context: Context
    cache: JsonlCache
    workers: int = 1
    computed: int = 0
    settings: dict[str, Any] = field(default_factory=dict)

    def score(
        self, system: str, items: Sequence[Item], advance: Callable[[], None] | None = None
    ) -> list[ItemResult]:
        """Every metric on every item, in the order of the items."""

        def one(item: Item) -> ItemResult:
            result = self.score_item(system, item)
            if advance is not None:
                advance()
            return result

        if self.workers <= 1:
            return [one(item) for item in items]
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                return list(pool.map(one, items))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def score_item(self, system: str, item: Item) -> ItemResult:
        """Every metric on one item; what is new reaches the disk before this returns."""
        content = self._content(item)
        found: dict[str, MetricResult] = {}
        new: dict[str, Any] = {}
        for name, metric in self.metrics.items():
            key = self._key(name, metric, item, content)
            known = self.cache.get(key)
            if known is not None:
                found[name] = MetricResult.from_dict(known)
                continue
            found[name] = result = run_metric(metric, item, self.context)
            self.computed += 1
            # What could not be computed is tried again next time.
            if result.status != "unavailable":
                new[key] = result.to_dict()
        self.cache.put(new)
        return ItemResult(item, found, system, _error_of(found.values()))

    def _content(self, item: Item) -> dict[str, Any]:
        row = item.to_dict()
        for name in ("audio", "reference", "source"):
            path = getattr(item, name)
            row[name] = self.context.hashes.of(path) if path is not None else None
        return row

    def _key(self, name: str, metric: Metric, item: Item, content: Mapping[str, Any]) -> str:
        info = metric.info
        return digest(
            name,
            info.version,
            getattr(metric, "component_options", {}),
            content,
            self.context.judges.identities(info.judges, item.language),
            self.context.compat,
            self.context.seed,
        )


def run_metric(metric: Metric, item: Item, context: Context) -> MetricResult:
    """One metric on one item, whatever happens: an exception becomes a result that says why."""
    skip = metric.applies(item)
    if skip:
        return MetricResult.skipped(skip)
    try:
        try:
            result = metric.score(item, context)
        except ItemFailedError as error:
            result = metric.on_failure(item, one_line(str(error)), context)
    except (MetricUnavailableError, JudgeUnavailableError) as error:
        return MetricResult.unavailable(one_line(str(error)))
    except ImportError as error:
        extra = f" (pip install 'audio-eval[{metric.info.extra}]')" if metric.info.extra else ""
        return MetricResult.unavailable(one_line(f"{error}{extra}"))
    except Exception as error:
        # A metric's own bug must not end the run of all the others, nor pass unseen.
        logger.debug("%s on %s", metric.info.name, item.id, exc_info=True)
        return MetricResult.unavailable(one_line(f"{type(error).__name__}: {error}"))
    if result.value is not None and not math.isfinite(result.value):
        return MetricResult.unavailable(f"the value is {result.value}")
    if result.status == "ok" and result.value is None:
        return MetricResult.unavailable("the metric gave no value")
    return result


def _error_of(results: Iterable[MetricResult]) -> str:
    return next((r.reason for r in results if r.status == "failed"), "")


def _unscored(results: Sequence[ItemResult]) -> list[dict[str, str]]:
    """Items whose own reference or source recording is unusable: nobody's score, but to be said."""
    out = []
    for result in results:
        reasons = [r.reason for r in result.metrics.values() if r.status == "unavailable"]
        own = next((r for r in reasons if r.startswith(("reference: ", "source: "))), None)
        if own:
            out.append({"id": result.item.id, "reason": own})
    return out


def report(
    run: Run, systems: Mapping[str, Sequence[ItemResult]], outputs: Outputs
) -> dict[str, Any]:
    """The results object (contract.md ``score``) of a run, from its per-item results."""
    own = systems[SYSTEM]
    settings = {"compat": run.context.compat, "seed": run.context.seed}
    groups: dict[str, list[ItemResult]] = {}
    for result in own:
        groups.setdefault(result.item.group, []).append(result)

    def table(results: Sequence[ItemResult], drop: bool) -> dict[str, Any]:
        summaries = summarize_all(run.metrics, results, **settings, drop_skipped=drop)
        return {name: s.to_dict() for name, s in summaries.items()}

    return {
        "suite": run.suite,
        "compat": run.context.compat,
        "items": len(own),
        "failed": sum(bool(r.error) for r in own),
        "metrics": table(own, False),
        "baselines": {
            name: table(results, True) for name, results in systems.items() if name != SYSTEM
        },
        "groups": {name: table(results, True) for name, results in sorted(groups.items())},
        "per_item": str(outputs.per_item),
        "failures": [{"id": r.item.id, "reason": r.error} for r in own if r.error],
        "unscored": _unscored(own),
        "judges": run.context.judges.used(),
        "seed": run.context.seed,
        "version": __version__,
        **run.settings,
    }


def write_results(
    results: Mapping[str, Any], systems: Mapping[str, Sequence[ItemResult]], outputs: Outputs
) -> None:
    """Write the per-item lines, then the results; each file appears whole or not at all."""
    outputs.per_item.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(r.to_dict(), ensure_ascii=False) for rows in systems.values() for r in rows]
    atomic_write_text(outputs.per_item, "\n".join(lines) + "\n")
    text = json.dumps(results, ensure_ascii=False, indent=2, allow_nan=False)
    atomic_write_text(outputs.results, text + "\n")


def read_per_item(path: Path) -> list[ItemResult]:
    """The lines that ``write_results`` wrote.

    Raises:
        UserError: not there, or not such lines.
    """
    from audio_eval.scoring.textfiles import json_object, read_lines

    try:
        return [
            ItemResult.from_dict(json_object(path, number, line))
            for number, line in enumerate(read_lines(path), 1)
            if line.strip()
        ]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: is not a per-item file of audio-eval ({error})") from None
