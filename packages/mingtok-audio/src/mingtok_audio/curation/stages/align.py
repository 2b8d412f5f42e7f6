"""When each word is said, and how well the text fits: by the aligner of an installed package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mingtok_audio.core.audio import resample
from mingtok_audio.core.errors import UserError
from mingtok_audio.curation.interfaces import SegmentStage
from mingtok_audio.curation.loaders import find_loader, load_from_plugin, loader_version
from mingtok_audio.curation.recording import Recording, Segment

_RATE = 16000


class Align(SegmentStage):
    """Words with times, in seconds from the segment's start (`words`), and the mean of their scores
    (`align_score`, 0 to 1).

    Args:
        model: of the package that offers an aligner: a folder, a hub repository or a name; None:
            the one it would choose.
        languages: codes that the aligner is asked for; others are left out.
    """

    columns = {"words": "words", "align_score": "float"}

    def __init__(self, model: str | None = None, languages: tuple[str, ...] = ("en", "zh")) -> None:
        self.model, self.languages = model, tuple(languages)
        self._aligner: Any = None

    def missing(self) -> str:
        """Whether no package offers an aligner."""
        if find_loader("aligner") is None:
            return "no package offers an aligner: pip install packages/uniaudio-lm (in a clone)"
        return ""

    def identity(self) -> Mapping[str, Any]:
        """The package's version."""
        return {"aligner": loader_version("aligner")}

    def load(self) -> None:
        """Read the aligner."""
        if self._aligner is None:
            self._aligner = load_from_plugin("aligner", self.model)

    def run(self, segment: Segment, wav: np.ndarray, recording: Recording) -> None:
        """Fill `words`."""
        text, language = segment.values.get("text"), segment.values.get("language")
        if not text or language not in self.languages:
            return
        self.load()
        samples = wav if recording.rate == _RATE else resample(wav, recording.rate, _RATE)
        try:
            found = self._aligner.align(samples, text, language)
        except UserError:
            return  # a text without a word that the aligner knows
        segment.values["words"] = [
            {
                "text": word.text,
                "start": round(float(word.start), 3),
                "end": round(float(word.end), 3),
                "score": round(float(word.score), 4),
            }
            for word in found
        ]
        if found:
            score = float(np.mean([word.score for word in found]))
            segment.values["align_score"] = round(score, 4)
