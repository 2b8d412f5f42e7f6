"""Transcripts of sound that goes on: segments that a pause has ended, and what is said so far.

What is said so far is recognised from the beginning of its segment again and again, with attention
to all of it, so that a segment's text in the end is the one that a recording gives.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mingtok_audio.core.errors import AudioError, UserError
from uniaudio_lm.tasks.asr import whole_samples
from uniaudio_lm.text.length import joined

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from uniaudio_lm.engine import UniAudio
    from uniaudio_lm.interfaces import Word

SHORTEST = 0.3  # seconds of an interval, and of what is worth to be recognised


@dataclass(frozen=True)
class Heard:
    """What was said from `start` to `end`, in seconds of the whole sound.

    Attributes:
        final: a pause has ended it; else more follows, and the text may change.
        stable: words at the beginning of `text` that were there an interval before, too; of a
            final text all.
        words: of a final text, with times; empty without an aligner.
    """

    text: str
    start: float
    end: float
    final: bool = True
    stable: int = 0
    words: tuple[Word, ...] = ()


def step(
    model: UniAudio,
    wav: np.ndarray,
    sample_rate: int,
    *,
    start: float = 0.0,
    final: bool = False,
    partial: bool = True,
    language: str | None = None,
    hotwords: Sequence[str] = (),
) -> Generator[Heard, None, int]:
    """Recognise sound (T,) that goes on; returns how many samples are done with.

    Args:
        start: seconds before it.
        final: nothing follows.
        partial: also tell what the segment that is not over says so far, greedily.
    """
    hints = tuple(hotwords)
    used = len(wav)
    if not final:
        used = whole_samples(model.model, wav, sample_rate, model.recognizer)
    if used:
        for part in model.transcribe_stream(wav[:used], sample_rate, language, hints):
            (segment,) = part.segments
            if segment.text:
                times = tuple(
                    replace(w, start=w.start + start, end=w.end + start) for w in part.words or ()
                )
                begin, end = segment.start + start, segment.end + start
                count = len(segment.text.split())
                yield Heard(segment.text, begin, end, stable=count, words=times)
    rest = wav[used:]
    if partial and not final and len(rest) >= SHORTEST * sample_rate:
        text = model.transcribe(rest, sample_rate, language, hints, beams=1).text
        if text:
            begin = start + used / sample_rate
            yield Heard(text, begin, start + len(wav) / sample_rate, final=False)
    return used


class LiveTranscriber:
    """Takes sound in pieces of any length and tells what it says.

    Args:
        model: recognises; its aligner, if it has one, gives final texts their word times.
        sample_rate: of the sound, in Hz.
        interval: seconds of new sound between two looks at it, at least 0.3. A shorter one costs
            more and tells words sooner.
        language, hotwords: see `UniAudio.transcribe`.

    Raises:
        UserError: an interval, language or hotwords that are not possible.
    """

    def __init__(
        self,
        model: UniAudio,
        sample_rate: int,
        *,
        interval: float = 1.0,
        language: str | None = None,
        hotwords: Sequence[str] = (),
    ) -> None:
        if not interval >= SHORTEST:
            raise UserError(f"interval must be at least {SHORTEST} s, not {interval}")
        self._model, self._rate, self._interval = model, sample_rate, interval
        self._language, self._hotwords = language, tuple(hotwords)
        self._kept = np.zeros(0, np.float32)
        self._done = self._new = 0
        self._partial: list[str] = []
        self._texts: list[str] = []

    @property
    def text(self) -> str:
        """All final text so far."""
        return joined(self._texts)

    @property
    def seconds(self) -> float:
        """Of sound so far."""
        return (self._done + len(self._kept)) / self._rate

    def push(self, samples: ArrayLike) -> list[Heard]:
        """Take more sound (n,), float -1 to 1; what is new to tell.

        Raises:
            AudioError: not finite samples of one channel.
        """
        block = np.asarray(samples, dtype=np.float32)
        if block.ndim != 1 or not np.isfinite(block).all():
            raise AudioError("live sound is finite samples (n,) of one channel")
        self._kept = np.concatenate((self._kept, block))
        self._new += len(block)
        return self._look(False) if self._new >= self._interval * self._rate else []

    def finish(self) -> list[Heard]:
        """What the rest says, now that nothing follows."""
        return self._look(True) if len(self._kept) else []

    def _look(self, final: bool) -> list[Heard]:
        self._new = 0
        told: list[Heard] = []
        found = step(
            self._model,
            self._kept,
            self._rate,
            start=self._done / self._rate,
            final=final,
            language=self._language,
            hotwords=self._hotwords,
        )
        while True:
            try:
                heard = next(found)
            except StopIteration as end:
                used = int(end.value)
                break
            if heard.final:
                self._texts.append(heard.text)
                self._partial = []
            else:
                heard = replace(heard, stable=stable_words(self._partial, heard.text))
                self._partial = heard.text.split()
            told.append(heard)
        self._kept, self._done = self._kept[used:], self._done + used
        return told


def stable_words(before: Sequence[str], text: str) -> int:
    """How many words at the beginning of `text` an earlier text had, too."""
    count = 0
    for one, other in zip(before, text.split(), strict=False):
        if one.strip(".,!?").lower() != other.strip(".,!?").lower():
            break
        count += 1
    return count
