"""The report as one HTML page that needs nothing beside it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from audio_eval.interfaces import ItemResult
from audio_eval.report import charts
from audio_eval.report.audio import Players
from audio_eval.report.ranking import worst_first
from audio_eval.report.tables import (
    ARROWS,
    columns,
    grouped_metrics,
    heard,
    interval,
    number,
    title,
)
from audio_eval.report.texts import unified
from audio_eval.scoring.runner import SYSTEM

_MAX_ROWS = 2000
_MAX_FAILURES = 100
_DIRECTIONS = {True: "higher is better", False: "lower is better", None: ""}


@dataclass
class Page:
    """What the page shows.

    Args:
        results: the results object.
        systems: per-item results by system.
        players: makes the audio elements.
        worst: how many of the worst items are shown in full.
        heading: title of the page.
    """

    results: Mapping[str, Any]
    systems: Mapping[str, Sequence[ItemResult]]
    players: Players
    worst: int = 20
    heading: str = ""

    def html(self) -> str:
        """The whole page."""
        name = self.heading or f"{self.results['suite']} evaluation"
        # Items first: whether players had to become links is told above them.
        items = self._worst_items()
        body = "".join(
            [
                self._header(name),
                "<main>",
                self._notices(),
                self._summary(),
                self._metrics(),
                self._groups(),
                items,
                self._failures(),
                self._all_items(),
                self._footer(),
                "</main>",
            ]
        )
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{_e(name)}</title><style>{_asset('page.css')}</style></head><body>{body}"
            f"<script>{_asset('page.js')}</script></body></html>\n"
        )

    def _header(self, name: str) -> str:
        r = self.results
        failed = int(r["failed"])
        compat = r.get("compat", "none")
        tags = [f'<span class="tag">{_count(int(r["items"]))}</span>']
        kind = "bad" if failed else "good"
        tags.append(f'<span class="tag {kind}">{failed} failed</span>')
        scoring = "our scoring" if compat == "none" else f"compat {compat}"
        tags.append(f'<span class="tag">{_e(scoring)}</span>')
        tags.append(f'<span class="tag">seed {_e(str(r.get("seed", 0)))}</span>')
        links = [("summary", "Summary"), ("metrics", "Metrics")]
        links += [("groups", "Groups")] if len(r.get("groups", {})) > 1 else []
        links += [("worst", "Worst items"), ("items", "All items"), ("method", "Method")]
        nav = "".join(f'<a href="#{key}">{said}</a>' for key, said in links)
        return (
            f'<header class="top"><div><div><h1>{_e(name)}</h1><div>{" ".join(tags)}</div>'
            f'<nav>{nav}</nav></div><button id="theme" type="button">Light / dark</button>'
            "</div></header>"
        )

    def _notices(self) -> str:
        notes = [
            f"<b>{_e(metric)}</b> {_state(summary)}: {_e(summary['reason'])}"
            for metric, summary in self.results["metrics"].items()
            if summary.get("reason")
        ]
        if not notes:
            return ""
        return f'<div class="notice first">{"<br>".join(notes)}</div>'

    def _summary(self) -> str:
        systems = columns(self.results)
        heads = "".join(
            f'<th><span class="key k{min(k, 4)}"></span>{_e(title(s))}</th>'
            for k, s in enumerate(systems)
        )
        rows = []
        for name, summary in self.results["metrics"].items():
            cells = "".join(self._summary_cell(t.get(name)) for t in systems.values())
            about = self.results.get("metric_info", {}).get(name, {}).get("summary", "")
            arrow = ARROWS[summary.get("higher_is_better")]
            unit = f" {_e(summary['unit'])}" if summary.get("unit") else ""
            rows.append(
                f'<tr><td><span class="v">{_e(name)}</span> <span class="soft">{arrow}{unit}</span>'
                f'<span class="about">{_e(about)}</span></td>{cells}'
                f"<td>{summary.get('n', 0)}</td></tr>"
            )
        return (
            '<h2 id="summary">Summary</h2><div class="card scroll"><table><thead><tr>'
            f"<th>Metric</th>{heads}<th>n</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
            '<p class="soft small below">In brackets: 95 % bootstrap interval over items. '
            "n: items of the system that the value rests on; failed outputs count with the "
            "worst value. A baseline covers the items it can do.</p>"
        )

    @staticmethod
    def _summary_cell(summary: Mapping[str, Any] | None) -> str:
        if summary is None or summary.get("status") == "unavailable":
            return '<td class="soft">–</td>'
        unit = summary.get("unit", "")
        note = (
            '<span class="tag warn">partial</span> ' if summary.get("status") == "partial" else ""
        )
        return (
            f'<td>{note}<span class="v">{number(summary["value"], unit)}</span>'
            f'<span class="ci">{interval(summary)}</span></td>'
        )

    def _metrics(self) -> str:
        cards = [self._metric_card(name, s) for name, s in self.results["metrics"].items()]
        cards = [card for card in cards if card]
        if not cards:
            return ""
        legend = "".join(
            f'<span><span class="key k{min(k, 4)}"></span>{_e(title(s))}</span>'
            for k, s in enumerate(columns(self.results))
        )
        return (
            f'<h2 id="metrics">Metrics</h2><div class="legend">{legend}</div>'
            f'<div class="grid2">{"".join(cards)}</div>'
        )

    def _metric_card(self, name: str, summary: Mapping[str, Any]) -> str:
        unit = summary.get("unit", "")
        lines, series = [], []
        for k, (system, table) in enumerate(columns(self.results).items()):
            found = table.get(name)
            if found is None or found.get("value") is None:
                continue
            lines.append((min(k, 4), title(system), found))
            values = _values(self.systems.get(system, ()), name)
            if values:
                series.append((min(k, 4), title(system), values))
        if not lines:
            return ""
        if _right_or_wrong(series):
            picture = charts.shares(series)
        else:
            picture = charts.histogram(series, unit) if _varies(series) else ""
        info = self.results.get("metric_info", {}).get(name, {})
        direction = _DIRECTIONS[summary.get("higher_is_better")]
        said = " · ".join(part for part in (direction, f"in {unit}" if unit else "") if part)
        return (
            f'<section class="card metric"><header><h3>{_e(name)}</h3>'
            f'<span class="tag">{_e(said) or "descriptive"}</span></header>'
            f'<div class="what">{_e(info.get("summary", ""))}</div>'
            f"{charts.intervals(lines, unit)}{picture}</section>"
        )

    def _groups(self) -> str:
        groups = self.results.get("groups", {})
        if len(groups) < 2:
            return ""
        names = grouped_metrics(self.results)
        heads = "".join(
            f"<th>{_e(n)} {ARROWS[self.results['metrics'][n].get('higher_is_better')]}</th>"
            for n in names
        )
        rows = []
        for group, table in groups.items():
            count = max((int(s.get("n", 0)) for s in table.values()), default=0)
            cells = "".join(self._summary_cell(table.get(n)) for n in names)
            rows.append(
                f'<tr><td>{_e(group)}<span class="ci">{_count(count)}</span></td>{cells}</tr>'
            )
        return (
            '<h2 id="groups">By group</h2><div class="card scroll"><table><thead><tr><th>Group</th>'
            f"{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        )

    def _worst_items(self) -> str:
        rows = list(self.systems.get(SYSTEM, ()))
        ranked, used = worst_first(rows, self.results["metrics"])
        if not ranked or self.worst < 1:
            return ""
        others = {
            name: {row.item.id: row for row in found}
            for name, found in self.systems.items()
            if name not in (SYSTEM, "source", "ground_truth")
        }
        cards = [self._item(k, row, others) for k, row in enumerate(ranked[: self.worst], 1)]
        note = (
            f'<div class="notice">{self.players.linked} recordings are links, not inside the page: '
            "they play only while the files stay where they are.</div>"
            if self.players.linked and self.players.mode == "embed"
            else ""
        )
        return (
            '<h2 id="worst">Worst items</h2><p class="soft small">Failed outputs first, then by '
            f"mean rank over {_e(', '.join(used) or 'nothing')}. <del>struck</del>: taken out by "
            "the edit, or expected but not heard; <ins>marked</ins>: put in by the edit, or heard "
            "but not expected.</p>"
            f"{note}{''.join(cards)}"
        )

    def _item(
        self, rank: int, row: ItemResult, others: Mapping[str, Mapping[str, ItemResult]]
    ) -> str:
        item = row.item
        texts = []
        if item.original_text and item.text is not None and item.original_text != item.text:
            texts.append(("Edit", "", unified(item.original_text, item.text)))
        elif item.text is not None:
            texts.append(("Should say", "", _e(item.text)))
        said = heard(row)
        if said is not None:
            shown = unified(item.text, said) if item.text is not None else _e(said)
            texts.append(("Heard", "heard", shown or "<i>nothing</i>"))
        lines = "".join(f'<dt>{k}</dt><dd class="{c}">{v}</dd>' for k, c, v in texts)
        quote = f"<blockquote>{_e(item.instruction)}</blockquote>" if item.instruction else ""
        players = [
            self.players.player(item.source, "Source") if item.source else "",
            self.players.player(item.audio, "Output"),
        ]
        for name, found in others.items():
            if item.id in found and found[item.id].item.audio:
                players.append(self.players.player(found[item.id].item.audio, title(name)))
        if item.reference and item.reference != item.source:
            players.append(self.players.player(item.reference, "Ground truth"))
        error = f'<span class="tag bad">{_e(row.error)}</span>' if row.error else ""
        return (
            f'<article class="card item"><header><span class="rank">{rank}</span>'
            f'<span class="id">{_e(item.id)}</span><span class="tag">{_e(item.group)}</span>{error}'
            f"</header>{quote}{f'<dl>{lines}</dl>' if lines else ''}"
            f'<div class="chips">{self._chips(row)}</div>'
            f'<div class="players">{"".join(players)}</div></article>'
        )

    def _chips(self, row: ItemResult) -> str:
        """The item's values; what could not be computed in one chip, with the reasons on hover."""
        chips, absent = [], []
        for name, result in row.metrics.items():
            if result.status == "skipped":
                continue
            if result.value is None:
                absent.append(f"{name}: {result.reason or result.status}")
                continue
            unit = self.results["metrics"].get(name, {}).get("unit", "")
            kind = " bad" if result.status == "failed" else ""
            shown = f"{name} {number(result.value, unit)}{' ' + unit if unit else ''}"
            chips.append(f'<span class="tag{kind}" title="{_e(result.reason)}">{_e(shown)}</span>')
        if absent:
            title_text = _e("\n".join(absent))
            chips.append(
                f'<span class="tag warn" title="{title_text}">{len(absent)} not computed</span>'
            )
        return "".join(chips)

    def _failures(self) -> str:
        failures = self.results.get("failures", [])
        if not failures:
            return ""
        rows = "".join(
            f"<tr><td>{_e(f['id'])}</td><td class='text'>{_e(f['reason'])}</td></tr>"
            for f in failures[:_MAX_FAILURES]
        )
        more = len(failures) - _MAX_FAILURES
        note = f'<p class="soft small">… and {more} more.</p>' if more > 0 else ""
        return (
            f'<h2 id="failures">Failed outputs</h2><div class="card scroll"><table><thead><tr>'
            f'<th>Item</th><th class="text">Reason</th></tr></thead><tbody>{rows}</tbody>'
            f"</table></div>{note}"
        )

    def _all_items(self) -> str:
        rows = list(self.systems.get(SYSTEM, ()))
        names = [n for n in self.results["metrics"] if any(n in r.metrics for r in rows)]
        heads = "".join(f"<th>{_e(n)}</th>" for n in ("item", "group", *names))
        lines = []
        for row in rows[:_MAX_ROWS]:
            cells = []
            for name in names:
                result = row.metrics.get(name)
                value = result.value if result is not None else None
                unit = self.results["metrics"][name].get("unit", "")
                key = "" if value is None else repr(float(value))
                cells.append(f'<td data-n="{key}">{number(value, unit)}</td>')
            lines.append(
                f"<tr><td>{_e(row.item.id)}</td><td>{_e(row.item.group)}</td>{''.join(cells)}</tr>"
            )
        cut = len(rows) - _MAX_ROWS
        note = f'<p class="soft small">{cut} more rows are in the CSV file.</p>' if cut > 0 else ""
        return (
            f'<h2 id="items">All items</h2><details class="card"><summary>{len(rows)} items '
            f"(click a heading to sort)</summary>"
            '<input type="search" placeholder="Filter" aria-label="Filter items" data-table="all">'
            f'<div class="scroll"><table class="sortable" id="all"><thead><tr>{heads}</tr></thead>'
            f"<tbody>{''.join(lines)}</tbody></table></div>{note}</details>"
        )

    def _footer(self) -> str:
        r = self.results
        rows = [
            ("Suite", str(r["suite"])),
            ("Scoring", "ours" if r.get("compat", "none") == "none" else f"compat {r['compat']}"),
        ]
        rows += [(f"Judge ({role})", str(name)) for role, name in (r.get("judges") or {}).items()]
        rows += [
            ("audio-eval", str(r.get("version", ""))),
            ("Per-item results", str(r.get("per_item", ""))),
        ]
        lines = "".join(f"<dt>{_e(k)}</dt><dd>{_e(v)}</dd>" for k, v in rows)
        return (
            f'<h2 id="method">Method</h2><div class="card method"><dl>{lines}</dl>'
            '<p class="soft small">Intervals: percentile bootstrap over items, 1000 resamples. An '
            "output that is missing, unreadable or empty counts as a failure in every metric that "
            "has a worst value; a metric that could not run says so, and no number goes missing."
            "</p>"
            "</div><footer>Made by audio-eval. This page needs no network.</footer>"
        )


def _values(rows: Sequence[ItemResult], name: str) -> list[float]:
    found = [row.metrics[name] for row in rows if name in row.metrics]
    return [float(r.value) for r in found if r.value is not None]


def _right_or_wrong(series: Sequence[tuple[int, str, Sequence[float]]]) -> bool:
    """True where the values of all systems are two levels, 0 and 1 or 0 and 100."""
    return {v for _, _, values in series for v in values} in ({0.0, 1.0}, {0.0, 100.0})


def _varies(series: Sequence[tuple[int, str, Sequence[float]]]) -> bool:
    return len({v for _, _, values in series for v in values}) > 1


def _state(summary: Mapping[str, Any]) -> str:
    return {"unavailable": "could not be computed", "partial": "covers only part of the items"}.get(
        str(summary.get("status")), "has a note"
    )


def _count(items: int) -> str:
    return f"{items} item{'' if items == 1 else 's'}"


def _asset(name: str) -> str:
    return resources.files("audio_eval.report").joinpath(name).read_text("utf-8")


def _e(text: str) -> str:
    return html.escape(text)
