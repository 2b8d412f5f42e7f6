"""The definitions of `write_texts`, spoken by the bulk voice: other words than its usage examples.

A model that has read the same sentences five times learns them by heart; more of them cost a
hundredth of their length (`speak_hibari`). No held-out text, as there.
"""

from __future__ import annotations

from pathlib import Path

from .speak_hibari import TimedVoice, job
from .synthesis import synthesise
from .write_texts import collect

CORPUS = "definitions"
DEFAULT_HOURS = 24.0


def prepare(out: Path, hours: float | None = None) -> list[Path]:
    """Speaks `hours` (24 by default) into `OUT/definitions`; returns its manifest."""
    voice = TimedVoice()
    jobs = [job(sentence) for sentence in collect(out)]
    wanted = 3600 * (DEFAULT_HOURS if hours is None else hours)
    return [synthesise(out / CORPUS, jobs, voice.speak, max_seconds=wanted)]
