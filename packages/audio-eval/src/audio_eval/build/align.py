"""When each word of a known transcript is said: a recogniser's word times laid on the transcript.

The recogniser's words are aligned to the transcript by edit distance. Words that
it missed get the time between their neighbours, and a transcript that it hardly recognised is
refused: wrong times would be worse than none.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from audio_eval.build.units import Language, fold, is_han
from audio_eval.interfaces import Judge, JudgeUnavailableError
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


#: Recognises a recording: (path, language) -> words with times, in order.
Hear = Callable[[Path, str], Sequence[Word]]


def unit_times(
    units: Sequence[str], heard: Sequence[Word], seconds: float, language: Language
) -> list[tuple[float, float]]:
    """Times of `units` (words or characters of the transcript), from a recogniser's words.

    Raises:
        UserError: less than 60 % of the transcript's letters were recognised.
    """
    tokens = _tokens(heard, language)
    wanted = [_bare(unit) for unit in units]
    said = [_bare(text) for text, _, _ in tokens]
    share = _recognised("".join(wanted), "".join(said))
    if share < _MIN_SHARE:
        raise UserError(f"only {share:.0%} of the transcript was recognised")
    times: list[tuple[float, float] | None] = [None] * len(units)
    matcher = difflib.SequenceMatcher(None, wanted, said, autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            for k in range(b - a):
                times[a + k] = tokens[c + k][1:]
        elif tag == "replace" and b > a and d > c:
            # "log on" heard as "logon": share out the time by length.
            begin, end = tokens[c][1], tokens[d - 1][2]
            _share(times, a, [max(1, len(w)) for w in wanted[a:b]], begin, end)
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


def _recognised(wanted: str, said: str) -> float:
    """The share of the transcript's letters that were heard, in order."""
    matcher = difflib.SequenceMatcher(None, wanted, said, autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks()) / max(1, len(wanted))


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


class JudgeWords:
    """Word times from a speech-recognition judge that gives them (role `asr`, `words=True`).

    Args:
        judge: for example `whisper_words(folder)`.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def __call__(self, path: Path, language: str) -> list[Word]:
        """Words of a recording; empty where nothing was recognised.

        Raises:
            UserError: the judge cannot run here, or gives no word times.
        """
        wav, rate = load_audio(path, sample_rate=self._judge.sample_rate)
        try:
            self._judge.check()
            said = self._judge.evaluate(wav, rate, language=language, words=True)
        except JudgeUnavailableError as error:
            raise UserError(f"no word times: {error}") from None
        if "words" not in said:
            raise UserError(f"the judge {self._judge.info.name} gives no word times")
        return [Word(w["text"].strip(), w["start"], w["end"]) for w in said["words"]]


def whisper_words(model: Path) -> JudgeWords:
    """Word times from a Whisper model in CTranslate2 format (a folder), through faster-whisper.

    Raises:
        UserError: the folder holds no model.
    """
    from audio_eval.judges.whisper_ct2 import WhisperFolder

    if not (model / "model.bin").is_file():
        raise UserError(
            f"{model}: holds no model.bin; give a Whisper model in CTranslate2 format, for example "
            "the one that 'audio-eval judges --assemble' makes"
        )
    return JudgeWords(WhisperFolder(str(model)))


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
