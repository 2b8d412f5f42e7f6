"""Other voices for the same recording (paper section 6.2: conversion to many voices).

A slot: a voice converter is a class with `convert`. The built-in one moves formants and pitch,
which needs no model and leaves words and their times as they are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from mingtok_audio.core.audio.resampler import resample
from mingtok_audio.core.audio.stretching import stretch


class VoiceConverter(ABC):
    """Turns a recording into another voice."""

    @abstractmethod
    def convert(self, wav: np.ndarray, sample_rate: int, number: int) -> np.ndarray:
        """The same words at the same times in voice `number`.

        Args:
            wav: (T,) float32.
            number: of the voice, from 1; the same number is the same voice.

        Returns:
            (T,) float32.
        """


class FormantShift(VoiceConverter):
    """Voices of other sizes: formants moved by up to 18 %, pitch by up to 5 semitones.

    Formants are moved by resampling, which moves the pitch and the speed as well; both are put
    back by Signalsmith Stretch.
    """

    def convert(self, wav: np.ndarray, sample_rate: int, number: int) -> np.ndarray:
        """See `Timbre.convert`."""
        rng = np.random.default_rng((0x7133, number))
        ratio = float(2.0 ** rng.uniform(-0.24, 0.24))
        semitones = float(rng.uniform(-5.0, 5.0))
        # Played `ratio` times as fast: formants and pitch go up by `ratio`.
        moved = resample(wav, round(sample_rate * ratio), sample_rate)
        pitch = semitones - 12.0 * float(np.log2(ratio))
        factor = len(moved) / len(wav)
        made = stretch(moved[:, None].astype(np.float64), sample_rate, factor, pitch)[:, 0]
        made = np.pad(made, (0, max(0, len(wav) - len(made))))[: len(wav)]
        peak = float(np.abs(made).max(initial=0.0))
        before = float(np.abs(wav).max(initial=0.0))
        gain = min(1.0, before / peak) if peak > 0 else 1.0
        return (made * gain).astype(np.float32)
