"""Paraformer-zh through funasr: the published benchmark's judge of Chinese."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from audio_eval.interfaces import ComponentInfo, Judge, JudgeUnavailableError
from audio_eval.judges.base import need, version
from audio_eval.text.normalize import to_simplified

if TYPE_CHECKING:
    import numpy as np


class Paraformer(Judge):
    """Paraformer-zh, text in simplified characters.

    funasr fetches and loads the model in its own way (from its own hub, with its own files), so
    this judge is an extra that nothing else depends on.

    Args:
        model: funasr's name of the model, or a folder that holds it.
        device: ``cpu`` or ``cuda``.
    """

    info = ComponentInfo(
        name="paraformer",
        version="1",
        summary="Paraformer-zh through funasr",
        needs_model=True,
        extra="paraformer",
    )
    role = "asr"
    sample_rate = 16000
    modules = ("funasr",)

    def __init__(self, model: str = "paraformer-zh", device: str = "cpu") -> None:
        self.model = model
        self.device = device
        self._loaded: Any = None

    def check(self) -> None:
        need("funasr", "paraformer")

    def identity(self) -> str:
        return f"paraformer/{self.info.version} {self.model} funasr {version('funasr')}"

    def evaluate(self, wav: np.ndarray, sample_rate: int, **request: Any) -> Mapping[str, Any]:
        """``{"text"}``; Chinese only."""
        language = str(request.get("language") or "zh")
        if not language.startswith("zh"):
            raise JudgeUnavailableError(f"Paraformer-zh recognises Chinese, not {language!r}")
        # It reports on stdout, which is for results.
        with contextlib.redirect_stdout(sys.stderr):
            if self._loaded is None:
                from funasr import AutoModel

                try:
                    self._loaded = AutoModel(
                        model=self.model,
                        device=self.device,
                        disable_update=True,
                        disable_pbar=True,
                    )
                except Exception as error:
                    raise JudgeUnavailableError(f"{self.model}: {error}") from error
            found = self._loaded.generate(input=wav, batch_size_s=300)
        text = "".join(str(part.get("text", "")) for part in found)
        # Its characters come with spaces between them.
        return {"text": to_simplified(text.strip())}
