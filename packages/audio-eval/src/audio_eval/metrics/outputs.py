"""What every metric of sound asks of an output before it scores it.

A score must not rise because something was left out or added. A copy that is shorter or longer than
its reference, speech that is far too short or long for its text, and silence are failures; they
get the metric's failure value and stay in the mean.

Axes: T samples.
"""

from __future__ import annotations

import numpy as np

from audio_eval.interfaces import Item, ItemFailedError, MetricUnavailableError, ScoringContext
from mingtok_audio.core.script import is_cjk

SAMPLE_RATE = 16000
# A tokenizer pads to whole frames, a codec adds a little at both ends.
_COPY_SLACK_SECONDS, _COPY_SLACK_SHARE = 0.1, 0.03
# Characters a second of speech: 10 to 20 in English, 4 to 7 in Chinese. Far outside, words are
# missing or something else is there.
_MOST_CHARACTERS, _MOST_HAN = 40.0, 14.0
_FEWEST_CHARACTERS, _FEWEST_HAN, _PAUSE_SECONDS = 2.5, 0.8, 4.0
_SPOKEN_TASKS = frozenset({"tts", "deletion", "insertion", "substitution"})
_SILENT = 10 ** (-70 / 20)


def is_silent(wav: np.ndarray) -> bool:
    """Whether nothing in wav (T,) is louder than -70 dB."""
    return not len(wav) or float(np.abs(wav).max()) < _SILENT


def reference_audio(item: Item, context: ScoringContext, sample_rate: int | None) -> np.ndarray:
    """The reference recording (T,); its faults are not the system's.

    Raises:
        MetricUnavailableError: there is none, it is unusable, or it is silent.
    """
    if item.reference is None:
        raise MetricUnavailableError("the item has no reference recording")
    try:
        wav = context.audio(item.reference, sample_rate)[0]
    except ItemFailedError as error:
        raise MetricUnavailableError(f"reference: {error}") from error
    if is_silent(wav):
        raise MetricUnavailableError("reference: the recording is silent")
    return wav


def output_audio(item: Item, context: ScoringContext, sample_rate: int | None) -> np.ndarray:
    """The system's output (T,).

    Raises:
        ItemFailedError: there is none, or it is unusable.
    """
    if item.audio is None:
        raise ItemFailedError("no output")
    return context.audio(item.audio, sample_rate)[0]


def check_output(item: Item, context: ScoringContext) -> None:
    """Refuse an output whose length cannot be right, and silence.

    Raises:
        ItemFailedError: there is no output, it is unusable, silent, or far from the length that the
            reference (of a copy) or the text (of speech) asks for.
    """
    if context.compat == "ming":
        return  # the published scripts score whatever is there
    wav = output_audio(item, context, SAMPLE_RATE)
    seconds = len(wav) / SAMPLE_RATE
    if item.task == "reconstruction" and item.reference is not None:
        try:
            reference = reference_audio(item, context, SAMPLE_RATE)
        except MetricUnavailableError:
            return  # the metric says it where it matters
        check_copy_length(len(reference) / SAMPLE_RATE, seconds)
    if is_silent(wav):
        raise ItemFailedError("the output is silence")
    if item.task in _SPOKEN_TASKS and item.text:
        _check_speech_length(item.text, seconds)


def check_copy_length(reference: float, output: float) -> None:
    """Refuse a copy of another length, both in seconds.

    Raises:
        ItemFailedError: they differ by more than a codec's padding.
    """
    if abs(output - reference) > max(_COPY_SLACK_SECONDS, _COPY_SLACK_SHARE * reference):
        raise ItemFailedError(f"the output is {output:.2f} s long, its reference {reference:.2f} s")


def _check_speech_length(text: str, seconds: float) -> None:
    letters = [c for c in text if c.isalnum()]
    han = sum(map(is_cjk, letters))
    other = len(letters) - han
    least = han / _MOST_HAN + other / _MOST_CHARACTERS
    most = han / _FEWEST_HAN + other / _FEWEST_CHARACTERS + _PAUSE_SECONDS
    if letters and not least <= seconds <= most:
        raise ItemFailedError(
            f"the output is {seconds:.2f} s long; its text takes {least:.1f} to {most:.1f} s"
        )
