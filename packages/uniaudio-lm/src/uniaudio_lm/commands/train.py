"""`uniaudio train`: a stage of the language model, from its YAML file."""

from __future__ import annotations

from typing import Annotated

import typer

from mingtok_audio.core.cli import emit_json
from mingtok_audio.core.errors import UserError


def train(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="A stage's YAML file, or a shipped name: debug.")
    ],
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", help="The run's folder: checkpoint, log, model.")
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value, as in optim.lr=0.001."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")
    ] = False,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after this long; --resume goes on later.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build everything, compute one loss, write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Train a stage of the language model."""
    if minutes is not None and not minutes > 0:
        raise UserError(f"--minutes must be positive, not {minutes}")
    from uniaudio_lm.training.run import load_config, shipped_config
    from uniaudio_lm.training.run import train as run_training

    summary = run_training(
        load_config(shipped_config(config), set_ or ()),
        output,
        resume=resume,
        minutes=minutes,
        dry_run=dry_run,
    )
    if as_json:
        emit_json(summary.to_dict())
    else:
        typer.echo(summary.to_text())
