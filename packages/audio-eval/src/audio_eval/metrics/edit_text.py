"""Edit accuracy and the error rate outside the edit, from what the output says."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

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
from audio_eval.text import edit_align, ming, ming_edit, normalize

_VERSION = f"{edit_align.VERSION}.{normalize.VERSION}"


def _texts(item: Item) -> tuple[str, str]:
    if item.original_text is None:
        raise MetricUnavailableError("the item has no original text")
    return item.original_text, expected(item)


def _score(item: Item, heard: str) -> edit_align.EditScore:
    original, edited = (normalize.tokens(t, item.language) for t in _texts(item))
    found = edit_align.score_edit(original, edited, normalize.tokens(heard, item.language))
    if not found.spans:
        raise MetricUnavailableError("original and edited text are the same when normalised")
    return found


def _published(item: Item, heard: str) -> ming_edit.EditVerdict:
    original, edited = _texts(item)
    return ming_edit.judge_edit(
        task=item.task,
        language=item.language,
        mode=item.mode,
        instruction=item.instruction or "",
        original_text=original,
        edited_text=edited,
        hypothesis=heard,
    )


class _EditMetric(Metric):
    def applies(self, item: Item) -> str:
        return "" if item.task in SEMANTIC_TASKS else "only for edits of the words"

    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        return self.judge(item, recognized(item, context), context)

    def on_failure(self, item: Item, reason: str, context: ScoringContext) -> MetricResult:
        if context.compat == "ming":
            return MetricResult.skipped(f"left out as the published scripts do: {reason}")
        silent = self.judge(item, "", context)
        return MetricResult.failed(reason, silent.value, silent.details)

    @abstractmethod
    def judge(self, item: Item, heard: str, context: ScoringContext) -> MetricResult:
        """The metric of an output that says ``heard``."""


class EditAccuracy(_EditMetric):
    """Share of edits whose every span is right, in percent; see ``text.edit_align``.

    ``compat ming``: the published rule, on the first difference only; see ``text.ming_edit``.
    """

    info = ComponentInfo(
        name="acc",
        version=_VERSION,
        summary="share of outputs whose every edited span is right",
        needs_text=True,
        needs_model=True,
        judges=("asr",),
        unit="%",
        higher_is_better=True,
        failure_value=0.0,
    )

    def judge(self, item: Item, heard: str, context: ScoringContext) -> MetricResult:
        texts = {"ref": item.text, "hyp": heard}
        if context.compat == "ming":
            return MetricResult(100.0 * _published(item, heard).passed, details=texts)
        found = _score(item, heard)
        wrong = [{"span": [s.start, s.end], "old": list(s.old)} for s in found.wrong]
        details = {**texts, "spans": len(found.spans), "wrong": wrong}
        return MetricResult(100.0 * found.passed, details=details)


class NoEditWordErrorRate(_EditMetric):
    """Word error rate over the tokens outside the edited spans, in percent, micro.

    ``compat ming``: the published cut of both texts.
    """

    info = ComponentInfo(
        name="no_edit_wer",
        version=_VERSION,
        summary="word error rate outside the edited spans",
        needs_text=True,
        needs_model=True,
        judges=("asr",),
        unit="%",
        higher_is_better=False,
        failure_value=100.0,
    )

    def judge(self, item: Item, heard: str, context: ScoringContext) -> MetricResult:
        if context.compat == "ming":
            verdict = _published(item, heard)
            truth, heard = verdict.reference, verdict.hypothesis
            counts = ming.micro_counts(ming.micro_tokens(truth), ming.micro_tokens(heard))[0]
            texts = {"ref": truth, "hyp": heard}
        else:
            counts = _score(item, heard).outside
            texts = {"ref": item.text, "hyp": heard}
        return MetricResult(100.0 * counts.rate, details={**texts, **counts.to_dict()})

    def ratio(self, result: MetricResult) -> tuple[float, float] | None:
        d = result.details
        return float(d["S"] + d["D"] + d["I"]), float(d["N"])

    def quoted(self, compat: str) -> Literal["macro", "micro"]:
        del compat
        return "micro"
