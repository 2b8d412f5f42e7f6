"""`uniaudio convert`: a model in the published layout, rewritten to ours."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mingtok_audio.core.config import load_json, to_dict
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import os_reason
from mingtok_audio.core.models.components import PinnedModel
from mingtok_audio.core.models.hub import CONFIG_NAME, resolve, sha256_of_weights
from uniaudio_lm.checkpoint.describe import is_published
from uniaudio_lm.text.tokenizer import TOKENIZER_NAME

if TYPE_CHECKING:
    from torch import Tensor

    from mingtok_audio.core.models.hub import ResolvedSource

SHARD_SIZE = "5GB"


def convert(
    source: str,
    output: str,
    *,
    dtype: str | None = None,
    shard_size: str = SHARD_SIZE,
    force: bool = False,
) -> dict[str, Any]:
    """Read `source` (a folder or hub repository) and write a folder that `from_pretrained` reads.

    The model is never in memory as a whole: each parameter is written as soon as it is complete.

    Args:
        dtype: of the weights; None keeps that of the file.
        shard_size: most bytes of a file ("5GB").
        force: replace an `output` that holds a model.

    Raises:
        UserError: `source` is not a speech language model in the published layout or does not fit
            its config, `output` exists, or the file system refuses. No output is left then.
    """
    found = resolve(source, kind="model", files=(TOKENIZER_NAME,))
    config = load_json(found.path / CONFIG_NAME)
    if not (isinstance(config, Mapping) and is_published(config)):
        raise UserError(
            f"{source} is not in the published layout (no llm_config in its config.json): there "
            "is nothing to convert"
        )
    target = Path(output)
    _check_target(target, force)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place, so that putting it there is a rename: all of it or nothing.
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
            made = Path(folder) / "model"
            result = _write(found, made, dtype, shard_size)
            if target.exists():
                target.rename(Path(folder) / "old")
            made.rename(target)
    except OSError as error:
        raise UserError(f"cannot write {target}: {os_reason(error)}") from error
    return {"input": source, "output": str(target), **result}


def _check_target(target: Path, force: bool) -> None:
    if not target.exists() and not target.is_symlink():
        return
    if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
        return
    if not force:
        raise UserError(f"the output {target} exists already: give another, or add --force")
    if target.is_symlink() or not (target / CONFIG_NAME).is_file():
        raise UserError(
            f"the output {target} exists and is not a model folder: --force replaces only those"
        )


def _write(found: ResolvedSource, root: Path, dtype: str | None, shard: str) -> dict[str, Any]:
    import torch

    from mingtok_audio.core.runtime import DTYPES
    from uniaudio_lm.checkpoint.fit import fill
    from uniaudio_lm.checkpoint.load import TOKENIZER_FOLDER, read_source
    from uniaudio_lm.checkpoint.place import parse_size
    from uniaudio_lm.checkpoint.save import ShardWriter, write_config, write_text_tokenizer
    from uniaudio_lm.model.speech_lm import SpeechLM
    from uniaudio_lm.text.tokenizer import TextTokenizer

    if dtype is not None and dtype not in DTYPES:
        raise UserError(f"unknown dtype '{dtype}'; use {', '.join(DTYPES)}")
    limit = parse_size(shard)
    if not limit:
        raise UserError(f"'{shard}' is not the size of a shard: write it as 5GB")
    config, tokenizer, tensors, placer, zeros = read_source(found)
    name = Path(found.id).name or "uniaudio"
    config = dataclasses.replace(config, name=name)
    tokenizer = dataclasses.replace(tokenizer, name=name)
    text = TextTokenizer.from_file(found.path / TOKENIZER_NAME)
    with torch.device("meta"):
        model = SpeechLM(config, tokenizer, text)
    inner = root / TOKENIZER_FOLDER
    inner.mkdir(parents=True)
    kept = ""
    with ShardWriter(root, limit) as own, ShardWriter(inner, limit) as speech:

        def whole(name: str, tensor: Tensor) -> None:
            nonlocal kept
            kept = str(tensor.dtype).removeprefix("torch.")
            if name.startswith("tokenizer."):
                speech.add(name.removeprefix("tokenizer."), tensor)
            else:
                own.add(name, tensor)

        wanted = None if dtype is None else getattr(torch, dtype)
        fill(model, tensors, placer, dtype=wanted, zeros=zeros, whole=whole)
        files = [*own.finish(), *(f"{TOKENIZER_FOLDER}/{file}" for file in speech.finish())]
        size = own.total + speech.total
    write_config(inner, to_dict(tokenizer))
    pinned = PinnedModel(name, sha256_of_weights(inner))
    write_config(root, to_dict(dataclasses.replace(config, tokenizer=pinned)))
    write_text_tokenizer(model, root)
    count = sum(parameter.numel() for parameter in model.parameters())
    return {"parameters": count, "bytes": size, "dtype": kept, "files": files}
