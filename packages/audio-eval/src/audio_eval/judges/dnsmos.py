"""DNSMOS P.835 through the ``speechmos`` package, whose ONNX models are inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from audio_eval.interfaces import ComponentInfo, Judge
from audio_eval.judges.base import need, version


class Dnsmos(Judge):
    """Overall, signal and background quality (P.835) and the P.808 score of a recording."""

    info = ComponentInfo(
        name="dnsmos",
        version="1",
        summary="DNSMOS P.835 of the speechmos package",
        needs_model=True,
        extra="mos",
    )
    role = "dnsmos"
    sample_rate = 16000
    modules = ("speechmos", "librosa", "onnxruntime")

    def check(self) -> None:
        for module in self.modules:
            need(module, "mos")

    def identity(self) -> str:
        return f"dnsmos/{self.info.version} speechmos {version('speechmos')}"

    def evaluate(self, wav: np.ndarray, sample_rate: int, **request: Any) -> Mapping[str, Any]:
        """``{"ovrl", "sig", "bak", "p808"}``, 1 to 5."""
        from speechmos import dnsmos

        # The package refuses samples outside [-1, 1], which resampling can give.
        found = dnsmos.run(np.clip(wav, -1.0, 1.0), sample_rate)
        assert isinstance(found, dict)
        return {name: float(found[f"{name}_mos"]) for name in ("ovrl", "sig", "bak", "p808")}
