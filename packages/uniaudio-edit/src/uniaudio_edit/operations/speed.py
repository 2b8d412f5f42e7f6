"""`speed`: faster or slower at the same pitch."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import numpy as np

from mingtok_audio.core.audio.stretching import stretch
from uniaudio_edit.data.pair import SAMPLE_RATE, Material, Pair, Style
from uniaudio_edit.operations.base import Amounts, ScaledOperation, Sound
from uniaudio_edit.operations.levels import published_number, turned_down

_NAMED = r"\b(?:speed|tempo|pace|speech rate|speaking rate|rate)\b"
DRAWN = (0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 2.0)
_START = r"^(?:speed|tempo|pace|speech|speaking|rate|slow|fast|quick|accelerat|decelerat|play|adjust|change|set|make|alter|modify|talk|read|say|speak|hurry|quicken|it|rush|drag|hasten|increase|decrease|reduce|raise|lower|double|halve|triple|half|twice|boost|turn|bring|bump|have|stretch|compress|a |the |slightly|somewhat|run|drop|much|go|deliver|up|cut|{N})"
_EN_UP = r"\b(?:speed (?:\w+ ){0,3}up|faster|quicker|accelerate|hurry|quicken|more quickly|hasten|rush|more rapidly)\b"
_EN_DOWN = r"\b(?:slow(?:er|ly)?|slow (?:\w+ ){0,3}down|decelerate|more slowly|drag)\b"
_ZH_NAMED = "语速|速度|速率|节奏|倍速"


class Speed(ScaledOperation):
    """Parameter `factor`: how many times as fast."""

    name = "speed"
    example = "make it 20% faster"
    limits = {"factor": (0.1, 10.0)}
    library = ("stretch", "python-stretch")
    steps_up = (1.1, 1.2, 1.5)
    steps_down = (0.9, 0.8, 2 / 3)
    amounts = {
        "en": Amounts(
            about=rf"{_START}.*(?:{_NAMED}|{_EN_UP}|{_EN_DOWN}|\bas (?:fast|quick(?:ly)?|slow(?:ly)?)\b)|^(?:{_NAMED}|{_EN_UP}|{_EN_DOWN})",
            up=rf"{_EN_UP}|^(?=.*{_NAMED}).*\b(?:increase|raise|boost|higher|bump up|up the|double|twice|triple)\b",
            down=rf"{_EN_DOWN}|\bas slow(?:ly)?\b|^(?=.*{_NAMED}).*\b(?:decrease|reduce|lower|drop|cut|lessen|bring down)\b",
            other=r"\b(?:pitch|volume|loud)",
        ),
        "zh": Amounts(
            about=rf"^(?:.*(?:{_ZH_NAMED}).*|(?:请)?(?:说|讲|读|念|播放|播)?(?:得|的)?(?:再|稍微|更|稍|略微|大幅|非常)*(?:快|慢|加快|放慢|加速|减速|提速|降速|放缓|减慢|变快|变慢|调快|调慢)(?:了|到|至|为|成|{{SLIGHT}}|{{STRONG}}|{{N}}|[%％]|百分之|倍|原来的?|说|一半|又|播放)*)$",
            up=rf"快|提速|加速|^(?=.*(?:{_ZH_NAMED})).*(?:提高|增加|提升|升高|调高|增大|上调|加大)",
            down=rf"慢|减速|降速|放缓|^(?=.*(?:{_ZH_NAMED})).*(?:降低|减小|减少|下降|调低|下调|减)",
            other="音量|(?<!声)音调|音高|噪",
        ),
    }
    task = "speed"
    sentences = {
        "published": ("adjusts the speed to {value}",),
        "en": (
            "Play it at {value} times the speed.",
            "Change the speed to {value}x.",
            "Set the speaking rate to {value} times the original.",
        ),
        "zh": ("把语速调整为{value}倍", "将速度改为原来的{value}倍", "以{value}倍速播放"),
    }

    def apply(self, wav: np.ndarray, params: Mapping[str, Any], sound: Sound) -> np.ndarray:
        """See `SoundOperation.apply`."""
        factor = float(params["factor"])
        return wav if factor == 1.0 else stretch(wav, sound.rate, factor, 0.0)

    def published(self, op: Any, text: Any) -> str:
        """See `EditOperation.published`."""
        return f"adjusts the speed to {published_number(op.params['factor'])}"

    def pair(self, material: Material, rng: Random) -> Pair:
        """The target is faster or slower at the same pitch."""
        factor = rng.choice(DRAWN)
        wav = material.wav()
        target = stretch(wav[:, None].astype(np.float64), SAMPLE_RATE, factor, 0.0)[:, 0]
        style: Style = material.style(rng)
        instruction = self.sentence(style, rng, value=f"{factor:g}")
        return material.pair(self.name, instruction, *turned_down(wav, target), factor=factor)
