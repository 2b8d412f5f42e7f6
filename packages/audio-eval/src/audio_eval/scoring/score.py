"""``score_suite``: the whole of ``audio-eval score`` as a function."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audio_eval.interfaces import Item, Judge, Metric, System
from audio_eval.judges.offline import offline_judges
from audio_eval.plugins import create_metric, get_host
from audio_eval.scoring.baselines import NAMES as BASELINES
from audio_eval.scoring.baselines import make_baseline
from audio_eval.scoring.cache import JsonlCache
from audio_eval.scoring.context import Context, JudgeChoice, JudgePool
from audio_eval.scoring.manifest import attach_outputs, check_unique, read_manifest
from audio_eval.scoring.runner import (
    SYSTEM,
    Outputs,
    Scoring,
    report,
    score_items,
    write_results,
)
from audio_eval.scoring.systems import produce_outputs
from audio_eval.suites import MetricEntry, Suite, load_suite
from mingtok_audio.core.config import near
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_text

logger = logging.getLogger("audio_eval")


def score_suite(
    suite: str | Suite,
    refs: Path | str | Sequence[Item],
    hyps: Path | str | None,
    out: Path | str,
    *,
    system: System | None = None,
    compat: str = "none",
    metrics: Sequence[str] = (),
    judges: Mapping[str, JudgeChoice | Judge] | None = None,
    judges_dir: Path | None = None,
    language: str = "",
    resume: bool = False,
    cache: Path | None = None,
    workers: int | None = None,
    ray: str | None = None,
    seed: int = 0,
    baselines: Sequence[str] | None = None,
    show_progress: bool = False,
) -> dict[str, Any]:
    """Score a folder of outputs; returns the results object that it also writes.

    Args:
        suite: name, YAML path or object.
        refs: a manifest, a folder of recordings, or items (then with ``audio`` set, if ``hyps``
            is None).
        hyps: folder of outputs (or a text file, for recognition suites).
        out: a folder, or a ``.json`` file (its per-item file then lies beside it).
        system: makes the outputs, under ``out/outputs``, instead of ``hyps``.
        metrics: replaces the suite's metrics.
        judges: by role, before ``judges_dir`` and the suite's own.
        judges_dir: a folder that ``audio-eval judges --assemble`` made.
        resume: go on with an earlier run of the same settings (refused for others).
        cache: where results are kept; None keeps them under ``out``.
        workers: processes that score items, each with judges of its own; by default 1, on a
            cluster as many as it has processors.
        ray: address of a Ray cluster that scores the items instead of this machine.
        baselines: replaces the suite's.

    Raises:
        UserError: unusable input, in one line.
    """
    suite = load_suite(suite) if isinstance(suite, str) else suite
    if compat not in ("none", "ming"):
        raise UserError(f"--compat is 'ming' or 'none', not {compat!r}")
    items = _items(suite, refs, hyps, language)
    made = _metrics(suite, metrics)
    wanted = list(suite.baselines if baselines is None else baselines)
    for name in wanted:
        if name not in BASELINES:
            raise UserError(f"there is no baseline '{name}'{near(name, BASELINES)}")
    outputs = Outputs.at(Path(out), cache)
    outputs.folder.mkdir(parents=True, exist_ok=True)
    settings = {"suite": suite.name, "compat": compat, "seed": seed}
    if system is not None:
        settings["system"] = system.identity()
    _check_run(outputs, resume, settings)
    pool = JudgePool({**suite.judges, **offline_judges(judges_dir), **(judges or {})})
    judged = JsonlCache(outputs.cache / "judges.jsonl")
    scored = JsonlCache(outputs.cache / "metrics.jsonl")
    try:
        context = Context(pool, judged, seed=seed, compat=compat)
        if system is not None:
            items = produce_outputs(
                system, items, outputs, context, resume=resume, show=show_progress
            )
        where: dict[str, Any] = {"workers": workers, "ray": ray, "show": show_progress}
        batches = {SYSTEM: items}
        for name in wanted:
            folder = outputs.cache / "baselines" / name
            batches[name] = make_baseline(name, items, context, folder, **where)
        work = Scoring(made, context, scored, outputs)
        systems = score_items(work, {n: b for n, b in batches.items() if b}, **where)
        results = report(suite.name, work, systems, outputs)
        results["metric_info"] = {name: m.info.to_dict() for name, m in made.items()}
        write_results(results, systems, outputs)
    finally:
        judged.close()
        scored.close()
    return results


def _items(
    suite: Suite, refs: Path | str | Sequence[Item], hyps: Path | str | None, language: str
) -> list[Item]:
    where = "the items"
    if isinstance(refs, str | Path):
        where = str(refs)
        items = read_manifest(refs, language=language)
    else:
        items = list(refs)
        check_unique(items, where)
    if not items:
        raise UserError(f"{where}: no items")
    _check_tasks(suite, items, where)
    items = [i if i.task else i.replace(task=suite.task) for i in items]
    if language:
        items = [i if i.language else i.replace(language=language) for i in items]
    _check_recordings(items, where)
    return items if hyps is None else attach_outputs(items, Path(hyps))


def _check_tasks(suite: Suite, items: Sequence[Item], where: str) -> None:
    for item in items:
        if suite.tasks and item.task and item.task not in suite.tasks:
            raise UserError(
                f"{where}: item {item.id!r} is of task {item.task!r}; the suite {suite.name} takes "
                f"{', '.join(suite.tasks)}"
            )
    if suite.tasks and not suite.task and not any(item.task for item in items):
        raise UserError(
            f"{where}: the items do not say their task; name the file after it "
            "(meta_en_deletion_basic.csv) or give a column 'task'"
        )


def _check_recordings(items: Sequence[Item], where: str) -> None:
    missing = [
        path
        for item in items
        for path in (item.reference, item.source)
        if path is not None and not path.is_file()
    ]
    if missing:
        raise UserError(
            f"{where}: {len(missing)} of its recordings are not there, the first is {missing[0]}"
        )


def _metrics(suite: Suite, names: Sequence[str]) -> dict[str, Metric]:
    entries = list(suite.metrics)
    if names:
        options = {entry.name: entry for entry in entries}
        entries = [options.get(name) or MetricEntry(name) for name in names]
    get_host().show_warnings()
    return {entry.name: create_metric(entry.name, **entry.options) for entry in entries}


def _check_run(outputs: Outputs, resume: bool, settings: dict[str, Any]) -> None:
    """Keep the run's settings beside its cache; with ``resume``, refuse to mix two runs."""
    note = outputs.cache / "run.json"
    outputs.cache.mkdir(parents=True, exist_ok=True)
    if resume and note.is_file():
        try:
            before = json.loads(note.read_text("utf-8"))
        except ValueError:
            before = settings
        for key, value in settings.items():
            if before.get(key) != value:
                raise UserError(
                    f"{outputs.folder}: cannot resume: the earlier run has {key} "
                    f"{before.get(key)!r}, this one {value!r}; leave out --resume to start afresh"
                )
    atomic_write_text(note, json.dumps(settings) + "\n")
