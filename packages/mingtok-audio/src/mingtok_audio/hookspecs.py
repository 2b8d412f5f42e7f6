"""The hook that a plugin for the tokenizer implements.

    from mingtok_audio.core.plugins import ComponentSpec
    from mingtok_audio.hookspecs import hookimpl

    @hookimpl
    def register_components() -> list[ComponentSpec]:
        return [ComponentSpec("compressor", "mine", "my_package.module:Mine", summary="...")]

and, in its `pyproject.toml`, `[project.entry-points."mingtok_audio.plugins"]`.
"""

from __future__ import annotations

import pluggy

from mingtok_audio.core.plugins import ComponentSpec

hookspec = pluggy.HookspecMarker("mingtok_audio")
hookimpl = pluggy.HookimplMarker("mingtok_audio")


@hookspec
def register_components() -> list[ComponentSpec]:  # type: ignore[empty-body]
    """The components of this plugin. Called once; must not import what the specs point to."""
