"""What the plugin offers. Imports nothing heavy: the target is loaded when it is used."""

from __future__ import annotations

from audio_eval.hookspecs import hookimpl
from mingtok_audio.core.plugins import ComponentSpec


@hookimpl
def register_components() -> list[ComponentSpec]:
    """The metric of this package."""
    return [
        ComponentSpec(
            "metric",
            "level_difference",
            "loudness_metric.metric:LevelDifference",
            summary="difference of the RMS levels of output and reference",
        )
    ]
