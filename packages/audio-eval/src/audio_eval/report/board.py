"""A board of many systems as Markdown, or as one HTML page that needs nothing beside it."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from audio_eval.report.tables import ARROWS, interval, number

_NOTE = (
    'Values with their 95 % intervals. "Better than" names the systems that a system is better '
    "than beyond chance: paired tests on common items, corrected for every metric and pair of the "
    "board together (Holm, 5 %). Where no system is named, the differences may be chance."
)


def _table(board: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: a row a metric and system, the systems of a metric from best to worst."""
    head = ["metric", "system", "value", "95 % interval", "items", "better than"]
    rows = []
    for name, metric in board["metrics"].items():
        direction = metric.get("higher_is_better")
        unit = metric.get("unit") or ""
        title = f"{name} ({unit})" if unit else name
        title = f"{title} {ARROWS[direction]}".strip()
        systems = list(metric["systems"].items())
        if direction is not None:
            known = [s for s in systems if s[1]["value"] is not None]
            known.sort(key=lambda s: s[1]["value"], reverse=direction)
            systems = known + [s for s in systems if s[1]["value"] is None]
        for label, row in systems:
            rows.append([
                title, label, number(row["value"], unit), interval({**row, "unit": unit}),
                "" if row["n"] is None else str(row["n"]), ", ".join(row["better_than"]),
            ])  # fmt: skip
    return head, rows


def board_markdown(board: Mapping[str, Any]) -> str:
    """The board as GitHub Markdown."""
    head, rows = _table(board)

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    lines = [line(head), line(["---", "---", "---:", "---:", "---:", "---"]), *map(line, rows)]
    notes = [_NOTE, *(f"Warning: {text}" for text in board["warnings"])]
    return "\n".join([*lines, "", *(f"{note}\n" for note in notes)])


def board_page(board: Mapping[str, Any], title: str = "") -> str:
    """The board as a page."""
    head, rows = _table(board)
    heading = html.escape(title or f"{len(board['systems'])} systems")

    def cells(tag: str, values: list[str]) -> str:
        return "".join(f"<{tag}>{html.escape(value)}</{tag}>" for value in values)

    body, before = "", ""
    for row in rows:
        first = row[0] != before
        before = row[0]
        shown = row if first else ["", *row[1:]]
        body += f"<tr{' class=first' if first else ''}>{cells('td', shown)}</tr>"
    systems = "".join(
        f"<li>{html.escape(s['name'])}: {html.escape(s['path'])}, suite {html.escape(s['suite'])}, "
        f"{s['items']} items, {s['failed']} failed</li>"
        for s in board["systems"]
    )
    pairs = "".join(
        "<tr>"
        + cells("td", [
            name, p["b"], p["a"], number(p["difference"], metric.get("unit") or ""),
            interval({"ci95": p["ci95"], "unit": metric.get("unit") or ""}),
            "" if p["p_holm"] is None else f"{p['p_holm']:.3g}", str(p["n"]),
            p["better"] or "may be chance",
        ])
        + "</tr>"
        for name, metric in board["metrics"].items()
        for p in metric["pairs"]
    )  # fmt: skip
    pair_head = ["metric", "system", "minus", "difference", "95 % interval", "p (Holm)", "items",
                 "better"]  # fmt: skip
    warnings = "".join(f"<p class=warning>{html.escape(t)}</p>" for t in board["warnings"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{heading}</title><style>body{{font:15px system-ui,sans-serif;margin:2em;"
        "color:#111;background:#fff}"
        "table{border-collapse:collapse}th,td{padding:.25em .7em;text-align:left}"
        "tr.first td,th{border-top:1px solid #999}.warning{color:#900}"
        "@media(prefers-color-scheme:dark){body{color:#eee;background:#111}.warning{color:#f99}}"
        f"</style></head><body><h1>{heading}</h1><p>{html.escape(_NOTE)}</p>{warnings}"
        f"<ul>{systems}</ul><table><thead><tr>{cells('th', head)}</tr></thead>"
        f"<tbody>{body}</tbody></table><h2>Every pair</h2><table><thead><tr>"
        f"{cells('th', pair_head)}</tr></thead><tbody>{pairs}</tbody></table></body></html>\n"
    )
