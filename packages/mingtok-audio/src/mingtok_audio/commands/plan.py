"""Which files a run reads and where each result goes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from mingtok_audio.commands.transcode import Settings
from mingtok_audio.core.audio import AUDIO_SUFFIXES, WRITABLE_SUFFIXES
from mingtok_audio.core.cli import Item, collect_inputs, output_paths, spooled_stdin
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.jobs import Job
from mingtok_audio.mtok import MTOK_SUFFIX

STDOUT = "-"


def make_plan(
    inputs: Sequence[str], output: str | None, settings: Settings, stack: ExitStack
) -> tuple[list[Job], bool]:
    """The jobs, and whether this is a batch (a folder, or several files)."""
    reads_latents = settings.command == "decode"
    items = collect_inputs(inputs, (MTOK_SUFFIX,) if reads_latents else AUDIO_SUFFIXES)
    from_folder = any(given != STDOUT and Path(given).is_dir() for given in inputs)
    many = from_folder or len(items) > 1
    suffix = MTOK_SUFFIX if settings.command == "encode" else ".wav"
    suffixes = (MTOK_SUFFIX,) if settings.command == "encode" else WRITABLE_SUFFIXES
    into_folder = False
    if output == STDOUT:
        if many:
            raise UserError("-o - takes one result; give a folder for several")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        outputs, shown = [folder / f"out{suffix}"], [STDOUT]
    else:
        if output is not None and settings.command == "reconstruct":
            items = _without_results(items, inputs, Path(output))
        if output is not None:
            into_folder = _is_folder(output, suffixes, many)
        outputs = output_paths(items, output, suffix, folder=into_folder)
        shown = [str(path) for path in outputs]
    # `extra`: the output was given as a folder, which is made when there is something to put in.
    jobs = [
        Job(item.name, item.path, output=path, shown=text, resume=many, extra=into_folder)
        for item, path, text in zip(items, outputs, shown, strict=True)
    ]
    if items[0].is_stdin:
        jobs = [replace(jobs[0], source=spooled_stdin(stack))]
    return jobs, many


def _is_folder(output: str, suffixes: Sequence[str], many: bool) -> bool:
    """Whether an output is meant as a folder."""
    if not output:
        raise UserError("the output is an empty name")
    target = Path(output)
    if many or target.is_dir() or output.endswith(("/", os.sep)) or not target.suffix:
        return True
    if target.suffix.lower() not in suffixes:
        raise UserError(f"the output {target} must end in {' or '.join(suffixes)}, or be a folder")
    return False


def _without_results(items: list[Item], inputs: Sequence[str], output: Path) -> list[Item]:
    """Leave out what an earlier run wrote into an output folder inside the input folder."""
    root = output.resolve()
    if not root.is_dir() or any(Path(given).resolve() == root for given in inputs):
        return items
    named = {Path(given).resolve() for given in inputs}
    return [
        item
        for item in items
        if item.path is None
        or item.path.resolve() in named
        or not item.path.resolve().is_relative_to(root)
    ]
