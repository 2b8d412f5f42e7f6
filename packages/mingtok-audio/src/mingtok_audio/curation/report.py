"""A manifest as one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
import hashlib
import heapq
import io
from collections import Counter
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.extras import install_line
from mingtok_audio.core.files import atomic_write_text
from mingtok_audio.curation.interfaces import Row
from mingtok_audio.curation.manifest import Manifest
from mingtok_audio.curation.run import Tally
from mingtok_audio.curation.stages.filters import NAME

HISTOGRAMS = {
    "seconds": "length in s",
    "snr": "speech over background in dB",
    "dnsmos": "DNSMOS, overall",
    "bandwidth": "bandwidth in Hz",
    "cross_wer": "difference of two texts (word error rate)",
    "align_score": "fit of text and sound",
    "units_per_second": "words or characters a second",
    "music": "likeness to music",
    "clipping": "share of clipped samples",
    "level_db": "level in dB",
}
_BINS, _CLIP_SECONDS, _CLIP_RATE = 30, 8.0, 16000
_SHOWN = ("text", "speaker", "language", "snr", "dnsmos", "cross_wer", "detail")


@dataclass
class _Found:
    """What one pass over the rows gathers."""

    hours: Counter[tuple[str, str]] = field(default_factory=Counter)  # (stage, reason)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    values: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    groups: dict[str, Counter[str]] = field(default_factory=dict)
    examples: dict[str, list[tuple[int, str, Row]]] = field(default_factory=dict)


def write_report(source: str | Path, output: Path, *, players: int = 10) -> dict[str, Any]:
    """Write the page; its size in bytes, and how many players it has.

    Raises:
        UserError: no manifest, jinja2 is missing, or the page cannot be written.
    """
    try:
        import jinja2
    except ImportError as error:
        line = install_line("mingtok-audio", "curate")
        raise UserError(f"the report needs jinja2: {line}") from error
    if players < 0:
        raise UserError(f"--players must be 0 or more, not {players}")
    manifest = Manifest(source)
    tally, found = Tally(), _Found()
    columns = [c for c in HISTOGRAMS if c in manifest.columns]
    for row in manifest.rows():
        tally.add(row)
        _gather(found, row, columns, players)
    summary = tally.summary(manifest.pipeline.get("skipped", {}))
    decisions = [_decision(name, found.examples[name]) for name in _in_order(manifest, found)]
    text = resources.files("mingtok_audio.curation").joinpath("report.html.j2").read_text("utf-8")
    page = (
        jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
        .from_string(text)
        .render(
            name=str(manifest.path),
            summary=summary,
            funnel=_funnel(manifest, found, summary.hours_in),
            charts=[_chart(c, found.values[c]) for c in columns if c in found.values],
            groups=found.groups,
            decisions=decisions,
            rules=manifest.pipeline.get("rules", []),
            skipped=summary.skipped,
            shown=_SHOWN,
        )
    )
    atomic_write_text(output, page)
    heard = sum(1 for decision in decisions for item in decision["items"] if item["audio"])
    return {"output": str(output), "bytes": len(page.encode()), "players": heard}


def _gather(found: _Found, row: Row, columns: list[str], players: int) -> None:
    key = (row["stage"] or "", row["reason"] or "")
    found.hours[key] += row["seconds"] / 3600
    found.counts[key] += 1
    for column in columns:
        value = row[column]
        if value is not None and row["reason"] not in ("no_speech", "unreadable"):
            kept, dropped = found.values.setdefault(column, ([], []))
            (kept if row["kept"] else dropped).append(float(value))
    if row["kept"]:
        for name in ("language", "split", "licence", "origin"):
            group = found.groups.setdefault(name, Counter())
            group[str(row.get(name) or "not known")] += row["seconds"] / 3600
    if players and row["seconds"] > 0:
        # The smallest hashes: any few rows, the same each time.
        order = -int(hashlib.sha256(row["id"].encode()).hexdigest()[:12], 16)
        heap = found.examples.setdefault(row["reason"] or "kept", [])
        item = (order, row["id"], row)
        if len(heap) < players:
            heapq.heappush(heap, item)
        else:
            heapq.heappushpop(heap, item)


def _stages(manifest: Manifest) -> list[str]:
    names = [stage["name"] for stage in manifest.pipeline.get("stages", ())]
    return ["inputs", *names, "run"] if NAME in names else ["inputs", *names, NAME, "run"]


def _in_order(manifest: Manifest, found: _Found) -> list[str]:
    """Decisions: what is kept, then the reasons in the order of their stages."""
    places = {name: place for place, name in enumerate(_stages(manifest))}
    reasons = sorted(
        (key for key in found.counts if key[1]), key=lambda k: (places.get(k[0], 99), k[1])
    )
    names = ["kept", *dict.fromkeys(reason for _, reason in reasons)]
    return [name for name in names if name in found.examples]


def _funnel(manifest: Manifest, found: _Found, total: float) -> list[dict[str, Any]]:
    """Hours that are left after each reason."""
    places = {name: place for place, name in enumerate(_stages(manifest))}
    left = total
    steps = [{"stage": "", "reason": "all recordings", "hours": total, "lost": 0.0, "rows": None}]
    for stage, reason in sorted(found.counts, key=lambda k: (places.get(k[0], 99), k[1])):
        if not reason:
            continue
        lost = found.hours[stage, reason]
        left -= lost
        rows = found.counts[stage, reason]
        steps.append(
            {"stage": stage, "reason": reason, "hours": max(0.0, left), "lost": lost, "rows": rows}
        )
    for step in steps:
        step["share"] = 100 * step["hours"] / total if total else 0.0
    return steps


def _chart(column: str, values: tuple[list[float], list[float]]) -> dict[str, Any]:
    """Counts of what is kept and what is dropped, in bins between the 0.5 and 99.5 percentiles."""
    everything = np.array([*values[0], *values[1]])
    low, high = (float(v) for v in np.percentile(everything, (0.5, 99.5)))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BINS + 1)
    kept, dropped = (
        np.histogram(np.clip(np.array(part), low, high), edges)[0] if part else np.zeros(_BINS, int)
        for part in values
    )
    top = max(1, int((kept + dropped).max()))
    bars = [
        {
            "x": round(100 * k / _BINS, 2),
            "kept": round(100 * int(kept[k]) / top, 2),
            "dropped": round(100 * int(dropped[k]) / top, 2),
            "said": f"{edges[k]:.4g} to {edges[k + 1]:.4g}: {kept[k]} kept, {dropped[k]} dropped",
        }
        for k in range(_BINS)
    ]
    return {
        "title": HISTOGRAMS[column], "column": column, "bars": bars, "low": f"{low:.4g}",
        "high": f"{high:.4g}", "width": round(100 / _BINS, 3), "top": top,
    }  # fmt: skip


def _decision(name: str, heap: list[tuple[int, str, Row]]) -> dict[str, Any]:
    rows = [row for _, _, row in sorted(heap, key=lambda item: -item[0])]
    return {"name": name, "items": [{"row": row, "audio": _clip(row)} for row in rows]}


def _clip(row: Row) -> str:
    """The first seconds of a segment as a data address; "" where they cannot be read."""
    import soundfile

    end = min(row["end"], row["start"] + _CLIP_SECONDS)
    try:
        wav, rate = load_audio(
            row["path"], sample_rate=_CLIP_RATE, start=row["start"] or None, end=end
        )
        buffer = io.BytesIO()
        soundfile.write(buffer, np.clip(wav, -1, 1), rate, format="MP3")
    except (UserError, OSError, RuntimeError):
        return ""
    return "data:audio/mpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
