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
_Model = Annotated[
    str,
    typer.Option("--model", "-m", help='A folder, "org/name" or "hf://org/name@revision".'),
]
_Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
_Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
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


@app.command()
def asr(
    inputs: Annotated[
        list[str], typer.Argument(metavar="IN...", help="Audio files, folders, or -.")
    ],
    *,
    model: _Model = "nano",
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="A file; by default standard output.")
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(help="Hint, in the words the model was trained with (Canton, 川渝, ...)."),
    ] = None,
    hotwords: Annotated[str, typer.Option(help="Words to expect, comma-separated.")] = "",
    format: Annotated[str, typer.Option("--format", help="text, json, srt or vtt.")] = "text",
    device: _Device = "auto",
    dtype: _Dtype = "auto",
) -> None:
    """Turn speech into text."""
    from uniaudio_lm.commands.asr import run as run_asr

    run_asr(
        inputs, output, model=model, device=device, dtype=dtype, language=language,
        hotwords=hotwords, format=format,
    )  # fmt: skip


@app.command()
def tts(
    text: Annotated[str, typer.Argument(help="What to say; - is standard input, @FILE a file.")],
    *,
    output: Annotated[str, typer.Option("--output", "-o", help="A wav, flac, ogg or mp3 file.")],
    model: _Model = "nano",
    voice: Annotated[
        str | None, typer.Option(help="A recording of the voice to speak with.")
    ] = None,
    voice_text: Annotated[str | None, typer.Option(help="What is said in it.")] = None,
    head: Annotated[
        str | None, typer.Option(help="Another generation head: a folder or hf://org/name.")
    ] = None,
    stop: Annotated[
        str | None, typer.Option(help="Another stop detector: a folder or hf://org/name.")
    ] = None,
    compressor: Annotated[
        str | None, typer.Option(help="Another compressor: a folder or hf://org/name.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Solver steps of a patch, from 1.")] = None,
    cfg: Annotated[float | None, typer.Option(help="Guidance scale; 0 switches it off.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Of the noise between steps; 0 has none.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    device: _Device = "auto",
    dtype: _Dtype = "auto",
    as_json: _Json = False,
) -> None:
    """Turn text into speech."""
    import sys

    from uniaudio_lm.commands.asr import open_text
    from uniaudio_lm.commands.tts import Options
    from uniaudio_lm.commands.tts import run as run_tts

    options = Options(
        model, device, dtype, voice, voice_text, head, stop, compressor, steps, cfg, temperature,
        seed,
    )  # fmt: skip
    run_tts(open_text(text, sys.stdin), output, options, as_json)


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
_commands = mount_commands(app, {"asr", "tts", "info", "plugins", "doctor"})


def main() -> NoReturn:
    """Entry point of the `uniaudio` script."""
    run(app)


if __name__ == "__main__":
    main()
