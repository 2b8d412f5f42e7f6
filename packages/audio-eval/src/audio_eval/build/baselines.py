"""The baselines that cost nothing, as folders of outputs that score like any system's.

- `source_unchanged`: what doing nothing scores.
- `oracle_splice`: deletions done by cutting the words out where it is quietest, with word times
  from a recogniser: what needs no generation at all.
- `ground_truth`: the recorded (or computed) perfect result, where the set has one: what the
  recogniser and the metrics cost.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from audio_eval.build import splice
from audio_eval.build.align import Hear, TranscriptTimes
from audio_eval.build.units import SourceText, TextRejectedError, fold, parse_text
from audio_eval.interfaces import Item
from mingtok_audio.core.audio import load_audio, save_audio
from mingtok_audio.core.errors import UserError


@dataclass
class BaselineFolder:
    """A folder of outputs, what was written, and why items were left out."""

    path: Path
    written: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


Progress = Callable[[int, int], None]


def source_unchanged(
    items: Iterable[Item], out: Path, progress: Progress | None = None
) -> BaselineFolder:
    """Every source as it is."""
    return _each(items, out, lambda item: _copy(item.source, "source"), progress)


def ground_truth(
    items: Iterable[Item], out: Path, progress: Progress | None = None
) -> BaselineFolder:
    """Every reference recording; items without one are left out and named."""
    return _each(items, out, lambda item: _copy(item.reference, "reference recording"), progress)


def oracle_splice(
    items: Iterable[Item], out: Path, hear: Hear, progress: Progress | None = None
) -> BaselineFolder:
    """Deletions by cut and splice; items of other tasks are left out.

    Args:
        hear: word times of a recording (`align.whisper_words`).
    """
    times = TranscriptTimes(hear)

    def make(item: Item) -> _Write:
        if item.task != "deletion":
            raise UserError(f"a {item.task or 'non-deletion'} cannot be done by cutting")
        if item.source is None or not item.original_text or not item.text:
            raise UserError("needs a source, its text and the edited text")
        wav, rate = load_audio(item.source)
        text = _parse(item)
        words = times(item.source, text.cores(), text.language, len(wav) / rate)
        spans = [
            splice.cut_points(wav, rate, words, start, stop)
            for start, stop in deleted_spans(item, text)
        ]
        cut = splice.cut_out(wav, rate, spans)
        return lambda path: save_audio(path, cut, rate)

    return _each(items, out, make, progress)


def deleted_spans(item: Item, text: SourceText) -> list[tuple[int, int]]:
    """Units (0-based, stop exclusive) of the original that the edited text lacks.

    Sets built here know them; for others they follow from the two texts.

    Raises:
        UserError: the edited text is not the original with something taken out.
    """
    known = item.parameters.get("spans")
    if known:
        return [(int(a), int(b)) for a, b in known]
    before = [fold(core) for core in text.cores()]
    try:
        after = [fold(core) for core in parse_text(item.text or "", text.language).cores()]
    except TextRejectedError as error:
        raise UserError(f"edited text: {error}") from None
    return _fewest_gaps(before, after)


def _fewest_gaps(before: list[str], after: list[str]) -> list[tuple[int, int]]:
    """Spans of `before` to take out so that `after` stays, as few as possible.

    difflib is no help: it aligns the longest block, which may leave words over on both sides.
    """
    rows, columns = len(before), len(after)
    best = [[math.inf] * (columns + 1) for _ in range(rows + 1)]  # gaps needed from (i, j) on
    for j in range(columns + 1):
        best[rows][j] = 0 if j == columns else math.inf
    # A gap may begin anywhere and must run on to where the texts agree again.
    run = [[math.inf] * (columns + 1) for _ in range(rows + 2)]
    for i in range(rows, -1, -1):
        for j in range(columns, -1, -1):
            if i < rows:
                keep = math.inf
                if j < columns and before[i] == after[j]:
                    keep = best[i + 1][j + 1]
                run[i][j] = min(keep, run[i + 1][j])
                best[i][j] = min(keep, 1 + run[i + 1][j])
            else:
                run[i][j] = best[i][j]
    if math.isinf(best[0][0]):
        raise UserError("the edited text is not the original with something taken out")
    spans, i, j = [], 0, 0
    while i < rows:
        agrees = j < columns and before[i] == after[j]
        if agrees and best[i + 1][j + 1] == best[i][j]:
            i, j = i + 1, j + 1
            continue
        stop = i + 1
        while stop < rows and not (
            j < columns and before[stop] == after[j] and best[stop + 1][j + 1] == best[i][j] - 1
        ):
            stop += 1
        spans.append((i, stop))
        i = stop
    return spans


def _parse(item: Item) -> SourceText:
    language = "zh" if item.language == "zh" else "en"
    try:
        return parse_text(item.original_text or "", language)
    except TextRejectedError as error:
        raise UserError(f"original text: {error}") from None


_Write = Callable[[Path], object]


def _copy(source: Path | None, what: str) -> _Write:
    if source is None or not source.is_file():
        raise UserError(f"has no {what}")
    if source.suffix.lower() == ".wav":
        return lambda path: shutil.copyfile(source, path)
    wav, rate = load_audio(source)
    return lambda path: save_audio(path, wav, rate)


def _each(
    items: Iterable[Item],
    out: Path,
    make: Callable[[Item], _Write],
    progress: Progress | None,
) -> BaselineFolder:
    """Write `out/<id>.wav` for every item that `make` can do; failures are kept with a reason."""
    result = BaselineFolder(out)
    items = list(items)
    for number, item in enumerate(items, 1):
        try:
            write = make(item)
        except UserError as error:
            result.skipped[item.id] = str(error)
        else:
            path = out / f"{item.id}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path)
            result.written.append(item.id)
        if progress:
            progress(number, len(items))
    return result
