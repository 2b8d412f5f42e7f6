"""When each token of a text is said, from the phoneme durations of a manifest.

Axes: T tokens, P patches, C phoneme classes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from mingtok_audio.core.errors import ConfigError
from uniaudio_lm.text.phonemes import PUNCTUATION, manifest_text, written
from uniaudio_lm.training.aligner.references import frame_labels, read_timed
from uniaudio_lm.training.utterances import Utterance

_MARGIN = 0.05  # seconds to either side of a patch that still count as being said there
_PAUSE = "_"


def character_times(said: str, utterance: Utterance) -> np.ndarray | None:
    """Start and end in seconds of each character of `said`, (len(said), 2).

    None where the manifest has no durations, or its words are not those of the text.
    """
    if not utterance.durations:
        return None
    ends = np.cumsum(utterance.durations)
    starts = ends - np.asarray(utterance.durations)
    if said == manifest_text(utterance.phonemes):
        return _of_symbols(said, utterance.phonemes, starts, ends)
    spoken = _spoken_words(utterance.phonemes, starts, ends)
    words = _written_words(said)
    if len(words) != len(spoken) or not words:
        return None
    times = np.zeros((len(said), 2))
    before = spoken[0][0]
    at = 0
    for (first, last), (start, end) in zip(words, spoken, strict=True):
        times[at:first] = (before, start)  # what joins two words
        edges = np.linspace(start, end, last - first + 1)
        times[first:last] = np.stack((edges[:-1], edges[1:]), axis=1)
        at, before = last, end
    times[at:] = (before, before)
    return times


def _of_symbols(
    said: str, symbols: Sequence[str], starts: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    times = np.zeros((len(said), 2))
    at = 0
    for symbol, start, end in zip(symbols, starts, ends, strict=True):
        if symbol == _PAUSE or (symbol == " " and (at == 0 or at >= len(said))):
            continue
        size = 1 if symbol == " " or symbol in PUNCTUATION else len(written([symbol]))
        times[at : at + size] = (start, end)
        at += size
    return times


def _spoken_words(
    symbols: Sequence[str], starts: np.ndarray, ends: np.ndarray
) -> list[tuple[float, float]]:
    """Start and end of each word; punctuation lengthens the word before it."""
    out: list[tuple[float, float]] = []
    inside = False
    for symbol, start, end in zip(symbols, starts.tolist(), ends.tolist(), strict=True):
        if symbol in (" ", _PAUSE):
            inside = False
        elif symbol in PUNCTUATION:
            if out:
                out[-1] = (out[-1][0], end)
        elif inside:
            out[-1] = (out[-1][0], end)
        else:
            out.append((start, end))
            inside = True
    return out


def _written_words(said: str) -> list[tuple[int, int]]:
    """Where each word stands; what has no letter or digit belongs to the word before it."""
    out: list[tuple[int, int]] = []
    for match in re.finditer(r"\S+", said):
        if any(c.isalnum() for c in match.group()):
            out.append(match.span())
        elif out:
            out[-1] = (out[-1][0], match.end())
    return out


def token_times(offsets: Sequence[tuple[int, int]], times: np.ndarray) -> np.ndarray:
    """Characters' times (n, 2) as those of the tokens at `offsets`, (T, 2)."""
    out = np.zeros((len(offsets), 2))
    for row, (first, last) in zip(out, offsets, strict=True):
        part = times[first : max(last, first + 1)]
        row[:] = (part[:, 0].min(), part[:, 1].max()) if len(part) else times[-1]
    return out


def said_in_patches(times: np.ndarray, patches: int, patch_seconds: float) -> np.ndarray:
    """Which tokens (T, 2) are said in which patch: (P, T) bool, never empty for a patch."""
    start = np.arange(patches)[:, None] * patch_seconds
    end = start + patch_seconds
    inside = (times[None, :, 0] < end + _MARGIN) & (times[None, :, 1] > start - _MARGIN)
    # A pause: the token whose time is nearest.
    middle = (start + end) / 2
    distance = np.maximum(times[None, :, 0] - middle, middle - times[None, :, 1])
    nearest = distance.argmin(axis=1)
    empty = ~inside.any(axis=1)
    inside[empty, nearest[empty]] = True
    return inside


def phonemes_in_frames(utterance: Utterance, frames: int, frame_rate: float) -> np.ndarray:
    """What is heard at the middle of each frame, (frames,) int64: numbers of the aligner's phonemes
    (`aligners.units.PHONES` from 1, silence 0), `IGNORED` where unknown.

    Raises:
        ConfigError: a phoneme that the aligner does not know; names it and the item.
    """
    if not utterance.durations:
        return frame_labels([], frames, frame_rate)
    language = utterance.language or "en"
    try:
        timed = read_timed(utterance.phonemes, utterance.durations, language)
    except ValueError as error:
        raise ConfigError(f"loss.frames: item {utterance.recording.id}: {error}") from error
    return frame_labels(timed, frames, frame_rate)


def phonemes_in_patches(
    utterance: Utterance, classes: Mapping[str, int], patches: int, patch_seconds: float
) -> np.ndarray:
    """The share of each phoneme in each patch (P, C), float32; zero rows where unknown."""
    out = np.zeros((patches, len(classes)), dtype=np.float32)
    at = 0.0
    for symbol, duration in zip(utterance.phonemes, utterance.durations, strict=False):
        number = classes.get(symbol)
        first, last = int(at / patch_seconds), int((at + duration) / patch_seconds)
        for patch in range(first, min(last + 1, patches)) if number is not None else ():
            start, end = patch * patch_seconds, (patch + 1) * patch_seconds
            out[patch, number] += max(0.0, min(at + duration, end) - max(at, start))
        at += duration
    total = out.sum(axis=1, keepdims=True)
    return np.divide(out, total, out=out, where=total > 0)
