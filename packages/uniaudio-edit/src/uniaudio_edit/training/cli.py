"""`uniaudio edit-train` and `python -m uniaudio_edit.training`: a stage from its YAML file."""

from __future__ import annotations

from typing import NoReturn

import typer

from mingtok_audio.core.cli import run
from mingtok_audio.core.cli.train import add_train

_HELP = "Train an edit model on pairs that `uniaudio edit-data` made."

uniaudio_app = typer.Typer(
    help=_HELP,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
"""What the `uniaudio` script mounts."""

add_train(uniaudio_app, "uniaudio_edit.training.run", name="edit-train", help=_HELP)


def main() -> NoReturn:
    """Entry point of `python -m uniaudio_edit.training`."""
    run(uniaudio_app)
