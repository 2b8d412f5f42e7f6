"""Text edits whose perfect result is a real recording (the construction of the paper's 6.2).

The recording is the *target*; the source is made from it by cutting and splicing: an insertion
starts from the recording without some words, a deletion from the recording with words of another
one put in, a substitution from the recording with other words in place of some. So every item has
a true ground truth. The price: the source has a join in it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from audio_eval.build.align import TranscriptTimes
from audio_eval.build.edits import Change, Kind
from audio_eval.build.items import Draft, ItemRejectedError
from audio_eval.build.presets import Cell
from audio_eval.build.propose import propose
from audio_eval.build.semantic import SemanticMaker
from audio_eval.build.sources import Recording
from audio_eval.build.splice import cut_points
from audio_eval.build.units import (
    SourceText,
    TextRejectedError,
    delete,
    insert,
    parse_text,
    substitute,
)
from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.speech import cut_out, join

_TRIES = 6
_MAX_DONOR_WORDS = 3


@dataclass
class RecordedMaker:
    """Makes text-edit items with recorded targets.

    Args:
        words: the maker of instructions.
        times: word times of recordings.
        pool: recordings to take words from.
    """

    words: SemanticMaker
    times: TranscriptTimes
    pool: Sequence[Recording]
    _texts: dict[str, SourceText | None] = field(default_factory=dict)

    def make(
        self, recording: Recording, cell: Cell, seed: int
    ) -> Iterator[Draft | ItemRejectedError]:
        """Attempts for one recording, one by one."""
        rng = random.Random(f"{seed}/{recording.id}/{cell}/recorded")
        target = self._parse(recording)
        if target is None:
            yield ItemRejectedError("text_symbols", recording.text)
            return
        if cell.task != "insertion" and not self._donors(recording):
            yield ItemRejectedError("no_donor", recording.speaker or "unknown speaker")
            return
        tried = 0
        for change in propose(target, "deletion", cast("Kind", cell.kind), self.words.lexicon, rng):
            if len(change.spans) != 1:
                continue
            tried += 1
            if tried > _TRIES:
                return
            try:
                yield from self._attempt(recording, target, change.spans[0], cell, rng)
            except UserError as error:
                yield ItemRejectedError("no_words", str(error))
                return
            except TextRejectedError as error:
                yield ItemRejectedError(error.reason, error.detail)
        if not tried:
            yield ItemRejectedError("no_proposal")

    def _attempt(
        self,
        recording: Recording,
        target: SourceText,
        span: tuple[int, int],
        cell: Cell,
        rng: random.Random,
    ) -> Iterator[Draft | ItemRejectedError]:
        """Turn the span of the target around: what stands there is what the edit brings about."""
        start, stop = span
        if cell.task == "insertion":
            text = delete(target, [span])
            source = parse_text(text, target.language)
            change = Change("insertion", (), start, target.phrase(start, stop))
            wav, rate, words = self._audio(recording, target)
            made = cut_out(wav, rate, [cut_points(wav, rate, words, start, stop)])
        else:
            donor = rng.choice(self._donors(recording))
            foreign = self._parse(donor)
            assert foreign is not None
            span_d = self._phrase(foreign, rng)
            phrase = foreign.phrase(*span_d)
            wav, rate, words = self._audio(recording, target)
            other, other_rate, other_words = self._audio(donor, foreign)
            if other_rate != rate:
                raise ItemRejectedError("no_donor", f"{donor.id} has another sample rate")
            first, last = cut_points(other, other_rate, other_words, *span_d)
            piece = other[first:last]
            if cell.task == "deletion":
                text = insert(target, start, phrase, after=True, proper=self.words.lexicon.proper)
                source = parse_text(text, target.language)
                count = span_d[1] - span_d[0]
                change = Change("deletion", ((start, start + count),))
                at = cut_points(wav, rate, words, start, stop)[0]
                made = join([wav[:at], piece, wav[at:]], rate)[0]
            else:
                text = substitute(target, [span], phrase)
                source = parse_text(text, target.language)
                stop_s = start + span_d[1] - span_d[0]
                change = Change(
                    "substitution", ((start, stop_s),), None, target.phrase(start, stop)
                )
                first, last = cut_points(wav, rate, words, start, stop)
                made = join([wav[:first], piece, wav[last:]], rate)[0]
        audio = (lambda: (made, rate), lambda: (wav, rate))
        for result in self.words.word(recording, source, change, cell=cell, rng=rng, audio=audio):
            if isinstance(result, Draft) and _bare(result.edited_text) != _bare(str(target)):
                yield ItemRejectedError("paths_disagree", f"{result.edited_text} | {target}")
            else:
                yield result

    def _phrase(self, text: SourceText, rng: random.Random) -> tuple[int, int]:
        """Words of a donor, at least two so that they are heard as a phrase."""
        count = min(len(text), rng.randint(1 if len(text) == 1 else 2, _MAX_DONOR_WORDS))
        start = rng.randint(0, len(text) - count)
        return start, start + count

    def _donors(self, recording: Recording) -> list[Recording]:
        return [
            r
            for r in self.pool
            if r.id != recording.id
            and r.speaker == recording.speaker
            and self._parse(r) is not None
        ]

    def _parse(self, recording: Recording) -> SourceText | None:
        if recording.id not in self._texts:
            try:
                self._texts[recording.id] = parse_text(recording.text, self.words.lexicon.language)
            except TextRejectedError:
                self._texts[recording.id] = None
        return self._texts[recording.id]

    def _audio(
        self, recording: Recording, text: SourceText
    ) -> tuple[np.ndarray, int, list[tuple[float, float]]]:
        wav, rate = load_audio(recording.audio)
        words = self.times(recording.audio, text.cores(), text.language, len(wav) / rate)
        return wav, rate, words


def _bare(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())
