"""Predicted mean opinion scores: no reference needed."""

from __future__ import annotations

from typing import ClassVar

from audio_eval.interfaces import (
    ComponentInfo,
    Item,
    ItemFailedError,
    Metric,
    MetricResult,
    ScoringContext,
)
from audio_eval.metrics.outputs import check_output


class _Opinion(Metric):
    """One named score of a judge's answer."""

    role: ClassVar[str]
    key: ClassVar[str]

    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        if item.audio is None:
            raise ItemFailedError("no output")
        check_output(item, context)
        return MetricResult(float(context.judge(self.role, item.audio)[self.key]))


def _info(name: str, summary: str, judge: str) -> ComponentInfo:
    return ComponentInfo(
        name=name,
        summary=summary,
        needs_model=True,
        judges=(judge,),
        extra="mos",
        unit="MOS",
        higher_is_better=True,
        # The lowest opinion there is.
        failure_value=1.0,
    )


class Dnsmos(_Opinion):
    """DNSMOS P.835, overall (OVRL)."""

    info = _info("dnsmos", "DNSMOS P.835, overall", "dnsmos")
    role, key = "dnsmos", "ovrl"


class DnsmosSignal(_Opinion):
    """DNSMOS P.835, quality of the speech (SIG)."""

    info = _info("dnsmos_sig", "DNSMOS P.835, signal", "dnsmos")
    role, key = "dnsmos", "sig"


class DnsmosBackground(_Opinion):
    """DNSMOS P.835, absence of noise (BAK)."""

    info = _info("dnsmos_bak", "DNSMOS P.835, background", "dnsmos")
    role, key = "dnsmos", "bak"


class DistillMos(_Opinion):
    """DistillMOS."""

    info = _info("distillmos", "DistillMOS", "distillmos")
    role, key = "distillmos", "mos"
