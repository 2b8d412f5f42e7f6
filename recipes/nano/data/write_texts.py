"""Texts that nobody speaks, with phonemes and likely durations: what spelling is learned from.

The definitions of WordNet 3.0, but for the held-out lexicographer files. A language model that
learns from phonemes in the place of audio (`data.audio: phonemes`) reads no recording, so ten times
the words cost no synthesis. Phonemes come from the bulk voice's own dictionary, durations are drawn
from those that it spoke in `OUT/hibari`, symbol by symbol. The `audio` of these items does not
exist: they are of no use to anything else.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from .common import Item, assign_split, read_manifest, stable_fraction, write_manifest
from .packages import PackageError, debian_package
from .sentences import (
    TEST_LEXICOGRAPHER_FILES,
    Sentence,
    drop_overlaps,
    load,
    tidy,
    wordnet_glosses,
    words,
)
from .speak_hibari import TimedVoice
from .synthesis import CannotSpeakError

CORPUS = "texts"
MIN_WORDS, MAX_WORDS = 3, 24
DEFAULT_HOURS = 80.0


def definitions(root: Path) -> Iterator[tuple[str, int, str]]:
    """(id, lexicographer file, definition) of a WordNet database folder; a gloss with several
    definitions gives several."""
    for place, number, gloss in wordnet_glosses(root):
        for count, text in enumerate(gloss.split('"')[0].split(";")):
            yield f"wndef-{place}-{count}", number, text


def plain(text: str) -> bool:
    """Letters and ordinary punctuation only, 3 to 24 words."""
    letters = all(c.isascii() and (c.isalpha() or c in " ,.'-?!") for c in text)
    return letters and MIN_WORDS <= len(words(text)) <= MAX_WORDS


def collect(out: Path) -> list[Sentence]:
    """The definitions that share no six words with what is held out, in a fixed random order."""
    root = debian_package("wordnet-base", out / "packages") / "usr/share/wordnet"
    held_out = [s for s in load(out) if s.split != "train"]
    found = []
    for key, number, text in definitions(root):
        if number in TEST_LEXICOGRAPHER_FILES:
            continue
        said = tidy(text)
        if plain(said):
            split = assign_split(key, valid_fraction=0.005)
            document = f"wordnet/{number:02d}"
            found.append(
                Sentence(key, said, document, "WordNet 3.0 definitions", "WordNet-3.0", split)
            )
    found.sort(key=lambda s: stable_fraction(s.id))
    valid = drop_overlaps([s for s in found if s.split == "valid"], held_out)
    train = drop_overlaps([s for s in found if s.split == "train"], [*held_out, *valid])
    return [*valid, *train]


def spoken_durations(manifest: Path) -> dict[str, list[float]]:
    """Durations of each symbol of a corpus, a sample of them; its pauses at the ends apart."""
    found: dict[str, list[float]] = defaultdict(list)
    for item in read_manifest(manifest)[:4000]:
        for symbol, seconds in zip(item.phonemes, item.durations, strict=True):
            if len(found[symbol]) < 2000:
                found[symbol].append(max(seconds, 0.0))
    if not found:
        raise PackageError(f"{manifest} has no durations: prepare hibari first")
    return dict(found)


def prepare(out: Path, hours: float | None = None) -> list[Path]:
    """Writes `OUT/texts/manifest.jsonl` with about `hours` of speech that is never made."""
    voice, durations = TimedVoice(), spoken_durations(out / "hibari" / "manifest.jsonl")
    left = 3600 * (DEFAULT_HOURS if hours is None else hours)
    items = []
    for sentence in collect(out):
        if left <= 0:
            break
        try:
            symbols = voice.phonemes(sentence.text)
        except CannotSpeakError:
            continue
        if any(s not in durations for s in symbols):
            continue
        rng = random.Random(sentence.id)
        seconds = [rng.choice(durations[s]) for s in symbols]
        total = sum(seconds)
        left -= total
        items.append(
            Item(
                id=f"text-{sentence.id}",
                audio="never-spoken.flac",
                text=sentence.text,
                language="en",
                speaker="nobody",
                source=sentence.source,
                licence=sentence.licence,
                split=sentence.split,
                seconds=round(total, 6),
                document=sentence.document,
                phonemes=symbols,
                durations=tuple(round(s, 6) for s in seconds),
            )
        )
    manifest = out / CORPUS / "manifest.jsonl"
    write_manifest(manifest, items)
    return [manifest]
