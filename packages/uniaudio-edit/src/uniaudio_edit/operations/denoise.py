"""`denoise`: less background noise, by noisereduce (MIT)."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import numpy as np

from mingtok_audio.core.errors import UserError
from uniaudio_edit.data.pair import Material, Pair
from uniaudio_edit.operations.base import Sound, SoundOperation
from uniaudio_edit.operations.levels import contrast

_CONTRAST_DB, _STRENGTH = (18.0, 24.0, 34.0), (0.9, 0.7, 0.5)
_EN_NOISE = r"(?:background |ambient |unwanted |static |white |all |any |the )*(?:noises?|hiss(?:ing)?|hum(?:ming)?|static|crackles?|crackling|interference|background (?:sounds?|noises?))"
_EN_VERB = r"(?:remove|reduce|suppress|clean(?: up| out)?|get rid of|eliminate|cancel|filter(?: out)?|take out|cut(?: out)?|delete|strip(?: out)?|kill|erase|clear(?: up)?|lower)"
_ZH_NOISE = r"(?:(?:里面?|中)?的?)?(?:背景|环境|多余|所有|全部|一切)?的?(?:噪音|噪声|杂音|杂声|底噪|嗡嗡声|嘶嘶声|噪|电流声)"
_ZH_VERB = (
    r"(?:去除|去掉|消除|降低|减少|清除|删除|删掉|抑制|过滤掉?|滤除|去|降|除掉|移除|消掉|减小)"
)


class Denoise(SoundOperation):
    """Optional parameter `strength`: the share of the noise that goes, 0 to 1.

    Without it, less is taken of mild noise, where the artefacts would be worse than the noise: the
    steps are where PESQ was best on two recordings with white and pink noise at 0 to 30 dB.
    """

    name = "denoise"
    example = "remove the background noise"
    limits = {"strength": (0.0, 1.0)}
    library = ("denoise", "noisereduce")
    quoted_about = {"en": r"noise", "zh": "噪"}
    wordings = {
        "en": (
            r"(?:de-?noise|enhance)(?: {THING})?|(?:de-?noise) .+",
            rf"{_EN_VERB} {_EN_NOISE}(?: (?:from|in|of|out of) .+)?",
            r"(?:clean|clean up|tidy up) {THING}(?: up)?",
            r"(?:apply |perform |do |run )?(?:some )?(?:noise (?:reduction|removal|suppression|cancellation)|denoising)(?: (?:on|to|for) .+)?",
            rf"(?:make|get) (?:it|{{THING}}) (?:noise[- ]free|free (?:of|from) {_EN_NOISE}|cleaner|clean|less noisy)",
            r"improve (?:the )?(?:sound |audio )?quality(?: of .+)?",
        ),
        "zh": (
            r"(?:对)?{AUDIO}?(?:进行|做|来个|做个|执行|进行一下)?(?:降噪|去噪|除噪|消噪|噪声抑制)(?:处理|操作)?",
            rf"{_ZH_VERB}{{AUDIO}}?{_ZH_NOISE}(?:干扰)?",
            rf"{_ZH_NOISE}(?:都|全部)?{_ZH_VERB}(?:掉|一些|一点)?",
            r"让?{AUDIO}(?:变得?)?(?:更|干净)+(?:一点|一些)?|(?:清理|净化){AUDIO}",
        ),
    }
    task = "denoise"
    sentences = {
        "published": ("denoise the audio",),
        "en": (
            "Remove the background noise.",
            "Clean up the recording.",
            "Denoise this audio, please.",
            "Filter out the noise.",
        ),
        "zh": ("请去掉背景噪声", "给这段音频降噪", "把录音里的噪音去除", "消除噪声"),
    }

    def apply(self, wav: np.ndarray, params: Mapping[str, Any], sound: Sound) -> np.ndarray:
        """See `SoundOperation.apply`."""
        import noisereduce

        difference = contrast(wav, sound.rate)
        strength = float(params.get("strength", np.interp(difference, _CONTRAST_DB, _STRENGTH)))
        frame = 1 << max(5, round(np.log2(sound.rate * 0.032)))
        if len(wav) < 4 * frame:
            raise UserError(
                f"the recording is too short to tell noise from speech ({len(wav)} samples)"
            )
        if not np.any(wav):
            return wav
        if "strength" not in params and strength < 0.85:
            sound.notes.append(
                f"denoise: the noise is mild ({difference:.0f} dB between loud and soft frames); "
                f"{strength:.0%} of it is removed"
            )
        channels = [
            noisereduce.reduce_noise(
                y=channel,
                sr=sound.rate,
                stationary=True,
                prop_decrease=strength,
                n_fft=frame,
                time_constant_s=2.0,
                freq_mask_smooth_hz=max(500, 2 * sound.rate // frame),
            )
            for channel in wav.T
        ]
        return np.nan_to_num(np.stack(channels, axis=1)[: len(wav)].astype(np.float64))

    def published(self, op: Any, text: Any) -> str:
        """See `EditOperation.published`."""
        return "denoise the audio"

    def pair(self, material: Material, rng: Random) -> Pair:
        """The source is the recording under one to three noises mixed together."""
        source, target, names, snr = material.under_noise(rng)
        instruction = self.sentence(material.style(rng), rng)
        return material.pair(self.name, instruction, source, target, noises=names, snr_db=snr)
