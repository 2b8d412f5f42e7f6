"""Items of the manifests as the language model learns them.

Beside what every manifest has (`audio`, `seconds`), a row has `text`, and as it pleases `language`,
`speaker`, `phonemes` and their `durations` in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mingtok_audio.core.errors import ConfigError
from mingtok_audio.training.manifests import Recording, Source, read_source


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


def read_utterances(sources: Sequence[Source], longest: float) -> tuple[list[Utterance], list[str]]:
    """The items that can be used, and the names of those that have no transcript.

    Raises:
        ConfigError: one line that names the manifest and the item.
    """
    found, silent = [], []
    for source in sources:
        if source.weight < 0:
            raise ConfigError(f"{source.manifest}: a weight cannot be negative")
        for recording in read_source(source):
            if recording.seconds > longest:
                continue
            try:
                utterance = _utterance(recording, source.weight)
            except (TypeError, ValueError) as error:
                raise ConfigError(f"{source.manifest}: item {recording.id}: {error}") from error
            if utterance.text:
                found.append(utterance)
            else:
                silent.append(recording.name)
    if sources and not found:
        names = ", ".join(source.manifest for source in sources)
        raise ConfigError(
            f"no item of {names} has a transcript (`text`), the split asked for and at most "
            f"{longest:g} s"
        )
    return found, silent


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
    )


def _strings(values: Any, what: str) -> tuple[str, ...]:
    if isinstance(values, str) or not all(isinstance(v, str) for v in values):
        raise ValueError(f"{what} must be a list of strings")
    return tuple(values)
