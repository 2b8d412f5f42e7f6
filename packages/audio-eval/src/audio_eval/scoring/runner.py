"""Scoring a suite by `core.jobs`: a job an item and system, every metric in it.

What a metric gave for an item is cached under the content of everything it depends on: the files'
hashes, the item's texts, the metric's name, version and options, the judges' identities. So a
second run computes nothing, a changed wav is scored again, and a killed run goes on where it was.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from audio_eval.plugins import create_metric
from audio_eval.scoring.cache import JsonlCache, digest
from audio_eval.scoring.context import Context
from audio_eval.scoring.summary import summarize_all
from mingtok_audio.core.errors import UserError, one_line
from mingtok_audio.core.extras import install_line
from mingtok_audio.core.files import atomic_write_text
from mingtok_audio.core.jobs import Advance, Job, Records, Result, Work, done, failed, run_jobs

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


@dataclass(frozen=True)
class Asked:
    """What a job of `Scoring` is about.

    Attributes:
        keys: of the results in the cache, by metric.
        known: results that the cache holds, by metric.
    """

    system: str
    item: Item
    keys: Mapping[str, str]
    known: Mapping[str, Any]


class Scoring(Work):
    """`Work`: every metric on an item. Its record is the cache, metric by metric.

    Args:
        metrics: by name.
        context: judges, their cache, settings.
        cache: of metric results; None in worker processes.
        outputs: where the run writes.
    """

    def __init__(
        self,
        metrics: Mapping[str, Metric],
        context: Context,
        cache: JsonlCache | None,
        outputs: Outputs,
    ) -> None:
        self.metrics = metrics
        self.context = context
        self._cache = cache
        self._outputs = outputs

    def __getstate__(self) -> dict[str, Any]:
        options = {n: dict(getattr(m, "component_options", {})) for n, m in self.metrics.items()}
        return {"context": self.context, "options": options, "outputs": self._outputs}

    def __setstate__(self, state: dict[str, Any]) -> None:
        metrics = {name: create_metric(name, **o) for name, o in state["options"].items()}
        self.__init__(metrics, state["context"], None, state["outputs"])

    def load(self) -> Context:
        """Judges load when they are first asked."""
        return self.context

    def identity(self) -> dict[str, Any]:
        """Nothing: the keys of a job hold all that its results depend on."""
        return {}

    def job(self, system: str, item: Item) -> Job:
        """The scoring of one item of a system (or baseline)."""
        assert self._cache is not None
        content = item_content(item, self.context)
        keys = {name: self._key(name, m, item, content) for name, m in self.metrics.items()}
        values = ((name, self._cache.get(key)) for name, key in keys.items())
        known = {name: value for name, value in values if value is not None}
        asked = Asked(system, item, keys, known)
        return Job(item.id, text=digest(*keys.values()), output=self._outputs.results, extra=asked)

    def targets(self, job: Job) -> list[Path]:
        """See `Work.targets`."""
        return [self._outputs.results, self._outputs.per_item, self._outputs.cache / "run.json"]

    def finished(self, job: Job, key: str, records: Records | None) -> Result | None:
        """The metrics of an item that has all of them."""
        if len(job.extra.known) < len(self.metrics):
            return None
        return {"metrics": {n: MetricResult.from_dict(v) for n, v in job.extra.known.items()}}

    def run(self, model: Context, jobs: Sequence[Job], advance: Advance) -> list[Result]:
        """See `Work.run`."""
        return [self._one(model, job) for job in jobs]

    def _one(self, context: Context, job: Job) -> Result:
        asked: Asked = job.extra
        found: dict[str, MetricResult] = {}
        new: dict[str, Any] = {}
        for name, metric in self.metrics.items():
            if name in asked.known:
                found[name] = MetricResult.from_dict(asked.known[name])
                continue
            found[name] = result = run_metric(metric, asked.item, context)
            # What could not be computed is tried again next time.
            if result.status != "unavailable":
                new[asked.keys[name]] = result.to_dict()
        return done(job, {"metrics": found, "new": new, "news": context.news()})

    def keep(self, job: Job, key: str, result: Result, records: Records | None) -> None:
        """What is new reaches the disk."""
        assert self._cache is not None
        self._cache.put(result["new"])
        self.context.learn(result["news"])

    def failed(self, job: Job, error: BaseException) -> Result:
        """A process that died, or a file that cannot be read: nothing could be computed."""
        result = failed(job, error)
        lost = MetricResult.unavailable(str(result["error"]))
        return {**result, "metrics": dict.fromkeys(self.metrics, lost)}

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


def item_content(item: Item, context: Context) -> dict[str, Any]:
    """An item as JSON, with the hashes of its recordings in place of their paths."""
    row = item.to_dict()
    for name in ("audio", "reference", "source"):
        path = getattr(item, name)
        row[name] = context.hashes.of(path) if path is not None else None
    return row


def score_items(
    work: Scoring,
    batches: Mapping[str, Sequence[Item]],
    *,
    workers: int | None = 1,
    ray: str | None = None,
    show: bool = False,
) -> dict[str, list[ItemResult]]:
    """Every metric on every item of every system, in the order of the items."""
    jobs = [work.job(system, item) for system, items in batches.items() for item in items]
    systems: dict[str, list[ItemResult]] = {name: [] for name in batches}
    results = run_jobs(work, jobs, workers=workers, ray=ray, bar="scoring" if show else "")
    for job, result in zip(jobs, results, strict=True):
        asked: Asked = job.extra
        found = {name: result["metrics"][name] for name in work.metrics}
        scored = ItemResult(asked.item, found, asked.system, _error_of(found.values()))
        systems[asked.system].append(scored)
    return systems


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
        extra = metric.info.extra
        how = f" ({install_line('audio-eval', extra)})" if extra else ""
        return MetricResult.unavailable(one_line(f"{error}{how}"))
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
    suite: str, work: Scoring, systems: Mapping[str, Sequence[ItemResult]], outputs: Outputs
) -> dict[str, Any]:
    """The results object (contract.md ``score``) of a run, from its per-item results."""
    own, context = systems[SYSTEM], work.context
    settings = {"compat": context.compat, "seed": context.seed}
    groups: dict[str, list[ItemResult]] = {}
    for result in own:
        groups.setdefault(result.item.group, []).append(result)

    def table(results: Sequence[ItemResult], drop: bool) -> dict[str, Any]:
        summaries = summarize_all(work.metrics, results, **settings, drop_skipped=drop)
        return {name: s.to_dict() for name, s in summaries.items()}

    return {
        "suite": suite,
        "compat": context.compat,
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
        "judges": context.judges.used(),
        "seed": context.seed,
        "version": __version__,
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
