"""The hook that a plugin for the speech language model implements.

    from mingtok_audio.core.plugins import ComponentSpec
    from uniaudio_lm.hookspecs import hookimpl

    @hookimpl
    def register_components():
        return [ComponentSpec("generation_head", "mine", "my_package.heads:MyHead")]

Its entry-point group is `uniaudio_lm.plugins`.
"""

from __future__ import annotations

import pluggy

from mingtok_audio.core.plugins import ComponentSpec

hookspec = pluggy.HookspecMarker("uniaudio_lm")
hookimpl = pluggy.HookimplMarker("uniaudio_lm")


@hookspec
def register_components() -> list[ComponentSpec]:  # type: ignore[empty-body]
    """The components of this plugin. Called once; must not import what the specs point to."""
