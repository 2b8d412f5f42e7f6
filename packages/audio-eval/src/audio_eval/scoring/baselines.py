"""What it costs nothing to do, scored beside every system so that its numbers can be read.

- ``source``: the source recording, unchanged.
- ``oracle_splice``: for deletions, the deleted words cut out of the source where the ASR judge
  hears them, and the ends joined over 10 ms.
- ``ground_truth``: the reference recording itself (for texts: the expected text).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from audio_eval.interfaces import Item, ItemFailedError, JudgeUnavailableError, ScoringContext

NAMES = ("source", "oracle_splice", "ground_truth")


def make_baseline(
    name: str, items: Sequence[Item], context: ScoringContext, folder: Path
) -> list[Item]:
    """The items as this baseline delivers them; those it has no output for are left out.

    Args:
        folder: where cut recordings are written.
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
    return [_spliced(i, context, folder) for i in items if i.task == "deletion" and i.source]


def _own(item: Item) -> dict[str, object]:
    # What the system declared about its own output (spans, receipt, time) is not the baseline's.
    system = {"changed", "receipt", "seconds"}
    return {k: v for k, v in item.parameters.items() if k not in system}


def _spliced(item: Item, context: ScoringContext, folder: Path) -> Item:
    from audio_eval.scoring.systems import file_name
    from audio_eval.splice import splice_deletion

    target = folder / f"{file_name(item.id)}.wav"
    try:
        changed = splice_deletion(item, context, target)
    except (ItemFailedError, JudgeUnavailableError):
        # It stays in the list without an output, and counts as failed.
        return item.replace(audio=None, hypothesis=None, parameters=_own(item))
    return item.replace(
        audio=target, hypothesis=None, parameters={**_own(item), "changed": changed}
    )
