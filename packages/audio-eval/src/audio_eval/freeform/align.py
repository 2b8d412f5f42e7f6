"""When each word of a known transcript is said: a recogniser's word times laid on the transcript.

The recogniser hears its own words; they are aligned to the transcript by edit distance. Words that
it missed get the time between their neighbours, and a transcript that it hardly recognised is
refused: wrong times would be worse than none.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_eval.freeform.units import Language, fold, is_han
from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError

_MIN_SHARE = 0.6


@dataclass(frozen=True)
class Word:
    """A word (Chinese: one or more characters) with its times in seconds."""

    text: str
    start: float
    end: float
    score: float = 1.0


#: Hears a recording: (path, language) -> words with times, in order.
Hear = Callable[[Path, str], Sequence[Word]]


def unit_times(
    units: Sequence[str], heard: Sequence[Word], seconds: float, language: Language
) -> list[tuple[float, float]]:
    """Times of `units` (words or characters of the transcript), from what a recogniser heard.

    Raises:
        UserError: less than 60 % of the units were recognised.
    """
    tokens = _tokens(heard, language)
    wanted = [_bare(unit) for unit in units]
    said = [_bare(text) for text, _, _ in tokens]
    times: list[tuple[float, float] | None] = [None] * len(units)
    matcher = difflib.SequenceMatcher(None, wanted, said, autojunk=False)
    matched = 0
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            matched += b - a
            for k in range(b - a):
                times[a + k] = tokens[c + k][1:]
        elif tag == "replace" and b > a and d > c:
            # "log on" heard as "logon": share out the time by length.
            begin, end = tokens[c][1], tokens[d - 1][2]
            _share(times, a, [max(1, len(w)) for w in wanted[a:b]], begin, end)
    if matched < _MIN_SHARE * len(units):
        raise UserError(f"only {matched} of {len(units)} words of the transcript were recognised")
    _fill_gaps(times, wanted, seconds)
    return _in_order([t for t in times if t is not None])


def _tokens(heard: Sequence[Word], language: Language) -> list[tuple[str, float, float]]:
    """What was heard as (text, start, end); Chinese character by character."""
    out: list[tuple[str, float, float]] = []
    for word in heard:
        text = word.text.strip()
        characters = [c for c in text if is_han(c)] if language == "zh" else []
        if characters:
            step = (word.end - word.start) / len(characters)
            for k, c in enumerate(characters):
                out.append((c, word.start + k * step, word.start + (k + 1) * step))
        elif _bare(text):
            out.append((text, word.start, word.end))
    return out


def _bare(text: str) -> str:
    return "".join(c for c in fold(text) if c.isalnum())


def _share(
    times: list[tuple[float, float] | None], first: int, sizes: list[int], begin: float, end: float
) -> None:
    scale = (end - begin) / sum(sizes)
    for k, size in enumerate(sizes):
        times[first + k] = (begin, begin + size * scale)
        begin += size * scale


def _fill_gaps(times: list[tuple[float, float] | None], words: list[str], seconds: float) -> None:
    """Units that nothing matched share the time between their neighbours by length."""
    index = 0
    while index < len(times):
        if times[index] is not None:
            index += 1
            continue
        stop = index
        while stop < len(times) and times[stop] is None:
            stop += 1
        before = times[index - 1] if index else None
        after = times[stop] if stop < len(times) else None
        begin = before[1] if before else 0.0
        end = after[0] if after else seconds
        _share(times, index, [max(1, len(w)) for w in words[index:stop]], begin, max(begin, end))
        index = stop


def _in_order(times: list[tuple[float, float]]) -> list[tuple[float, float]]:
    out: list[tuple[float, float]] = []
    for start, end in times:
        begin = max(start, out[-1][1] if out else 0.0)
        out.append((begin, max(begin, end)))
    return out


class WhisperWords:
    """Word times from a Whisper model in CTranslate2 format, through faster-whisper.

    Args:
        model: a folder, or a model name that faster-whisper knows.
    """

    def __init__(self, model: str | Path) -> None:
        self._name = str(model)
        self._model: Any = None

    def __call__(self, path: Path, language: str) -> list[Word]:
        """Words of a recording; empty where nothing was recognised.

        Raises:
            UserError: faster-whisper is not installed, or the model cannot be loaded.
        """
        if self._model is None:
            self._model = self._load()
        wav, _ = load_audio(path, sample_rate=16000)
        segments, _ = self._model.transcribe(
            wav,
            language=language or None,
            beam_size=5,
            word_timestamps=True,
            condition_on_previous_text=False,
        )
        return [
            Word(word.word.strip(), word.start, word.end, word.probability)
            for segment in segments
            for word in segment.words or ()
        ]

    def _load(self) -> Any:
        try:
            from faster_whisper import WhisperModel
        except ImportError:
            raise UserError("word times need faster-whisper: pip install faster-whisper") from None
        try:
            return WhisperModel(self._name, device="cpu", compute_type="float32", cpu_threads=1)
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(f"cannot load the Whisper model {self._name}: {error}") from error


class TranscriptTimes:
    """Times of the units of a transcript, remembered per file."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._known: dict[tuple[Path, str], list[tuple[float, float]]] = {}

    def __call__(
        self, path: Path, units: Sequence[str], language: Language, seconds: float
    ) -> list[tuple[float, float]]:
        """(start, end) seconds of each unit.

        Raises:
            UserError: the recogniser heard too little of the transcript.
        """
        key = (path, " ".join(units))
        if key not in self._known:
            heard = self._hear(path, language)
            self._known[key] = unit_times(units, heard, seconds, language)
        return self._known[key]
