"""The `edit` command of the `uniaudio` script, and of `python -m uniaudio_edit`.

Options only; numpy and the audio libraries are imported inside the commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from mingtok_audio.core.cli import make_app, run
from mingtok_audio.core.plugins.app import plugins_app

if TYPE_CHECKING:
    from mingtok_audio.core.plugins import PluginHost

__all__ = ["app", "main", "uniaudio_app"]

_HELP = "Edit speech by saying what to change, and change nothing else."

app = make_app("uniaudio-edit", _HELP, distribution="uniaudio-edit")
uniaudio_app = typer.Typer(
    help=_HELP,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
"""What the `uniaudio` script mounts."""


@app.command()
@uniaudio_app.command()
def edit(
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IN [INSTRUCTION]",
            help="A recording, a folder or a .jsonl file, and what to change, in quotes.",
        ),
    ] = None,
    *,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="A .wav or .flac file, or a folder.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="What the recording says; @FILE reads it from a file.")
    ] = None,
    words: Annotated[
        str | None,
        typer.Option(help='JSON with [{"text", "start", "end"}] in seconds, for word edits.'),
    ] = None,
    backend: Annotated[str, typer.Option(help="auto, or one by name: splice, dsp, lm.")] = "auto",
    parser: Annotated[
        str, typer.Option(help="What reads the instruction: grammar, or lm (a model).")
    ] = "grammar",
    model: Annotated[
        str, typer.Option("--model", "-m", help="What speaks and hears: a folder or hf://org/name.")
    ] = "nano",
    aligner: Annotated[
        str, typer.Option(help="What finds word times: a folder or a name; by default the shipped.")
    ] = "",
    candidates: Annotated[
        int | None, typer.Option(help="Takes of new words, of which the best is kept (3).")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Recognise the output, and say so in the receipt.")
    ] = False,
    watermark: Annotated[str, typer.Option(help="What marks written recordings.")] = "",
    which: Annotated[
        str,
        typer.Option(help="Where several places match: refuse, first, last, all, or a number."),
    ] = "refuse",
    sound: Annotated[
        str | None, typer.Option(help="A recording of the background sound to add.")
    ] = None,
    snr: Annotated[
        float | None, typer.Option(help="Level of the speech over that sound, in dB.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the plan (JSON) and a diff of the text.")
    ] = False,
    receipt: Annotated[
        str | None, typer.Option(help="Where the receipt goes; by default beside the output.")
    ] = None,
    apply: Annotated[
        str | None, typer.Option(metavar="RECEIPT", help="Make an edit again, exactly.")
    ] = None,
    undo: Annotated[
        str | None, typer.Option(metavar="RECEIPT", help="Give the source of an edit back.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that share the files of a folder.")] = 1,
    force: Annotated[
        bool, typer.Option("--force", help="Make results of a folder again that are there already.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Change words or sound of a recording, and write a receipt that repeats or undoes it."""
    from uniaudio_edit.batch import Settings
    from uniaudio_edit.commands import Options, with_options
    from uniaudio_edit.commands import run as run_command

    settings = Settings(
        backend=backend,
        parser=parser,
        model=model,
        aligner=aligner,
        check=check,
        watermark=watermark,
        which=which,
        seed=seed,
    )
    run_command(
        list(given or []),
        Options(
            output=output,
            text=text,
            words=words,
            receipt=receipt,
            apply=apply,
            undo=undo,
            dry_run=dry_run,
            workers=workers,
            force=force,
            as_json=as_json,
            settings=with_options(settings, sound=sound, snr_db=snr, candidates=candidates),
        ),
    )


def _host() -> PluginHost:
    from uniaudio_edit.plugins import get_host

    return get_host()


app.add_typer(plugins_app(_host), name="plugins")


def main() -> NoReturn:
    """Entry point of `python -m uniaudio_edit`."""
    run(app)
