"""`uniaudio dialogue`, `sound` and `music`: one recording from a script or a description."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mingtok_audio.core.audio import WRITABLE_SUFFIXES, audio_info
from mingtok_audio.core.cli import emit_json
from mingtok_audio.core.errors import UserError
from uniaudio_lm.checks import sampling_of
from uniaudio_lm.commands.models import ModelChoice
from uniaudio_lm.commands.sinks import open_sink
from uniaudio_lm.commands.texts import open_text
from uniaudio_lm.commands.tts import read_voice
from uniaudio_lm.config import Sampling, SamplingChanges

if TYPE_CHECKING:
    from uniaudio_lm.engine import UniAudio
    from uniaudio_lm.tasks.tts import Speech

_TURN = re.compile(r"\s*([^\s:：][^:：]{0,63}?)\s*[:：]\s*(.*)")


def script(text: str) -> list[tuple[str, str]]:
    """The turns of a script: lines `NAME: words`; a line without a name goes on with the turn.

    Raises:
        UserError: the first line names nobody, or a turn says nothing.
    """
    turns: list[tuple[str, str]] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        match = _TURN.fullmatch(line)
        if match is not None:
            turns.append((match[1], match[2].strip()))
        elif turns:
            turns[-1] = (turns[-1][0], f"{turns[-1][1]} {line.strip()}")
        else:
            raise UserError(f"a line of a dialogue is 'NAME: words', not {line.strip()[:60]!r}")
    for name, said in turns:
        if not said.strip():
            raise UserError(f"{name!r} says nothing in one of the lines")
    return turns


def named(words: Sequence[str], option: str) -> dict[str, str]:
    """`NAME=VALUE` words of an option. Raises `UserError` for another form or a name twice."""
    out: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip()
        if not equals or not name or not value.strip():
            raise UserError(f"{option} is NAME=VALUE, not {word!r}")
        if name in out:
            raise UserError(f"{option} names {name!r} twice")
        out[name] = value.strip()
    return out


def run_dialogue(  # noqa: PLR0917
    text: str,
    output: str,
    choice: ModelChoice,
    voices: Sequence[str],
    voice_texts: Sequence[str],
    changes: SamplingChanges,
    seed: int,
    as_json: bool,
    watermark: str | None,
) -> None:
    """See the command's help."""
    turns = script(open_text(text))
    files, texts = named(voices, "--voice"), named(voice_texts, "--voice-text")
    for name in texts:
        if name not in files:
            raise UserError(f"--voice-text names {name!r}, who has no --voice")
    for path in files.values():
        audio_info(path)
    for given in texts.values():
        open_text(given)

    def make(model: UniAudio) -> Speech:
        prompts = {name: read_voice(model, path, texts.get(name)) for name, path in files.items()}
        return model.use_watermark(watermark).dialogue(turns, prompts, seed=seed, **changes)

    _run(output, choice, changes, make, seed, as_json, watermark)


def run_sound(  # noqa: PLR0917
    text: str,
    output: str,
    choice: ModelChoice,
    seconds: float | None,
    changes: SamplingChanges,
    seed: int,
    as_json: bool,
) -> None:
    """See the command's help."""
    description = open_text(text)

    def make(model: UniAudio) -> Speech:
        return model.sound(description, seconds=seconds, seed=seed, **changes)

    _run(output, choice, changes, make, seed, as_json)


def run_music(  # noqa: PLR0917
    output: str,
    choice: ModelChoice,
    words: dict[str, str],
    seconds: float,
    changes: SamplingChanges,
    seed: int,
    as_json: bool,
) -> None:
    """See the command's help."""

    def make(model: UniAudio) -> Speech:
        return model.music(
            genre=words["genre"],
            mood=words["mood"],
            instrument=words["instrument"],
            theme=words["theme"],
            seconds=seconds,
            seed=seed,
            **changes,
        )

    _run(output, choice, changes, make, seed, as_json)


def _run(  # noqa: PLR0917
    output: str,
    choice: ModelChoice,
    changes: SamplingChanges,
    make: Callable[[UniAudio], Speech],
    seed: int,
    as_json: bool,
    watermark: str | None = None,
) -> None:
    about = choice.about()
    sampling_of(Sampling(), **changes)
    if about.config is not None and about.config.prompt_format == "uniaudio":
        raise UserError(
            f"model {about.id} speaks with one voice and makes no sounds: give "
            "Ming-omni-tts (--model)"
        )
    if output == "-" and as_json:
        raise UserError("--json and -o - both want standard output; write to a file")
    if output != "-" and Path(output).suffix.lower() not in WRITABLE_SUFFIXES:
        raise UserError(
            f"cannot write {output}: the file name must end in {', '.join(WRITABLE_SUFFIXES)}"
        )
    model = choice.load()
    started = time.perf_counter()
    made = make(model)
    wall = time.perf_counter() - started
    if not len(made.wav):
        raise UserError("the model ended before it made anything; try another --seed")
    with open_sink(output, made.sample_rate, False) as sink:
        sink.write(made.wav.numpy())
    seconds = len(made.wav) / made.sample_rate
    if made.overdriven:
        typer.echo(
            f"warning: {output}: {made.overdriven} samples were too loud and were limited", err=True
        )
    if as_json:
        emit_json({
            "output": output, "seconds": seconds, "sample_rate": made.sample_rate,
            "stop_reason": made.stop_reason, "patches": made.patches,
            "pieces": len(made.pieces), "overdriven_samples": made.overdriven, "seed": seed,
            "rtf": round(wall / seconds, 4), "watermark": watermark, "model": model.model_id,
        })  # fmt: skip
    else:
        typer.echo(f"{output}: {seconds:.2f} s, ended by {made.stop_reason}", err=output == "-")
