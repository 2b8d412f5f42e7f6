"""DistillMOS through its package, whose weights are inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from audio_eval.interfaces import ComponentInfo, Judge
from audio_eval.judges.base import need, version

if TYPE_CHECKING:
    import numpy as np


class DistillMos(Judge):
    """Predicted MOS of a recording, 1 to 5. The package imports torchaudio, which has to load."""

    info = ComponentInfo(
        name="distillmos",
        version="1",
        summary="DistillMOS, weights inside the package",
        needs_model=True,
        extra="mos",
    )
    role = "distillmos"
    sample_rate = 16000
    modules = ("distillmos", "torchaudio")

    def __init__(self) -> None:
        self._model: Any = None

    def check(self) -> None:
        need("distillmos", install="-r requirements-judges.txt")
        # Its wheels load only beside a torch of the same build, so being there is not enough.
        need("torchaudio", install="torchaudio")

    def identity(self) -> str:
        return f"distillmos/{self.info.version} {version('distillmos')}"

    def evaluate(self, wav: np.ndarray, sample_rate: int, **request: Any) -> Mapping[str, Any]:
        """``{"mos"}``."""
        import torch

        if self._model is None:
            import distillmos

            self._model = distillmos.ConvTransformerSQAModel().eval()
        with torch.inference_mode():
            return {"mos": float(self._model(torch.from_numpy(wav)[None]).reshape(-1)[0])}
