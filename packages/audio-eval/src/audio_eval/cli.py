"""The ``audio-eval`` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mingtok_audio.core.cli import EXIT_FAILED_ITEMS, emit_json, make_app, make_group, run
from mingtok_audio.core.errors import UserError

_HELP = "Score any folder of speech, from anybody's system."
_JSON = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
_SHOWN_FAILURES = 20

app = make_app("audio-eval", _HELP, "audio-eval")


@app.command()
def score(
    suite: Annotated[str, typer.Argument(help="Name of a suite, or a YAML file.")],
    refs: Annotated[
        Path, typer.Option("--refs", help="Manifest, or folder of reference recordings.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder (or .json file) to write.")],
    hyps: Annotated[
        Path | None, typer.Option("--hyps", help="Folder of outputs, named <id>.wav; or texts.")
    ] = None,
    compat: Annotated[
        str, typer.Option("--compat", help="'ming' reproduces the published scripts.")
    ] = "none",
    metrics: Annotated[
        str, typer.Option("--metrics", help="Only these, comma-separated (default: the suite's).")
    ] = "",
    judge: Annotated[
        list[str] | None,
        typer.Option("--judge", help="ROLE=NAME[,option=value...], e.g. speaker=resemblyzer."),
    ] = None,
    judges: Annotated[
        Path | None, typer.Option("--judges", help="Folder of 'judges --assemble'.")
    ] = None,
    language: Annotated[
        str, typer.Option("--language", help="Of items that do not say theirs: en, zh, ...")
    ] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run of the same settings.")
    ] = False,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Cache folder shared between runs.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Items at a time.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap intervals.")] = 0,
    baselines: Annotated[
        str | None, typer.Option("--baselines", help="Comma-separated, 'none' for none.")
    ] = None,
    as_json: _JSON = False,
) -> None:
    """Score outputs against references."""
    from audio_eval.scoring import score_suite

    results = score_suite(
        suite,
        refs,
        hyps,
        out,
        compat=compat,
        metrics=_names(metrics),
        judges=_judges(judge or []),
        judges_dir=judges,
        language=language,
        resume=resume,
        cache=cache,
        workers=workers,
        seed=seed,
        baselines=None if baselines is None else _names(baselines, none="none"),
        show_progress=True,
    )
    if as_json:
        emit_json(results)
    else:
        typer.echo(_table(results))
    for failure in results["failures"][:_SHOWN_FAILURES]:
        typer.echo(f"failed: {failure['id']}: {failure['reason']}", err=True)
    if len(results["failures"]) > _SHOWN_FAILURES:
        typer.echo(f"... {len(results['failures'])} failed in all", err=True)
    if results["failed"]:
        raise typer.Exit(EXIT_FAILED_ITEMS)


@app.command()
def judges(
    assemble: Annotated[
        bool, typer.Option("--assemble", help="Join and check the offline judges.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", help="Where to.")] = Path(".judges"),
    as_json: _JSON = False,
) -> None:
    """List the judges and whether they can run here, or assemble the offline ones."""
    if assemble:
        from audio_eval.judges.offline import assemble as make

        made = make(out)
        if as_json:
            emit_json(made)
        else:
            for row in made["files"]:
                reason = f" ({row['reason']})" if row["reason"] else ""
                typer.echo(f"{row['status']:8}{row['file']}{reason}")
            roles = ", ".join(f"{role}: {name}" for role, name in made["judges"].items())
            typer.echo(f"{out}: {roles or 'no judge is complete'}")
        if not made["ok"]:
            raise typer.Exit(EXIT_FAILED_ITEMS)
        return
    _list_components("judge", as_json)


@app.command()
def metrics(as_json: _JSON = False) -> None:
    """List the metrics: what each needs and how to read it."""
    _list_components("metric", as_json)


def _list_components(slot: str, as_json: bool) -> None:
    from audio_eval.catalog import catalog, catalog_text

    rows = catalog(slot)
    if as_json:
        emit_json(rows)
    else:
        typer.echo(catalog_text(rows))


def _names(text: str, none: str = "") -> list[str]:
    return [n.strip() for n in text.split(",") if n.strip() and n.strip() != none]


def _judges(given: list[str]) -> dict[str, Any]:
    from audio_eval.context import JudgeChoice

    out = {}
    for text in given:
        role, equals, rest = text.partition("=")
        name, *options = rest.split(",")
        if not equals or not role or not name:
            raise UserError(f"--judge {text}: expected ROLE=NAME or ROLE=NAME,option=value")
        pairs = {}
        for option in options:
            key, equals, value = option.partition("=")
            if not equals:
                raise UserError(f"--judge {text}: {option!r} is not option=value")
            pairs[key.strip()] = int(value) if value.lstrip("-").isdigit() else value
        out[role.strip()] = JudgeChoice(name.strip(), pairs)
    return out


def _table(results: dict[str, Any]) -> str:
    lines = [f"{results['suite']}: {results['items']} items, {results['failed']} failed"]
    columns = {"system": results["metrics"], **results["baselines"]}
    width = max(len(name) for name in results["metrics"])
    for name in results["metrics"]:
        cells = [f"{column} {_cell(table.get(name))}" for column, table in columns.items()]
        lines.append(f"  {name.ljust(width)}  " + "   ".join(cells))
    lines.append(f"details: {results['per_item']}")
    return "\n".join(lines)


def _cell(summary: dict[str, Any] | None) -> str:
    if summary is None:
        return "-"
    if summary["value"] is None:
        return f"unavailable ({summary['reason']})"
    low, high = summary["ci95"]
    note = f", {summary['reason']}" if summary["reason"] else ""
    unit = f" {summary['unit']}" if summary["unit"] else ""
    return f"{summary['value']:.3f}{unit} [{low:.3f}, {high:.3f}] n={summary['n']}{note}"


uniaudio_app = make_group("uniaudio-eval", "Evaluation.")
uniaudio_app.add_typer(app, name="eval", help=_HELP)


def main() -> None:
    """Entry point of the ``audio-eval`` script."""
    run(app)


if __name__ == "__main__":
    main()
