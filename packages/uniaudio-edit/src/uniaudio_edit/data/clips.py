"""Recordings to make pairs from: a JSON-lines manifest, read line by line.

A line holds `audio` (relative to the manifest), `text`, and as far as they are known `id`,
`language`, `speaker`, `split`, and when each word is spoken: `words` (`[{"text", "start", "end"}]`
in seconds), or `phonemes` with `durations` in seconds, where a phoneme " " parts two words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mingtok_audio.core.errors import FormatError, UserError
from uniaudio_edit.interfaces import Word
from uniaudio_edit.text import Text
from uniaudio_edit.words import parse_words, unit_times

_MAX_LINE = 16 << 20
_PAUSES = frozenset({"_", "sil", "sp", "<pad>", ""})


@dataclass(frozen=True)
class Clip:
    """A line of a manifest.

    Attributes:
        index: its number in the manifest, from 0 (of the split that is read).
        timing: what the line says about times; `unit_words` makes times of units of it.
        parallel: other recordings of the same words, `{"audio", "dialect" or "emotion"}`.
    """

    index: int
    id: str
    audio: Path
    text: str
    language: str
    speaker: str = ""
    timing: dict[str, Any] = field(default_factory=dict)
    parallel: tuple[dict[str, Any], ...] = ()


def read_clips(path: Path, split: str | None = None) -> Iterator[Clip]:
    """The clips of a manifest, in its order, one line in memory at a time.

    Raises:
        UserError: the manifest cannot be read, or a line of it; names the line.
    """
    index = 0
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(iter(lambda: file.readline(_MAX_LINE), b""), 1):
                if not raw.strip():
                    continue
                row = _row(raw, f"{path}, line {number}")
                if split is not None and row.get("split") != split:
                    continue
                yield _clip(row, index, path, f"{path}, line {number}")
                index += 1
    except OSError as error:
        raise UserError(f"cannot read the manifest {path}: {error.strerror or error}") from error


def _row(raw: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(raw)
    except ValueError as error:
        raise FormatError(f"{where} is not JSON ({error})") from error
    if not isinstance(row, dict):
        raise FormatError(f"{where} is not a JSON object")
    return row


def _clip(row: dict[str, Any], index: int, manifest: Path, where: str) -> Clip:
    audio, text = row.get("audio"), row.get("text", "")
    if not isinstance(audio, str) or not audio or not isinstance(text, str):
        raise FormatError(f"{where} needs 'audio' (a path) and 'text'")
    name = str(row.get("id") or Path(audio).stem)
    if name.startswith(".") or any(c in name for c in "/\\\0"):
        raise FormatError(f"{where}: the id {name!r} is not a file name")
    parallel = row.get("parallel") or []
    if not isinstance(parallel, list) or not all(
        isinstance(p, dict) and isinstance(p.get("audio"), str) for p in parallel
    ):
        raise FormatError(f"{where}: 'parallel' must be a list of objects with 'audio'")
    timing = {k: row[k] for k in ("words", "phonemes", "durations") if row.get(k) is not None}
    return Clip(
        index=index,
        id=name,
        audio=manifest.parent / audio,
        text=text,
        language=str(row.get("language") or Text(text).language),
        speaker=str(row.get("speaker") or ""),
        timing=timing,
        parallel=tuple(parallel),
    )


def unit_words(clip: Clip, seconds: float) -> list[Word] | None:
    """When each unit (word, or Chinese character) is spoken; None where the line does not say.

    Raises:
        UserError: times that do not fit the text or the recording.
    """
    if "words" in clip.timing:
        words = parse_words(clip.timing["words"], clip.id)
        return unit_times(words, Text(clip.text), seconds)[0]
    if "phonemes" in clip.timing and "durations" in clip.timing:
        return phoneme_words(
            clip.timing["phonemes"], clip.timing["durations"], Text(clip.text), clip.id
        )
    return None


def phoneme_words(
    phonemes: Sequence[str], durations: Sequence[float], text: Text, where: str
) -> list[Word] | None:
    """Times of the units of `text` from phonemes and their seconds; None where they cannot be told
    apart (a number that is spoken as several words).

    Chinese characters share the time of their word, one syllable for each.
    """
    if len(phonemes) != len(durations):
        raise FormatError(f"{where}: {len(phonemes)} phonemes have {len(durations)} durations")
    groups: list[tuple[str, float, float]] = []
    now, open_group = 0.0, False
    for symbol, seconds in zip(phonemes, durations, strict=True):
        begin, now = now, now + float(seconds)
        if not symbol.strip() or symbol in _PAUSES:
            open_group = False
        elif not any(c.isalpha() for c in symbol):  # stress and punctuation
            if open_group and _is_mark(symbol):
                said, start, end = groups[-1]
                groups[-1] = (said + symbol, start, end)
        elif open_group:
            said, start, _ = groups[-1]
            groups[-1] = (said + symbol, start, now)
        else:
            groups.append((symbol, begin, now))
            open_group = True
    if text.language != "zh":
        if len(groups) != len(text):
            return None
        return [Word(u.text, a, b) for u, (_, a, b) in zip(text.units, groups, strict=True)]
    sizes = [_syllables(said) for said, _, _ in groups]
    if sum(sizes) != len(text):
        return None
    out: list[Word] = []
    for (_, a, b), size in zip(groups, sizes, strict=True):
        for k in range(size):
            step = (b - a) / size
            out.append(Word(text.units[len(out)].text, a + k * step, a + (k + 1) * step))
    return out


def _is_mark(symbol: str) -> bool:
    return symbol in "↗↘→↓˥˦˧˨˩12345"


def _syllables(said: str) -> int:
    """Syllables of a Chinese word in phonemes: its runs of vowels; a tone ends a run."""
    count, inside = 0, False
    for symbol in said:
        vowel = symbol in "aeiouyɑɐəɤɚɛɔɨʊɯœø"
        count += vowel and not inside
        inside = vowel
    return count
