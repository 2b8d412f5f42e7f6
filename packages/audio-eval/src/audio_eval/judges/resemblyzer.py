"""The GE2E speaker encoder of the ``resemblyzer`` package, whose weights are inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from audio_eval.interfaces import ComponentInfo, Judge
from audio_eval.judges.base import REQUIREMENTS, need, version


class Resemblyzer(Judge):
    """256-d speaker embedding of a whole clip.

    The package's own preparation is used (level, long silences cut), but a clip that it would cut
    to nothing is taken as it is.
    """

    info = ComponentInfo(
        name="resemblyzer",
        version="1",
        summary="GE2E speaker encoder, weights inside the package",
    )
    role = "speaker"
    sample_rate = 16000
    modules = ("resemblyzer", "librosa", "webrtcvad")

    def __init__(self) -> None:
        self._encoder: Any = None

    def check(self) -> None:
        for module in self.modules:
            need(module, install=REQUIREMENTS)

    def identity(self) -> str:
        return f"resemblyzer/{self.info.version} {version('resemblyzer')}"

    def evaluate(self, wav: np.ndarray, sample_rate: int, **request: Any) -> Mapping[str, Any]:
        """``{"embedding"}`` of unit length (256 values)."""
        import contextlib
        import sys

        # It prints when it loads; a command's stdout is for results.
        with contextlib.redirect_stdout(sys.stderr):
            from resemblyzer import VoiceEncoder, preprocess_wav

            if self._encoder is None:
                self._encoder = VoiceEncoder("cpu", verbose=False)
            prepared = preprocess_wav(wav, source_sr=sample_rate) if np.any(wav) else wav
            if len(prepared) < sample_rate // 10:
                prepared = wav
            embedding = self._encoder.embed_utterance(prepared)
        return {"embedding": [round(float(x), 7) for x in embedding]}
