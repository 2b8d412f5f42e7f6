"""Is what an edit's receipt says true of the audio? (contract.md, ``Receipt``)"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from audio_eval.metrics.acoustic import source_audio
from audio_eval.metrics.locality import declared_spans, outside_pairs


class ReceiptCheck(Metric):
    """100 where the receipt holds: rates, sample counts, and everything outside ``changed`` equal
    to the source sample for sample; else 0, and ``details`` says what is false.

    The receipt is ``parameters["receipt"]`` (a path), or ``<output>.receipt.json`` beside the
    output.
    """

    info = ComponentInfo(
        name="receipt",
        summary="share of outputs whose edit receipt is true of the audio",
        needs_source=True,
        unit="%",
        higher_is_better=True,
        failure_value=0.0,
    )

    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        if item.audio is None:
            raise ItemFailedError("no output")
        path = item.parameters.get("receipt")
        receipt_path = Path(path) if path else item.audio.with_suffix(".receipt.json")
        if not path and not receipt_path.is_file():
            raise MetricUnavailableError("the output has no receipt")
        source, rate = source_audio(item, context)
        output, output_rate = context.audio(item.audio)
        wrong = _false_claims(receipt_path, item, (source, rate), (output, output_rate))
        return MetricResult(0.0 if wrong else 100.0, details={"false": wrong})


def _false_claims(
    path: Path, item: Item, source: tuple[np.ndarray, int], output: tuple[np.ndarray, int]
) -> list[str]:
    from mingtok_audio.core.config import load_json
    from mingtok_audio.core.errors import UserError

    try:
        receipt = load_json(path)
    except UserError as error:
        return [str(error)]
    if not isinstance(receipt, Mapping):
        return ["it is not a JSON object"]
    wrong = []
    for name, (wav, rate) in (("source", source), ("output", output)):
        said: Any = receipt.get(name)
        if not isinstance(said, Mapping):
            wrong.append(f"it says nothing of the {name}")
            continue
        if said.get("sample_rate") != rate:
            wrong.append(f"{name}: the sample rate is {rate}, not {said.get('sample_rate')}")
        if said.get("num_samples") != len(wav):
            wrong.append(f"{name}: it has {len(wav)} samples, not {said.get('num_samples')}")
    try:
        spans = declared_spans(item.replace(parameters={"receipt": str(path)}))
        pairs = outside_pairs(source[0], output[0], spans)
    except (ItemFailedError, MetricUnavailableError) as error:
        return [*wrong, str(error)]
    different = sum(int(np.count_nonzero(a != b)) for a, b in pairs)
    if different:
        wrong.append(f"{different} samples outside the declared edit differ from the source")
    return wrong
