"""`pitch`: higher or lower at the same speed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import numpy as np

from mingtok_audio.core.audio.stretching import stretch
from uniaudio_edit.data.pair import SAMPLE_RATE, Material, Pair, Style
from uniaudio_edit.grammar.amounts import degree, factor_of, quantity
from uniaudio_edit.operations.base import Amounts, ScaledOperation, Sound
from uniaudio_edit.operations.levels import published_number, turned_down

DRAWN = (-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6)
_COUNTED = "the number {:g} counts semitones"
_TONES = r"semi-?tones?|half[- ]?(?:tones?|steps?)|steps?|st"


class Pitch(ScaledOperation):
    """Parameter `semitones`."""

    name = "pitch"
    example = "raise the pitch by 2 semitones"
    parameter = "semitones"
    limits = {"semitones": (-24.0, 24.0)}
    library = ("stretch", "python-stretch")
    amounts = {
        "en": Amounts(
            about=r"\b(?:pitch|semitones?|half[- ]?(?:tones?|steps?)|octaves?|cents|whole[- ]?tones?|whole[- ]?steps?|key|transpose)\b|^(?=.*\b(?:higher|lower|deeper|deepen|raise)\b).*\b(?:voice|tone|note|sound)\b",
            up=r"\b(?:up|raise|raised|higher|increase|sharpen|upwards?|lift|boost)\b",
            down=r"\b(?:down|lower|lowered|deeper|deepen|decrease|drop|reduce|downwards?|flatten)\b",
            other=r"\b(?:volume|speed|louder|tempo)\b",
            units=(
                (rf"{{N}}[ -]{{0,2}}(?:{_TONES})\b", 1.0, ""),
                (r"{N}[ -]{0,2}cents?\b", 0.01, ""),
                (r"\bhalf an? octave\b", 6.0, ""),
                (r"{N} octaves?", 12.0, ""),
                (r"{N} (?:whole[- ]?)?(?:tones?|steps?)", 2.0, ""),
                (r"\b(?:an |one )?octave\b", 12.0, ""),
                (r"(?:by|to|of) {N}$", 1.0, _COUNTED),
            ),
        ),
        "zh": Amounts(
            about="(?<!声)音调|音高|半音|全音|八度|声调|调子|升调|降调|嗓音|音阶|变调",
            up="升|(?<!音)高|提|上|尖|加",
            down="降|低|下|沉|减",
            other="音量|语速",
            units=(
                (r"{N}个?半音", 1.0, ""),
                (r"{N}个?全音", 2.0, ""),
                (r"半个?八度", 6.0, ""),
                (r"{N}个?八度", 12.0, ""),
                (r"{N}(?:个)?(?:音|度|步|阶|调|key)?$", 1.0, _COUNTED),
            ),
        ),
    }
    task = "pitch"
    sentences = {
        "published": ("shifts the pitch by {value} steps",),
        "en": (
            "{updown} the pitch by {count} semitones.",
            "Make the pitch {count} semitones {higher}.",
            "Shift the voice {direction} by {count} semitones.",
        ),
        "zh": ("把音调{updown}{count}个半音", "将音高{updown}{count}个半音"),
    }

    def read(
        self, clause: Any, table: Amounts, up: bool, down: bool
    ) -> Iterator[tuple[dict[str, Any], list[str]]]:
        """Semitones, from other units too; a percentage is of the frequency."""
        share = quantity(clause.language, clause.sound)
        measured = self.measured(clause, table)
        notes: list[str] = []
        by_frequency = share is not None and re.search("[%％]|per ?cent|百分之", clause.sound)
        if share is not None and by_frequency and (measured is None or measured[1]):
            factor = factor_of(share, up or not down, down)[0]
            if factor <= 0:
                return
            yield {"semitones": round(12 * math.log2(factor), 4)}, notes
            return
        if measured is not None:
            value, note = measured
            notes += [note.format(value)] if note else []
        elif up or down:
            value = {"slight": 1.0, "strong": 4.0}.get(degree(clause.language, clause.sound), 2.0)
            notes.append(f"no amount was given: {value:g} semitones")
        else:
            return
        yield {"semitones": float(-abs(value) if down and not up else value)}, notes

    def apply(self, wav: np.ndarray, params: Mapping[str, Any], sound: Sound) -> np.ndarray:
        """See `SoundOperation.apply`."""
        semitones = float(params["semitones"])
        return wav if semitones == 0.0 else stretch(wav, sound.rate, 1.0, semitones)

    def published(self, op: Any, text: Any) -> str:
        """See `EditOperation.published`."""
        return f"shifts the pitch by {published_number(op.params['semitones'])} steps"

    def pair(self, material: Material, rng: Random) -> Pair:
        """The target is higher or lower at the same speed."""
        semitones = rng.choice(DRAWN)
        wav = material.wav()
        target = stretch(wav[:, None].astype(np.float64), SAMPLE_RATE, 1.0, semitones)[:, 0]
        style: Style = material.style(rng)
        up = semitones > 0
        instruction = self.sentence(
            style,
            rng,
            value=str(semitones),
            count=str(abs(semitones)),
            updown=("升高" if up else "降低") if style == "zh" else ("Raise" if up else "Lower"),
            direction="up" if up else "down",
            higher="higher" if up else "lower",
        )
        return material.pair(self.name, instruction, *turned_down(wav, target), semitones=semitones)
