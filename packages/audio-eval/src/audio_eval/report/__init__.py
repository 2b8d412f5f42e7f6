"""Reports of a scored run: CSV, Markdown, and one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audio_eval.interfaces import ItemResult
    from audio_eval.report.audio import AudioMode

__all__ = ["write_html", "write_reports"]


def write_html(
    path: Path,
    results: Mapping[str, Any],
    per_item: Sequence[ItemResult],
    *,
    worst: int = 20,
    audio: AudioMode = "embed",
    max_embed_mb: float = 20.0,
    title: str = "",
) -> None:
    """Write the HTML page.

    Args:
        results: the object of `results.json`.
        per_item: results of every system.
        worst: how many of the worst items are shown with players and diffs.
        audio: recordings inside the page ("embed"), as links relative to it ("link"), or "none".
        max_embed_mb: what may be embedded in all; further recordings become links.
        title: heading of the page; default: the suite's name.
    """
    from audio_eval.report.audio import Players
    from audio_eval.report.page import Page
    from mingtok_audio.core.files import atomic_write_text

    players = Players(path, audio, int(max_embed_mb * 1024 * 1024))
    page = Page(results, _by_system(per_item), players, worst, title)
    atomic_write_text(path, page.html())


def write_reports(
    results: Mapping[str, Any], per_item: Sequence[ItemResult], folder: Path
) -> list[Path]:
    """Write `report.html`, `per_item.csv`, `summary.csv` and `summary.md` into a folder."""
    from audio_eval.report import tables
    from mingtok_audio.core.files import atomic_write_text

    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "per_item.csv": tables.csv_per_item(per_item),
        "summary.csv": tables.csv_summary(results),
        "summary.md": tables.markdown(results),
    }
    for name, text in texts.items():
        atomic_write_text(folder / name, text)
    write_html(folder / "report.html", results, per_item)
    return [folder / "report.html", *(folder / name for name in texts)]


def _by_system(per_item: Sequence[ItemResult]) -> dict[str, list[ItemResult]]:
    systems: dict[str, list[ItemResult]] = {}
    for row in per_item:
        systems.setdefault(row.system, []).append(row)
    return systems
