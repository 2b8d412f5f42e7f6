"""Phoneme times for a manifest that has none, from its texts and the shipped aligner.

    python recipes/nano/tools/phoneme_times.py .data/asterisk-en/manifest.jsonl

writes `timed.jsonl` beside it: the rows whose text fits the sound, with `phonemes` (in the symbols
of the synthesised corpora, without stress) and `durations`.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path

import numpy as np

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.files import atomic_write_text
from uniaudio_lm.parts.aligners.ctc import CtcAligner, with_wildcard
from uniaudio_lm.parts.aligners.loading import load_aligner
from uniaudio_lm.parts.aligners.units import PHONES, WILDCARD
from uniaudio_lm.parts.aligners.viterbi import forced_path

_SAID = "ɑ æ ə ɔ W I b ʧ d ð ɛ ɜɹ A f ɡ h ɪ i ʤ k l m n ŋ O Y p ɹ s ʃ t θ ʊ u v w j z ʒ"
_IPA = _SAID.split()  # of PHONES, in their order
_PAUSE = 8  # frames; what is shorter between two phonemes belongs to them
_WORST = 0.2  # geometric mean of a recording's phonemes against the likeliest ones


def timed(aligner: CtcAligner, wav: np.ndarray, text: str) -> tuple[list[str], list[float]] | None:
    """Phonemes and seconds, "_" for pauses; None where the text does not fit."""
    words = aligner.speller.words(text)
    tokens = [symbol for word in words for symbol in word.symbols]
    if not tokens or WILDCARD in tokens:
        return None
    found = aligner.log_probs(aligner.inputs_of(wav))
    path = forced_path(with_wildcard(found), tokens)
    if path is None:
        return None
    spoken = np.flatnonzero(path >= 0)
    symbols = np.asarray(tokens)[path[spoken]]
    if np.exp((found[spoken, symbols] - found[spoken].max(axis=1)).mean()) < _WORST:
        return None
    path = without_gaps(path)
    first = np.flatnonzero(np.diff(path, prepend=-2))
    lengths = np.diff(first, append=len(path)) / aligner.tokenizer.frame_rate
    phonemes: list[str] = []
    durations: list[float] = []
    for token, seconds in zip(path[first], lengths.tolist(), strict=True):
        names = "_" if token < 0 else _IPA[tokens[token] - 1]
        phonemes += names
        durations += [seconds / len(names)] * len(names)
    return phonemes, [round(d, 4) for d in durations]


def without_gaps(path: np.ndarray) -> np.ndarray:
    """A path (L,) whose short blanks between two tokens are shared out among them."""
    path = path.copy()
    spoken = np.flatnonzero(path >= 0)
    for before, after in pairwise(spoken.tolist()):
        if 1 < after - before <= _PAUSE:
            middle = (before + after + 1) // 2
            path[before:middle], path[middle:after] = path[before], path[after]
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    options = parser.parse_args()
    assert len(_IPA) == len(PHONES)
    aligner = load_aligner(None)
    assert isinstance(aligner, CtcAligner)
    rows = [json.loads(line) for line in options.manifest.read_text("utf-8").splitlines()]
    lines = []
    for row in rows:
        wav, _ = load_audio(options.manifest.parent / row["audio"], sample_rate=16000)
        found = timed(aligner, wav, row["text"])
        if found is not None:
            row["phonemes"], row["durations"] = found
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    target = options.manifest.with_name("timed.jsonl")
    atomic_write_text(target, "".join(lines))
    print(f"{target}: {len(lines)} of {len(rows)}")


if __name__ == "__main__":
    main()
