"""Score any folder of speech, from anybody's system.

The names below load on first use, so that ``import audio_eval`` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mingtok_audio.core.lazy import lazy_names

if TYPE_CHECKING:
    from audio_eval.interfaces import (
        ComponentInfo,
        Item,
        ItemResult,
        Judge,
        Metric,
        MetricResult,
        MetricSummary,
        ScoringContext,
        System,
    )

__version__ = "0.1.0"


__all__ = [
    "ComponentInfo",
    "Item",
    "ItemResult",
    "Judge",
    "Metric",
    "MetricResult",
    "MetricSummary",
    "ScoringContext",
    "System",
    "__version__",
    "read_manifest",
    "score_suite",
    "score_transcripts",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ComponentInfo": "audio_eval.interfaces",
        "Item": "audio_eval.interfaces",
        "ItemResult": "audio_eval.interfaces",
        "Judge": "audio_eval.interfaces",
        "Metric": "audio_eval.interfaces",
        "MetricResult": "audio_eval.interfaces",
        "MetricSummary": "audio_eval.interfaces",
        "ScoringContext": "audio_eval.interfaces",
        "System": "audio_eval.interfaces",
        "read_manifest": "audio_eval.scoring.manifest",
        "score_suite": "audio_eval.scoring.score",
        "score_transcripts": "audio_eval.scoring.transcripts",
    },
)
