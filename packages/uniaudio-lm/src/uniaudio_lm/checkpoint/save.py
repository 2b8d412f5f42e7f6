"""Writing model folders: weights in one file, or in shards where they are large."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mingtok_audio.core.config import to_dict
from mingtok_audio.core.errors import FormatError, UserError
from mingtok_audio.core.files import atomic_write, atomic_write_bytes, os_reason
from mingtok_audio.core.models.components import PinnedModel
from mingtok_audio.core.models.hub import INDEX_NAME, WEIGHTS_NAME, write_json
from mingtok_audio.core.models.weights import sha256_of_weights
from uniaudio_lm.plugins import get_host
from uniaudio_lm.speaker_file import copy_speakers
from uniaudio_lm.tensors import is_plain
from uniaudio_lm.text.tokenizer import TOKENIZER_NAME

if TYPE_CHECKING:
    from uniaudio_lm.model.speech_lm import SpeechLM

SHARD_BYTES = 5_000_000_000


class ShardWriter:
    """Takes tensors one at a time and writes a file whenever enough have come together.

    The files have temporary names until `finish`. As a context manager it removes them when the
    block raises.

    Args:
        folder: must exist.
        max_bytes: most tensor bytes of a shard; a larger tensor has one of its own.
    """

    def __init__(self, folder: Path, max_bytes: int = SHARD_BYTES) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self.total = 0
        self._pending: dict[str, Tensor] = {}
        self._size = 0
        self._parts: list[tuple[Path, list[str]]] = []

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for path, _names in self._parts:
            path.unlink(missing_ok=True)

    def add(self, name: str, tensor: Tensor) -> None:
        """Take a tensor; it is not changed and not kept for long."""
        if self._pending and self._size + tensor.nbytes > self.max_bytes:
            self._flush()
        self._pending[name] = tensor.detach().to("cpu").contiguous()
        self._size += tensor.nbytes
        self.total += tensor.nbytes

    def finish(self) -> list[str]:
        """Write the rest, and give all files their names; returns those.

        Raises:
            UserError: the file system refuses, or there are no tensors.
        """
        if self._pending:
            self._flush()
        if not self._parts:
            raise FormatError(f"cannot write {self.folder}: there are no tensors")
        count = len(self._parts)
        names = [WEIGHTS_NAME]
        if count > 1:
            names = [f"model-{i:05d}-of-{count:05d}.safetensors" for i in range(1, count + 1)]
        # What a model that was here before had under other names would be read instead of these.
        for old in self.folder.glob("model*.safetensors*"):
            if old.name not in names:
                old.unlink()
        for (path, _), name in zip(self._parts, names, strict=True):
            path.replace(self.folder / name)
        if count > 1:
            table = {
                n: name for (_, held), name in zip(self._parts, names, strict=True) for n in held
            }
            index = {"metadata": {"total_size": self.total}, "weight_map": table}
            write_json(self.folder / INDEX_NAME, index)
        self._parts = []
        return names

    def _flush(self) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        # Tied weights: a file holds each name on its own.
        seen: set[int] = set()
        for name, tensor in self._pending.items():
            if tensor.data_ptr() in seen:
                self._pending[name] = tensor.clone()
            seen.add(tensor.data_ptr())
        path = self.folder / f".{secrets.token_hex(6)}.part"
        self._parts.append((path, list(self._pending)))
        try:
            save_file(self._pending, str(path), metadata={"format": "pt"})
            path.chmod(0o644)
        except (SafetensorError, OSError) as error:
            reason = os_reason(error) if isinstance(error, OSError) else str(error)
            raise UserError(f"cannot write {self.folder}: {reason}") from error
        self._pending, self._size = {}, 0


def write_weights(
    folder: Path, tensors: Iterable[tuple[str, Tensor]], max_bytes: int = SHARD_BYTES
) -> list[str]:
    """Write named tensors into a folder; returns the files' names."""
    with ShardWriter(folder, max_bytes) as writer:
        for name, tensor in tensors:
            writer.add(name, tensor)
        return writer.finish()


def save_model(model: SpeechLM, root: Path) -> Path:
    """See `UniAudio.save_pretrained`."""
    for name, parameter in model.named_parameters():
        if not is_plain(parameter):
            what = "offloaded" if parameter.is_meta else "quantised"
            raise UserError(
                f"this model cannot be saved: {name} is {what}; load it without that first"
            )
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {root}: {os_reason(error)}") from error
    state = model.state_dict()
    write_weights(root, ((k, v) for k, v in state.items() if not k.startswith("tokenizer.")))
    model.tokenizer.save_pretrained(root / "tokenizer")
    write_text_tokenizer(model, root)
    copy_speakers(model.folder, root)
    _copy_words(model, root)
    config = model.config
    if config.tokenizer is not None:  # the one that is written here: other numbers, or trained on
        pinned = PinnedModel(config.tokenizer.id, sha256_of_weights(root / "tokenizer"))
        config = replace(config, tokenizer=pinned)
    write_config(root, to_dict(config))
    return root


def _copy_words(model: SpeechLM, root: Path) -> None:
    """Take the word model's files of the model's folder along."""
    part, source = model.config.recognition.word_model, model.folder
    if part is None or source is None or source.resolve() == root.resolve():
        return
    for name in get_host().resolve("word_model", part.name).files:
        if (source / name).is_file():
            atomic_write_bytes(root / name, (source / name).read_bytes())


def write_text_tokenizer(model: SpeechLM, root: Path) -> None:
    """`tokenizer.json`, where the model has one."""
    if model.text is not None:
        with atomic_write(root / TOKENIZER_NAME) as temporary:
            model.text.save(temporary)


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """`config.json`."""
    with atomic_write(folder / "config.json") as temporary:
        temporary.write_text(json.dumps(config, indent=2) + "\n")
