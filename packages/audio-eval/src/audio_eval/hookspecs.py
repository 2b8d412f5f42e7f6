"""The hook that a plugin for the evaluator implements.

    from audio_eval.hookspecs import hookimpl
    from mingtok_audio.core.plugins import ComponentSpec

    @hookimpl
    def register_components() -> list[ComponentSpec]:
        return [ComponentSpec("metric", "mine", "my_package.module:Mine", summary="...")]

and, in its `pyproject.toml`, `[project.entry-points."audio_eval.plugins"]`.
"""

from __future__ import annotations

import pluggy

from mingtok_audio.core.plugins import ComponentSpec

hookspec = pluggy.HookspecMarker("audio_eval")
hookimpl = pluggy.HookimplMarker("audio_eval")


@hookspec
def register_components() -> list[ComponentSpec]:  # type: ignore[empty-body]
    """The components of this plugin. Called once; must not import what the specs point to."""
