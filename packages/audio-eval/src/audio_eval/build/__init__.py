"""Freeform edit sets: building them, verifying them, and the baselines that go with them.

>>> from audio_eval.build import BuildOptions, balanced, build           # doctest: +SKIP
>>> build(BuildOptions(manifest, out, balanced(60, ["en"], ["basic", "full"])))  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mingtok_audio.core.lazy import lazy_names

if TYPE_CHECKING:
    from audio_eval.build.baselines import ground_truth, oracle_splice, source_unchanged
    from audio_eval.build.builder import BuildOptions, BuildReport, build
    from audio_eval.build.interpreter import Interpretation, interpret
    from audio_eval.build.presets import Cell, balanced, preset

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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "BuildOptions": "audio_eval.build.builder",
        "BuildReport": "audio_eval.build.builder",
        "build": "audio_eval.build.builder",
        "Cell": "audio_eval.build.presets",
        "balanced": "audio_eval.build.presets",
        "preset": "audio_eval.build.presets",
        "Interpretation": "audio_eval.build.interpreter",
        "interpret": "audio_eval.build.interpreter",
        "ground_truth": "audio_eval.build.baselines",
        "oracle_splice": "audio_eval.build.baselines",
        "source_unchanged": "audio_eval.build.baselines",
    },
)
