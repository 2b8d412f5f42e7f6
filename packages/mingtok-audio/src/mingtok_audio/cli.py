"""The `mingtok` command. Options only; the work is in `mingtok_audio.commands`.

numpy, torch and the audio libraries are imported inside the commands: `--help` answers at once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from mingtok_audio.commands.curate import app as curate_app
from mingtok_audio.core.cli import emit_json, make_app, run
from mingtok_audio.core.cli.doctor import add_doctor, doctor_report
from mingtok_audio.core.cli.options import Ray, Workers
from mingtok_audio.core.cli.train import add_train
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.plugins.app import plugins_app

if TYPE_CHECKING:
    from mingtok_audio.core.audio import Channel
    from mingtok_audio.core.plugins import PluginHost

__all__ = ["app", "main", "uniaudio_app"]

_HELP = "Speech to continuous latents and back: the MingTok tokenizer."

app = make_app("mingtok", _HELP, distribution="mingtok-audio")
uniaudio_app = typer.Typer(
    help=_HELP,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
"""What the `uniaudio` script mounts: the commands that turn files into files."""

_Audio = Annotated[
    list[str], typer.Argument(metavar="IN...", help="Audio files, folders, or - (standard input).")
]
_Mtok = Annotated[
    list[str], typer.Argument(metavar="IN...", help=".mtok files, folders, or - (standard input).")
]
_Model = Annotated[
    str,
    typer.Option(
        "--model", "-m", help='"nano" (shipped), a folder, "org/name" or "hf://org/name@revision".'
    ),
]
_Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
_Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
_Sample = Annotated[
    bool, typer.Option("--sample", help="Draw the latents from the posterior, not its mean.")
]
_Seed = Annotated[int | None, typer.Option(help="Seed of --sample (default 0).")]
_ChannelOption = Annotated[
    str, typer.Option("--channel", help="mix, or the number of one channel, from 0.")
]
_EncoderLayers = Annotated[
    str,
    typer.Option(
        metavar="all|published",
        help="Layers of AudioVAE's encoder that run (see uniaudio doctor --model).",
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
_Force = Annotated[
    bool, typer.Option("--force", help="Make results of a folder again that are there already.")
]


def _sampling_seed(sample: bool, seed: int | None) -> int | None:
    from mingtok_audio.core.runtime import MAX_SEED

    if seed is not None and not sample:
        raise UserError("--seed has no effect without --sample")
    if seed is not None and not 0 <= seed <= MAX_SEED:
        raise UserError(f"--seed is a whole number from 0 to {MAX_SEED}, not {seed}")
    return (seed or 0) if sample else None


def _channel(text: str) -> Channel:
    if text == "mix":
        return "mix"
    if text.isascii() and text.isdigit() and len(text) < 6:
        return int(text)
    raise UserError(f"--channel is 'mix' or a number from 0, not '{text}'")


@app.command()
@uniaudio_app.command()
def encode(
    inputs: _Audio,
    *,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="A .mtok file, a folder, or -; by default beside each input."
        ),
    ] = None,
    model: _Model = "nano",
    device: _Device = "auto",
    dtype: _Dtype = "auto",
    sample: _Sample = False,
    seed: _Seed = None,
    storage: Annotated[
        str, typer.Option(help="float32 (exact), float16 or int8 (smaller).")
    ] = "float32",
    channel: _ChannelOption = "mix",
    workers: Workers = None,
    ray: Ray = None,
    encoder_layers: _EncoderLayers = "all",
    force: _Force = False,
    as_json: _Json = False,
) -> None:
    """Turn audio into latents (.mtok files)."""
    from mingtok_audio.commands.batch import Report, run_files
    from mingtok_audio.commands.transcode import Settings
    from mingtok_audio.models.reference import parse_encoder_layers
    from mingtok_audio.mtok import parse_storage

    settings = Settings(
        command="encode",
        model=model,
        device=device,
        dtype=dtype,
        seed=_sampling_seed(sample, seed),
        storage=parse_storage(storage),
        channel=_channel(channel),
        encoder_layers=parse_encoder_layers(encoder_layers),
    )
    run_files(inputs, output, settings, workers=workers, ray=ray, report=Report(as_json, force))


@app.command()
@uniaudio_app.command()
def decode(
    inputs: _Mtok,
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", help="A wav, flac, ogg or mp3 file, a folder, or -.")
    ],
    model: _Model = "nano",
    device: _Device = "auto",
    dtype: _Dtype = "auto",
    start: Annotated[float | None, typer.Option(help="Begin here, in seconds.")] = None,
    end: Annotated[float | None, typer.Option(help="Stop here, in seconds.")] = None,
    workers: Workers = None,
    ray: Ray = None,
    force: _Force = False,
    as_json: _Json = False,
) -> None:
    """Turn latents (.mtok files), or a part of them, into 16 kHz audio."""
    from mingtok_audio.commands.batch import Report, run_files
    from mingtok_audio.commands.transcode import Settings

    for value, name in ((start, "--start"), (end, "--end")):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise UserError(f"{name} must be 0 or more seconds, not {value}")
    if end is not None and end <= (start or 0.0):
        raise UserError(f"--end {end} must be after --start {start or 0.0}")
    settings = Settings(
        command="decode", model=model, device=device, dtype=dtype, start=start, end=end
    )
    run_files(inputs, output, settings, workers=workers, ray=ray, report=Report(as_json, force))


@app.command()
@uniaudio_app.command()
def reconstruct(
    inputs: _Audio,
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", help="A wav, flac, ogg or mp3 file, a folder, or -.")
    ],
    model: _Model = "nano",
    device: _Device = "auto",
    dtype: _Dtype = "auto",
    sample: _Sample = False,
    seed: _Seed = None,
    channel: _ChannelOption = "mix",
    workers: Workers = None,
    ray: Ray = None,
    encoder_layers: _EncoderLayers = "all",
    force: _Force = False,
    as_json: _Json = False,
) -> None:
    """Turn audio into latents and back, to hear what the tokenizer keeps."""
    from mingtok_audio.commands.batch import Report, run_files
    from mingtok_audio.commands.transcode import Settings
    from mingtok_audio.models.reference import parse_encoder_layers

    settings = Settings(
        command="reconstruct",
        model=model,
        device=device,
        dtype=dtype,
        seed=_sampling_seed(sample, seed),
        channel=_channel(channel),
        encoder_layers=parse_encoder_layers(encoder_layers),
    )
    run_files(inputs, output, settings, workers=workers, ray=ray, report=Report(as_json, force))


@app.command()
def info(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="IN...", help=".mtok or audio files, model folders, folders, names."
        ),
    ],
    as_json: _Json = False,
) -> None:
    """Show what a file, a folder, a model or a component is."""
    from mingtok_audio.commands.info import as_text, describe

    found = describe(inputs)
    if as_json:
        emit_json(found if len(found) > 1 else found[0])
    else:
        typer.echo("\n".join(as_text(description) for description in found))


@app.command()
def convert(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="A folder or repository in the published layout.")
    ],
    output: Annotated[str, typer.Argument(metavar="OUT", help="The folder to write.")],
    *,
    window_keys: Annotated[
        int | None,
        typer.Option(
            help="Keys that a query of the encoder and decoder sees (published: 32 or 33)."
        ),
    ] = None,
    window_layers: Annotated[
        int | None, typer.Option(help="The first layer that has the window.")
    ] = None,
    full_attention: Annotated[
        bool, typer.Option("--full-attention", help="No window at all.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Rewrite a tokenizer from the published layout to the one of this package."""
    from mingtok_audio.commands.convert import convert as convert_folder

    options: dict[str, Any] = {
        "window_keys": window_keys,
        "window_layers": window_layers,
        "full_attention": full_attention,
    }
    found = convert_folder(source, output, options)
    if as_json:
        emit_json(found)
    else:
        typer.echo(f"{found['input']} -> {found['output']} ({found['parameters']:,} parameters)")


def _host() -> PluginHost:
    from mingtok_audio.plugins import get_host

    return get_host()


def _doctor() -> dict[str, Any]:
    from mingtok_audio.weights import shipped_folder

    return doctor_report(["mingtok-audio"], [_host()], {"nano": shipped_folder()})


add_train(app, "mingtok_audio.training.run", help="Train a stage of the tokenizer.")
app.add_typer(curate_app, name="curate")
app.add_typer(plugins_app(_host), name="plugins")
add_doctor(app, _doctor)


def main() -> NoReturn:
    """Entry point of the `mingtok` script."""
    run(app)


if __name__ == "__main__":
    main()
