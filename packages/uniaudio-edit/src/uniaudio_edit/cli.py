"""The `edit` command of the `uniaudio` script, and of `python -m uniaudio_edit`.

Options only; numpy and the audio libraries are imported inside the commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from typer.core import TyperCommand

from mingtok_audio.core.cli import make_app, run
from mingtok_audio.core.cli.options import Ray, Workers
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.plugins.app import plugins_app

if TYPE_CHECKING:
    from mingtok_audio.core.plugins import PluginHost

__all__ = ["app", "apply_app", "main", "undo_app", "uniaudio_app"]

_HELP = "Edit speech by saying what to change, and change nothing else."

app = make_app("uniaudio-edit", _HELP, distribution="uniaudio-edit")


def _mounted() -> typer.Typer:
    """An app of one command, as the `uniaudio` script mounts it."""
    return typer.Typer(
        help=_HELP,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


uniaudio_app, apply_app, undo_app = _mounted(), _mounted(), _mounted()


class _Sentences(TyperCommand):
    """Takes what begins with a dash and a space for a sentence ("- delete the last word")."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """See `click.Command.parse_args`."""
        return super().parse_args(
            ctx, [f" {a}" if a[:1] == "-" and " " in a[:3] else a for a in args]
        )


@app.command(cls=_Sentences)
@uniaudio_app.command(cls=_Sentences)
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
        str, typer.Option(help="Instruction parser: grammar, or lm (a model).")
    ] = "grammar",
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", help="What recognises and speaks: a folder or hf://org/name."
        ),
    ] = "nano",
    aligner: Annotated[
        str,
        typer.Option(help="Aligner for word times, a folder or a name; default: shipped."),
    ] = "",
    recognizer: Annotated[
        str,
        typer.Option(
            help="What recognises: model, lm, whisper:FOLDER_OR_NAME, or a folder; default: model."
        ),
    ] = "",
    candidates: Annotated[
        int | None, typer.Option(help="Takes of new words, of which the best is kept (3).")
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Recognise the output and write the result into the receipt."),
    ] = False,
    no_watermark: Annotated[
        bool, typer.Option("--no-watermark", help="Don't mark new speech as synthetic.")
    ] = False,
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
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the plan (JSON) and a diff of the text.")
    ] = False,
    receipt: Annotated[
        str | None, typer.Option(help="Where the receipt goes; by default beside the output.")
    ] = None,
    apply: Annotated[str | None, typer.Option(hidden=True)] = None,
    undo: Annotated[str | None, typer.Option(hidden=True)] = None,
    workers: Workers = None,
    ray: Ray = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that are there, make results again.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Change words or sound of a recording, and write a receipt that repeats or undoes it."""
    from uniaudio_edit.batch import Settings
    from uniaudio_edit.commands import Options, replay, with_options
    from uniaudio_edit.commands import run as run_command
    from uniaudio_lm.watermarking import DEFAULT_WATERMARK

    if apply is not None or undo is not None:
        if apply is not None and undo is not None:
            raise UserError("--apply and --undo are opposites; give one of them")
        if len(given or []) > 1:
            raise UserError("with --apply and --undo, at most one recording can be given")
        asked, recording = undo if apply is None else apply, (given or [None])[0]
        replay(str(asked), recording, output, undo=apply is None, force=force, as_json=as_json)
        return
    settings = Settings(
        backend=backend,
        parser=parser,
        model=model,
        aligner=aligner,
        recognizer=recognizer,
        check=check,
        watermark=None if no_watermark else DEFAULT_WATERMARK,
        which=which,
        seed=seed,
        force=force,
    )
    run_command(
        list(given or []),
        Options(
            output=output,
            text=text,
            words=words,
            receipt=receipt,
            dry_run=dry_run,
            workers=workers,
            ray=ray,
            as_json=as_json,
            settings=with_options(settings, sound=sound, snr_db=snr, candidates=candidates),
        ),
    )


_RECEIPT = typer.Argument(metavar="RECEIPT", help="Of an edit, NAME.receipt.json.")
_FORCE = typer.Option("--force", help="Replace a file that is there.")
_JSON = typer.Option("--json", help="Print JSON on standard output.")


@app.command("edit-apply")
@apply_app.command("edit-apply")
def edit_apply(
    receipt: Annotated[str, _RECEIPT],
    recording: Annotated[
        str | None, typer.Argument(metavar="IN", help="The source; by default the receipt's.")
    ] = None,
    *,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="By default beside the receipt.")
    ] = None,
    force: Annotated[bool, _FORCE] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Make an edit again from its receipt, exactly."""
    from uniaudio_edit.commands import replay

    replay(receipt, recording, output, undo=False, force=force, as_json=as_json)


@app.command("edit-undo")
@undo_app.command("edit-undo")
def edit_undo(
    receipt: Annotated[str, _RECEIPT],
    recording: Annotated[
        str | None, typer.Argument(metavar="IN", help="The output; by default the receipt's.")
    ] = None,
    *,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="By default NAME.restored.wav beside it.")
    ] = None,
    force: Annotated[bool, _FORCE] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Give the source of an edit back from its receipt, byte for byte."""
    from uniaudio_edit.commands import replay

    replay(receipt, recording, output, undo=True, force=force, as_json=as_json)


def _host() -> PluginHost:
    from uniaudio_edit.plugins import get_host

    return get_host()


app.add_typer(plugins_app(_host), name="plugins")


def main() -> NoReturn:
    """Entry point of `python -m uniaudio_edit`."""
    run(app)
