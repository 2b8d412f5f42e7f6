"""When each unit of a transcript is spoken: from a file, or from an aligner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mingtok_audio.core.errors import FormatError, UserError
from uniaudio_edit.interfaces import Word
from uniaudio_edit.pcm import Recording
from uniaudio_edit.text import Text

if TYPE_CHECKING:
    from uniaudio_lm import Aligner

_FASTEST, _SLACK = 20.0, 8.0  # syllables a second, and a few more for very short recordings
_UNSURE = 0.2  # mean score of the aligner


def parse_words(data: Any, where: str) -> list[Word]:
    """Words with times from `[{"text", "start", "end"}]`, or from `{"words": [...]}` as
    `uniaudio asr --format json` prints it.

    Raises:
        FormatError: says which word is wrong, and how.
    """
    if isinstance(data, dict):
        data = data.get("words")
    if not isinstance(data, list) or not data:
        raise FormatError(f'{where} has no words; it must be [{{"text", "start", "end"}}, ...]')
    words: list[Word] = []
    for index, item in enumerate(data):
        if not isinstance(item, dict):
            raise FormatError(f"{where}: word {index + 1} is not an object")
        text = item.get("text", item.get("word"))
        start, end = item.get("start"), item.get("end")
        if not isinstance(text, str) or not all(
            isinstance(t, int | float) and not isinstance(t, bool) and math.isfinite(t)
            for t in (start, end)
        ):
            raise FormatError(f"{where}: word {index + 1} needs a text and its start and end in s")
        assert start is not None and end is not None
        if not 0 <= start < end:
            raise FormatError(f"{where}: '{text}' is from {start:g} to {end:g} s, not a span")
        if words and start < words[-1].start:
            raise FormatError(f"{where}: '{text}' begins before the word that precedes it")
        words.append(Word(text, float(start), float(end)))
    return words


def words_to_text(words: Sequence[Word]) -> str:
    """The transcript that the words make."""
    from mingtok_audio.core.script import has_han

    out = ""
    for word in words:
        text = word.text.strip()
        glue = "" if not out or has_han(out[-1]) or has_han(text[:1]) else " "
        out += glue + text
    return out


def unit_times(words: Sequence[Word], text: Text, seconds: float) -> tuple[list[Word], list[str]]:
    """One word for each unit of `text`.

    A word of several units (今天) is shared out evenly, which a warning says.

    Returns:
        The units with times, and warnings.

    Raises:
        UserError: the words are not those of the text, or lie outside the recording.
    """
    out: list[Word] = []
    notes: list[str] = []
    position = 0
    for word in words:
        parts = Text(word.text).units
        for index, part in enumerate(parts):
            if position >= len(text) or text.units[position].key != part.key:
                found = text.units[position].text if position < len(text) else "the end of the text"
                raise UserError(
                    f"the word times do not match the text: '{word.text}' ({word.start:g} s) "
                    f"stands where the text has '{found}'"
                )
            share = (word.end - word.start) / len(parts)
            begin = word.start + index * share
            out.append(Word(text.units[position].text, begin, begin + share))
            position += 1
        if len(parts) > 1 and not notes:
            notes.append(f"'{word.text}' has one time for several units: shared out evenly")
    if position < len(text):
        raise UserError(
            f"the word times end before '{text.units[position].text}': the text has {len(text)} "
            f"units, the times {position}"
        )
    if out and out[-1].end > seconds + 0.5:
        raise UserError(
            f"the word times reach {out[-1].end:.2f} s, the recording ends at {seconds:.2f} s: "
            "they belong to another recording"
        )
    return out, notes


def check_length(text: str, seconds: float) -> None:
    """Refuse a text too long to be said in `seconds` (`UserError`)."""
    from uniaudio_lm.text.length import syllables

    if syllables(text) > _FASTEST * seconds + _SLACK:
        raise UserError(
            f"the text has {len(Text(text))} words or characters, and the recording {seconds:.1f} "
            "s: it does not say that; give its own text"
        )


def align(recording: Recording, text: Text, aligner: Aligner) -> tuple[list[Word], list[str]]:
    """Word times by an aligner of uniaudio-lm, and warnings where it is unsure.

    Raises:
        UserError: it cannot place the text in the recording.
    """
    from mingtok_audio.core.audio.resampler import resample
    from uniaudio_edit.pcm import to_float

    mono = to_float(recording.pcm).mean(axis=1).astype("float32")
    wav = resample(mono, recording.sample_rate, 16000)
    found = aligner.align(wav, text.raw, text.language)
    words = [Word(w.text, float(w.start), float(w.end)) for w in found]
    times, notes = unit_times(words, text, recording.seconds)
    score = sum(w.score for w in found) / max(1, len(found))
    if score < _UNSURE:
        notes.append(
            f"the text fits the recording badly (score {score:.2f} of 1): it may say something "
            "else, and the edit may be in the wrong place"
        )
    return times, notes
