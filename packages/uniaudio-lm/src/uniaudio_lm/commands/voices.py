"""`uniaudio voices`: the speakers of a model, and new ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from mingtok_audio.core.cli import emit_json
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.models.hub import resolve
from uniaudio_lm.commands.models import ModelChoice
from uniaudio_lm.speaker_file import SPEAKERS_NAME, speakers_of


def list_voices(model: str, as_json: bool) -> None:
    """Show the speakers of a model."""
    from uniaudio_lm.weights import MODEL_FILES, shipped_weights

    source = resolve(model, kind="model", builtin=shipped_weights, files=MODEL_FILES)
    found = speakers_of(source.path)
    speakers = [] if found is None else list(found.speakers.values())
    if as_json:
        rows: list[dict[str, Any]] = [
            {
                "name": s.name,
                "text": s.text,
                "language": s.language,
                "description": s.description,
                "frames": s.frames,
            }
            for s in speakers
        ]
        emit_json({"model": source.id, "voices": rows})
        return
    if not speakers:
        typer.echo(
            f"model {source.id} has no speakers; speak with a recording (tts --voice), or add one "
            "(uniaudio voices add)"
        )
    for s in speakers:
        about = ", ".join(part for part in (s.language, s.description) if part)
        typer.echo(f"{s.name}{f' ({about})' if about else ''}: {s.text}")


def add_voice(
    name: str,
    recording: str,
    *,
    choice: ModelChoice,
    text: str | None,
    language: str,
    description: str,
    output: str | None,
    replace: bool,
) -> None:
    """Encode a recording and keep it as a speaker, in the model's folder or in a file."""
    from uniaudio_lm.commands.tts import read_voice
    from uniaudio_lm.engine import UniAudio
    from uniaudio_lm.tasks.speakers import add_speaker

    model: UniAudio = choice.load()
    if output is None:
        own = Path(choice.model).expanduser()
        if not own.is_dir():
            raise UserError(
                f"{choice.model} is not a folder of yours: give -o FILE.safetensors, and speak "
                "with it by --speaker FILE.safetensors"
            )
        target = own / SPEAKERS_NAME
    else:
        target = Path(output)
        if target.suffix != ".safetensors":
            raise UserError(f"the output {target} must end in .safetensors")
    speaker = add_speaker(
        model.model,
        target,
        name,
        read_voice(model, recording, text),
        language=language,
        description=description,
        replace=replace,
        recognise=model.recognise,
    )
    seconds = speaker.frames / model.tokenizer.frame_rate
    typer.echo(f"{target}: {name}, {seconds:.2f} s, says: {speaker.text}")
