"""The `edit` command of the `uniaudio` script, and of `python -m uniaudio_edit`.

Options only; numpy and the audio libraries are imported inside the commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import typer

from mingtok_audio.core.cli import make_app, run
from mingtok_audio.core.plugins import plugins_app

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


def _host() -> PluginHost:
    from uniaudio_edit.plugins import get_host

    return get_host()


app.add_typer(plugins_app(_host), name="plugins")


def main() -> NoReturn:
    """Entry point of `python -m uniaudio_edit`."""
    run(app)
