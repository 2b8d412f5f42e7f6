"""`mingtok curate`: the command and its relatives. Options and what is printed; the work is in
`mingtok_audio.curation`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from mingtok_audio.core.cli import EXIT_FAILED_ITEMS, EXIT_USAGE, emit_json, fail
from mingtok_audio.core.cli.options import Ray, Workers
from mingtok_audio.core.errors import UserError

if TYPE_CHECKING:
    from mingtok_audio.curation.run import Summary

logger = logging.getLogger("mingtok_audio")

_RUN = "run"


class _Group(TyperGroup):
    """A group whose unnamed command is `run`: `mingtok curate IN... -o OUT`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the command where the arguments name none."""
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = [_RUN, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="curate",
    cls=_Group,
    help="Turn recordings into training segments: `mingtok curate IN... -o OUT` (run is meant "
    "where no command is named; see mingtok curate run --help), then filter, report and export.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
_Manifest = Annotated[
    str, typer.Argument(metavar="MANIFEST", help="manifest.parquet, or the folder of a run.")
]
_Preset = Annotated[
    str | None,
    typer.Option(help="Rules of a task: understanding, generation, edit, or a YAML file."),
]
_Force = Annotated[bool, typer.Option("--force", help="Make again what is there already.")]


@app.callback(invoke_without_command=True)
def _main(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(EXIT_USAGE)


@app.command(_RUN)
def run(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IN...", help="Audio files, folders, or .jsonl manifests."),
    ],
    *,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="The folder of the run.")
    ] = None,
    preset: _Preset = None,
    config: Annotated[
        str | None, typer.Option(help="A YAML file with the stages and their options.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="STAGE.OPTION=VALUE", help="Change an option of a stage."),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Of files that name none.")] = None,
    origin: Annotated[
        str | None, typer.Option(help="Where files come from that do not say.")
    ] = None,
    require_licence: Annotated[
        bool, typer.Option("--require-licence", help="Drop what has no licence or no origin.")
    ] = False,
    shards: Annotated[
        bool, typer.Option("--shards", help="Also write what is kept as FLAC in tar shards.")
    ] = False,
    workers: Workers = None,
    ray: Ray = None,
    force: _Force = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Estimate hours, time and disk; write nothing.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Curate recordings into a manifest of segments."""
    from mingtok_audio.curation.pipeline import load_config
    from mingtok_audio.curation.run import curate, estimate
    from mingtok_audio.curation.sources import find_sources

    if output is None and not dry_run:
        raise UserError("give the folder of the run: -o OUT")
    folder = None if output is None else Path(output)
    if folder is not None and folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; -o names a folder")
    stages = load_config(config, set_ or (), preset)
    sources = find_sources(
        inputs,
        licence=licence,
        origin=origin,
        require_licence=require_licence,
        leave_out=folder,
    )
    if dry_run or folder is None:
        found = estimate(sources, stages, workers=workers)
        if as_json:
            emit_json(found)
        else:
            typer.echo(_estimate_text(found))
        return
    summary = curate(sources, folder, stages, workers=workers, force=force, ray=ray)
    held = summary.to_dict() | {"output": str(folder / "manifest.parquet")}
    if shards and summary.kept:
        from mingtok_audio.curation.export import export as write_export

        held["shards"] = write_export(
            folder, folder / "shards", "shards", workers=workers, ray=ray
        ).to_dict()
    _tell(summary, held, as_json)
    if summary.bad_files == summary.files:
        raise typer.Exit(EXIT_USAGE)


def _tell(summary: Summary, held: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit_json(held)
        return
    lines = [
        f"{summary.files} files, {summary.hours_in:.3f} h -> {summary.kept} segments of "
        f"{summary.speakers} speakers, {summary.hours_kept:.3f} h kept"
    ]
    for reason, count in summary.dropped.items():
        lines.append(f"  {reason:20} {count:7} rows  {summary.dropped_hours[reason]:9.3f} h")
    if summary.splits:
        parts = ", ".join(f"{name} {hours:.3f} h" for name, hours in summary.splits.items())
        lines.append(f"splits: {parts}")
    if summary.bad_files:
        lines.append(f"{summary.bad_files} files could not be used; their rows say why")
    typer.echo("\n".join([*lines, held["output"] or "nothing is written"]))


def _estimate_text(found: dict[str, Any]) -> str:
    sampled = found["sampled"]
    lines = [
        f"{found['files']} files ({found['unreadable']} unreadable), {found['hours_in']:.3f} h",
        f"about {found['hours_kept']:.3f} h kept, {found['hours_of_work']:.3f} h of work, "
        f"{found['disk_gb']:.3f} GB as shards",
        f"(from {sampled['files']} files, {sampled['seconds']} s)",
    ]
    for stage in found["stages"]:
        note = "" if stage["runs"] and not stage["note"] else f"  skipped: {stage['note']}"
        lines.append(f"  {stage['name']}{note}")
    return "\n".join(lines)


@app.command("filter")
def filter_(
    manifest: _Manifest,
    *,
    preset: _Preset = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION", help='Keep what fulfils it: "snr > 20 and cross_wer < 0.1".'
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Another manifest; by default this one is changed."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be kept; write nothing.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Choose again what is kept, without touching audio. No rule keeps all that stages kept."""
    from mingtok_audio.curation.manifest import Manifest
    from mingtok_audio.curation.select import filter_manifest, rules_of

    held = Manifest(manifest)
    rules = rules_of(preset, where or ())
    target = None if dry_run else Path(output) if output is not None else held.path
    summary, empty = filter_manifest(held, rules, target)
    for column in empty:
        logger.warning(
            "the column %s is empty in every row: what needs it could not be checked", column
        )
    _tell(summary, summary.to_dict() | {"output": str(target) if target else None}, as_json)


@app.command()
def export(
    manifest: _Manifest,
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", help="A file (jsonl, lhotse) or a folder.")
    ],
    form: Annotated[
        str, typer.Option("--format", "-f", help="jsonl, lhotse, shards or datasets.")
    ] = "jsonl",
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    workers: Workers = None,
    ray: Ray = None,
    force: _Force = False,
    as_json: _Json = False,
) -> None:
    """Write what is kept for training: JSON lines, a lhotse CutSet, tar shards, datasets."""
    from mingtok_audio.curation.export import export as write

    made = write(manifest, Path(output), form, split=split, workers=workers, ray=ray, force=force)
    for error in made.failed.values():
        fail(error)
    if as_json:
        emit_json(made.to_dict())
    else:
        typer.echo(
            f"{made.segments} segments, {made.hours:.3f} h -> {output} ({len(made.files)} files)"
        )
    if made.failed:
        raise typer.Exit(EXIT_FAILED_ITEMS if made.files else EXIT_USAGE)


@app.command()
def report(
    manifest: _Manifest,
    *,
    output: Annotated[str, typer.Option("--output", "-o", help="The HTML page.")],
    players: Annotated[
        int, typer.Option(help="Segments to listen to, for each decision; 0 leaves them out.")
    ] = 10,
    as_json: _Json = False,
) -> None:
    """Write one HTML page: from raw hours to kept hours, histograms, and examples to listen to."""
    from mingtok_audio.curation.report import write_report

    made = write_report(manifest, Path(output), players=players)
    if as_json:
        emit_json(made)
    else:
        typer.echo(f"{output}: {made['players']} players, {made['bytes'] / 1e6:.1f} MB")
