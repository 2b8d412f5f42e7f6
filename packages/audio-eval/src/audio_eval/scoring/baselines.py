"""What it costs nothing to do, scored beside every system so that its numbers can be read.

- ``source``: the source recording, unchanged.
- ``oracle_splice``: for deletions, the deleted words cut out of the source where the ASR judge
  hears them, and the ends joined over 10 ms.
- ``ground_truth``: the reference recording itself (for texts: the expected text).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audio_eval.interfaces import Item, ItemFailedError, JudgeUnavailableError
from audio_eval.scoring.cache import digest
from audio_eval.scoring.context import Context
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.jobs import Advance, Job, Records, Result, Work, done, failed, run_jobs

NAMES = ("source", "oracle_splice", "ground_truth")


def make_baseline(
    name: str,
    items: Sequence[Item],
    context: Context,
    folder: Path,
    *,
    workers: int | None = 1,
    ray: str | None = None,
    show: bool = False,
) -> list[Item]:
    """The items as this baseline delivers them; those it has no output for are left out.

    Args:
        folder: where cut recordings are written.
        workers, ray: see `run_jobs`.
    """
    if name == "source":
        return [
            i.replace(audio=i.source, hypothesis=None, parameters=_own(i))
            for i in items
            if i.source
        ]
    if name == "ground_truth":
        return [
            i.replace(audio=i.reference, hypothesis=None, parameters=_own(i))
            for i in items
            if i.reference is not None and i.source != i.reference
        ]
    deletions = [i for i in items if i.task == "deletion" and i.source]
    if not deletions:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    work = Splicing(context)
    jobs = [work.job(item, folder) for item in deletions]
    results = run_jobs(work, jobs, workers=workers, ray=ray, bar=name if show else "")
    return [_spliced(job, result) for job, result in zip(jobs, results, strict=True)]


def _own(item: Item) -> dict[str, object]:
    # What the system declared about its own output (spans, receipt, time) is not the baseline's.
    system = {"changed", "receipt", "seconds"}
    return {k: v for k, v in item.parameters.items() if k not in system}


def _spliced(job: Job, result: Result) -> Item:
    item: Item = job.extra
    if result["status"] == "failed":
        # It stays in the list without an output, and counts as failed.
        return item.replace(audio=None, hypothesis=None, parameters=_own(item))
    changed = {**_own(item), "changed": result["changed"]}
    return item.replace(audio=job.output, hypothesis=None, parameters=changed)


class Splicing(Work):
    """`Work`: the deleted words cut out of a source."""

    record_name = ".audio-eval.jsonl"

    def __init__(self, context: Context) -> None:
        self.context = context

    def load(self) -> Context:
        """See `Work.load`."""
        return self.context

    def identity(self) -> dict[str, Any]:
        """Nothing: a job's text names its judge."""
        return {}

    def job(self, item: Item, folder: Path) -> Job:
        """The cutting of one item's source."""
        from audio_eval.scoring.systems import file_name

        judges = self.context.judges.identities(("asr",), item.language)
        texts = [item.original_text, item.text, item.language, item.parameters.get("spans")]
        output = folder / f"{file_name(item.id)}.wav"
        return Job(item.id, item.source, digest(texts, judges), output, extra=item)

    def run(self, model: Context, jobs: Sequence[Job], advance: Advance) -> list[Result]:
        """See `Work.run`."""
        from audio_eval.splice import splice_deletion

        results = []
        for job in jobs:
            assert job.output is not None
            try:
                changed = splice_deletion(job.extra, model, job.output)
                results.append(done(job, {"changed": changed, "news": model.news()}))
            except (ItemFailedError, JudgeUnavailableError) as error:
                results.append(failed(job, UserError(str(error))))
        return results

    def keep(self, job: Job, key: str, result: Result, records: Records | None) -> None:
        """See `Work.keep`."""
        self.context.learn(result["news"])
        super().keep(job, key, {k: v for k, v in result.items() if k != "news"}, records)
