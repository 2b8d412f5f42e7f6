"""Named entities in contextual recognition: error rate and misses (paper, table 12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from audio_eval.interfaces import (
    ComponentInfo,
    Item,
    Metric,
    MetricResult,
    MetricUnavailableError,
    ScoringContext,
)
from audio_eval.metrics.text import ErrorRate, expected, recognized
from audio_eval.text.entities import VERSION, entity_errors, entity_tokens


class _EntityMetric(Metric):
    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        return self.judge(item, recognized(item, context))

    def on_failure(self, item: Item, reason: str, context: ScoringContext) -> MetricResult:
        silent = self.judge(item, "")
        return MetricResult.failed(reason, silent.value, silent.details)

    def applies(self, item: Item) -> str:
        return "" if item.parameters.get("entities") else "the item names no entities"

    def judge(self, item: Item, heard: str) -> MetricResult:
        """The metric of an output that says ``heard``."""
        truth = expected(item)
        raw = item.parameters["entities"]
        if not isinstance(raw, list) or not all(isinstance(e, str) for e in raw):
            raise MetricUnavailableError("'entities' is not a list of strings")
        names = {tuple(entity_tokens(e)): e for e in raw}
        entities = [e for e in names if e]
        if not entities:
            raise MetricUnavailableError("no entity is left after normalisation")
        counts, hits, total = entity_errors(entity_tokens(truth), entity_tokens(heard), entities)
        details = {"ref": truth, "hyp": heard, **counts.to_dict(), "hits": hits, "total": total}
        return MetricResult(self.value(details), details=details)

    def value(self, details: Mapping[str, Any]) -> float:
        """The item's own percentage."""
        errors, total = self._pair(details)
        return 100.0 * errors / max(1.0, total)

    def _pair(self, d: Mapping[str, Any]) -> tuple[float, float]:
        return float(d["S"] + d["D"] + d["I"]), float(d["N"])

    def ratio(self, result: MetricResult) -> tuple[float, float] | None:
        return self._pair(result.details)

    def quoted(self, compat: str) -> Literal["macro", "micro"]:
        del compat
        return "micro"


def _info(name: str, summary: str) -> ComponentInfo:
    return ComponentInfo(
        name=name,
        version=VERSION,
        summary=summary,
        needs_text=True,
        needs_model=True,
        judges=("asr",),
        unit="%",
        higher_is_better=False,
        failure_value=100.0,
    )


class ContextWordErrorRate(ErrorRate):
    """Word error rate by the text rules of ContextASR-Bench, which differ from our normaliser's:
    no numbers or spellings are made equal, and runs of single letters are one word. Micro."""

    info = _info("context_wer", "word error rate by the rules of ContextASR-Bench")

    def unit_of(self, text: str, item: Item, compat: str) -> list[str]:
        """See `entity_tokens`."""
        return entity_tokens(text)

    def quoted(self, compat: str) -> Literal["macro", "micro"]:
        """Over all words, whatever `compat` asks of other metrics."""
        return "micro"


class EntityWordErrorRate(_EntityMetric):
    """NE-WER: errors over the words of the named entities, found by fuzzy windows; micro."""

    info = _info("ne_wer", "error rate over named entities")


class EntityMissRate(_EntityMetric):
    """NE-FNR: share of named entities that are not heard exactly; micro."""

    info = _info("ne_fnr", "share of named entities that are missed")

    def _pair(self, d: Mapping[str, Any]) -> tuple[float, float]:
        return float(d["total"] - d["hits"]), float(d["total"])
