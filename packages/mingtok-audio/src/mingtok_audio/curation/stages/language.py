"""Which language is spoken: as the input manifest says, or by a recogniser, or one for all.

Texts name their language better than sound does: where a segment gets a text later, `clean_text`
compares it with this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mingtok_audio.curation.interfaces import SegmentStage
from mingtok_audio.curation.recognisers import (
    Recogniser,
    load_recogniser,
    missing_recogniser,
    recogniser_identity,
)
from mingtok_audio.curation.recording import Recording, Segment


class Language(SegmentStage):
    """The language of a segment (`language`, a code).

    Args:
        model: a recogniser that names languages, as in `recognise.model`; None: nothing is heard.
        default: for what nothing else is known of; None leaves it to recognition and its text.
        keep: codes; segments of other known languages are dropped (`language`). Empty keeps all.
    """

    columns = {"language_by": "text"}
    writes_core = ("language",)

    def __init__(
        self, model: str | None = None, default: str | None = None, keep: tuple[str, ...] = ()
    ) -> None:
        self.model, self.default = model, default
        self.keep = (keep,) if isinstance(keep, str) else tuple(keep)
        self._recogniser: Recogniser | None = None

    def missing(self) -> str:
        """Whether the recogniser is not installed."""
        return "" if self.model is None else missing_recogniser(self.model)

    def identity(self) -> Mapping[str, Any]:
        """The recogniser's version."""
        return {} if self.model is None else recogniser_identity(self.model)

    def load(self) -> None:
        """Read the recogniser."""
        if self.model is not None and self._recogniser is None:
            self._recogniser = load_recogniser(self.model)

    def run(self, segment: Segment, wav: np.ndarray, recording: Recording) -> None:
        """Fill `language`."""
        given = recording.source.fields.get("language")
        language, by = (str(given), "given") if given else (None, None)
        if language is None and self.model is not None:
            self.load()
            assert self._recogniser is not None
            language = self._recogniser.language(wav, recording.rate) or None
            by = self.model if language else None
        if language is None and self.default is not None:
            language, by = self.default, "default"
        segment.values |= {"language": language, "language_by": by}
        if language is not None and self.keep and language not in self.keep:
            segment.drop("language", f"the language is {language}")
