"""The grammars of WeTextProcessing as a text normaliser, through the package `wetext` (Apache-2.0,
about 50 MB; `pip install wetext`)."""

from __future__ import annotations

import re
from typing import Any

from mingtok_audio.core.errors import PluginError
from uniaudio_lm.interfaces import TextNormalizer

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_LANGUAGES = ("en", "zh", "ja")
_LONGEST = 400  # characters at once: a grammar takes long over long texts
_PLACES = re.compile(r"(?<=[\s。！？，；])")


class WeTextNormalizer(TextNormalizer):
    """Finite-state grammars for English, Chinese and Japanese; texts of other languages stay.

    Raises:
        PluginError: when the package is not installed.
    """

    def __init__(self) -> None:
        try:
            from wetext import Normalizer
        except ImportError as error:
            raise PluginError(
                "the text normaliser 'wetext' needs its package: pip install wetext"
            ) from error
        self._make: Any = Normalizer
        self._grammars: dict[str, Any] = {}

    def normalize(self, text: str, language: str) -> str:
        """See `TextNormalizer.normalize`."""
        code = language.lower().partition("-")[0].partition("_")[0]
        if code not in _LANGUAGES:
            return text
        if code not in self._grammars:
            self._grammars[code] = self._make(lang=code, operator="tn")
        # The grammars take "1,200" for two numbers after a currency sign.
        text = _THOUSANDS.sub("", text)
        return "".join(self._said(piece, code) for piece in _pieces(text))

    def _said(self, piece: str, code: str) -> str:
        if not any(c.isdigit() or c in "%$€£¥￥&@" for c in piece):
            return piece  # words stay as they are written
        said = str(self._grammars[code].normalize(piece))
        lead = piece[: len(piece) - len(piece.lstrip())]
        tail = piece[len(piece.rstrip()) :]
        return f"{lead}{said.strip()}{tail}"


def _pieces(text: str) -> list[str]:
    """The text in pieces of at most `_LONGEST` characters, cut at spaces and punctuation."""
    pieces = [""]
    for part in _PLACES.split(text):
        if len(pieces[-1]) + len(part) > _LONGEST and pieces[-1]:
            pieces.append("")
        pieces[-1] += part
    return [p[i : i + _LONGEST] for p in pieces for i in range(0, max(1, len(p)), _LONGEST)]
