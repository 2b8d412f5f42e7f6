"""`uniaudio tts`: say a text."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from mingtok_audio.core.audio import AudioWriter, load_audio
from mingtok_audio.core.cli import emit_json
from mingtok_audio.core.errors import UserError


@dataclass(frozen=True)
class Options:
    """The command's options; see its help."""

    model: str
    device: str
    dtype: str
    voice: str | None
    voice_text: str | None
    head: str | None
    stop: str | None
    compressor: str | None
    steps: int | None
    cfg: float | None
    temperature: float | None
    seed: int


def run(text: str, output: str, options: Options, as_json: bool) -> None:
    """Say `text` into a file, written as it is made and renamed when it is whole.

    Raises:
        UserError: in one line; nothing is left behind.
    """
    if (options.voice is None) != (options.voice_text is None):
        raise UserError("--voice and --voice-text go together: the model needs what is said there")
    from uniaudio_lm.models.uniaudio import UniAudio
    from uniaudio_lm.tasks.tts import VoicePrompt

    voice = None
    if options.voice is not None and options.voice_text is not None:
        wav, rate = load_audio(options.voice)
        voice = VoicePrompt(wav, rate, options.voice_text)
    model = UniAudio.from_pretrained(
        options.model, device=options.device, dtype=options.dtype,
        generation_head=options.head, stop_detector=options.stop, compressor=options.compressor,
    )  # fmt: skip
    started = time.perf_counter()
    stream = model.synthesize_stream(
        text, voice, seed=options.seed, num_steps=options.steps, cfg_scale=options.cfg,
        temperature=options.temperature,
    )  # fmt: skip
    samples, first = 0, None
    with AudioWriter(Path(output), stream.sample_rate) as writer:
        for piece in stream:
            if first is None and len(piece):
                first = time.perf_counter() - started
            writer.write(piece.numpy())
            samples += len(piece)
        if not samples:
            raise UserError("the model ended before it said anything; try another --seed")
    wall = time.perf_counter() - started
    seconds = samples / stream.sample_rate
    result: dict[str, Any] = {
        "output": output,
        "seconds": seconds,
        "sample_rate": stream.sample_rate,
        "stop_reason": stream.stop_reason,
        "patches": stream.patches,
        "seed": options.seed,
        "voice": options.voice,
        "first_audio_ms": None if first is None else round(1000 * first, 1),
        "rtf": wall / seconds,
        "model": model.model_id,
    }
    if stream.stop_reason != "stop":
        typer.echo(
            f"warning: {output}: speech was ended by a guard ({stream.stop_reason}), not by the "
            "model",
            err=True,
        )
    if as_json:
        emit_json(result)
    else:
        typer.echo(f"{output}: {seconds:.2f} s, ended by {stream.stop_reason}")
