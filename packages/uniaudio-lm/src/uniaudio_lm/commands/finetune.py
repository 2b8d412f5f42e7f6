"""`uniaudio finetune`: from a folder of recordings with texts to a model that speaks like them."""

from __future__ import annotations

from pathlib import Path

import typer

from mingtok_audio.core.cli import emit_json
from mingtok_audio.core.errors import UserError


def run(  # noqa: PLR0917
    source: str,
    output: str,
    values: dict[str, object],
    resume: bool,
    minutes: float | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """See the command's help.

    Raises:
        UserError: no data, no model, or a value that cannot be.
    """
    from uniaudio_lm.training.finetune import (
        MANIFEST,
        Finetuning,
        finetune_config,
        write_manifest,
    )
    from uniaudio_lm.training.run import train

    if minutes is not None and not minutes > 0:
        raise UserError(f"--minutes must be positive, not {minutes}")
    if values["method"] not in ("lora", "full"):
        raise UserError(f"--method is lora or full, not {values['method']!r}")
    if values["precision"] not in ("no", "bf16"):
        raise UserError(f"--precision is no or bf16, not {values['precision']!r}")
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"the output {folder} must be a folder, and is a file")
    asked = Finetuning(**values)  # type: ignore[arg-type]
    if resume and (folder / MANIFEST).is_file():
        lines = (folder / MANIFEST).read_text("utf-8").splitlines()
        count, silent = len(lines), []
    else:
        finetune_config(asked, folder, 0)  # refuses wrong values before anything is written
        count, silent = write_manifest(Path(source), folder, asked.language)
    if silent:
        shown = ", ".join(silent[:3]) + (", ..." if len(silent) > 3 else "")
        typer.echo(f"warning: {len(silent)} recordings have no text or are damaged: {shown}",
                   err=True)  # fmt: skip
    summary = train(
        finetune_config(asked, folder, count), folder, resume=resume, minutes=minutes,
        dry_run=dry_run,
    )  # fmt: skip
    if as_json:
        emit_json(summary.to_dict() | {"recordings": count, "without_text": len(silent)})
    else:
        typer.echo(f"{count} recordings: {summary.to_text()}")
