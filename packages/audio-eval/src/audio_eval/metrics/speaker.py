"""Speaker similarity."""

from __future__ import annotations

import numpy as np

from audio_eval.interfaces import (
    ComponentInfo,
    Item,
    ItemFailedError,
    Metric,
    MetricResult,
    MetricUnavailableError,
    ScoringContext,
)
from audio_eval.metrics.outputs import check_output


class SpeakerSimilarity(Metric):
    """Cosine of the speaker embeddings of the output and of the recording it should sound like.

    That is ``source`` (an edit's source, a voice prompt) where the item has one, else
    ``reference``. Whole clips, plain mean (the paper's SIM).
    """

    info = ComponentInfo(
        name="sim",
        summary="cosine of speaker embeddings of the output and the source (or reference)",
        needs_reference=True,
        needs_model=True,
        judges=("speaker",),
        higher_is_better=True,
        failure_value=0.0,
    )

    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        if item.audio is None:
            raise ItemFailedError("no output")
        check_output(item, context)
        anchor = item.source or item.reference
        if anchor is None:
            raise MetricUnavailableError("the item has no source or reference recording")
        try:
            target = np.asarray(context.judge("speaker", anchor)["embedding"], dtype=np.float64)
        except ItemFailedError as error:
            raise MetricUnavailableError(f"source or reference: {error}") from error
        found = np.asarray(context.judge("speaker", item.audio)["embedding"], dtype=np.float64)
        norm = float(np.linalg.norm(found) * np.linalg.norm(target))
        return MetricResult(float(found @ target) / norm if norm else 0.0)
