"""Recognisers that stages use: an installed package's, or a faster-whisper folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np

from mingtok_audio.core.audio import resample
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.models.weights import sha256_of_file
from mingtok_audio.curation.loaders import find_loader, load_from_plugin, loader_version

_RATE = 16000


class Recogniser(ABC):
    """Text from a segment."""

    @abstractmethod
    def text(self, wav: np.ndarray, rate: int, language: str | None) -> tuple[str, str]:
        """What samples (T,) say, and the language it was taken for ("" where that is not known)."""

    def language(self, wav: np.ndarray, rate: int) -> str:
        """The language of samples (T,); "" where it does not say."""
        return self.text(wav, rate, None)[1]


class PluginRecogniser(Recogniser):
    """The recogniser of an installed package (`loaders`)."""

    def __init__(self, source: str | None) -> None:
        self._model = load_from_plugin("recognizer", source)
        self._rate = int(getattr(self._model, "sample_rate", _RATE))
        self._known = getattr(self._model, "languages", None)

    def text(self, wav: np.ndarray, rate: int, language: str | None) -> tuple[str, str]:
        """See `Recogniser`."""
        wav = wav if rate == self._rate else resample(wav, rate, self._rate)
        if self._known is not None and language not in self._known:
            language = None
        found = self._model.recognize([wav], language=language)[0]
        return str(found.text), str(getattr(found, "language", "") or language or "")


class FasterWhisper(Recogniser):
    """A CTranslate2 Whisper model in a folder, by the `faster-whisper` package."""

    def __init__(self, folder: str) -> None:
        if not Path(folder).is_dir():
            raise UserError(f"faster-whisper:{folder} is no folder of a CTranslate2 model")
        from faster_whisper import WhisperModel  # pyright: ignore[reportMissingImports]

        try:
            self._model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1)
        except (RuntimeError, ValueError, OSError) as error:
            raise UserError(f"faster-whisper:{folder} cannot be loaded: {error}") from error

    def text(self, wav: np.ndarray, rate: int, language: str | None) -> tuple[str, str]:
        """See `Recogniser`."""
        wav = wav if rate == _RATE else resample(wav, rate, _RATE)
        parts, info = self._model.transcribe(
            wav, language=language, beam_size=5, temperature=0.0, condition_on_previous_text=False
        )
        return " ".join(p.text.strip() for p in parts), str(info.language)

    def language(self, wav: np.ndarray, rate: int) -> str:
        """See `Recogniser`."""
        wav = wav if rate == _RATE else resample(wav, rate, _RATE)
        return str(self._model.detect_language(wav)[0])


def missing_recogniser(name: str) -> str:
    """Why a recogniser cannot be used here; "" where it can."""
    kind, _, _ = name.partition(":")
    if kind == "plugin":
        if find_loader("recognizer") is None:
            return "no installed package offers a recognizer; install one, or name another model"
        return ""
    if kind == "faster-whisper":
        if util.find_spec("faster_whisper") is None:
            return "faster-whisper is not installed: pip install faster-whisper"
        return ""
    raise UserError(f"a recogniser is plugin, plugin:SOURCE or faster-whisper:FOLDER, not '{name}'")


def recogniser_identity(name: str) -> Mapping[str, Any]:
    """Version and weights of a recogniser."""
    kind, _, source = name.partition(":")
    if missing_recogniser(name):
        return {}
    if kind == "plugin":
        return {"recogniser": loader_version("recognizer"), "source": source}
    weights = Path(source) / "model.bin"
    sha256 = sha256_of_file(weights) if weights.is_file() else ""
    return {"recogniser": f"faster-whisper {metadata.version('faster-whisper')}", "sha256": sha256}


def load_recogniser(name: str) -> Recogniser:
    """The recogniser that a stage names.

    Raises:
        UserError: an unknown kind, or one that cannot be loaded.
    """
    reason = missing_recogniser(name)
    if reason:
        raise UserError(reason)
    kind, _, source = name.partition(":")
    return PluginRecogniser(source or None) if kind == "plugin" else FasterWhisper(source)
