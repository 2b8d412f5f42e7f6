"""The commands `report` and `compare`; `audio_eval.cli` mounts them with `register`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mingtok_audio.core.errors import UserError

_SYSTEM = "system"


def register(app: typer.Typer) -> None:
    """Add `report` and `compare` to an app."""
    app.command("report")(report_command)
    app.command("compare")(compare_command)


def report_command(
    results: Annotated[
        list[Path],
        typer.Argument(help="What 'score -o' wrote: a folder or .json file; several with --board."),
    ],
    *,
    board: Annotated[
        bool,
        typer.Option("--board", help="Many systems on one page, and which differences are real."),
    ] = False,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="Of each system of the board, in order; else its folder's."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the board's resampling.")] = 0,
    html: Annotated[Path | None, typer.Option("--html", help="Write one page.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write a line per item.")] = None,
    summary_csv: Annotated[
        Path | None, typer.Option("--summary-csv", help="Write a line per metric and group.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write tables.")] = None,
    worst: Annotated[int, typer.Option(help="Items shown in full on the page.", min=0)] = 20,
    audio: Annotated[
        str, typer.Option(help="Recordings on the page: embed (FLAC inside it), link or none.")
    ] = "embed",
    max_embed_mb: Annotated[
        float, typer.Option(help="Embedded recordings in all; further ones become links.", min=0.0)
    ] = 20.0,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "",
) -> None:
    """Write a scored run as a page, tables or CSV; without options the tables go to stdout."""
    if board:
        if csv or summary_csv:
            raise UserError("--board writes --html and --markdown, no CSV")
        _write_board(results, name or (), seed=seed, html=html, markdown=markdown, title=title)
        return
    if len(results) != 1 or name:
        raise UserError("give one scored run, or --board for several and their names")
    _write_report(
        results[0], html=html, csv=csv, summary_csv=summary_csv, markdown=markdown,
        worst=worst, audio=audio, max_embed_mb=max_embed_mb, title=title,
    )  # fmt: skip


def _write_board(
    results: Sequence[Path],
    names: Sequence[str],
    *,
    seed: int,
    html: Path | None,
    markdown: Path | None,
    title: str,
) -> None:
    from audio_eval.report.board import board_markdown, board_page
    from audio_eval.scoring.board import board
    from mingtok_audio.core.files import atomic_write_text

    made = board(results, seed, names=names)
    if html:
        atomic_write_text(html, board_page(made, title))
    if markdown:
        atomic_write_text(markdown, board_markdown(made))
    written = [str(path) for path in (html, markdown) if path]
    typer.echo(f"wrote {', '.join(written)}" if written else board_markdown(made).rstrip())


def _write_report(
    results: Path,
    *,
    html: Path | None,
    csv: Path | None,
    summary_csv: Path | None,
    markdown: Path | None,
    worst: int,
    audio: str,
    max_embed_mb: float,
    title: str,
) -> None:
    from audio_eval.report import tables, write_html
    from audio_eval.report.load import load_run
    from mingtok_audio.core.files import atomic_write_text

    if audio not in ("embed", "link", "none"):
        raise UserError(f"--audio {audio}: must be one of embed, link, none")
    run = load_run(results)
    rows = [row for found in run.systems.values() for row in found]
    if html:
        write_html(
            html,
            run.results,
            rows,
            worst=worst,
            audio=audio,
            max_embed_mb=max_embed_mb,
            title=title,
        )
    if csv:
        atomic_write_text(csv, tables.csv_per_item(rows))
    if summary_csv:
        atomic_write_text(summary_csv, tables.csv_summary(run.results))
    if markdown:
        atomic_write_text(markdown, tables.markdown(run.results))
    written = [str(path) for path in (html, csv, summary_csv, markdown) if path]
    typer.echo(f"wrote {', '.join(written)}" if written else tables.markdown(run.results).rstrip())


def compare_command(
    a: Annotated[Path, typer.Argument(help="Results of the first run (folder or .json).")],
    b: Annotated[Path, typer.Argument(help="Results of the second run.")],
    *,
    seed: Annotated[int, typer.Option(help="Of the resampling.")] = 0,
    resamples: Annotated[
        int, typer.Option(help="Bootstrap samples and random permutations.", min=100)
    ] = 10_000,
    a_system: Annotated[str, typer.Option(help="Of A: system, or a baseline's name.")] = _SYSTEM,
    b_system: Annotated[str, typer.Option(help="Of B: system, or a baseline's name.")] = _SYSTEM,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Compare two runs item by item: differences, intervals, significance."""
    from audio_eval.scoring.compare import compare, compare_text
    from mingtok_audio.core.cli import emit_json

    result = compare(a, b, seed, resamples=resamples, system_a=a_system, system_b=b_system)
    if as_json:
        emit_json(result)
    else:
        typer.echo(compare_text(result))
