"""`loudness`: to a loudness in LUFS (ITU-R BS.1770-4, by pyloudnorm, MIT) under a true peak."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from mingtok_audio.core.errors import UserError
from uniaudio_edit.errors import MissingPartError
from uniaudio_edit.operations.base import Sound, SoundOperation
from uniaudio_edit.operations.levels import limit

DEFAULT_LUFS, DEFAULT_PEAK_DB = -16.0, -1.0
_SHORTEST_SECONDS = 0.4  # one block of the measure
_NUMBER = r"(?:[-−–+]|minus )? ?\d{1,3}(?:\.\d{1,3})?"
_EN_PEAK = rf"(?:,? ?(?:with|and|at|under)? ?(?:a |the )?(?:true )?peaks? ?(?:of|at|under|below|to|is)? ?(?:at most |no more than )?(?P<peak>{_NUMBER}) ?db(?:tp|fs)?)?"
_EN_THING = r"(?: (?:it|{THING}|(?:the |its )?(?:audio |overall )?(?:loudness|volume|level)(?: of {THING})?))?"
_ZH_PEAK = rf"(?:[，,]?(?:真)?峰值(?:不超过|为|到|是|在)?(?P<peak>{_NUMBER}) ?db(?:tp|fs)?)?"


class Loudness(SoundOperation):
    """Parameters `lufs` (integrated loudness) and `peak` (dBTP that is not passed)."""

    name = "loudness"
    example = "normalize to -16 LUFS"
    limits = {"lufs": (-60.0, -5.0), "peak": (-20.0, 0.0)}
    library = ("loudness", "pyloudnorm")
    wordings = {
        "en": (
            rf"(?:(?:loudness )?normali[sz]e|set|bring|adjust|make|level|master){_EN_THING} ?(?:to |at )?(?:an? )?(?:integrated )?(?:loudness (?:of )?)?(?P<lufs>{_NUMBER}) ?(?:lufs|lkfs){_EN_PEAK}",
            rf"(?:loudness[- ])?normali[sz]e{_EN_THING}{_EN_PEAK}",
            r"(?:apply |do )?(?:loudness|volume) normali[sz]ation",
        ),
        "zh": (
            rf"(?:把|将)?(?:{{AUDIO}})?的?(?:响度|音量|声音)?(?:标准化|归一化|规范化|调整|调|统一|设)(?:到|为|至|成)?(?P<lufs>{_NUMBER}) ?(?:lufs|lkfs){_ZH_PEAK}",
            rf"(?:(?:把|将)?(?:{{AUDIO}})?的?(?:响度|音量|声音)?(?:进行|做)?)?(?:响度|音量)?(?:标准化|归一化|规范化)(?:处理)?(?:响度|音量)?{_ZH_PEAK}",
        ),
    }

    def understood(
        self, found: Mapping[str, Any], clause: Any
    ) -> tuple[dict[str, Any], list[str]] | None:
        """The loudness and the peak; both are below full scale, with or without a minus."""
        notes = []
        lufs = -abs(_value(found["lufs"])) if "lufs" in found else DEFAULT_LUFS
        peak = -abs(_value(found["peak"])) if "peak" in found else DEFAULT_PEAK_DB
        if "lufs" not in found:
            notes.append(f"no loudness was given: {lufs:g} LUFS")
        return {"lufs": lufs, "peak": peak}, notes

    def apply(self, wav: np.ndarray, params: Mapping[str, Any], sound: Sound) -> np.ndarray:
        """See `SoundOperation.apply`."""
        target, peak = float(params["lufs"]), float(params.get("peak", DEFAULT_PEAK_DB))
        before = measured(wav, sound.rate)
        if not np.isfinite(before):
            raise UserError("the recording is too soft to have a loudness")
        raised, _ = limit(wav * 10.0 ** ((target - before) / 20.0), sound.rate, peak)
        # What the limiter takes is given back as far as the peak allows.
        for _ in range(4):
            missing = target - measured(raised, sound.rate)
            if missing < 0.05:
                break
            raised, _ = limit(raised * 10.0 ** (missing / 20.0), sound.rate, peak)
        after = measured(raised, sound.rate)
        sound.notes.append(f"loudness: {before:.1f} LUFS became {after:.1f}")
        if abs(after - target) > 0.5:
            sound.notes.append(
                f"loudness: {target:g} LUFS cannot be reached under a peak of {peak:g} dBTP"
            )
        return raised


def measured(wav: np.ndarray, rate: int) -> float:
    """Integrated loudness of (T, C) in LUFS; -inf for silence.

    Raises:
        UserError: shorter than one block of the measure.
    """
    try:
        import pyloudnorm
    except ImportError as error:
        raise MissingPartError("loudness needs pyloudnorm; pip install pyloudnorm") from error
    if len(wav) < _SHORTEST_SECONDS * rate + 1:
        raise UserError(
            f"the recording is shorter than {_SHORTEST_SECONDS:g} s: it has no loudness"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(pyloudnorm.Meter(rate).integrated_loudness(wav[:, :5]))


def _value(text: str) -> float:
    return float(text.replace("−", "-").replace("–", "-").replace("minus", "-").replace(" ", ""))
