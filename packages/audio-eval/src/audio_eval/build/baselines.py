"""The baselines that cost nothing, as folders of outputs that score like any system's.

- `source_unchanged`: what doing nothing scores.
- `oracle_splice`: deletions done by cutting the words out where it is quietest, with word times
  from a recogniser: what needs no generation at all.
- `ground_truth`: the recorded (or computed) perfect result, where the set has one: what the
  recogniser and the metrics cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audio_eval.build.align import Hear, TranscriptTimes
from audio_eval.build.splice import cut_points
from audio_eval.build.units import SourceText, TextRejectedError, fold, parse_text
from audio_eval.interfaces import Item
from mingtok_audio.core.audio import load_audio, save_audio
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_bytes
from mingtok_audio.core.jobs import Advance, Job, Result, Work, done, explain, failed, run_jobs
from mingtok_audio.core.speech import cut_out


@dataclass
class BaselineFolder:
    """A folder of outputs, what was written, and why items were left out."""

    path: Path
    written: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def source_unchanged(items: Iterable[Item], out: Path) -> BaselineFolder:
    """Every source as it is."""
    return _each(items, out, lambda item: _copy(item.source, "source"))


def ground_truth(items: Iterable[Item], out: Path) -> BaselineFolder:
    """Every reference recording; items without one are left out and named."""
    return _each(items, out, lambda item: _copy(item.reference, "reference recording"))


def oracle_splice(items: Iterable[Item], out: Path, hear: Hear, bar: str = "") -> BaselineFolder:
    """Deletions by cut and splice; items of other tasks are left out.

    Args:
        hear: word times of a recording (`align.whisper_words`).
        bar: name of a progress bar.
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
            cut_points(wav, rate, words, start, stop) for start, stop in deleted_spans(item, text)
        ]
        cut = cut_out(wav, rate, spans)
        return lambda path: save_audio(path, cut, rate)

    return _each(items, out, make, bar)


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

    difflib does not help: it aligns the longest block, which may leave words over on both sides.
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
        return lambda path: atomic_write_bytes(path, source.read_bytes())
    wav, rate = load_audio(source)
    return lambda path: save_audio(path, wav, rate)


class _Writing(Work):
    """`Work`: the output of a baseline for one item."""

    def __init__(self, make: Callable[[Item], _Write]) -> None:
        self._make = make

    def load(self) -> Callable[[Item], _Write]:
        """See `Work.load`."""
        return self._make

    def identity(self) -> dict[str, Any]:
        """Nothing: no record is kept, the command wants an empty folder."""
        return {}

    def run(
        self, model: Callable[[Item], _Write], jobs: Sequence[Job], advance: Advance
    ) -> list[Result]:
        """See `Work.run`."""
        for job in jobs:
            assert job.output is not None
            write = model(job.extra)
            job.output.parent.mkdir(parents=True, exist_ok=True)
            write(job.output)
        return [done(job, {}) for job in jobs]

    def failed(self, job: Job, error: BaseException) -> Result:
        """See `Work.failed`; the item's name stands beside the reason already."""
        reason = str(error) if isinstance(error, UserError) else explain(error, job)
        return {**failed(job, error), "error": reason}


def _each(
    items: Iterable[Item], out: Path, make: Callable[[Item], _Write], bar: str = ""
) -> BaselineFolder:
    """Write `out/<id>.wav` for every item that `make` can do; failures are kept with a reason."""
    found = BaselineFolder(out)
    jobs = [Job(i.id, output=out / f"{i.id}.wav", resume=False, extra=i) for i in items]
    for result in run_jobs(_Writing(make), jobs, bar=bar):
        if result["status"] == "failed":
            found.skipped[result["input"]] = result["error"]
        else:
            found.written.append(result["input"])
    return found
