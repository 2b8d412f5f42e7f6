"""The `uniaudio` command. Options only; the work is elsewhere.

torch and transformers are imported inside the commands: `--help` answers at once. Other packages'
commands are mounted by entry point (`uniaudio.commands`).
"""

from __future__ import annotations

from typing import Annotated, Any, NoReturn

import typer

from mingtok_audio.core.cli import emit_json, make_app, run
from mingtok_audio.core.doctor import add_doctor, doctor_report
from mingtok_audio.core.plugins import PluginHost, plugins_app
from uniaudio_lm.mounting import mount_commands, mounted_hosts

__all__ = ["app", "main"]

_HELP = "Speech recognition, synthesis and editing with one speech language model."

app = make_app("uniaudio", _HELP, distribution="uniaudio-lm")
_Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@app.command()
def info(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IN...", help="Model or component folders, names, audio, .mtok."),
    ],
    as_json: _Json = False,
) -> None:
    """Show what a model, a component or a file is."""
    from mingtok_audio.commands.info import as_text
    from uniaudio_lm.models.info import describe

    found = describe(inputs)
    if as_json:
        emit_json(found if len(found) > 1 else found[0])
    else:
        typer.echo("\n".join(as_text(description) for description in found))


def _hosts() -> list[PluginHost]:
    from mingtok_audio.plugins import get_host as tokenizer_host
    from uniaudio_lm.plugins import get_host

    return [get_host(), tokenizer_host(), *mounted_hosts(), _commands]


def _doctor() -> dict[str, Any]:
    from mingtok_audio.weights import shipped_folder

    weights = {"nano tokenizer": shipped_folder()}
    return doctor_report(["uniaudio-lm", "mingtok-audio"], _hosts(), weights)


app.add_typer(plugins_app(_hosts), name="plugins")
add_doctor(app, _doctor)
_commands = mount_commands(app, {"info", "plugins", "doctor"})


def main() -> NoReturn:
    """Entry point of the `uniaudio` script."""
    run(app)


if __name__ == "__main__":
    main()
