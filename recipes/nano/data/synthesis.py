"""Speaks a list of sentences into a corpus, resumably.

A job is done when its audio and its manifest line are there. The manifest is rewritten every
few seconds, so a killed run loses at most those; what is done is never spoken again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .common import SAMPLE_RATE, Item, read_manifest, save_flac, to_16k, write_manifest

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Job:
    """A sentence for a voice; `id` names the item and its audio file."""

    id: str
    text: str
    language: str
    speaker: str
    source: str
    licence: str
    split: str
    document: str


@dataclass(frozen=True)
class Spoken:
    """What a synthesiser gives back: mono `wav` (T,) and, where known, the phoneme times."""

    wav: np.ndarray
    sample_rate: int
    phonemes: tuple[str, ...] = ()
    durations: tuple[float, ...] = ()


class CannotSpeakError(ValueError):
    """This sentence cannot be spoken by this voice; the run goes on without it."""


def synthesise(
    corpus: Path,
    jobs: Iterable[Job],
    speak: Callable[[Job], Spoken],
    *,
    max_seconds: float,
    flush_seconds: float = 20.0,
) -> Path:
    """Speaks `jobs` in order until the corpus holds `max_seconds` of audio; returns the manifest.

    Items of earlier runs count, whatever their place in the order. Items whose audio vanished
    are spoken again.
    """
    manifest = corpus / "manifest.jsonl"
    items = [item for item in read_manifest(manifest) if (corpus / item.audio).exists()]
    done = {item.id for item in items}
    total = sum(item.seconds for item in items)
    flushed = time.monotonic()
    fresh = 0
    try:
        for job in jobs:
            if total >= max_seconds:
                break
            if job.id in done:
                continue
            try:
                item = _speak(corpus, job, speak)
            except CannotSpeakError as error:
                print(f"{job.id}: {error}", file=sys.stderr)
                continue
            items.append(item)
            done.add(job.id)
            total += item.seconds
            fresh += 1
            if time.monotonic() - flushed >= flush_seconds:
                write_manifest(manifest, items)
                flushed = time.monotonic()
                print(f"{corpus.name}: {len(items)} items, {total / 60:.1f} min", file=sys.stderr)
    finally:
        if fresh or not manifest.exists():
            write_manifest(manifest, items)
    return manifest


def _speak(corpus: Path, job: Job, speak: Callable[[Job], Spoken]) -> Item:
    spoken = speak(job)
    wav = to_16k(spoken.wav, spoken.sample_rate)
    if len(wav) == 0:
        raise CannotSpeakError("the synthesiser returned no samples")
    # A resampler's rounding may move the end by a sample; the last sound takes it.
    seconds = len(wav) / SAMPLE_RATE
    durations = [round(value, 6) for value in spoken.durations]
    if durations:
        durations[-1] = round(durations[-1] + seconds - sum(durations), 6)
    audio = f"wavs/{job.id}.flac"
    save_flac(corpus / audio, wav)
    return Item(
        id=job.id,
        audio=audio,
        text=job.text,
        language=job.language,
        speaker=job.speaker,
        source=job.source,
        licence=job.licence,
        split=job.split,
        seconds=round(seconds, 6),
        document=job.document,
        phonemes=spoken.phonemes,
        durations=tuple(durations),
    )
