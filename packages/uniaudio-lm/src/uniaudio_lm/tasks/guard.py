"""Whether a take says its text: by its length, its level, and in doubt by an aligner.

A model may leave words out, ramble on after a short text, or overdrive. The bounds were measured
on the nano (takes that its recogniser understands have 0.75 to 1.25 of the expected length, and up
to 0.8 s more for the shortest texts). Not in the paper.

Axes: T samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from uniaudio_lm.text.length import guess_language, speech_seconds
from uniaudio_lm.text.sentences import split_sentences
from uniaudio_lm.text.words import split_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from uniaudio_lm.interfaces import Aligner, Word

_SHORT, _SURELY_SHORT = 0.7, 0.5  # of the expected length: ask the aligner, refuse
_LONG, _LONG_SECONDS = 1.6, 0.9  # of the expected length, and seconds more
_UNCLEAR = 0.4  # mean score of the words of a sentence
_TAIL = 0.2  # seconds kept after the last word
_FADE = 0.02
_KNEE = 0.9
_CLIPPED = 1.0
_CLIPPED_SHARE = 1e-4


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a take.

    Attributes:
        problem: "" (nothing), "short", "long", "unclear" or "clipped".
        badness: 0 for a good take; to choose among bad ones.
        end: seconds after which nothing of the text is said; None: all of the take is needed, or
            it is not known.
    """

    problem: str
    badness: float
    end: float | None = None


def judge(  # noqa: PLR0917
    text: str,
    wav: Tensor,
    sample_rate: int,
    reason: str,
    syllable_rate: float,
    aligner: Callable[[], Aligner | None],
) -> Verdict:
    """Judge a take (T,) of a piece of text.

    Args:
        reason: why it ended; "stop" where the model ended it.
        syllable_rate: syllables a second of the voice.
        aligner: gives an aligner, or None; called only for a doubtful length and for several
            sentences, of which one may be missing.
    """
    seconds = len(wav) / sample_rate
    expected = speech_seconds(text, syllable_rate)
    share = seconds / expected
    if is_short(text, seconds, syllable_rate):
        return Verdict("short", 2.0 + _SURELY_SHORT - share)
    limit = _LONG * expected + _LONG_SECONDS
    clipped = float((wav.abs() > _CLIPPED).float().mean())
    long = seconds > limit or reason != "stop"
    sentences = split_sentences(text)
    doubtful = long or share < _SHORT or len(sentences) > 1
    if not doubtful and clipped <= _CLIPPED_SHARE:
        return Verdict("", 0.0)
    found = aligner() if doubtful else None
    score, end = 1.0, None
    if found is not None:
        words = found.align(wav.numpy(), text, guess_language(text))
        if words:
            score = _least_clear(words, sentences)
            end = min(seconds, words[-1].end + _TAIL)
    if score < _UNCLEAR:
        return Verdict("unclear", 1.0 + _UNCLEAR - score, end)
    if long:
        kept = seconds if end is None else end
        return Verdict("long", 0.3 + max(0.0, kept - limit) / limit + min(0.1, clipped), end)
    if share < _SHORT and found is None:
        return Verdict("short", 1.0 + _SHORT - share)
    if clipped > _CLIPPED_SHARE:
        return Verdict("clipped", 0.1 + min(0.1, clipped))
    return Verdict("", 0.0)


def _least_clear(words: Sequence[Word], sentences: Sequence[str]) -> float:
    """The lowest mean score of the words of a sentence: one that was left out stands alone."""
    least, at = 1.0, 0
    for sentence in sentences:
        own = words[at : at + len(split_words(sentence))]
        at += len(own)
        if own:
            least = min(least, sum(word.score for word in own) / len(own))
    return least


def is_short(text: str, seconds: float, syllable_rate: float) -> bool:
    """Whether speech is much too short to say a text."""
    return seconds < _SURELY_SHORT * speech_seconds(text, syllable_rate)


def cut(wav: Tensor, sample_rate: int, end: float) -> Tensor:
    """The take up to `end` seconds, faded out over its last 20 ms."""
    kept = wav[: round(end * sample_rate)].clone()
    size = min(len(kept), round(_FADE * sample_rate))
    if size and len(kept) < len(wav):
        kept[-size:] *= torch.linspace(1.0, 0.0, size, dtype=kept.dtype)
    return kept


def limited(wav: Tensor) -> Tensor:
    """Samples brought into [-1, 1] by a soft knee at 0.9; what is below stays as it is."""
    size = wav.abs()
    over = (size - _KNEE) / (1.0 - _KNEE)
    soft = torch.sign(wav) * (_KNEE + (1.0 - _KNEE) * torch.tanh(over))
    return torch.where(size > _KNEE, soft, wav)


def overdriven(wav: np.ndarray | Tensor) -> int:
    """How many samples are beyond [-1, 1]."""
    return int((abs(wav) > _CLIPPED).sum())
