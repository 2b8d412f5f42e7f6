"""``plugins validate``: what every metric, judge and system must keep to.

A kit gets the class and answers with a list of checks. Components that need options, weights or
packages that are not here are checked as far as that goes, and the check says so.
"""

from __future__ import annotations

import inspect
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from audio_eval.interfaces import (
    ComponentInfo,
    Item,
    Judge,
    JudgeUnavailableError,
    Metric,
    System,
)
from audio_eval.scoring.context import Context, JudgePool
from audio_eval.scoring.runner import run_metric
from audio_eval.scoring.summary import summarize
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.plugins.specs import CheckResult


def _info_check(found: type) -> CheckResult:
    info = getattr(found, "info", None)
    ok = isinstance(info, ComponentInfo) and bool(info.name and info.version)
    return CheckResult("info", ok, "" if ok else "info must be a ComponentInfo with a version")


def _needs_options(found: type) -> list[str]:
    return [
        p.name
        for p in inspect.signature(found).parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]


def check_metric(found: type[Metric]) -> list[CheckResult]:
    """Runs without judges on a tone, its reference, and a missing output; aggregates."""
    checks = [_info_check(found)]
    needed = _needs_options(found)
    checks.append(
        CheckResult("constructor", not needed, f"needs {', '.join(needed)}" * bool(needed))
    )
    if needed:
        return checks
    metric = found()
    with tempfile.TemporaryDirectory() as folder:
        good, gone = _items(Path(folder))
        context = Context(JudgePool({}))
        scored = run_metric(metric, good, context)
        again = run_metric(metric, good, context)
        failed = run_metric(metric, gone, context)
    repeatable = scored.value == again.value and scored.status == again.status
    checks.append(CheckResult("repeatable", repeatable, f"{scored.status} {scored.reason}".strip()))
    bug = scored.status == "unavailable" and _is_bug(scored.reason)
    checks.append(CheckResult("scores", not bug, scored.reason))
    counted = failed.status != "ok" or metric.info.name == "ref_wer" or good.hypothesis is not None
    checks.append(CheckResult("missing output counts", counted, f"{failed.status} {failed.reason}"))
    try:
        summary = summarize(metric, [scored, failed])
        checks.append(CheckResult("aggregates", summary.n <= 2, ""))
    except Exception as error:
        checks.append(CheckResult("aggregates", False, f"{type(error).__name__}: {error}"))
    return checks


def _is_bug(reason: str) -> bool:
    names = ("TypeError", "AttributeError", "KeyError", "NameError", "IndexError")
    return reason.startswith(names)


def _items(folder: Path) -> tuple[Item, Item]:
    from mingtok_audio.core.audio import save_audio

    times = np.arange(16000) / 16000
    tone = (0.3 * np.sin(2 * np.pi * 200 * times)).astype(np.float32)
    for name in ("reference", "audio"):
        save_audio(folder / f"{name}.wav", tone, 16000)
    good = Item(
        id="tone",
        audio=folder / "audio.wav",
        reference=folder / "reference.wav",
        source=folder / "reference.wav",
        text="one two three",
        original_text="one two",
        language="en",
        task="insertion",
        mode="basic",
        parameters={"speed": 1.0, "volume": 1.0, "semitones": 0.0, "entities": ["two"]},
    )
    return good, good.replace(id="gone", audio=None)


def check_judge(found: type[Judge]) -> list[CheckResult]:
    """Says who it is and whether it can run; if it can, answers twice the same."""
    checks = [_info_check(found)]
    role = getattr(found, "role", "")
    checks.append(CheckResult("role", isinstance(role, str) and bool(role), str(role)))
    needed = _needs_options(found)
    if needed:
        checks.append(CheckResult("runs", True, f"not tried: needs {', '.join(needed)}"))
        return checks
    judge = found()
    try:
        judge.check()
        same = judge.identity() == found().identity()
        checks.append(
            CheckResult("identity", same, "" if same else "differs between two instances")
        )
        tone = np.sin(np.arange(32000) / 16.0).astype(np.float32) * 0.3
        answers: list[Any] = [judge.evaluate(tone, judge.sample_rate or 16000) for _ in range(2)]
        checks.append(CheckResult("repeatable", answers[0] == answers[1], ""))
    except JudgeUnavailableError as error:
        checks.append(CheckResult("runs", True, f"cannot run here: {error}"))
    return checks


def check_system(found: type[System]) -> list[CheckResult]:
    """Metadata; a system that needs no options must say who it is."""
    checks = [_info_check(found)]
    needed = _needs_options(found)
    if needed:
        checks.append(CheckResult("identity", True, f"not tried: needs {', '.join(needed)}"))
        return checks
    try:
        name = found().identity()
        checks.append(CheckResult("identity", bool(name), name))
    except UserError as error:
        checks.append(CheckResult("identity", False, str(error)))
    return checks
