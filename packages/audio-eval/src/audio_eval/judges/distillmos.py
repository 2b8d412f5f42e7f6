"""DistillMOS through its package, whose weights are inside."""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from audio_eval.interfaces import ComponentInfo, Judge
from audio_eval.judges.base import REQUIREMENTS, need, version

if TYPE_CHECKING:
    import numpy as np


class DistillMos(Judge):
    """Predicted MOS of a recording, 1 to 5."""

    info = ComponentInfo(
        name="distillmos",
        version="1",
        summary="DistillMOS, weights inside the package",
        needs_model=True,
    )
    role = "distillmos"
    sample_rate = 16000
    modules = ("distillmos", "xls_r_sqa")

    def __init__(self) -> None:
        self._model: Any = None

    def check(self) -> None:
        for module in self.modules:
            need(module, install=REQUIREMENTS)

    def identity(self) -> str:
        return f"distillmos/{self.info.version} {version('distillmos')}"

    def evaluate(self, wav: np.ndarray, sample_rate: int, **request: Any) -> Mapping[str, Any]:
        """``{"mos"}``."""
        import torch

        if self._model is None:
            # It says on stdout what it loads; a command's stdout is for results.
            with _without_torchaudio(), contextlib.redirect_stdout(sys.stderr):
                import distillmos

                self._model = distillmos.ConvTransformerSQAModel().eval()
        with torch.inference_mode():
            return {"mos": float(self._model(torch.from_numpy(wav)[None]).reshape(-1)[0])}


@contextlib.contextmanager
def _without_torchaudio() -> Iterator[None]:
    """Let the package be imported where torchaudio does not load.

    Its own command line alone uses torchaudio (to read and resample files, which we do), but the
    module imports it at the top; torchaudio's wheels load only beside one build of torch.
    """
    try:
        import torchaudio  # noqa: F401
    except (ImportError, OSError):
        sys.modules["torchaudio"] = types.ModuleType("torchaudio")
        try:
            yield
        finally:
            sys.modules.pop("torchaudio", None)
    else:
        yield
