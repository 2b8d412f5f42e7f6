"""Results as CSV and Markdown, and how numbers are written everywhere in a report."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from audio_eval.interfaces import ItemResult

ARROWS = {True: "↑", False: "↓", None: ""}
SYSTEM_TITLES = {
    "system": "System",
    "source": "Source unchanged",
    "oracle_splice": "Oracle cut and splice",
    "ground_truth": "Ground truth",
}


def title(system: str) -> str:
    """A system's name for people."""
    return SYSTEM_TITLES.get(system, system)


def number(value: float | None, unit: str = "") -> str:
    """A value with the digits that mean something: percents 2, others 3 to 4."""
    if value is None:
        return "–"
    if unit == "%":
        return f"{value:.2f}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3f}"


def interval(summary: Mapping[str, Any]) -> str:
    """`[low, high]` of a summary's 95 % interval; "" where there is none."""
    ci95 = summary.get("ci95")
    if not ci95:
        return ""
    unit = summary.get("unit", "")
    return f"[{number(ci95[0], unit)}, {number(ci95[1], unit)}]"


def columns(results: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Summaries by system: what was scored, then the baselines that have anything."""
    found: dict[str, Mapping[str, Any]] = {"system": results["metrics"]}
    for name, summaries in results.get("baselines", {}).items():
        if summaries:
            found[name] = summaries
    return found


def grouped_metrics(results: Mapping[str, Any]) -> list[str]:
    """Metrics that have a value in some group: the columns of a table of groups."""
    groups = results.get("groups", {}).values()
    return [
        name
        for name in results["metrics"]
        if any(group.get(name, {}).get("value") is not None for group in groups)
    ]


def markdown(results: Mapping[str, Any]) -> str:
    """The summary, and one table of groups where there are several, as GitHub Markdown."""
    systems = columns(results)
    lines = [f"# {results['suite']}: {results['items']} items", ""]
    judges = results.get("judges") or {}
    lines.append(
        f"{results['failed']} failed. Scoring: "
        + ("ours" if results.get("compat", "none") == "none" else f"compat {results['compat']}")
        + f"; seed {results.get('seed', 0)}; judges: "
        + (", ".join(f"{role} = {name}" for role, name in judges.items()) or "none")
        + "."
    )
    lines += ["", _row(["metric", *(title(s) for s in systems), "n"])]
    lines.append(_row(["---", *("---:" for _ in systems), "---:"]))
    for name, summary in results["metrics"].items():
        cells = [_cell(table.get(name)) for table in systems.values()]
        lines.append(_row([_metric_name(name, summary), *cells, str(summary.get("n", ""))]))
    notes = [
        f"- {name}: {summary['reason']}"
        for name, summary in results["metrics"].items()
        if summary.get("reason")
    ]
    if notes:
        lines += ["", "Not everything could be computed:", "", *notes]
    groups = results.get("groups", {})
    if len(groups) > 1:
        names = grouped_metrics(results)
        heads = [_metric_name(n, results["metrics"][n]) for n in names]
        lines += ["", "## By group", "", _row(["group", *heads])]
        lines.append(_row(["---", *("---:" for _ in names)]))
        for group, table in groups.items():
            lines.append(_row([group, *(_cell(table.get(n)) for n in names)]))
    return "\n".join(lines) + "\n"


def _metric_name(name: str, summary: Mapping[str, Any]) -> str:
    unit = f" ({summary['unit']})" if summary.get("unit") else ""
    return f"{name}{unit} {ARROWS[summary.get('higher_is_better')]}".strip()


def _cell(summary: Mapping[str, Any] | None) -> str:
    if summary is None:
        return ""
    if summary.get("value") is None:
        return "–"
    return f"{number(summary['value'], summary.get('unit', ''))} {interval(summary)}".strip()


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def csv_per_item(rows: Sequence[ItemResult]) -> str:
    """One line per item and system: value and status of every metric, the texts, the error."""
    names = list(dict.fromkeys(name for row in rows for name in row.metrics))
    buffer = io.StringIO()
    out = csv.writer(buffer, lineterminator="\n")
    head = ["system", "id", "group", "language", "task", "mode", "error"]
    texts = ["instruction", "original_text", "text", "heard"]
    out.writerow([*head, *texts, *(c for n in names for c in (n, f"{n}_status"))])
    for row in rows:
        item = row.item
        cells: list[Any] = [row.system, item.id, item.group, item.language, item.task, item.mode]
        cells += [row.error, item.instruction, item.original_text, item.text, heard(row)]
        for name in names:
            result = row.metrics.get(name)
            cells += [result.value, result.status] if result else ["", "absent"]
        out.writerow(["" if cell is None else cell for cell in cells])
    return buffer.getvalue()


def csv_summary(results: Mapping[str, Any]) -> str:
    """One line per system, group and metric, with interval, counts and reasons."""
    buffer = io.StringIO()
    out = csv.writer(buffer, lineterminator="\n")
    fields = ["value", "unit", "higher_is_better", "n", "macro", "micro"]
    fields += ["failed", "unavailable", "skipped", "status", "reason"]
    out.writerow(["system", "group", "metric", "ci95_low", "ci95_high", *fields])
    tables = [(name, "all", table) for name, table in columns(results).items()]
    tables += [("system", group, table) for group, table in results.get("groups", {}).items()]
    for system, group, table in tables:
        for name, summary in table.items():
            low, high = summary.get("ci95") or ("", "")
            values = ["" if summary.get(f) is None else summary[f] for f in fields]
            out.writerow([system, group, name, low, high, *values])
    return buffer.getvalue()


def heard(row: ItemResult) -> str | None:
    """What a text metric recognised, if any metric kept it."""
    for result in row.metrics.values():
        text = result.details.get("hyp")
        if isinstance(text, str):
            return text
    return row.item.hypothesis
