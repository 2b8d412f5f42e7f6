"""The definitions of `write_texts`, spoken by the bulk voice: other words than its usage examples.

A model that has read the same sentences five times learns them by heart; more of them cost a
hundredth of their length (`speak_hibari`). No held-out text, as there.
"""

from __future__ import annotations

from pathlib import Path

from .speak_hibari import KNOWN_VERSION, TimedVoice
from .synthesis import Job, synthesise
from .write_texts import collect

CORPUS = "definitions"
DEFAULT_HOURS = 24.0


def prepare(out: Path, hours: float | None = None) -> list[Path]:
    """Speaks `hours` (24 by default) into `OUT/definitions`; returns its manifest."""
    voice = TimedVoice()
    jobs = [
        Job(
            id=f"hibari-{s.id}",
            text=s.text,
            language="en",
            speaker="hibari-heart",
            source=f"hibari-tts {KNOWN_VERSION}; text: {s.source}",
            licence=f"Apache-2.0 (voice), {s.licence} (text)",
            split=s.split,
            document=s.document,
        )
        for s in collect(out)
    ]
    wanted = 3600 * (DEFAULT_HOURS if hours is None else hours)
    return [synthesise(out / CORPUS, jobs, voice.speak, max_seconds=wanted)]
