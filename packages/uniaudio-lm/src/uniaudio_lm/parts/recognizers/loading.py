"""Finding a recogniser: the model's own, a plugin's name, or a component's folder or repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from mingtok_audio.core.errors import PluginError, UserError
from mingtok_audio.core.models.components import PinnedModel, load_component, read_component_config
from mingtok_audio.core.models.hub import CONFIG_NAME, resolve
from uniaudio_lm.interfaces import Recognizer
from uniaudio_lm.plugins import get_host
from uniaudio_lm.weights import PARTS_FOLDER

if TYPE_CHECKING:
    from mingtok_audio.models.mingtok import MingTok
    from uniaudio_lm.config import UniAudioConfig

MODEL, LANGUAGE_MODEL = "model", "lm"
"""Names beside those of plugins: what the model names, and its language model itself."""


def own_part(folder: Path | None, name: str) -> Path | None:
    """The recogniser `name` that comes with a model folder; None where it has none."""
    if folder is None:
        return None
    part = folder / PARTS_FOLDER / "recognizer" / name
    return part if (part / CONFIG_NAME).is_file() else None


def check_recognizer(source: str, folder: Path | None = None) -> None:
    """Refuse what cannot be a recogniser, before any model is loaded.

    Args:
        source: as `load_recognizer` takes it.
        folder: of the model; None where it is not known yet.

    Raises:
        UserError: (`HubError`, `PluginError`) in one line.
    """
    name, _, value = source.partition(":")
    host = get_host()
    if source in (MODEL, LANGUAGE_MODEL) or (value and name in host.names("recognizer")):
        return
    if source in host.names("recognizer"):
        if source == "whisper":
            raise UserError("name the Whisper model: --recognizer whisper:FOLDER_OR_NAME")
        if folder is not None and own_part(folder, source) is None:
            raise PluginError(
                f"this model has no weights for the recogniser '{source}': give a folder that "
                "holds some, or another model (nano)"
            )
        return
    known = [MODEL, LANGUAGE_MODEL, *host.names("recognizer")]
    resolve(source, kind="recognizer", weights=False, known=known)


def load_recognizer(
    source: str | Path,
    config: UniAudioConfig,
    folder: Path | None,
    tokenizer: MingTok,
) -> Recognizer | None:
    """A recogniser that is ready to use; None for the language model itself.

    Args:
        source: "model" (what the config names), "lm", a plugin's name (with the weights that
            come with the model), "NAME:SOURCE" for a plugin that takes one (whisper:base.en), or
            a component's folder, "org/name" or "hf://org/name@revision".
        config, folder, tokenizer: of the model.

    Raises:
        HubError, ConfigError, PluginError, FormatError: it cannot be found or read, or does not
            fit the tokenizer.
    """
    text = str(source)
    if text == MODEL:
        part = config.recognition.recognizer
        if part is None:
            return None
        text = part.name
    if text == LANGUAGE_MODEL:
        return None
    check_recognizer(text, folder)
    host = get_host()
    name, _, value = text.partition(":")
    if value and name in host.names("recognizer"):
        made = cast(Recognizer, host.create("recognizer", name, source=value))
    else:
        own = own_part(folder, text) if text in host.names("recognizer") else None
        where = own or resolve(text, kind="recognizer", weights=False).path
        described = read_component_config(where)
        files = tuple(f"{file}?" for file in _files_of(described.name))
        if own is None and files:
            where = resolve(text, kind="recognizer", weights=False, files=files).path
        expected: dict[str, PinnedModel] = {}
        if config.tokenizer is not None:
            expected["tokenizer"] = config.tokenizer
        made = cast(Recognizer, load_component(host, "recognizer", where, expected=expected))
        made.load(where)
    made = made.eval()
    made.use_tokenizer(tokenizer)
    return made


def _files_of(name: str) -> tuple[str, ...]:
    host = get_host()
    if name not in host.names("recognizer"):
        return ()
    return tuple(getattr(host.resolve("recognizer", name), "files", ()))
