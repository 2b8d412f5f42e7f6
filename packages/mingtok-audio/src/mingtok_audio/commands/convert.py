"""A tokenizer in the published layout, rewritten to ours."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mingtok_audio.core.config import load_json
from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.core.files import os_reason
from mingtok_audio.core.models.hub import resolve


def convert(source: str, output: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Read `source` (a folder or hub repository) and write a folder that `from_pretrained` reads.

    Args:
        options: window options of `MingTok.from_pretrained`; they become part of the new config.

    Raises:
        UserError: `source` is in our layout already, does not fit its config, or `output` exists.
    """
    from mingtok_audio.models.loading import load_model
    from mingtok_audio.models.mingtok import MingTok
    from mingtok_audio.models.reference import is_published

    found = resolve(source, kind="tokenizer")
    config = load_json(found.path / "config.json")
    if not isinstance(config, Mapping):
        raise ConfigError(f"{found.path / 'config.json'}: expected an object")
    if not is_published(config):
        raise UserError(
            f"{source} is not in the published layout (no enc_kwargs in its config.json): there "
            "is nothing to convert"
        )
    target = Path(output)
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise UserError(f"the output {target} exists already: give a new or empty folder")
    model = load_model(MingTok, source, device="cpu", dtype=None, **options)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place, so that putting it there is a rename: all of it or nothing.
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
            made = model.save_pretrained(Path(folder) / "model")
            if target.is_dir():
                target.rmdir()
            shutil.move(made, target)
    except OSError as error:
        raise UserError(f"cannot write {target}: {os_reason(error)}") from error
    return {
        "input": source,
        "output": str(target),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "dtype": str(model.dtype).removeprefix("torch."),
    }
