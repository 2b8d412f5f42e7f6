"""`volume`: louder or softer, by a factor or in decibels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import numpy as np

from mingtok_audio.core.speech import active_level
from uniaudio_edit.data.pair import Material, Pair, Style
from uniaudio_edit.operations.base import Amounts, ScaledOperation, Sound
from uniaudio_edit.operations.levels import (
    CEILING_DB,
    limit,
    published_number,
    turned_down,
)

DRAWN = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2.0)
_TO_LEVEL = "to"


class Volume(ScaledOperation):
    """Parameter `factor` or `db`. What is raised is held under -0.3 dBTP."""

    name = "volume"
    example = "make it a bit louder"
    limits = {"factor": (0.0, 100.0), "db": (-96.0, 60.0)}
    steps_up = (1.25, 1.5, 2.0)
    steps_down = (0.8, 0.67, 0.5)
    amounts = {
        "en": Amounts(
            about=r"\b(?:volume|loudness|gain|amplitude|level|decibels?|db|loud(?:er|ly)?|quiet(?:er|ly|en)?|softer|amplify|attenuate|turn (?:it |the \w+ )?(?:up|down))\b|\ddb\b",
            up=r"^(?!.*\bturn (?:\w+ ){0,2}down).*\b(?:up|louder|louden|increase|raise|boost|amplify|higher|double|triple|loud|twice)\b",
            down=r"\b(?:down|quieter|quieten|quiet|softer|lower|decrease|reduce|attenuate|cut|drop|halve|less loud|lessen)\b",
            other=r"\b(?:pitch|speed|noise|music|rain|snr|lufs|peaks?)\b",
            units=(
                (r"\bto [-−–]? ?{N} ?(?:db|decibels?)\b", 0.0, _TO_LEVEL),
                (r"(?<![\w.])[-−–] ?{N} ?(?:db|decibels?)\b", -1.0, ""),
                (r"{N} ?(?:db|decibels?)\b", 1.0, ""),
            ),
        ),
        "zh": Amounts(
            about=r"音量|分贝|响|db|声量|^(?=.*声).*[大小响轻高低]",
            up="大|响|提高|增|升|高|加",
            down="小|轻|降|低|减|弱",
            other="语速|(?<!声)音调|音高|噪|雨|音乐|背景|半音|八度|lufs|标准|峰值|归一|规范|混响|回声|回音",
            units=(
                (r"(?:到|至|为){N}(?:个)?(?:分贝|db)", 0.0, _TO_LEVEL),
                (r"{N}(?:个)?(?:分贝|db)", 1.0, ""),
            ),
        ),
    }
    task = "volume"
    sentences = {
        "published": ("adjusts the volume to {value}",),
        "en": (
            "Set the volume to {value} times the original.",
            "Change the volume to {percent} percent.",
            "Make it {value} times as loud.",
        ),
        "zh": ("把音量调到原来的{value}倍", "将音量改为{percent}%", "音量调整为{value}倍"),
    }

    def read(
        self, clause: Any, table: Amounts, up: bool, down: bool
    ) -> Iterator[tuple[dict[str, Any], list[str]]]:
        """Decibels, or a factor."""
        measured = self.measured(clause, table)
        if measured is None:
            yield from super().read(clause, table, up, down)
        elif measured[1] != _TO_LEVEL:  # "to -20 dB" is a level, and no change
            value = measured[0]
            yield {"db": float(-abs(value) if down and not up else value)}, []

    def apply(self, wav: np.ndarray, params: Mapping[str, Any], sound: Sound) -> np.ndarray:
        """See `SoundOperation.apply`."""
        factor = float(params.get("factor", 1.0))
        if "db" in params:
            factor = 10.0 ** (float(params["db"]) / 20.0)
        if factor <= 1.0:
            return wav * factor
        limited, share = limit(wav * factor, sound.rate)
        if share:
            before, after = active_level(wav), active_level(limited)
            gain = 20.0 * math.log10(after / before) if before and after else 0.0
            sound.notes.append(
                f"volume: {share:.2%} of the samples would pass {CEILING_DB:g} dBTP and were held "
                f"down: the speech is {gain:+.1f} dB of the {20.0 * math.log10(factor):+.1f} asked for"
            )
        return limited

    def published(self, op: Any, text: Any) -> str:
        """See `EditOperation.published`."""
        factor = op.params.get("factor", 10 ** (op.params.get("db", 0.0) / 20))
        return f"adjusts the volume to {published_number(factor)}"

    def pair(self, material: Material, rng: Random) -> Pair:
        """The target is louder or softer by exactly the factor asked for; nothing clips."""
        factor = rng.choice(DRAWN)
        style: Style = material.style(rng)
        instruction = self.sentence(style, rng, value=f"{factor:g}", percent=f"{100 * factor:g}")
        wav = material.wav()
        both = turned_down(wav, wav.astype(np.float64) * factor)
        return material.pair(self.name, instruction, *both, factor=factor)
