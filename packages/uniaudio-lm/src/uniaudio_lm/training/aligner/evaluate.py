"""How far an aligner's word times are from known ones.

    python -m uniaudio_lm.training.aligner.evaluate ALIGNER_FOLDER MANIFEST [--split test]

Prints one JSON object: absolute errors of word starts and ends in milliseconds; `by_score`: in each
fifth of the words, from the lowest scores to the highest.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError
from uniaudio_lm.interfaces import Aligner
from uniaudio_lm.parts.aligners.loading import load_aligner
from uniaudio_lm.training.aligner.data import AlignRow, AlignSource, read_rows
from uniaudio_lm.training.aligner.references import word_times


def measure(aligner: Aligner, rows: Iterable[AlignRow]) -> dict[str, Any]:
    """Errors of the words of recordings with phoneme times.

    Items whose phonemes are grouped otherwise than the text's words (numbers, Chinese) count as
    skipped.
    """
    errors: list[tuple[float, float]] = []
    scores: list[float] = []
    items = skipped = 0
    for row in rows:
        wanted = None if row.timed is None else word_times(row.timed, row.text, row.language)
        if wanted is None:
            skipped += 1
            continue
        wav, _ = load_audio(row.path, sample_rate=16000)
        found = aligner.align(wav, row.text, row.language)
        items += 1
        for word, (_, start, end) in zip(found, wanted, strict=True):
            errors.append((abs(word.start - start), abs(word.end - end)))
            scores.append(word.score)
    if not errors:
        raise UserError("no item has phoneme times whose groups are the words of its text")
    table = 1000 * np.array(errors)
    both = table.ravel()
    return {
        "items": items,
        "skipped": skipped,
        "words": len(errors),
        "median_ms": round(float(np.median(both)), 1),
        "start_median_ms": round(float(np.median(table[:, 0])), 1),
        "end_median_ms": round(float(np.median(table[:, 1])), 1),
        "mean_ms": round(float(both.mean()), 1),
        "p90_ms": round(float(np.percentile(both, 90)), 1),
        "within_100_ms_percent": round(float(100 * (both <= 100).mean()), 1),
        "beyond_200_ms_percent": round(float(100 * (both > 200).mean()), 1),
        "mean_score": round(float(np.mean(scores)), 3),
        "by_score": [
            {
                "mean_score": round(float(np.mean(np.array(scores)[part])), 3),
                "median_ms": round(float(np.median(table[part])), 1),
                "beyond_200_ms_percent": round(float(100 * (table[part] > 200).mean()), 1),
            }
            for part in np.array_split(np.argsort(scores, kind="stable"), min(5, len(scores)))
        ],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    from mingtok_audio.core.cli import emit_json, fail

    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("aligner")
    parser.add_argument("manifest")
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int)
    options = parser.parse_args(arguments)
    try:
        rows = read_rows(AlignSource(options.manifest, options.split, options.limit))
        emit_json(measure(load_aligner(options.aligner), rows))
    except UserError as error:
        fail(str(error))
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
