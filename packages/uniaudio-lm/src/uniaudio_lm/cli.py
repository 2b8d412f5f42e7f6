"""The `uniaudio` command. Options only; the work is elsewhere.

torch and transformers are imported inside the commands: `--help` answers at once. Other packages'
commands are mounted by entry point (`uniaudio.commands`).
"""

from __future__ import annotations

from typing import Annotated, Any, NoReturn

import typer

from mingtok_audio.core.cli import emit_json, make_app, run
from mingtok_audio.core.cli.doctor import doctor_report, print_report
from mingtok_audio.core.cli.options import Ray, Workers
from mingtok_audio.core.cli.train import add_train
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.plugins import PluginHost
from mingtok_audio.core.plugins.app import plugins_app
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
_DeviceMap = Annotated[
    str | None, typer.Option(help="Spread the model: auto, balanced, or a JSON file.")
]
_MaxMemory = Annotated[
    str | None, typer.Option(help="Most memory that a computed map uses: 0=20GB,cpu=60GB.")
]
_Quantize = Annotated[str | None, typer.Option(help="int8 keeps the language model in 8 bits.")]
_EncoderLayers = Annotated[
    str,
    typer.Option(
        metavar="all|published",
        help="Layers of the tokenizer's encoder that run (Ming-omni-tts; see doctor --model).",
    ),
]
_Threads = Annotated[
    int | None,
    typer.Option(help="CPU threads; by default one for a small model, else one for each core."),
]
_Compressor = Annotated[
    str | None,
    typer.Option(
        help="Another compressor: one that comes with the model (nano: pooling), a folder or "
        "hf://org/name."
    ),
]
_Steps = Annotated[int | None, typer.Option(help="Solver steps of a patch, from 1.")]
_Guidance = Annotated[
    float | None, typer.Option("--cfg", help="Guidance scale; 0 switches it off.")
]
_Temperature = Annotated[
    float | None, typer.Option(help="Of the noise between solver steps; 0 adds none.")
]
_Seed = Annotated[int, typer.Option(help="Random seed.")]
_SoundOutput = Annotated[
    str,
    typer.Option("--output", "-o", help="A wav, flac, ogg or mp3 file, or - for standard output."),
]
_OmniModel = Annotated[
    str,
    typer.Option(
        "--model", "-m", help='Ming-omni-tts: a folder, "org/name" or "hf://org/name@revision".'
    ),
]
_NoWatermark = Annotated[
    bool,
    typer.Option("--no-watermark", help="Don't mark the speech as synthetic (see detect)."),
]
_Force = Annotated[bool, typer.Option("--force", help="Overwrite existing results.")]
_TextOutput = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", help="A file, or a folder with a file each; by default standard output."
    ),
]


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
    from uniaudio_lm.checkpoint.describe import describe

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
    *,
    output: Annotated[str, typer.Option("--output", "-o", help="The folder to write.")],
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float16; by default as they are.")
    ] = None,
    shard_size: Annotated[str, typer.Option(help="Most bytes of a file of weights.")] = "5GB",
    force: Annotated[
        bool, typer.Option("--force", help="Replace an output that holds a model.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Rewrite a model from the published layout to the one of this package."""
    from uniaudio_lm.commands.convert import convert as convert_folder

    found = convert_folder(source, output, dtype=dtype, shard_size=shard_size, force=force)
    if as_json:
        emit_json(found)
    else:
        typer.echo(f"{found['input']} -> {found['output']} ({found['parameters']:,} parameters)")


@app.command()
def asr(
    inputs: Annotated[
        list[str], typer.Argument(metavar="IN...", help="Audio files, folders, or -.")
    ],
    *,
    model: _Model = "nano",
    output: _TextOutput = None,
    language: Annotated[
        str | None,
        typer.Option(help="A code or name (en, English), or the model's own words (Canton, 川渝)."),
    ] = None,
    hotwords: Annotated[str, typer.Option(help="Words to expect, comma-separated.")] = "",
    beams: Annotated[
        int | None,
        typer.Option(help="Hypotheses of the beam search; by default the model's own number."),
    ] = None,
    word_weight: Annotated[
        float | None,
        typer.Option(help="Weight of the word model, 0 (off) to 10; by default the model's own."),
    ] = None,
    format: Annotated[str, typer.Option("--format", help="text, json, srt or vtt.")] = "text",
    speakers: Annotated[
        str, typer.Option(help="Tell who says what: auto, or the number of speakers.")
    ] = "",
    aligner: Annotated[
        str | None, typer.Option(help="Gives words their times: a folder, hf://org/name, or none.")
    ] = None,
    recognizer: Annotated[
        str | None,
        typer.Option(
            help="What recognises: model (its own), lm (the language model), "
            "whisper:FOLDER_OR_NAME, or a folder or hf://org/name."
        ),
    ] = None,
    compressor: _Compressor = None,
    workers: Workers = None,
    ray: Ray = None,
    batch_size: Annotated[int, typer.Option(help="Recordings that are read together.")] = 4,
    force: _Force = False,
    device: _Device = "auto",
    dtype: _Dtype = "auto",
    device_map: _DeviceMap = None,
    max_memory: _MaxMemory = None,
    quantize: _Quantize = None,
    threads: _Threads = None,
    as_json: _Json = False,
) -> None:
    """Turn speech into text."""
    from uniaudio_lm.commands.asr import run as run_asr
    from uniaudio_lm.commands.models import ModelChoice

    choice = ModelChoice(
        model, device, dtype, compressor=compressor, aligner=aligner, recognizer=recognizer,
        device_map=device_map, max_memory=max_memory, quantize=quantize, threads=threads,
    )  # fmt: skip
    run_asr(
        inputs, output, choice, language=language, hotwords=hotwords, beams=beams,
        word_weight=word_weight, format=format,
        as_json=as_json, workers=workers, ray=ray, batch=batch_size, force=force, speakers=speakers,
    )  # fmt: skip


@app.command()
def ask(
    given: Annotated[
        list[str],
        typer.Argument(metavar="IN... PROMPT", help="Audio files or folders, then a question."),
    ],
    *,
    model: _Model = "nano",
    output: _TextOutput = None,
    spoken: Annotated[
        bool, typer.Option("--spoken", help="The recordings ask; no question follows them.")
    ] = False,
    then: Annotated[
        list[str] | None,
        typer.Option("--then", help="Ask this next, about the same recording; repeatable."),
    ] = None,
    max_tokens: Annotated[int, typer.Option(help="Most tokens of an answer.")] = 512,
    format: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    workers: Workers = None,
    ray: Ray = None,
    force: _Force = False,
    device: _Device = "auto",
    dtype: _Dtype = "auto",
    device_map: _DeviceMap = None,
    max_memory: _MaxMemory = None,
    quantize: _Quantize = None,
    threads: _Threads = None,
    as_json: _Json = False,
) -> None:
    """Ask anything about recordings."""
    from uniaudio_lm.commands.ask import run as run_ask
    from uniaudio_lm.commands.models import ModelChoice

    choice = ModelChoice(
        model,
        device,
        dtype,
        device_map=device_map,
        max_memory=max_memory,
        quantize=quantize,
        threads=threads,
    )
    run_ask(
        given, output, choice, spoken=spoken, follow_ups=then or (), max_tokens=max_tokens,
        format=format, as_json=as_json, workers=workers, ray=ray, force=force,
    )  # fmt: skip


@app.command()
def tts(
    texts: Annotated[
        list[str],
        typer.Argument(
            metavar="TEXT...",
            help="What to say; - is standard input, @FILE a file, @FOLDER its .txt files. It may "
            "hold [pause 0.5s], or be SSML (<speak> with p, s, break, say-as).",
        ),
    ],
    *,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="A wav, flac, ogg or mp3 file, - for standard output, or a folder for several.",
        ),
    ],
    model: _Model = "nano",
    voice: Annotated[
        str | None, typer.Option(help="A recording of the voice to speak with, of any length.")
    ] = None,
    voice_text: Annotated[
        str | None,
        typer.Option(help="What is said in it, or @FILE; the model recognises it by default."),
    ] = None,
    speaker: Annotated[
        str | None, typer.Option(help="A speaker of the model (see voices), or its file.")
    ] = None,
    instruct: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="How to speak, for models that take instructions (Ming-omni-tts): emotion, "
            "dialect, speed, pitch, volume, style or ip (a built-in voice); may be repeated.",
        ),
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Of the text: en, zh; by default each sentence's own.")
    ] = None,
    normalizer: Annotated[
        str | None,
        typer.Option(help="Writes numbers and signs as words: rules, wetext, another, or none."),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            help="Another generation head: one that comes with the model (nano: dit), a folder or "
            "hf://org/name."
        ),
    ] = None,
    stop: Annotated[
        str | None, typer.Option(help="Another stop detector: a folder or hf://org/name.")
    ] = None,
    compressor: _Compressor = None,
    steps: Annotated[int | None, typer.Option(help="Solver steps of a patch, from 1.")] = None,
    cfg: Annotated[float | None, typer.Option(help="Guidance scale; 0 switches it off.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Of the noise between solver steps; 0 adds none.")
    ] = None,
    noise_scale: Annotated[
        float | None,
        typer.Option(help="Scale of the initial noise; lower is less varied, often clearer."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    stream: Annotated[
        bool, typer.Option("--stream", help="Write a wav that can be played while it grows.")
    ] = False,
    words: Annotated[
        str | None,
        typer.Option(help="Also write the words and their times: a .json, .srt or .vtt file."),
    ] = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="Each line of the file is a text of its own.")
    ] = False,
    no_watermark: _NoWatermark = False,
    workers: Workers = None,
    ray: Ray = None,
    batch_size: Annotated[int, typer.Option(help="Texts that are spoken together.")] = 8,
    force: _Force = False,
    device: _Device = "auto",
    dtype: _Dtype = "auto",
    device_map: _DeviceMap = None,
    max_memory: _MaxMemory = None,
    quantize: _Quantize = None,
    encoder_layers: _EncoderLayers = "all",
    threads: _Threads = None,
    as_json: _Json = False,
) -> None:
    """Turn text into speech."""
    from uniaudio_lm.commands.models import ModelChoice
    from uniaudio_lm.commands.tts import Speaking
    from uniaudio_lm.commands.tts import run as run_tts
    from uniaudio_lm.config import SamplingChanges
    from uniaudio_lm.watermarking import DEFAULT_WATERMARK

    choice = ModelChoice(
        model, device, dtype, head, stop, compressor, normalizer, device_map=device_map,
        max_memory=max_memory, quantize=quantize, encoder_layers=encoder_layers, threads=threads,
    )  # fmt: skip
    changes = SamplingChanges(
        num_steps=steps, cfg_scale=cfg, temperature=temperature, noise_scale=noise_scale
    )
    mark = None if no_watermark else DEFAULT_WATERMARK
    work = Speaking(
        choice, voice, voice_text, speaker, language, changes, seed, tuple(instruct or ()), mark
    )  # fmt: skip
    run_tts(
        texts, output, work, stream=stream, words=words, lines=lines, as_json=as_json,
        workers=workers, ray=ray, batch=batch_size, force=force,
    )  # fmt: skip


@app.command()
def dialogue(
    script: Annotated[
        str, typer.Argument(help="Lines 'NAME: words', or @FILE with them; two names or more.")
    ],
    *,
    output: _SoundOutput,
    model: _OmniModel,
    voice: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="A recording of that speaker; repeatable."),
    ] = None,
    voice_text: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TEXT", help="What is said in it, or @FILE; repeatable."),
    ] = None,
    steps: _Steps = None,
    cfg: _Guidance = None,
    temperature: _Temperature = None,
    seed: _Seed = 0,
    no_watermark: _NoWatermark = False,
    device: _Device = "auto",
    dtype: _Dtype = "auto",
    quantize: _Quantize = None,
    encoder_layers: _EncoderLayers = "all",
    threads: _Threads = None,
    as_json: _Json = False,
) -> None:
    """Let two voices speak in turn."""
    from uniaudio_lm.commands.described import run_dialogue
    from uniaudio_lm.commands.models import ModelChoice
    from uniaudio_lm.config import SamplingChanges
    from uniaudio_lm.watermarking import DEFAULT_WATERMARK

    choice = ModelChoice(
        model, device, dtype, quantize=quantize, encoder_layers=encoder_layers, threads=threads
    )
    changes = SamplingChanges(num_steps=steps, cfg_scale=cfg, temperature=temperature)
    mark = None if no_watermark else DEFAULT_WATERMARK
    run_dialogue(
        script, output, choice, voice or (), voice_text or (), changes, seed, as_json, mark
    )  # fmt: skip


@app.command()
def sound(
    description: Annotated[str, typer.Argument(help="Description of the sound, or @FILE.")],
    *,
    output: _SoundOutput,
    model: _OmniModel,
    seconds: Annotated[
        float | None, typer.Option(help="Its most; by default the model decides.")
    ] = None,
    steps: _Steps = None,
    cfg: _Guidance = None,
    temperature: _Temperature = None,
    seed: _Seed = 0,
    device: _Device = "auto",
    dtype: _Dtype = "auto",
    quantize: _Quantize = None,
    threads: _Threads = None,
    as_json: _Json = False,
) -> None:
    """Make a sound from its description."""
    from uniaudio_lm.commands.described import run_sound
    from uniaudio_lm.commands.models import ModelChoice
    from uniaudio_lm.config import SamplingChanges

    choice = ModelChoice(model, device, dtype, quantize=quantize, threads=threads)
    changes = SamplingChanges(num_steps=steps, cfg_scale=cfg, temperature=temperature)
    run_sound(description, output, choice, seconds, changes, seed, as_json)


@app.command()
def music(
    *,
    output: _SoundOutput,
    model: _OmniModel,
    genre: Annotated[str, typer.Option(help="Such as 电子舞曲 (electronic dance music).")],
    mood: Annotated[str, typer.Option(help="Such as 自信 / 坚定 (confident).")],
    instrument: Annotated[str, typer.Option(help="Such as 架子鼓 (drum kit).")],
    theme: Annotated[str, typer.Option(help="Such as 节日 (festival).")],
    seconds: Annotated[float, typer.Option(help="Its length.")] = 30.0,
    steps: _Steps = None,
    cfg: _Guidance = None,
    temperature: _Temperature = None,
    seed: _Seed = 0,
    device: _Device = "auto",
    dtype: _Dtype = "auto",
    quantize: _Quantize = None,
    threads: _Threads = None,
    as_json: _Json = False,
) -> None:
    """Make music from a few words about it."""
    from uniaudio_lm.commands.described import run_music
    from uniaudio_lm.commands.models import ModelChoice
    from uniaudio_lm.config import SamplingChanges

    choice = ModelChoice(model, device, dtype, quantize=quantize, threads=threads)
    changes = SamplingChanges(num_steps=steps, cfg_scale=cfg, temperature=temperature)
    words = {"genre": genre, "mood": mood, "instrument": instrument, "theme": theme}
    run_music(output, choice, words, seconds, changes, seed, as_json)


@app.command()
def detect(
    inputs: Annotated[
        list[str], typer.Argument(metavar="IN...", help="Audio files, folders, or -.")
    ],
    *,
    as_json: _Json = False,
) -> None:
    """Tell whether recordings hold the watermark of synthetic speech, and where."""
    from uniaudio_lm.commands.detect import run as run_detect

    run_detect(inputs, as_json)


voices = typer.Typer(
    help="Show the speakers of a model, and add new ones.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@voices.callback(invoke_without_command=True)
def list_speakers(
    context: typer.Context, *, model: _Model = "nano", as_json: _Json = False
) -> None:
    """Show the speakers of a model, and add new ones."""
    if context.invoked_subcommand is None:
        from uniaudio_lm.commands.voices import list_voices

        list_voices(model, as_json)


@voices.command("add")
def add_speaker(
    name: Annotated[str, typer.Argument(help="What to call the speaker.")],
    recording: Annotated[str, typer.Argument(help="A recording of the voice, of any length.")],
    *,
    model: _Model = "nano",
    text: Annotated[
        str | None,
        typer.Option(help="What is said in it, or @FILE; the model recognises it by default."),
    ] = None,
    language: Annotated[str, typer.Option(help="Shown in the list.")] = "",
    description: Annotated[str, typer.Option(help="Shown in the list.")] = "",
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="A .safetensors file; by default the model's own."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="One of the same name.")] = False,
    encoder_layers: _EncoderLayers = "all",
    device: _Device = "auto",
    dtype: _Dtype = "auto",
) -> None:
    """Keep the voice of a recording as a speaker."""
    from uniaudio_lm.commands.models import ModelChoice
    from uniaudio_lm.commands.voices import add_voice

    add_voice(
        name, recording,
        choice=ModelChoice(model, device, dtype, encoder_layers=encoder_layers), text=text,
        language=language, description=description, output=output, replace=replace,
    )  # fmt: skip


@app.command()
def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    model: _Model = "nano",
    workers: Annotated[int, typer.Option(help="Processes, each with a model of its own.")] = 1,
    queue: Annotated[int, typer.Option(help="Requests that may wait before 429.")] = 64,
    batch: Annotated[int, typer.Option(help="Texts that a model says at once.")] = 16,
    api_keys: Annotated[
        str | None,
        typer.Option(help="A file with one API key a line; UNIAUDIO_API_KEYS holds others."),
    ] = None,
    max_seconds: Annotated[
        float, typer.Option(help="Longest recording taken, in seconds.")
    ] = 3600.0,
    no_watermark: _NoWatermark = False,
    device: _Device = "auto",
    dtype: _Dtype = "auto",
) -> None:
    """Serve speech, transcripts, edits and tokens over HTTP (the OpenAI audio interface)."""
    from uniaudio_lm.commands.serve import ServeChoice
    from uniaudio_lm.commands.serve import serve as run_server
    from uniaudio_lm.watermarking import DEFAULT_WATERMARK

    mark = None if no_watermark else DEFAULT_WATERMARK
    run_server(
        ServeChoice(
            host, port, model, workers, queue, batch, api_keys, max_seconds, mark, device, dtype
        )
    )  # fmt: skip


def _hosts() -> list[PluginHost]:
    from mingtok_audio.plugins import get_host as tokenizer_host
    from uniaudio_lm.plugins import get_host

    return [get_host(), tokenizer_host(), *mounted_hosts(), _commands]


def _doctor() -> dict[str, Any]:
    from mingtok_audio.weights import shipped_folder
    from uniaudio_lm.parts.aligners.loading import shipped_aligner
    from uniaudio_lm.weights import shipped_folder as shipped_model

    weights = {
        "nano tokenizer": shipped_folder(),
        "nano language model": shipped_model(),
        "nano aligner": shipped_aligner(),
    }
    weights = {name: folder for name, folder in weights.items() if folder is not None}
    return doctor_report(["uniaudio-lm", "mingtok-audio"], _hosts(), weights)


@app.command()
def finetune(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER",
            help="Recordings with texts: x.txt beside x.wav, or metadata.csv; or a manifest.",
        ),
    ],
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", help="The run's folder; its model/ is the result.")
    ],
    model: _Model,
    method: Annotated[
        str,
        typer.Option(
            metavar="lora|full", help="Adapters (less memory), or all of the language model."
        ),
    ] = "lora",
    steps: Annotated[int, typer.Option(help="Steps of the optimiser.")] = 1000,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate; by default 1e-4, or 2e-5 with full.")
    ] = None,
    rank: Annotated[int, typer.Option(help="Rank of the adapters.")] = 16,
    max_tokens: Annotated[
        int, typer.Option(help="Tokens of a batch; fewer need less memory.")
    ] = 1000,
    longest: Annotated[float, typer.Option(help="Longest recording taken, in seconds.")] = 30.0,
    continued: Annotated[
        float,
        typer.Option(help="Share of items after another of the same speaker: cloning stays good."),
    ] = 0.3,
    precision: Annotated[
        str,
        typer.Option(metavar="no|bf16", help="bf16: products and frozen weights in bfloat16."),
    ] = "no",
    language: Annotated[str, typer.Option(help="Of the texts: en, zh.")] = "",
    seed: _Seed = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")
    ] = False,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after this long; --resume goes on later.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build everything and compute one loss.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Teach a model the voice of a folder of recordings with their texts."""
    from uniaudio_lm.commands.finetune import run as run_finetune

    values: dict[str, object] = {
        "model": model, "method": method, "steps": steps, "lr": lr, "rank": rank,
        "max_tokens": max_tokens, "longest": longest, "continued": continued,
        "precision": precision, "language": language, "seed": seed,
    }  # fmt: skip
    run_finetune(source, output, values, resume, minutes, dry_run, as_json)


@app.command()
def push(
    source: Annotated[
        str, typer.Argument(metavar="FOLDER", help="A model's folder, or an adapter's.")
    ],
    repo: Annotated[str, typer.Argument(help="org/name on the Hugging Face Hub.")],
    *,
    license: Annotated[str, typer.Option(help="Of the weights: mit, apache-2.0, ...")],
    private: Annotated[
        bool, typer.Option("--private", help="A new repository is private.")
    ] = False,
    message: Annotated[str, typer.Option(help="Of the commit.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be sent.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Send a model to the Hugging Face Hub, with a model card."""
    from uniaudio_lm.commands.push import push as push_folder

    found = push_folder(
        source, repo, license=license, private=private, message=message, dry_run=dry_run
    )
    if as_json:
        emit_json(found)
    else:
        verb = "would be sent" if dry_run else "sent"
        names = ", ".join(found["files"])
        typer.echo(f"{repo}: {len(found['files'])} files, {found['bytes']:,} bytes {verb}: {names}")


app.add_typer(voices, name="voices")
add_train(app, "uniaudio_lm.training.run", help="Train a stage of the language model.")


@app.command()
def ablate(
    name: Annotated[str, typer.Argument(help="table4, table5, table15, figure5 or figure8.")],
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", help="Folder of the runs and of the page.")
    ],
    scale: Annotated[
        str, typer.Option(help="nano trains small models here; paper writes full-size files.")
    ] = "nano",
    data: Annotated[
        str | None, typer.Option(help="A manifest with the splits train and valid (nano).")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each variant (nano).")] = 2,
    steps: Annotated[int | None, typer.Option(help="Of each run, in the place of 300.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value in all variants."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """An ablation of the paper: the runs that differ, and a page with the paper's figures.

    Started again, it goes on where it was."""
    from uniaudio_lm.commands.ablate import ablate as work

    if scale not in ("nano", "paper"):
        raise UserError(f"--scale is nano or paper, not '{scale}'")
    found = work(
        name, output, scale=scale, data=data, seeds=seeds, steps=steps, overrides=set_ or ()
    )
    if as_json:
        emit_json(found)
    else:
        typer.echo(found["page"])


app.add_typer(plugins_app(_hosts), name="plugins")


@app.command()
def doctor(
    *,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="Examine this model too: its files, and a round trip of speech."
        ),
    ] = None,
    recording: Annotated[
        str | None,
        typer.Option(help="Speech for the round trip; by default what the nano's voice says."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Show versions, devices, weights and plugins; exit code 1 if something is wrong."""
    if recording is not None and model is None:
        raise UserError("--recording is for the round trip of --model: give that too")
    found = _doctor()
    if model is not None:
        from uniaudio_lm.commands.doctor import examine

        found["model"] = examine(model, recording)
        problems = found["problems"] + found["model"].pop("problems")
        found |= {"problems": problems, "ok": not problems}
    print_report(found, as_json)


_commands = mount_commands(
    app,
    {
        *(
            "ablate",
            "asr",
            "ask",
            "convert",
            "dialogue",
            "music",
            "sound",
            "detect",
            "train",
            "tts",
            "serve",
            "voices",
            "info",
            "plugins",
            "doctor",
        ),
    },
)


def main() -> NoReturn:
    """Entry point of the `uniaudio` script."""
    run(app)


if __name__ == "__main__":
    main()
