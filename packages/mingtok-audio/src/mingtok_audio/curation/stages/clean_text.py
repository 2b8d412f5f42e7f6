"""Tidy texts, and say how they are written: script, punctuation, numbers, speed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import metadata, util
from typing import Any, Literal

import numpy as np

from mingtok_audio.core.errors import UserError
from mingtok_audio.curation import text as texts
from mingtok_audio.curation.interfaces import SegmentStage
from mingtok_audio.curation.loaders import find_loader, load_from_plugin, loader_version
from mingtok_audio.curation.recording import Recording, Segment

_PUNCTUATION = re.compile(r"[.,;:!?…。，；：！？、]")
_BY_SCRIPT = {"han": "zh", "hiragana": "ja", "katakana": "ja", "hangul": "ko", "thai": "th"}
_LEAST = 20  # letters from which a text says its language


class CleanText(SegmentStage):
    """The text without markup and control characters; columns that say how it is written.

    Args:
        numbers: "keep" leaves digits; "spoken" writes them as words, by the normaliser of an
            installed package.
        check_language: drop a segment whose text is surely of another language than `language`
            (`other_language`).
    """

    columns = {
        "script": "text",
        "text_language": "text",
        "punctuated": "bool",
        "numbers": "text",
        "units": "int",
        "units_per_second": "float",
    }
    writes_core = ("text", "language")

    def __init__(
        self, numbers: Literal["keep", "spoken"] = "keep", check_language: bool = True
    ) -> None:
        if numbers not in ("keep", "spoken"):
            raise ValueError(f"numbers is keep or spoken, not {numbers!r}")
        self.numbers, self.check_language = numbers, check_language
        self._normaliser: Any = None
        self._identifier: Any = None

    def missing(self) -> str:
        """Whether a normaliser is asked for and not there."""
        if self.numbers == "spoken" and find_loader("text_normalizer") is None:
            return (
                "no package offers a text_normalizer: pip install packages/uniaudio-lm (in a clone)"
            )
        return ""

    def identity(self) -> Mapping[str, Any]:
        """Of what tells languages, and of the normaliser."""
        known = util.find_spec("py3langid") is not None
        out: dict[str, Any] = {"langid": metadata.version("py3langid") if known else ""}
        if self.numbers == "spoken":
            out["normaliser"] = loader_version("text_normalizer")
        return out

    def load(self) -> None:
        """Read the tables of py3langid, and the normaliser."""
        if self._identifier is None and util.find_spec("py3langid") is not None:
            self._identifier = _identifier()
        if self.numbers == "spoken" and self._normaliser is None:
            self._normaliser = load_from_plugin("text_normalizer")

    def run(self, segment: Segment, wav: np.ndarray, recording: Recording) -> None:
        """Fill the columns, and drop segments without a text that says anything."""
        given = segment.values.get("text")
        if given is None:
            return
        self.load()
        text = texts.clean(str(given))
        language = self._language(text)
        spoken = segment.values.get("language")
        numbers = "digits" if any(c.isdigit() for c in text) else "words"
        if spoken is None and language is not None:
            segment.values |= {"language": language, "language_by": "text"}
            spoken = language
        if numbers == "digits" and self._normaliser is not None and spoken is not None:
            try:
                text, numbers = self._normaliser.normalize(text, spoken), "spoken"
            except UserError:
                numbers = "digits"  # a language that the normaliser does not know
        count = len(texts.units(text))
        segment.values |= {
            "text": text or None,
            "script": texts.script(text) or None,
            "text_language": language,
            "punctuated": bool(_PUNCTUATION.search(text)),
            "numbers": numbers,
            "units": count,
            "units_per_second": round(count / max(segment.seconds, 0.001), 3),
        }
        if not count:
            segment.drop("no_text", "the text has no words")
        elif self.check_language and language and spoken and _base(language) != _base(spoken):
            segment.drop("other_language", f"spoken {spoken}, written {language}")

    def _language(self, text: str) -> str | None:
        letters = sum(c.isalpha() for c in text)
        by_script = _BY_SCRIPT.get(texts.script(text))
        if by_script == "zh" and any("\u3040" <= c <= "\u30ff" for c in text):
            by_script = "ja"
        if by_script is not None and letters >= 2:
            return by_script
        if self._identifier is None or letters < _LEAST:
            return None
        code, odds = self._identifier.classify(text)
        return str(code) if odds >= 0.95 else None


@cache
def _identifier() -> Any:
    """The tables of py3langid: they take seconds to read, and are the same for all."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _base(code: str) -> str:
    found = code.split("-", maxsplit=1)[0].split("_", maxsplit=1)[0].lower()
    return {"nb": "no", "nn": "no", "yue": "zh", "cmn": "zh"}.get(found, found)
