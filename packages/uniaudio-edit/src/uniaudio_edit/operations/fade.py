"""`fade`: the level rises from silence at the start, or falls to silence at the end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from uniaudio_edit.grammar.references import Draft, Reading
from uniaudio_edit.operations.base import Sound, SoundOperation

_EN_KIND = r"\b(in|out)\b"
_EN_LENGTHS = (
    (r"half a sec", 0.5, False),
    (r"{N}[ -]?(?:{MILLISECONDS})\b", 0.001, True),
    (r"{N}[ -]?(?:{SECONDS})\b", 1.0, True),
    (r"\b(?:last|first|final) second\b", 1.0, False),
)
_ZH_KINDS = (("in", "淡入|渐入|渐强"), ("out", "淡出|渐出|渐弱"))


class Fade(SoundOperation):
    """Parameters `in` and `out`, in seconds."""

    name = "fade"
    example = "fade out over the last 2 seconds"
    mergeable = True
    limits = {"in": (0.001, 3600.0), "out": (0.001, 3600.0)}

    def readings(self, clause: Any) -> Iterator[Reading]:
        """Each direction with the length that stands nearest to it, 1 s where none does."""
        if clause.has_quote or not clause.only_sound_words:
            return
        found = self._chinese(clause) if clause.language.code == "zh" else self._english(clause)
        if found:
            notes = tuple(
                f"no length was given: fade {name} over 1 s"
                for name, seconds in found.items()
                if seconds is None
            )
            params = {name: 1.0 if seconds is None else seconds for name, seconds in found.items()}
            yield Reading((Draft(self.name, params=params, assumptions=notes),))

    @staticmethod
    def _english(clause: Any) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        if not re.search(r"\bfade", clause.sound):
            return found
        for part in re.split(r"\band (?=(?:a )?fade|out|in\b)|, ?", clause.sound):
            kind = re.search(_EN_KIND, re.sub(r"\bin (?=\d|half|one|two|a\b)", "", part))
            if kind is None:
                continue
            seconds = None
            for pattern, scale, numbered in _EN_LENGTHS:
                match = clause.language.search(pattern, part)
                number = clause.language.number(match["n"]) if match and numbered else None
                if match and (number is not None or not numbered):
                    seconds = scale * (1.0 if number is None else number)
                    break
            found[kind.group(1)] = seconds
        return found

    @staticmethod
    def _chinese(clause: Any) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        lengths = list(clause.language.compiled("{N}(毫秒|秒|s)").finditer(clause.sound))
        for name, words in _ZH_KINDS:
            if not (place := re.search(words, clause.sound)):
                continue
            seconds = None
            if lengths:
                at = place.start()
                nearest = min(lengths, key=lambda m, at=at: abs(m.start() - at))
                number = clause.language.number(nearest["n"])
                thousandth = nearest.group(2) == "毫秒"
                seconds = None if number is None else number / 1000 if thousandth else number
            found[name] = seconds
        return found

    def apply(self, wav: np.ndarray, params: Mapping[str, Any], sound: Sound) -> np.ndarray:
        """See `SoundOperation.apply`."""
        faded = wav.copy()
        for name in ("in", "out"):
            if name not in params:
                continue
            n = min(len(wav), max(1, round(float(params[name]) * sound.rate)))
            curve = (0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / n))[:, None]
            if name == "in":
                faded[:n] *= curve
            else:
                faded[-n:] *= curve[::-1]
        return faded
