"""Emotion and dialect accuracy, by a judge that names one label of a closed set."""

from __future__ import annotations

from typing import ClassVar

from audio_eval.interfaces import (
    ComponentInfo,
    Item,
    ItemFailedError,
    Metric,
    MetricResult,
    MetricUnavailableError,
    ScoringContext,
)


class _LabelAccuracy(Metric):
    """Share of outputs that the judge of ``role`` labels as ``parameters["label"]``, in percent.

    ``labels``: the closed set that the judge chooses from; empty leaves it to the judge.
    """

    role: ClassVar[str]

    def __init__(self, labels: tuple[str, ...] | list[str] = ()) -> None:
        self.labels = list(labels)

    def applies(self, item: Item) -> str:
        return "" if item.task == self.role else f"only for {self.role} edits"

    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        wanted = item.parameters.get("label")
        if not isinstance(wanted, str) or not wanted:
            raise MetricUnavailableError("the item does not say which label is wanted")
        if item.audio is None:
            raise ItemFailedError("no output")
        heard = context.judge(self.role, item.audio, labels=self.labels, id=item.id)["label"]
        right = str(heard).strip().lower() == wanted.strip().lower()
        return MetricResult(100.0 * right, details={"wanted": wanted, "heard": heard})


class EmotionAccuracy(_LabelAccuracy):
    """Share of emotion edits that sound as asked."""

    role = "emotion"
    info = ComponentInfo(
        name="emotion_acc",
        summary="share of emotion edits that the judge labels as asked",
        needs_model=True,
        judges=("emotion",),
        unit="%",
        higher_is_better=True,
        failure_value=0.0,
    )


class DialectAccuracy(_LabelAccuracy):
    """Share of dialect edits that sound as asked."""

    role = "dialect"
    info = ComponentInfo(
        name="dialect_acc",
        summary="share of dialect edits that the judge labels as asked",
        needs_model=True,
        judges=("dialect",),
        unit="%",
        higher_is_better=True,
        failure_value=0.0,
    )
