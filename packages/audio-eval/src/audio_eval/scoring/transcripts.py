"""``audio-eval score-transcripts``: score edits whose outputs have been recognised already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audio_eval.interfaces import Item, Metric, MetricResult
from audio_eval.metrics.edit_text import EditAccuracy, NoEditWordErrorRate
from audio_eval.metrics.text import WordErrorRate
from audio_eval.scoring.context import Context, JudgePool
from audio_eval.scoring.naming import MODE_NAMES, SEMANTIC_TASKS, TASK_NAMES
from audio_eval.scoring.runner import run_metric
from audio_eval.scoring.summary import summarize
from audio_eval.scoring.textfiles import json_rows, read_lines
from mingtok_audio.core.config import load_json
from mingtok_audio.core.errors import UserError

_FIELDS = ("original_text", "edited_text")
_METRICS: dict[str, Metric] = {
    "wer": WordErrorRate(),
    "acc": EditAccuracy(),
    "no_edit_wer": NoEditWordErrorRate(),
}


def read_cases(path: Path) -> dict[str, list[Item]]:
    """Items by ``<lang>_<task>_<mode>`` (as the file spells them), with ``hypothesis`` set.

    A case is an object with ``uid``, ``lang``, ``task`` (``del`` ``ins`` ``sub`` or the long
    names), ``mode``, ``instruction``, ``original_text``, ``edited_text``, ``hypothesis`` (null or
    absent: the system gave nothing). The file is JSONL, a JSON array, or an object with ``cases``.

    Raises:
        UserError: names the file and the case.
    """
    lines = read_lines(path)
    if path.suffix == ".json":
        data = load_json(path, 1 << 28)
        rows = data.get("cases") if isinstance(data, dict) else data
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise UserError(f"{path}: expected a list of cases, or an object with 'cases'")
        numbered = list(enumerate(rows, 1))
    else:
        numbered = json_rows(path, lines)
    if not numbered:
        raise UserError(f"{path}: no cases in it")
    groups: dict[str, list[Item]] = {}
    seen: set[str] = set()
    for number, row in numbered:
        key, item = _case(row, f"{path}: case {number}")
        if item.id in seen:
            raise UserError(f"{path}: case {number}: the id {item.id!r} is used twice")
        seen.add(item.id)
        groups.setdefault(key, []).append(item)
    return groups


def _case(row: Mapping[str, Any], where: str) -> tuple[str, Item]:
    uid = row.get("uid", row.get("id"))
    language, task = row.get("lang", row.get("language")), row.get("task")
    mode = row.get("mode", "")
    if uid is None:
        raise UserError(f"{where}: has no 'uid'")
    where = f"{where} ({uid})"
    for name in _FIELDS:
        if not isinstance(row.get(name), str):
            raise UserError(f"{where}: {name!r} must be a string")
    if not isinstance(language, str) or not language:
        raise UserError(f"{where}: has no 'lang'")
    if TASK_NAMES.get(str(task)) not in SEMANTIC_TASKS:
        raise UserError(f"{where}: the task {task!r} is not one of del, ins, sub")
    if mode not in ("", *MODE_NAMES):
        raise UserError(f"{where}: the mode {mode!r} is not one of {', '.join(MODE_NAMES)}")
    hypothesis = row.get("hypothesis")
    if hypothesis is not None and not isinstance(hypothesis, str):
        raise UserError(f"{where}: 'hypothesis' must be a string or null")
    item = Item(
        id=str(uid),
        text=row["edited_text"],
        original_text=row["original_text"],
        hypothesis=hypothesis,
        instruction=str(row.get("instruction") or ""),
        language=language,
        task=TASK_NAMES[str(task)],
        mode=MODE_NAMES.get(mode, ""),
    )
    return "_".join(p for p in (language, str(task), mode) if p), item


def score_transcripts(
    cases: Path | str | Mapping[str, Sequence[Item]],
    *,
    compat: str = "none",
    per_item: bool = False,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Scores per group of cases, as contract.md's ``score-transcripts``.

    With ``compat="ming"`` the figures are those of the published scripts, rounded as they print
    them: missing hypotheses are left out, and there is no micro WER for Chinese basic deletion.
    By default missing hypotheses count as failures, and intervals are added.

    Raises:
        UserError: unusable cases, or an unknown ``compat``.
    """
    if compat not in ("none", "ming"):
        raise UserError(f"--compat is 'ming' or 'none', not {compat!r}")
    groups = read_cases(Path(cases)) if isinstance(cases, str | Path) else cases
    context = Context(JudgePool({}), seed=seed, compat=compat)
    out = {}
    for key, items in groups.items():
        results = {
            name: [run_metric(metric, item, context) for item in items]
            for name, metric in _METRICS.items()
        }
        row = _published_row if compat == "ming" else _own_row
        out[key] = row(items, results, seed)
        if per_item:
            rates = zip(items, results["wer"], strict=True)
            out[key]["per_utterance_wer"] = {
                item.id: _rate(r) for item, r in rates if r.value is not None
            }
            verdicts = zip(items, results["acc"], strict=True)
            out[key]["per_utterance_acc"] = {
                item.id: bool(r.value) for item, r in verdicts if r.value is not None
            }
    return out


def _own_row(
    items: Sequence[Item], results: Mapping[str, Sequence[MetricResult]], seed: int
) -> dict[str, Any]:
    found = {name: summarize(m, results[name], seed=seed) for name, m in _METRICS.items()}
    return {
        "wer_macro_percent": found["wer"].macro,
        "wer_micro_percent": found["wer"].micro,
        "acc_percent": found["acc"].value,
        "no_edit_wer_percent": found["no_edit_wer"].value,
        "n": len(items),
        "failed": found["wer"].failed,
        "ci95": {name: list(s.ci95) if s.ci95 else None for name, s in found.items()},
        "notes": [f"{name}: {s.reason}" for name, s in found.items() if s.reason],
    }


def _published_row(
    items: Sequence[Item], results: Mapping[str, Sequence[MetricResult]], seed: int
) -> dict[str, Any]:
    found = {n: summarize(m, results[n], compat="ming", seed=seed) for n, m in _METRICS.items()}
    rates = [_rate(r) for r in results["wer"] if r.value is not None]
    first = items[0]
    # Its script is another one and prints no corpus-wise line.
    no_micro = (first.language, first.task, first.mode) == ("zh", "deletion", "basic")
    return {
        "wer_macro_percent": _rounded(100.0 * sum(rates) / len(rates) if rates else None, 3),
        "wer_micro_percent": None if no_micro else _rounded(found["wer"].micro, 2),
        "acc_percent": _rounded(found["acc"].value, 2),
        "no_edit_wer_percent": _rounded(found["no_edit_wer"].micro, 2),
        "n": found["wer"].n,
    }


def _rate(result: MetricResult) -> float:
    """Errors over words, divided once: percent and back again would cost the last digit."""
    d = result.details
    errors, words = d["utterance"] if "utterance" in d else (d["S"] + d["D"] + d["I"], d["N"])
    return errors / max(1, words)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
