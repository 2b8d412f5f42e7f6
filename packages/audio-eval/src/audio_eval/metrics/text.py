"""Word and character error rates of what the output says."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal

from audio_eval.interfaces import (
    ComponentInfo,
    Item,
    ItemFailedError,
    Metric,
    MetricResult,
    MetricUnavailableError,
    ScoringContext,
)
from audio_eval.text import ming, normalize
from audio_eval.text.align import Counts, count_errors


def recognized(item: Item, context: ScoringContext) -> str:
    """What the output says: the transcript it came with, or the ASR judge's.

    Raises:
        ItemFailedError: there is no output.
    """
    if item.hypothesis is not None:
        return item.hypothesis
    if item.audio is None:
        raise ItemFailedError("no output")
    return context.transcribe(item.audio, item.language)


def expected(item: Item) -> str:
    """What the output should say.

    Raises:
        MetricUnavailableError: the item does not tell.
    """
    if item.text is None:
        raise MetricUnavailableError("the item has no text")
    return item.text


class ErrorRate(Metric):
    """Shared by WER and CER: ``unit_of`` says what an error is counted in."""

    @abstractmethod
    def unit_of(self, text: str, item: Item, compat: str) -> list[str]:
        """The tokens that errors are counted in."""

    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        truth = expected(item)
        return self.compare(item, truth, recognized(item, context), context)

    def compare(self, item: Item, truth: str, heard: str, context: ScoringContext) -> MetricResult:
        """Errors of ``heard`` against ``truth``."""
        reference = self.unit_of(truth, item, context.compat)
        hypothesis = self.unit_of(heard, item, context.compat)
        return self.result(count_errors(reference, hypothesis), truth, heard)

    def result(self, counts: Counts, truth: str, heard: str) -> MetricResult:
        """A rate in percent with its counts and the texts."""
        details: dict[str, Any] = {"ref": truth, "hyp": heard, **counts.to_dict()}
        return MetricResult(100.0 * counts.rate, details=details)

    def on_failure(self, item: Item, reason: str, context: ScoringContext) -> MetricResult:
        """No output says nothing: every reference token is a deletion."""
        if context.compat == "ming":
            return MetricResult.skipped(f"left out as the published scripts do: {reason}")
        if item.text is None:
            return MetricResult.unavailable("the item has no text")
        silent = self.compare(item, item.text, "", context)
        return MetricResult.failed(reason, silent.value, silent.details)

    def ratio(self, result: MetricResult) -> tuple[float, float] | None:
        d = result.details
        return float(d["S"] + d["D"] + d["I"]), float(d["N"])

    def quoted(self, compat: str) -> Literal["macro", "micro"]:
        return "macro" if compat == "ming" else "micro"


class WordErrorRate(ErrorRate):
    """Word error rate in percent; Chinese is counted in characters (mixed error rate).

    Default: our normaliser on both texts, quoted as micro average. ``compat ming``: the published
    text rules, quoted as the mean over utterances.
    """

    info = ComponentInfo(
        name="wer",
        version=f"1.{normalize.VERSION}",
        summary="word error rate of what the output says",
        needs_text=True,
        needs_model=True,
        judges=("asr",),
        unit="%",
        higher_is_better=False,
        failure_value=100.0,
    )

    def unit_of(self, text: str, item: Item, compat: str) -> list[str]:
        if compat == "ming":
            return ming.macro_tokens(text, item.language)
        return normalize.tokens(text, item.language)

    def compare(self, item: Item, truth: str, heard: str, context: ScoringContext) -> MetricResult:
        found = super().compare(item, truth, heard, context)
        if context.compat != "ming":
            return found
        # The published corpus-wise rate splits the texts in another way than the utterance-wise.
        counts = ming.micro_counts(ming.micro_tokens(truth), ming.micro_tokens(heard))[0]
        utterance = [sum(found.details[k] for k in "SDI"), found.details["N"]]
        details = {**found.details, **counts.to_dict(), "utterance": utterance}
        return MetricResult(found.value, details=details)


class CharacterErrorRate(ErrorRate):
    """Character error rate in percent: normalised texts without spaces."""

    info = ComponentInfo(
        name="cer",
        version=f"1.{normalize.VERSION}",
        summary="character error rate of what the output says",
        needs_text=True,
        needs_model=True,
        judges=("asr",),
        unit="%",
        higher_is_better=False,
        failure_value=100.0,
    )

    def unit_of(self, text: str, item: Item, compat: str) -> list[str]:
        del compat
        return normalize.characters(text, item.language)


class ReferenceWordErrorRate(WordErrorRate):
    """The judge's own error rate on the reference recording: what ``wer`` cannot go below.

    It says nothing about the system, so it has no failures.
    """

    info = ComponentInfo(
        name="ref_wer",
        version=f"1.{normalize.VERSION}",
        summary="the same judge's error rate on the reference recording",
        needs_reference=True,
        needs_text=True,
        needs_model=True,
        judges=("asr",),
        unit="%",
        higher_is_better=False,
    )

    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        if item.reference is None:
            raise MetricUnavailableError("the item has no reference recording")
        truth = expected(item)
        heard = context.transcribe(item.reference, item.language)
        return self.compare(item, truth, heard, context)

    def on_failure(self, item: Item, reason: str, context: ScoringContext) -> MetricResult:
        """The system's failure changes nothing here, unless the reference itself is unusable."""
        try:
            return self.score(item, context)
        except ItemFailedError as error:
            return MetricResult.unavailable(f"reference: {error}")
