"""Who says which words: voices of windows of speech, clustered, then one speaker a phrase.

The voice of a window is the small embedding of `mingtok_audio.curation.voice`, which needs no
download; its stage `speakers` clusters.

Axes: T samples, W words, N windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mingtok_audio.core.audio import resample
from mingtok_audio.core.errors import UserError
from mingtok_audio.curation import voice
from mingtok_audio.curation.stages.speakers import THRESHOLDS, cluster, without_rare

if TYPE_CHECKING:
    from uniaudio_lm.interfaces import Word

MOST = 20
_WINDOW, _HOP = 3.0, 0.5  # seconds
_BRIDGED = 0.5  # seconds without a word that windows go across
_PHRASE = 0.3  # seconds without a word at which a phrase ends
_ENDS = (".", "!", "?", "。", "！", "？", "…")  # and marks at which it does


def speaker_count(text: str) -> int | None:
    """What `--speakers` says: a number, or None for "auto".

    Raises:
        UserError: neither.
    """
    if text == "auto":
        return None
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise UserError(f"--speakers is auto or a number from 1 to {MOST}, not '{text}'")
    return int(text)


def speakers_of(
    wav: np.ndarray,
    sample_rate: int,
    words: Sequence[Word],
    marks: Sequence[str],
    count: int | None,
) -> list[str]:
    """The speaker of each word, "SPEAKER_1" who speaks first.

    Args:
        wav: (T,).
        words: (W,) with times in seconds, in order.
        marks: (W,) the words as they are written, with the marks that follow them.
        count: of speakers; None: as many as sound different.
    """
    if not words:
        return []
    samples = np.asarray(resample(wav, sample_rate, voice.RATE), dtype=np.float32).reshape(-1)
    spans = _windows(words)
    vectors = np.stack([_embedded(samples, begin, end) for begin, end, _ in spans])
    # A similarity of 2 does not exist: then clusters are joined down to the number asked for.
    threshold, most = (THRESHOLDS["small"], MOST) if count is None else (2.0, count)
    labels = cluster(vectors, threshold, most)
    if count is None:
        labels = without_rare(vectors, labels, np.array([seconds for _, _, seconds in spans]))
    middles = np.array([(begin + end) / 2 for begin, end, _ in spans])
    own = [int(labels[np.abs(middles - (w.start + w.end) / 2).argmin()]) for w in words]
    by_phrase = _by_phrase(words, marks, own)
    order = {label: place for place, label in enumerate(dict.fromkeys(by_phrase), 1)}
    return [f"SPEAKER_{order[label]}" for label in by_phrase]


def _windows(words: Sequence[Word]) -> list[tuple[float, float, float]]:
    """Begin and end of each window, and the seconds of speech that it stands for."""
    runs: list[list[float]] = []
    for word in words:
        if runs and word.start - runs[-1][1] < _BRIDGED:
            runs[-1][1] = max(runs[-1][1], word.end)
        else:
            runs.append([word.start, word.end])
    found: list[tuple[float, float, float]] = []
    for begin, end in runs:
        count = max(1, int((end - begin - _WINDOW) / _HOP) + 1)
        found += [
            (
                begin + k * _HOP,
                end if k == count - 1 else begin + k * _HOP + _WINDOW,
                (end - begin) / count,
            )
            for k in range(count)
        ]
    return found


def _embedded(samples: np.ndarray, begin: float, end: float) -> np.ndarray:
    part = samples[round(begin * voice.RATE) : max(round(end * voice.RATE), 1)]
    vector = np.asarray(voice.embed(part, voice.RATE), np.float64).reshape(-1)
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def _by_phrase(words: Sequence[Word], marks: Sequence[str], labels: list[int]) -> list[int]:
    """One label a phrase: that of most of its time."""
    out: list[int] = []
    begin = 0
    for i, word in enumerate(words):
        last = i + 1 == len(words)
        ends = marks[i].rstrip(" \"'”’)").endswith(_ENDS)
        if not (last or ends or words[i + 1].start - word.end >= _PHRASE):
            continue
        time: dict[int, float] = {}
        for w, label in zip(words[begin : i + 1], labels[begin : i + 1], strict=True):
            time[label] = time.get(label, 0.0) + w.end - w.start
        out += [max(time, key=lambda label: time[label])] * (i + 1 - begin)
        begin = i + 1
    return out
