"""Items of the manifests as the language model learns them.

Beside what every manifest has (`audio`, `seconds`), a row has `text`, and as it pleases `language`,
`speaker`, `phonemes` and their `durations` in seconds. A row with `question` and `answer` is a
question about its recording; where the recording itself asks, `question` is "".
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from mingtok_audio.core.errors import ConfigError
from mingtok_audio.training.manifests import Recording, Recordings, Source, read_source


@dataclass(frozen=True)
class Utterance:
    """One recording and what is known of it."""

    recording: Recording
    text: str
    language: str
    speaker: str
    weight: float
    phonemes: tuple[str, ...] = ()
    durations: tuple[float, ...] = ()
    """Seconds of each phoneme, from the recording's start; empty where unknown."""
    question: str = ""
    """Asked about the recording; "" where the recording asks."""
    answer: str = ""
    """To the question; "" where there is none to answer."""


class Utterances(Sequence[Utterance]):
    """Items that can be used, read from their manifests when they are asked for.

    Args:
        answers: whether a row without a text but with a question and its answer can be used.

    Attributes:
        seconds, weights: of each.
    """

    def __init__(self, sources: Sequence[Source], longest: float, answers: bool = True) -> None:
        self._answers = answers
        self.silent: list[str] = []
        """Names of those that have no transcript."""
        self._recordings: list[Recordings] = []
        self._source_weights: list[float] = []
        picks, seconds, weights = [], [], []
        for source in sources:
            if source.weight < 0:
                raise ConfigError(f"{source.manifest}: a weight cannot be negative")
            found = read_source(source)
            chosen = array("q", self._usable(source, found, longest))
            number = len(self._recordings)
            self._recordings.append(found)
            self._source_weights.append(source.weight)
            picks.append(np.asarray(chosen, dtype=np.int64) + (number << 40))
            seconds.append(found.seconds[chosen] if len(chosen) else np.zeros(0))
            weights.append(np.full(len(chosen), source.weight))
        self._picks = np.concatenate([np.zeros(0, dtype=np.int64), *picks])
        self.seconds = np.concatenate([np.zeros(0), *seconds])
        self.weights = np.concatenate([np.zeros(0), *weights])

    def _usable(self, source: Source, found: Recordings, longest: float) -> Iterator[int]:
        for index, recording in enumerate(found):
            if recording.seconds > longest:
                continue
            try:
                utterance = _utterance(recording, source.weight)
            except (TypeError, ValueError) as error:
                raise ConfigError(f"{source.manifest}: item {recording.id}: {error}") from error
            if utterance.text or (self._answers and utterance.answer):
                yield index
            else:
                self.silent.append(recording.name)

    def __len__(self) -> int:
        return len(self._picks)

    @overload
    def __getitem__(self, index: int) -> Utterance: ...

    @overload
    def __getitem__(self, index: slice) -> list[Utterance]: ...

    def __getitem__(self, index: int | slice) -> Utterance | list[Utterance]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        source, place = divmod(int(self._picks[index]), 1 << 40)
        return _utterance(self._recordings[source][place], self._source_weights[source])


def read_utterances(
    sources: Sequence[Source], longest: float, answers: bool = True
) -> tuple[Sequence[Utterance], list[str]]:
    """The items that can be used, and the names of those that have no transcript; `answers` as in
    `Utterances`.

    Raises:
        ConfigError: one line that names the manifest and the item.
    """
    found = Utterances(sources, longest, answers)
    if sources and not found:
        names = ", ".join(source.manifest for source in sources)
        raise ConfigError(
            f"no item of {names} has a transcript (`text`), the split asked for and at most "
            f"{longest:g} s"
        )
    return found, found.silent


def _utterance(recording: Recording, weight: float) -> Utterance:
    fields = recording.fields
    text = recording.text or ""
    if not isinstance(text, str):
        raise ValueError(f"text must be a string, found {text!r}")
    phonemes = _strings(fields.get("phonemes") or (), "phonemes")
    durations = tuple(float(d) for d in fields.get("durations") or ())
    if durations:
        if len(durations) != len(phonemes):
            raise ValueError(f"{len(phonemes)} phonemes but {len(durations)} durations")
        total = sum(durations)
        if min(durations) < 0 or abs(total - recording.seconds) > 0.1 + 0.1 * recording.seconds:
            raise ValueError(
                f"durations of {total:.2f} s in all for a recording of {recording.seconds:.2f} s"
            )
    return Utterance(
        recording,
        " ".join(text.split()),
        str(fields.get("language") or ""),
        str(fields.get("speaker") or ""),
        weight,
        phonemes,
        durations,
        *_question(fields),
    )


def _question(fields: Mapping[str, Any]) -> tuple[str, str]:
    """The question and the answer of a row, both "" where it has none."""
    question, answer = fields.get("question"), fields.get("answer")
    if question is None and answer is None:
        return "", ""
    if not isinstance(question, str) or not isinstance(answer, str) or not answer.strip():
        raise ValueError(
            "question and answer go together, both strings: an answer that is not empty, and a "
            'question that is "" where the recording itself asks'
        )
    return question.strip(), answer.strip()


def _strings(values: Any, what: str) -> tuple[str, ...]:
    if isinstance(values, str) or not all(isinstance(v, str) for v in values):
        raise ValueError(f"{what} must be a list of strings")
    return tuple(values)
