"""The command that trains a stage from its YAML file, the same on every script."""

from __future__ import annotations

import importlib
import os
from typing import Annotated

import typer

from mingtok_audio.core.cli.output import emit_json
from mingtok_audio.core.errors import UserError


def add_train(app: typer.Typer, runner: str, *, name: str = "train", help: str) -> None:
    """Give `app` a training command.

    Args:
        runner: a module with `shipped_config(name)`, `load_config(path, overrides)` and `train(
            config, folder, resume=, minutes=, dry_run=)`; imported when the command runs.
        name: of the command.
        help: its summary.
    """

    @app.command(name, help=help)
    def train(
        config: Annotated[
            str,
            typer.Argument(metavar="CONFIG", help="A stage's YAML file, or a shipped name: debug."),
        ],
        *,
        output: Annotated[
            str, typer.Option("--output", "-o", help="The run's folder: checkpoint, log, model.")
        ],
        set_: Annotated[
            list[str] | None,
            typer.Option(
                "--set", metavar="KEY=VALUE", help="Change a value, as in optim.lr=0.001."
            ),
        ] = None,
        resume: Annotated[
            bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")
        ] = False,
        minutes: Annotated[
            float | None, typer.Option(help="Stop after this long; --resume goes on later.")
        ] = None,
        dry_run: Annotated[
            bool,
            typer.Option("--dry-run", help="Build everything, compute one loss, write nothing."),
        ] = False,
        as_json: Annotated[
            bool, typer.Option("--json", help="Print JSON on standard output.")
        ] = False,
    ) -> None:
        if minutes is not None and not minutes > 0:
            raise UserError(f"--minutes must be positive, not {minutes}")
        run = importlib.import_module(runner)
        summary = run.train(
            run.load_config(run.shipped_config(config), set_ or ()),
            output,
            resume=resume,
            minutes=minutes,
            dry_run=dry_run,
        )
        if os.environ.get("RANK", "0") != "0":
            return  # of several processes the first one speaks
        if as_json:
            emit_json(summary.to_dict())
        else:
            typer.echo(summary.to_text())
