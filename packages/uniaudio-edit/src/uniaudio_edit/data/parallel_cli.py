"""`uniaudio edit-parallel`: parallel recordings of emotions and dialects for `edit-data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mingtok_audio.core.cli import EXIT_FAILED_ITEMS, emit_json, fail, progress
from mingtok_audio.core.errors import UserError

uniaudio_app = typer.Typer(
    rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]}
)
"""What the `uniaudio` script mounts."""


@uniaudio_app.command("edit-parallel")
def parallel(
    source: Annotated[
        Path, typer.Argument(help="Manifest with audio and text, or a folder laid out as ESD.")
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Manifest to write.")],
    style: Annotated[str, typer.Option(help="What differs: emotion or dialect.")] = "emotion",
    any_speaker: Annotated[
        bool, typer.Option("--any-speaker", help="Pair different speakers' recordings too.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Let this model say each text with each --label."),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="For --model; repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what the model says.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Find or make recordings of the same words with another emotion or in another dialect."""
    from uniaudio_edit.data.parallel import from_corpus, from_model

    if style not in ("emotion", "dialect"):
        raise UserError(f"--style is emotion or dialect, not '{style}'")
    if not source.exists():
        raise UserError(f"{source}: no such file or folder")
    if model is None:
        if label:
            raise UserError("--label says what a model is to say: give --model too")
        found = from_corpus(source, output, style, any_speaker=any_speaker)
    else:
        if any_speaker:
            raise UserError("--any-speaker pairs recordings: it has no effect with --model")
        from uniaudio_lm.engine import UniAudio

        speaker = UniAudio.from_pretrained(model)
        with progress("texts", None, "texts") as bar:
            found = from_model(
                source, output, style, label or (), speaker, seed=seed, advance=bar.advance
            )
    for name, reason in found.failed.items():
        fail(f"{name}: {reason}")
    if as_json:
        emit_json(found.to_dict())
    else:
        counts = ", ".join(f"{a} to {b} {n}" for (a, b), n in sorted(found.counts.items()))
        typer.echo(f"{output}: {found.rows} recordings ({counts})")
    if found.failed:
        raise typer.Exit(EXIT_FAILED_ITEMS)
