"""A plugin for uniaudio-lm: one generation head. Importing this must stay cheap: no torch here."""

from __future__ import annotations

from mingtok_audio.core.plugins import ComponentSpec
from uniaudio_lm.hookspecs import hookimpl


@hookimpl
def register_components() -> list[ComponentSpec]:
    """What this plugin offers; the class is imported when somebody uses it."""
    return [
        ComponentSpec(
            slot="generation_head",
            name="conv",
            target="conv_head.head:ConvHead",
            api_version=1,
            summary="flow matching with a residual convolution over the frames of two patches",
        )
    ]
