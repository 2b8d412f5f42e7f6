"""The hook that a plugin for the editor implements.

    from mingtok_audio.core.plugins import ComponentSpec
    from uniaudio_edit.hookspecs import hookimpl

    @hookimpl
    def register_components() -> list[ComponentSpec]:
        return [ComponentSpec("watermark", "mine", "my_package.module:Mine", summary="...")]

and, in its `pyproject.toml`, `[project.entry-points."uniaudio_edit.plugins"]`.
"""

from __future__ import annotations

import pluggy

from mingtok_audio.core.plugins import ComponentSpec

hookspec = pluggy.HookspecMarker("uniaudio_edit")
hookimpl = pluggy.HookimplMarker("uniaudio_edit")


@hookspec
def register_components() -> list[ComponentSpec]:  # type: ignore[empty-body]
    """The components of this plugin. Called once; must not import what the specs point to."""
