"""`uniaudio edit-data` and `python -m uniaudio_edit.data`: training pairs from a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from mingtok_audio.core.cli import EXIT_FAILED_ITEMS, emit_json, fail, progress, run
from mingtok_audio.core.errors import UserError

_HELP = "Make training pairs for an edit model from recordings with transcripts."

uniaudio_app = typer.Typer(
    help=_HELP,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
"""What the `uniaudio` script mounts."""


@uniaudio_app.command("edit-data")
def build(
    manifest: Annotated[
        Path,
        typer.Argument(
            help="JSON lines with audio, text, and for word edits words, or phonemes and durations."
        ),
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the pairs.")],
    task: Annotated[
        list[str] | None,
        typer.Option(
            help="An edit operation that pairs are made of, or parallel; NAME=SHARE says how "
            "often. All of them by default."
        ),
    ] = None,
    per_clip: Annotated[int, typer.Option(help="Pairs from each recording.")] = 1,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    split: Annotated[str | None, typer.Option(help="Only lines with this split.")] = None,
    limit: Annotated[int | None, typer.Option(help="Number of recordings to use.", min=1)] = None,
    longest_span: Annotated[
        int, typer.Option(help="Most words (characters) that an edit touches.")
    ] = 5,
    min_seconds: Annotated[float, typer.Option(help="Shortest recording.")] = 1.0,
    max_seconds: Annotated[float, typer.Option(help="Longest recording.")] = 30.0,
    noises: Annotated[
        str, typer.Option(help="Folder of noise (MUSAN, for example); noise is made without.")
    ] = "",
    sounds: Annotated[
        str, typer.Option(help="Folder of background sounds, named by what they are.")
    ] = "",
    noise_snr: Annotated[
        tuple[float, float], typer.Option(help="Range of the speech over the noise, in dB.")
    ] = (-5.0, 20.0),
    sound_snr: Annotated[
        tuple[float, float], typer.Option(help="Range of the speech over added sounds, in dB.")
    ] = (5.0, 20.0),
    timbres: Annotated[int, typer.Option(help="Voices that recordings are converted to.")] = 0,
    timbre: Annotated[
        str, typer.Option(help="What converts them, a plugin by name.")
    ] = "formant_shift",
    timbre_share: Annotated[float, typer.Option(help="Share of recordings converted.")] = 0.5,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Write pairs of recordings with instructions; run again, it goes on where it stopped."""
    from uniaudio_edit.data.build import build_pairs
    from uniaudio_edit.data.recipe import Recipe, default_weights

    recipe = Recipe(
        seed=seed,
        tasks=_shares(task) if task else default_weights(),
        per_clip=per_clip,
        longest_span=longest_span,
        min_seconds=min_seconds,
        max_seconds=max_seconds,
        noise_snr_db=noise_snr,
        sound_snr_db=sound_snr,
        noises=noises,
        sounds=sounds,
        timbres=timbres,
        timbre=timbre,
        timbre_share=timbre_share,
    )
    with progress("pairs", limit, "recordings") as bar:
        summary = build_pairs(
            manifest, output, recipe, split=split, limit=limit, workers=workers, advance=bar.advance
        )
    for name, reason in summary.unreadable.items():
        fail(f"{name}: {reason}")
    if as_json:
        emit_json(summary.to_dict())
    else:
        counts = ", ".join(f"{n} {task}" for task, n in sorted(summary.pairs.items()))
        hours = summary.seconds / 3600
        typer.echo(f"{output}: {summary.pairs.total()} pairs, {hours:.2f} h ({counts or 'none'})")
    if not summary.pairs:
        reasons = ", ".join(f"{k} {n}" for k, n in summary.turned_away.most_common(3))
        raise UserError(f"{manifest}: no pair could be made ({reasons or 'no recordings'})")
    if summary.unreadable:
        raise typer.Exit(EXIT_FAILED_ITEMS)


def _shares(given: list[str]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for text in given:
        name, _, share = text.partition("=")
        try:
            shares[name] = float(share) if share else 1.0
        except ValueError as error:
            raise UserError(f"--task {text}: the share must be a number") from error
    return shares


def main() -> NoReturn:
    """Entry point of `python -m uniaudio_edit.data`."""
    run(uniaudio_app)
