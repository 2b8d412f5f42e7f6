"""`uniaudio asr`: text, JSON or subtitles from recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from mingtok_audio.core.audio import AUDIO_SUFFIXES, load_audio
from mingtok_audio.core.cli import EXIT_FAILED_ITEMS, collect_inputs, emit_json, fail
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_text

if TYPE_CHECKING:
    from uniaudio_lm.models.uniaudio import UniAudio
    from uniaudio_lm.tasks.asr import Transcript

FORMATS = ("text", "json", "srt", "vtt")


def run(
    inputs: Sequence[str],
    output: str | None,
    *,
    model: str,
    device: str,
    dtype: str,
    language: str | None,
    hotwords: str,
    format: str,
) -> None:
    """Recognise each input; see the command's help.

    Raises:
        UserError: wrong options, or a model that cannot be loaded.
        typer.Exit: with code 1 where some inputs failed.
    """
    if format not in FORMATS:
        raise UserError(f"--format is one of {', '.join(FORMATS)}, not '{format}'")
    items = collect_inputs(inputs, AUDIO_SUFFIXES)
    if len(items) > 1 and format in ("srt", "vtt"):
        raise UserError(f"{format} is for one recording; {len(items)} were given")
    words = [word for word in (w.strip() for w in hotwords.split(",")) if word]
    from uniaudio_lm.models.uniaudio import UniAudio

    loaded = UniAudio.from_pretrained(model, device=device, dtype=dtype)
    found: list[tuple[str, Transcript]] = []
    for item in items:
        try:
            wav, rate = load_audio("-" if item.path is None else item.path)
            transcript = loaded.transcribe(wav, rate, language, words)
        except UserError as error:
            if len(items) == 1:
                raise
            fail(str(error))
            continue
        found.append((item.name, transcript))
        for segment in transcript.segments:
            if segment.truncated:
                typer.echo(
                    f"warning: {item.name}: the text of {segment.start:.1f} to {segment.end:.1f} s "
                    "was ended by the token limit",
                    err=True,
                )
    _write(found, output, format, loaded, single=len(items) == 1)
    if len(found) < len(items):
        raise typer.Exit(EXIT_FAILED_ITEMS)


def _write(
    found: Sequence[tuple[str, Transcript]],
    output: str | None,
    format: str,
    model: UniAudio,
    single: bool,
) -> None:
    if format == "json":
        rows = [_as_json(name, transcript, model) for name, transcript in found]
        if output is None:
            emit_json(rows[0] if single else rows)
            return
        import json

        text = json.dumps(rows[0] if single else rows, ensure_ascii=False, indent=2) + "\n"
    elif format in ("srt", "vtt"):
        text = subtitles(found[0][1], format)
    elif single:
        text = found[0][1].text + "\n"
    else:
        text = "".join(f"{name}\t{transcript.text}\n" for name, transcript in found)
    if output is None:
        typer.echo(text, nl=False)
    else:
        atomic_write_text(Path(output), text)


def _as_json(name: str, transcript: Transcript, model: UniAudio) -> dict[str, Any]:
    return {
        "input": name,
        "text": transcript.text,
        "language": transcript.language,
        "words": None,
        "segments": [{"start": s.start, "end": s.end, "text": s.text} for s in transcript.segments],
        "truncated": transcript.truncated,
        "model": model.model_id,
    }


def subtitles(transcript: Transcript, format: str) -> str:
    """A transcript's segments as SubRip ("srt") or WebVTT ("vtt")."""
    mark = "," if format == "srt" else "."
    lines = ["WEBVTT", ""] if format == "vtt" else []
    said = [segment for segment in transcript.segments if segment.text]
    for number, segment in enumerate(said, 1):
        if format == "srt":
            lines.append(str(number))
        lines.append(f"{_time(segment.start, mark)} --> {_time(segment.end, mark)}")
        # A blank line would end the cue, and an arrow would begin another.
        lines += [" ".join(segment.text.split()).replace("-->", "->"), ""]
    return "\n".join(lines) + ("\n" if lines else "")


def _time(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{mark}{rest % 1000:03d}"


def open_text(source: str, stdin: TextIO) -> str:
    """A text given as itself, as "-" (standard input) or as "@file".

    Raises:
        UserError: a file that cannot be read, or that is no UTF-8.
    """
    if source == "-":
        return stdin.read()
    if not source.startswith("@"):
        return source
    path = Path(source[1:])
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise UserError(f"cannot read the text file {path}: {reason}") from error
