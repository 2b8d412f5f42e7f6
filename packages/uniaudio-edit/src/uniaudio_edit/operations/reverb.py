"""`reverb`: the sound of a room, from a recorded room response or from decaying noise.

The example of an operation that is this file and one line in the table of components: wordings,
limits, how it is done, and a training pair.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random
from typing import Any

import numpy as np

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.speech import active_level
from uniaudio_edit.data.pair import SAMPLE_RATE, Material, Pair
from uniaudio_edit.operations.base import Sound, SoundOperation
from uniaudio_edit.operations.levels import limit, turned_down

ROOMS: dict[str, tuple[float, str]] = {
    "room": (0.4, r"(?:small )?(?:room|bathroom|shower)|(?:小)?(?:房间|屋子|浴室)"),
    "hall": (
        1.4,
        r"(?:large |big |concert |great )*(?:hall|theat(?:re|er)|auditorium)|(?:大)?(?:厅|礼堂|大厅|音乐厅)",
    ),
    "church": (3.0, r"church|cathedral|cave|tunnel|教堂|山洞|隧道"),
}
DRAWN = (0.3, 0.5, 0.8, 1.2, 2.0, 3.0)
_MIX = 0.3
_ANY_ROOM = "|".join(names for _, names in ROOMS.values())


class Reverb(SoundOperation):
    """Parameters `decay` (seconds until the echo is 60 dB down) and `mix` (its share, 0 to 1).

    With `--sound FILE` the echo is that of a recorded room response. The length stays; what would
    ring past the end is left out.
    """

    name = "reverb"
    example = "add some reverb"
    limits = {"decay": (0.05, 10.0), "mix": (0.0, 1.0)}
    wordings = {
        "en": (
            rf"(?:add|put|apply|give (?:it|{{THING}})|use)(?: (?:some|a|an|a bit of|a little|more|the))*(?: (?P<room>{_ANY_ROOM}))? ?(?:reverb(?:eration)?|echo|room sound)(?: of {{N}} ?(?:{{SECONDS}}))?(?: (?:to|on) {{THING}})?",
            rf"(?:make|let) {{THING}} sound (?:like|as if) (?:it (?:is|was|were) )?(?:spoken |recorded )?(?:in )?(?:a |an |the )?(?P<room>{_ANY_ROOM})",
        ),
        "zh": (
            rf"{{AUDIO}}?(?:加上?|添加|加入|增加|来)(?:一点|一些|点)?(?:{{N}}秒的?)?(?:(?P<room>{_ANY_ROOM})的?)?(?:混响|回声|回音)(?:效果)?",
            rf"(?:它|{{AUDIO}})?(?:听起来|听上去)?像(?:是)?(?:在)?(?P<room>{_ANY_ROOM})(?:里面?|中)?(?:说的?|录的?)?(?:一样)?",
        ),
    }
    task = "reverb"
    weight = 0.0  # the published tasks are what is made by default
    sentences = {
        "published": ("add reverb of {seconds} seconds to the audio",),
        "en": ("Add reverb of {seconds} seconds.", "Apply reverb of {seconds} s to it."),
        "zh": ("加上{seconds}秒的混响", "添加{seconds}秒的混响效果"),
    }

    def understood(
        self, found: Mapping[str, Any], clause: Any
    ) -> tuple[dict[str, Any], list[str]] | None:
        """The room that is named, or the seconds."""
        seconds = clause.language.number(found["n"]) if "n" in found else None
        if seconds is not None:
            return {"decay": float(seconds), "mix": _MIX}, []
        said = found.get("room", "")
        for name, (decay, names) in ROOMS.items():
            if said and re.fullmatch(names, said):
                return {"decay": decay, "mix": _MIX}, [f"{said}: an echo of {decay:g} s ({name})"]
        return {"decay": 0.8, "mix": _MIX}, ["no room was given: an echo of 0.8 s"]

    def apply(self, wav: np.ndarray, params: Mapping[str, Any], sound: Sound) -> np.ndarray:
        """See `SoundOperation.apply`."""
        from scipy.signal import oaconvolve

        mix = float(params.get("mix", _MIX))
        path = sound.options.get("sound")
        tail = (
            _recorded(path, sound.rate)
            if path is not None
            else _decaying(float(params["decay"]), sound.rate, sound.seed)
        )
        before = active_level(wav)
        if before == 0.0 or mix == 0.0:
            return wav
        wet = oaconvolve(wav, tail[:, None], axes=0)[: len(wav)]
        level = active_level(wet)
        out = (1.0 - mix) * wav + mix * wet * (before / level if level else 0.0)
        out *= before / max(active_level(out), 1e-9)
        return limit(out, sound.rate)[0]

    def pair(self, material: Material, rng: Random) -> Pair:
        """The target is the recording in a room."""
        decay, wav = rng.choice(DRAWN), material.wav()
        params = {"decay": decay, "mix": _MIX}
        sound = Sound(SAMPLE_RATE, seed=rng.randrange(1 << 31))
        target = self.apply(wav[:, None].astype(np.float64), params, sound)[:, 0]
        instruction = self.sentence(material.style(rng), rng, seconds=f"{decay:g}")
        return material.pair(self.name, instruction, *turned_down(wav, target), **params)


def _decaying(seconds: float, rate: int, seed: int) -> np.ndarray:
    """Noise (T,) that falls by 60 dB in `seconds`, after a short silence: no direct sound."""
    n = max(1, round(seconds * rate))
    time = np.arange(n) / rate
    noise = np.random.default_rng((seed, n)).standard_normal(n)
    tail = noise * 10.0 ** (-3.0 * time / seconds)
    tail[: min(n - 1, round(0.005 * rate))] = 0.0
    return tail / np.sqrt(np.sum(np.square(tail)))


def _recorded(path: str, rate: int) -> np.ndarray:
    """A room response (T,) from a file."""
    response = load_audio(path, rate)[0].astype(np.float64)
    power = float(np.sum(np.square(response)))
    if power == 0.0:
        raise UserError(f"{path} is silent: it is not a room response")
    return response / np.sqrt(power)
