"""Metrics that compare the output with its reference sample by sample or frame by frame.

Both are taken at 16 kHz. An output whose length is not its reference's fails (see ``outputs``);
within a codec's padding the shorter of the two is filled with silence, so that what is missing or
added counts against the output.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from audio_eval.interfaces import (
    ComponentInfo,
    Item,
    ItemFailedError,
    Metric,
    MetricResult,
    MetricUnavailableError,
    ScoringContext,
)
from audio_eval.metrics.outputs import (
    SAMPLE_RATE,
    check_copy_length,
    is_silent,
    output_audio,
    reference_audio,
)


class _Intrusive(Metric):
    """Reference and output at 16 kHz, filled to the same length."""

    @abstractmethod
    def compare(self, reference: np.ndarray, output: np.ndarray) -> float:
        """The metric of two (T,) arrays of equal length."""

    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        reference = reference_audio(item, context, SAMPLE_RATE)
        output = output_audio(item, context, SAMPLE_RATE)
        check_copy_length(len(reference) / SAMPLE_RATE, len(output) / SAMPLE_RATE)
        if is_silent(output):
            raise ItemFailedError("the output is silence")
        length = max(len(reference), len(output))
        return MetricResult(self.compare(_filled(reference, length), _filled(output, length)))


def _filled(wav: np.ndarray, length: int) -> np.ndarray:
    return np.pad(wav, (0, length - len(wav)))


class Pesq(_Intrusive):
    """Wide-band PESQ (ITU-T P.862.2) of the whole utterance, by the ``pesq`` package."""

    info = ComponentInfo(
        name="pesq",
        summary="PESQ, wide-band, 1.04 to 4.64",
        needs_reference=True,
        extra="quality",
        unit="MOS",
        higher_is_better=True,
        # The lowest value that the scale has.
        failure_value=1.0,
    )

    def compare(self, reference: np.ndarray, output: np.ndarray) -> float:
        import pesq

        if len(reference) < SAMPLE_RATE // 4:
            raise MetricUnavailableError("PESQ needs at least 0.25 s")
        try:
            return float(pesq.pesq(SAMPLE_RATE, reference, output, "wb"))
        except pesq.NoUtterancesError:
            raise MetricUnavailableError("PESQ finds no speech in it") from None


class Stoi(_Intrusive):
    """Short-time objective intelligibility, by the ``pystoi`` package."""

    info = ComponentInfo(
        name="stoi",
        summary="short-time objective intelligibility, 0 to 1",
        needs_reference=True,
        extra="quality",
        higher_is_better=True,
        failure_value=0.0,
    )

    def compare(self, reference: np.ndarray, output: np.ndarray) -> float:
        import warnings

        from pystoi import stoi

        with warnings.catch_warnings():
            # It warns and returns 1e-5 where nothing is left after its silent frames are cut.
            warnings.simplefilter("error", RuntimeWarning)
            try:
                return float(stoi(reference, output, SAMPLE_RATE, extended=False))
            except RuntimeWarning:
                raise MetricUnavailableError("STOI needs 384 ms of speech") from None


class MelDistance(_Intrusive):
    """Mean absolute difference of natural-log mel spectra: 80 bands, 25 ms windows, 10 ms hop."""

    info = ComponentInfo(
        name="mel_distance",
        summary="mean absolute log-mel difference",
        needs_reference=True,
        unit="nat",
        higher_is_better=False,
    )

    def compare(self, reference: np.ndarray, output: np.ndarray) -> float:
        from audio_eval.dsp import log_mel

        return float(np.mean(np.abs(log_mel(reference) - log_mel(output))))

    def on_failure(self, item: Item, reason: str, context: ScoringContext) -> MetricResult:
        """As far from the reference as silence is."""
        try:
            reference = reference_audio(item, context, SAMPLE_RATE)
        except MetricUnavailableError as error:
            return MetricResult.unavailable(str(error))
        return MetricResult.failed(reason, self.compare(reference, np.zeros_like(reference)))
