"""A plugin for mingtok-audio: one compressor. Importing this must stay cheap: no torch here."""

from __future__ import annotations

from mingtok_audio.core.plugins import ComponentSpec
from mingtok_audio.hookspecs import hookimpl


@hookimpl
def register_components() -> list[ComponentSpec]:
    """What this plugin offers; the class is imported when somebody uses it."""
    return [
        ComponentSpec(
            slot="compressor",
            name="attentive_stats",
            target="attentive_pooling.compressor:AttentiveStatsCompressor",
            api_version=1,
            summary="attention-weighted mean and standard deviation of each patch",
        )
    ]
