"""`add_sound`: a background sound, from a recording or generated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random
from typing import Any

import numpy as np

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.speech import active_level
from uniaudio_edit.data.pair import Material, Pair
from uniaudio_edit.operations.background import MADE_SOUNDS, background
from uniaudio_edit.operations.base import Sound, SoundOperation
from uniaudio_edit.operations.labels import SOUNDS, find_label
from uniaudio_edit.operations.levels import limit

DEFAULT_SNR_DB = 15.0
_SAYS_SOUND = {
    "en": r"\b(?:sounds?|noises?) of\b|\bsounds?\b|\bin(?:to)? the background\b",
    "zh": "声音|音效|背景",
}
SPOKEN = {
    "rain": ("rain", "雨声"),
    "wind": ("wind", "风声"),
    "music": ("music", "音乐"),
    "thunder": ("thunder", "雷声"),
    "birds": ("birds", "鸟叫"),
    "traffic": ("traffic", "车流声"),
    "crowd": ("chatter", "人声"),
    "sea": ("waves", "海浪声"),
    "fire": ("fire", "火焰"),
    "dog": ("barking", "狗叫声"),
    "bell": ("bells", "铃声"),
}


class AddSound(SoundOperation):
    """Parameters `sound` (what it is) and `snr_db` (the speech over it)."""

    name = "add_sound"
    example = "add rain in the background"
    repeatable = True
    limits = {"snr_db": (-40.0, 80.0)}
    quoted_about = {"en": r"sound|noise"}
    wordings = {
        "en": (
            r"(?:add|put|mix(?: in)?|insert|overlay|include|play|place|give (?:it|me|the \w+)|have|introduce|layer|lay) (?:in |some |a |an |the |a bit of |light |heavy |soft |gentle )*(?:background |ambient )?(?P<what>.+?)"
            r"(?P<where>(?: (?:to|in|into|on|behind|under|underneath|over|beneath) (?:the |this |my )?(?:audio|background|speech|recording|voice|it|clip|sound|track|speaker|file))*)"
            r"(?:,? (?:at|with)(?: an?)? (?:snr (?:of )?)?(?P<snr>-?\d+(?:\.\d+)?) ?db(?: snr)?)?",
            r"i want to hear (?P<what>.+?) (?:behind|under) (?:the )?(?:speech|voice)",
        ),
        "zh": (
            r"(?:给|为|在|往)?(?:.{0,6}?(?:背景|音频|录音|语音|声音|后面)(?:里|中|上)?)?(?:加入?|添加|加上|混入|混合|叠加|配上|放上?|加点|插入|配|来点|增加|播放|垫上?)(?:一些|一点|点|一段|一个|上|些|轻柔的?|舒缓的?|淡淡的?)*(?P<what>.+?)(?:(?:作为|当作?|做)背景(?:音|声)?)?(?:[，,]?信噪比(?:为|是)?(?P<snr>-?\d+(?:\.\d+)?)(?:db|分贝)?)?",
        ),
    }
    task = "add_sound"
    sentences = {
        "published": ("add {sound} to audio",),
        "en": (
            "Add {sound} in the background.",
            "Put some {sound} behind the voice.",
            "Mix {sound} into the recording.",
            "Please add some {sound} to the background.",
        ),
        "zh": ("给音频加上{sound}", "在背景里添加{sound}", "加入{sound}作为背景音"),
    }

    def understood(
        self, found: Mapping[str, Any], clause: Any
    ) -> tuple[dict[str, Any], list[str]] | None:
        """A sound by one of its names."""
        what = str(found["what"])
        if clause.language.code == "zh":
            bare = re.sub("^背景的?|的?(?:声音?|音效|效果|背景音?|背景声)$", "", what)
            label = find_label(what, SOUNDS) or find_label(bare, SOUNDS)
        else:
            bare = re.sub(
                r"\b(?:background|ambient|sounds?|noises?|effects?|of|the|some)\b", " ", what
            )
            label = find_label(bare.strip() or what, SOUNDS)
            if label is None and "background" in clause.sound and "noise" in clause.sound:
                label = "white_noise"
        if label is None:
            label = self._unlisted(what, clause)
        if label is None:
            return None
        params: dict[str, Any] = {"sound": label}
        if "snr" in found:
            params["snr_db"] = float(found["snr"])
        return params, []

    @staticmethod
    def _unlisted(what: str, clause: Any) -> str | None:
        """The name of a sound that is in no list, where the clause says that it is a sound."""
        if not clause.language.search(_SAYS_SOUND[clause.language.code], clause.sound):
            return None
        if clause.language.code == "en":
            what = re.sub(
                r"\b(?:an?|the|some|background|sounds?|noises?|effects?|of|in)\b", " ", what
            )
        else:
            what = re.sub("(?:的?声音?|音效|效果)$|^背景的?", "", what)
        name = "_".join(what.split())
        return name if re.fullmatch(r"\w[\w'-]{1,39}", name) else None

    def apply(self, wav: np.ndarray, params: Mapping[str, Any], sound: Sound) -> np.ndarray:
        """See `SoundOperation.apply`."""
        snr = params.get("snr_db", sound.options.get("snr_db"))
        if snr is None:
            snr = DEFAULT_SNR_DB
            sound.notes.append(f"add_sound: no level was given: {snr:g} dB below the speech")
        name, path = str(params.get("sound", "")), sound.options.get("sound")
        added = background(name, path, len(wav), sound.rate, sound.seed)[:, None]
        speech, level = active_level(wav), float(np.sqrt(np.mean(np.square(added))))
        if speech == 0.0:
            raise UserError(
                "the recording is silence: a level relative to its speech has no meaning"
            )
        if level == 0.0:
            raise UserError("the background sound is silence")
        mixed = wav + added * (speech / level * 10.0 ** (-float(snr) / 20.0))
        return limit(mixed, sound.rate)[0]

    def published(self, op: Any, text: Any) -> str:
        """See `EditOperation.published`."""
        return f"add {str(op.params['sound']).replace('_', ' ')} to audio"

    def pair(self, material: Material, rng: Random) -> Pair:
        """The target is the recording with a background sound."""
        name = rng.choice(material.sounds or [n for n in MADE_SOUNDS if n in SPOKEN])
        source, target, snr = material.with_sound(name, rng)
        style = material.style(rng)
        spoken = SPOKEN.get(name, (name.replace("_", " "),) * 2)[style == "zh"]
        instruction = self.sentence(style, rng, sound=spoken)
        return material.pair(self.name, instruction, source, target, sound=name, snr_db=snr)
