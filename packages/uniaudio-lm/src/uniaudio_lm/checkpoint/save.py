"""Writing model folders: weights in one file, or in shards where they are large."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mingtok_audio.core.config import to_dict
from mingtok_audio.core.errors import FormatError, UserError
from mingtok_audio.core.files import atomic_write, atomic_write_bytes, os_reason
from mingtok_audio.core.models.components import (
    PinnedModel,
    read_component_config,
    save_component,
)
from mingtok_audio.core.models.hub import (
    CONFIG_NAME,
    INDEX_NAME,
    WEIGHTS_NAME,
    resolve,
    write_json,
)
from mingtok_audio.core.models.weights import sha256_of_weights
from mingtok_audio.weights import shipped_weights as shipped_tokenizer
from uniaudio_lm.checkpoint.read import TOKENIZER_FOLDER, read_tensors
from uniaudio_lm.plugins import get_host
from uniaudio_lm.speaker_file import copy_speakers
from uniaudio_lm.tensors import is_plain
from uniaudio_lm.text.tokenizer import TOKENIZER_NAME
from uniaudio_lm.weights import PARTS_FOLDER, SPEAKER_MODEL

if TYPE_CHECKING:
    from uniaudio_lm.config import UniAudioConfig
    from uniaudio_lm.model.speech_lm import SpeechLM

SHARD_BYTES = 5_000_000_000
LATENTS = ("encoder.", "latent_proj.")
"""Beginnings of the names of the tokenizer's weights that latents depend on."""

logger = logging.getLogger("uniaudio_lm.saving")


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
    apart = ("tokenizer.", "speech_decoder.")
    write_weights(root, ((k, v) for k, v in state.items() if not k.startswith(apart)))
    model.tokenizer.save_pretrained(root / TOKENIZER_FOLDER)
    write_text_tokenizer(model, root)
    config, pinned = model.config, None
    if config.tokenizer is not None:  # the one that is written here: another file, or trained on
        pinned = PinnedModel(config.tokenizer.id, sha256_of_weights(root / TOKENIZER_FOLDER))
        config = replace(config, tokenizer=pinned)
    source = model.folder
    if source is not None and source.resolve() != root.resolve():
        same = pinned is not None and is_unchanged(model)
        copy_speakers(source, root, pinned.sha256 if same and pinned is not None else None)
        latents = pinned if same or is_unchanged(model, LATENTS) else None
        _copy_parts(source, root, pinned if same else None, latents)
        gone = pinned is not None and latents is None
        if gone and _has_pinned_recognizer(source, config):
            logger.warning(
                "the encoder of the speech tokenizer was trained on, and the recogniser %r reads "
                "its latents: the saved model recognises speech by the language model",
                config.recognition.recognizer,
            )
            config = replace(config, recognition=replace(config.recognition, recognizer=None))
        _copy_words(model, root)
        if (source / SPEAKER_MODEL).is_file():
            atomic_write_bytes(root / SPEAKER_MODEL, (source / SPEAKER_MODEL).read_bytes())
    _write_speech_decoder(model, root, pinned)
    write_config(root, to_dict(config))
    return root


def _write_speech_decoder(model: SpeechLM, root: Path, tokenizer: PinnedModel | None) -> None:
    """The speech decoder as the part of the folder that loading looks for."""
    part = model.config.speech_decoder
    if part is None or model.speech_decoder is None:
        return
    save_component(
        root / PARTS_FOLDER / "speech_decoder" / part.name,
        model.speech_decoder,
        slot="speech_decoder",
        name=part.name,
        options={"latent_dim": model.tokenizer.config.latent_dim, **part.options},
        trained_with=None if tokenizer is None else {"tokenizer": tokenizer},
    )


def _has_pinned_recognizer(source: Path, config: UniAudioConfig) -> bool:
    """Whether the recogniser that a model's config names was trained with a certain tokenizer."""
    part = config.recognition.recognizer
    if part is None:
        return False
    folder = source / PARTS_FOLDER / "recognizer" / part.name
    return (folder / CONFIG_NAME).is_file() and "tokenizer" in read_component_config(
        folder
    ).trained_with


def is_unchanged(model: SpeechLM, beginnings: tuple[str, ...] = ("",)) -> bool:
    """Whether the speech tokenizer still has the numbers that its folder has; `beginnings` of
    names limit the question to some of its parts."""
    pinned = model.config.tokenizer
    if pinned is None or model.folder is None:
        return False
    folder = model.folder / TOKENIZER_FOLDER
    if not folder.is_dir():
        folder = resolve(pinned.id, kind="tokenizer", builtin=shipped_tokenizer).path
    own = model.tokenizer.state_dict()
    return all(
        name in own and torch.equal(own[name].cpu(), tensor.to(own[name].dtype))
        for name, tensor in read_tensors(folder)
        if name.startswith(beginnings)
    )


def _copy_parts(
    source: Path, root: Path, tokenizer: PinnedModel | None, latents: PinnedModel | None
) -> None:
    """Take the parts that come with a model along. Where the tokenizer has the same numbers, they
    are pinned to the file that it is in now. A recogniser reads latents alone: where those are the
    same, what was trained behind them does not matter to it."""
    for config_path in sorted(source.glob(f"{PARTS_FOLDER}/*/*/{CONFIG_NAME}")):
        found = config_path.parent
        if found.parent.name == "speech_decoder":
            continue  # the model holds it: `_write_speech_decoder`
        target = root / found.relative_to(source)
        target.mkdir(parents=True, exist_ok=True)
        config = read_component_config(found)
        pinned = latents if config.slot == "recognizer" else tokenizer
        if pinned is not None and "tokenizer" in config.trained_with:
            pins = {**config.trained_with, "tokenizer": pinned}
            config = replace(config, trained_with=pins)
        for file in found.iterdir():
            if file.is_file() and file.name != CONFIG_NAME:
                atomic_write_bytes(target / file.name, file.read_bytes())
        write_config(target, to_dict(config))


def _copy_words(model: SpeechLM, root: Path) -> None:
    """Take the word model's files of the model's folder along."""
    part, source = model.config.recognition.word_model, model.folder
    if part is None or source is None:
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
