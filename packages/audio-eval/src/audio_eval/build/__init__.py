"""Freeform edit sets: building them, verifying them, and the baselines that go with them.

>>> from audio_eval.build import BuildOptions, balanced, build           # doctest: +SKIP
>>> build(BuildOptions(manifest, out, balanced(60, ["en"], ["basic", "full"])))  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audio_eval.build.baselines import ground_truth, oracle_splice, source_unchanged
    from audio_eval.build.builder import BuildOptions, BuildReport, build
    from audio_eval.build.interpreter import Interpretation, interpret
    from audio_eval.build.presets import Cell, balanced, preset

_HOMES = {
    "BuildOptions": "builder",
    "BuildReport": "builder",
    "build": "builder",
    "Cell": "presets",
    "balanced": "presets",
    "preset": "presets",
    "Interpretation": "interpreter",
    "interpret": "interpreter",
    "ground_truth": "baselines",
    "oracle_splice": "baselines",
    "source_unchanged": "baselines",
}
__all__ = [
    "BuildOptions",
    "BuildReport",
    "Cell",
    "Interpretation",
    "balanced",
    "build",
    "ground_truth",
    "interpret",
    "oracle_splice",
    "preset",
    "source_unchanged",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
