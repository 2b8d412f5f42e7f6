"""What this package offers to others by entry points of the group `mingtok_audio.loaders`.

Curation (`mingtok curate`) recognises, aligns and normalises with whatever is installed, and
imports none of it: see `mingtok_audio.curation.loaders`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from uniaudio_lm.interfaces import Aligner, Recognized, TextNormalizer

if TYPE_CHECKING:
    from uniaudio_lm.engine import UniAudio


class ModelRecognizer:
    """Recognition by a whole model, as `uniaudio asr` does it: cut at pauses, with its beams.

    Args:
        model: that recognises.
    """

    sample_rate = 16_000

    def __init__(self, model: UniAudio) -> None:
        self._model = model

    def recognize(
        self, parts: Sequence[np.ndarray], *, language: str | None = None
    ) -> list[Recognized]:
        """What segments (T,) say; "" for one in which nothing is said."""
        found = [
            self._model.transcribe(np.asarray(part), self.sample_rate, language) for part in parts
        ]
        return [Recognized(one.text, one.truncated, one.language) for one in found]


def recognizer(source: str | None = None) -> ModelRecognizer:
    """A model that recognises, by `source` (a folder or name); None takes the shipped one.

    Raises:
        UserError: it cannot be loaded, or it does not recognise.
    """
    from uniaudio_lm.engine import UniAudio

    return ModelRecognizer(UniAudio.from_pretrained(source or "nano").use_aligner(None))


def aligner(source: str | None = None) -> Aligner:
    """See `uniaudio_lm.parts.aligners.loading.load_aligner`."""
    from uniaudio_lm.parts.aligners.loading import load_aligner

    return load_aligner(source)


def text_normalizer(source: str | None = None) -> TextNormalizer:
    """A normaliser by its name in the slot; None takes "rules"."""
    from uniaudio_lm.plugins import get_host

    return get_host().create("text_normalizer", source or "rules")
