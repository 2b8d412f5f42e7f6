"""The two measures of SpeechEditBench for edits of words, from what the output says."""

from __future__ import annotations

from abc import abstractmethod

from audio_eval.interfaces import (
    ComponentInfo,
    Item,
    Metric,
    MetricResult,
    MetricUnavailableError,
    ScoringContext,
)
from audio_eval.metrics.text import expected, recognized
from audio_eval.scoring.naming import SEMANTIC_TASKS
from audio_eval.text.speech_edit import VERSION, NamedEdit, edit_done, normalized


def named_edit(item: Item) -> NamedEdit:
    """What an item's edit names.

    Raises:
        MetricUnavailableError: its parameters do not say.
    """
    given = item.parameters
    try:
        return NamedEdit(
            str(given.get("edit_type", "")),
            str(given.get("edit_original") or ""),
            str(given.get("edit_target") or ""),
            str(given.get("insert_after") or ""),
        )
    except ValueError as error:
        raise MetricUnavailableError(str(error)) from error


class _Measure(Metric):
    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        return self.judge(item, recognized(item, context))

    def on_failure(self, item: Item, reason: str, context: ScoringContext) -> MetricResult:
        return MetricResult.failed(reason, 0.0, {})

    @abstractmethod
    def judge(self, item: Item, heard: str) -> MetricResult:
        """The metric of an output that says ``heard``."""


class EditSuccess(_Measure):
    """Share of edits whose named pieces are (and are no longer) said, in percent."""

    info = ComponentInfo(
        name="edit_success",
        version=VERSION,
        summary="share of edits whose named words are said as asked (SpeechEditBench)",
        needs_text=True,
        needs_model=True,
        judges=("asr",),
        unit="%",
        higher_is_better=True,
        failure_value=0.0,
    )

    def applies(self, item: Item) -> str:
        return "" if item.parameters.get("edit_type") else "the item does not name its edit"

    def judge(self, item: Item, heard: str) -> MetricResult:
        done = edit_done(named_edit(item), heard, item.language)
        return MetricResult(100.0 * done, details={"ref": item.text, "hyp": heard})


class ExactMatch(_Measure):
    """Share of outputs that say the edited text and nothing else, in percent."""

    info = ComponentInfo(
        name="exact_match",
        version=VERSION,
        summary="share of outputs that say exactly the edited text (SpeechEditBench)",
        needs_text=True,
        needs_model=True,
        judges=("asr",),
        unit="%",
        higher_is_better=True,
        failure_value=0.0,
    )

    def applies(self, item: Item) -> str:
        return "" if item.task in SEMANTIC_TASKS else "only for edits of the words"

    def judge(self, item: Item, heard: str) -> MetricResult:
        truth, said = (normalized(t, item.language) for t in (expected(item), heard))
        return MetricResult(100.0 * (truth == said), details={"ref": item.text, "hyp": heard})
