"""Texts of segments: given, recognised, recognised a second time, and how far two differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mingtok_audio.curation import text as texts
from mingtok_audio.curation.interfaces import SegmentStage
from mingtok_audio.curation.recognisers import (
    Recogniser,
    load_recogniser,
    missing_recogniser,
    recogniser_identity,
)
from mingtok_audio.curation.recording import Recording, Segment

_WHOLE = 0.9  # a given text belongs to a segment that holds this share of the recording's speech


class _WithRecogniser(SegmentStage):
    """What both recognitions share."""

    def __init__(self, model: str | None) -> None:
        self.model = model
        self._recogniser: Recogniser | None = None

    def missing(self) -> str:
        """Whether the recogniser is not installed."""
        return "" if self.model is None else missing_recogniser(self.model)

    def identity(self) -> Mapping[str, Any]:
        """The recogniser's version and weights."""
        return {} if self.model is None else recogniser_identity(self.model)

    def load(self) -> None:
        """Read the recogniser."""
        if self.model is not None and self._recogniser is None:
            self._recogniser = load_recogniser(self.model)

    def heard(self, segment: Segment, wav: np.ndarray, recording: Recording) -> tuple[str, str]:
        """What the recogniser makes of a segment, and its language."""
        self.load()
        assert self._recogniser is not None
        return self._recogniser.text(wav, recording.rate, segment.values.get("language"))


class Recognise(_WithRecogniser):
    """The text of a segment (`text`): that of the input manifest where the segment is (nearly) all
    of its recording, else what a recogniser hears (`text_asr`).

    Args:
        model: "plugin" or "plugin:SOURCE" (the recogniser of an installed package),
            "faster-whisper:FOLDER", or None.
    """

    columns = {"text_given": "text", "text_asr": "text", "text_by": "text"}
    writes_core = ("text", "language")

    def __init__(self, model: str | None = "plugin") -> None:
        super().__init__(model)

    def missing(self) -> str:
        """Nothing: given texts are taken without a recogniser, and `skipped_part` says the rest."""
        return ""

    def skipped_part(self) -> str:
        """Why nothing is recognised; "" where it is."""
        return super().missing()

    def load(self) -> None:
        """Read the recogniser, if it is there."""
        if not self.skipped_part():
            super().load()

    def run(self, segment: Segment, wav: np.ndarray, recording: Recording) -> None:
        """Fill `text`."""
        given = given_text(segment, recording)
        heard = None
        if self.model is not None and not self.skipped_part():
            heard, language = self.heard(segment, wav, recording)
            if language and segment.values.get("language") is None:
                segment.values |= {"language": language, "language_by": self.model}
        by = "given" if given else (self.model if heard else None)
        segment.values |= {
            "text": given or heard or None,
            "text_given": given,
            "text_asr": heard,
            "text_by": by,
        }


class CrossCheck(_WithRecogniser):
    """How far two sources of a segment's text differ (`cross_wer`): the given text and the
    recognised one, or two recognisers.

    Args:
        model: the second recogniser, as in `recognise.model`; None compares what is there.
    """

    columns = {"text_asr2": "text", "cross_wer": "float"}

    def __init__(self, model: str | None = None) -> None:
        super().__init__(model)

    def run(self, segment: Segment, wav: np.ndarray, recording: Recording) -> None:
        """Fill `cross_wer`."""
        second = None if self.model is None else self.heard(segment, wav, recording)[0]
        found = [
            text
            for text in (segment.values.get("text_given"), segment.values.get("text_asr"), second)
            if text is not None
        ]
        rate = None
        if len(found) > 1:
            rates = [texts.error_rate(found[0], other) for other in found[1:]]
            # The text is as good as the recogniser that agrees with it most.
            known = [r for r in rates if r is not None]
            rate = round(min(known), 4) if known else None
        segment.values |= {"text_asr2": second, "cross_wer": rate}


def given_text(segment: Segment, recording: Recording) -> str | None:
    """The input manifest's text, where a segment holds nearly all speech of its recording."""
    text = recording.source.fields.get("text")
    if not text:
        return None
    speech = sum(b - a for a, b in recording.speech)
    inside = sum(max(0.0, min(b, segment.end) - max(a, segment.start)) for a, b in recording.speech)
    return str(text) if inside >= _WHOLE * speech else None
