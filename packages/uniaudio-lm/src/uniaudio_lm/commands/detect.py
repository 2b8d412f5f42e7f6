"""`uniaudio detect`: whether recordings hold the watermark of synthetic speech."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import typer

from mingtok_audio.core.audio import AUDIO_SUFFIXES, load_audio
from mingtok_audio.core.cli import EXIT_FAILED_ITEMS, EXIT_USAGE, collect_inputs, emit_json, fail
from mingtok_audio.core.cli.inputs import spooled_stdin
from mingtok_audio.core.errors import UserError
from uniaudio_lm.parts.watermarks import new_watermark
from uniaudio_lm.watermarking import DEFAULT_WATERMARK, Detection


def run(inputs: Sequence[str], as_json: bool) -> None:
    """Search recordings; see the command's help.

    Raises:
        UserError: the only recording cannot be read.
        typer.Exit: with code 1 where some of several cannot be read, 2 where none can.
    """
    items = collect_inputs(inputs, AUDIO_SUFFIXES)
    watermark = new_watermark(DEFAULT_WATERMARK)
    results: list[dict[str, Any]] = []
    failures = 0
    for item in items:
        try:
            with ExitStack() as stack:
                path = spooled_stdin(stack) if item.path is None else item.path
                wav, rate = load_audio(path)
        except UserError as error:
            if len(items) == 1:
                raise
            failures += 1
            fail(f"{item.name}: {error}")
            results.append({"input": item.name, "status": "failed", "error": str(error)})
            continue
        found = watermark.detect(wav, rate)
        fields = asdict(found) | {"spans": [list(span) for span in found.spans]}
        results.append({"input": item.name, "watermark": DEFAULT_WATERMARK, **fields})
        if not as_json:
            typer.echo(f"{item.name}: {_told(found)}")
    if as_json:
        emit_json(results if len(items) > 1 else results[0])
    if failures:
        raise typer.Exit(EXIT_USAGE if failures == len(items) else EXIT_FAILED_ITEMS)


def _told(found: Detection) -> str:
    if not found.found:
        return f"no watermark found (score {found.score:.1f} of {found.threshold:.1f})"
    spans = ", ".join(f"{start:.2f} to {end:.2f} s" for start, end in found.spans)
    speed = "" if found.speed == 1.0 else f", played at {found.speed:.3f} of its speed"
    return (
        f"synthetic speech: watermark found at {spans}{speed} (score {found.score:.1f} of "
        f"{found.threshold:.1f}; false alarms below {found.false_alarm_rate:g} a recording)"
    )
