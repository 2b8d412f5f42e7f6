"""The tokenizer's plugin host, its built-in components, and components that travel alone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mingtok_audio.core.plugins import ComponentSpec, PluginHost, SlotDef
from mingtok_audio.hookspecs import hookimpl

if TYPE_CHECKING:
    from mingtok_audio.core.models.components import PinnedModel
    from mingtok_audio.interfaces import Compressor

SLOTS = {
    "compressor": SlotDef(
        interface="mingtok_audio.interfaces:Compressor",
        api_version=1,
        conformance="mingtok_audio.conformance:check_compressor",
        summary="unified features at 50 Hz to language-model inputs at 10 Hz",
    ),
    "curation_stage": SlotDef(
        interface="mingtok_audio.curation.interfaces:Stage",
        api_version=1,
        conformance="mingtok_audio.curation.conformance:check_stage",
        summary="one step from recordings as they are found to training segments",
    ),
}

_CURATION = (
    ("standardise", "standardise:Standardise", "one rate, one channel, one level; clipping marked"),
    ("separate", "separate:Separate", "speech without the music under it (off by default)"),
    ("vad", "vad:Vad", "where someone speaks: by energy, or silero-vad"),
    ("speakers", "speakers:Speakers", "who speaks when: voices of short windows, clustered"),
    ("segments", "segments:Segments", "3 to 30 s of one speaker, cut at pauses"),
    ("language", "language:Language", "as given, by a recogniser, or one for all"),
    ("recognise", "recognise:Recognise", "the text: given, or by any recogniser"),
    ("cross_check", "recognise:CrossCheck", "how far two sources of the text differ"),
    ("align", "align:Align", "when each word is said, and how well the text fits"),
    ("quality", "quality:Quality", "noise, bandwidth, clipping, music, DNSMOS"),
    ("clean_text", "clean_text:CleanText", "markup goes; script, punctuation, numbers, speed"),
    ("fingerprint", "duplicates:Fingerprint", "a MinHash of the peaks of the spectrum"),
    ("duplicates", "duplicates:Duplicates", "the same sound or the same text again"),
    ("filters", "filters:Filters", "rules of a task, from a preset"),
    ("splits", "splits:Splits", "train, valid and test without a common speaker"),
)


@hookimpl
def register_components() -> list[ComponentSpec]:
    """The compressors and curation stages of this package."""
    return [
        ComponentSpec(
            "compressor",
            "pooling",
            "mingtok_audio.compressors.pooling:PoolingCompressor",
            summary="mean of each patch, no parameters (the paper's equation 5)",
        ),
        ComponentSpec(
            "compressor",
            "cross_attention",
            "mingtok_audio.compressors.cross_attention:CrossAttentionCompressor",
            summary="a small transformer gathers each patch into a [CLS] token",
        ),
        ComponentSpec(
            "compressor",
            "linear_pooling",
            "mingtok_audio.compressors.linear_pooling:LinearPoolingCompressor",
            summary="RMS norm, linear, mean: the published checkpoints' compressor",
        ),
        ComponentSpec(
            "compressor",
            "aggregator",
            "mingtok_audio.compressors.aggregator:AggregatorCompressor",
            summary="a small transformer over each patch of latents: that of Ming-omni-tts",
        ),
        *(
            ComponentSpec(
                "curation_stage", name, f"mingtok_audio.curation.stages.{target}", summary=summary
            )
            for name, target, summary in _CURATION
        ),
    ]


def make_host() -> PluginHost:
    """A fresh host (plugins are looked up again); most callers want `get_host`."""
    return PluginHost(
        namespace="mingtok_audio",
        slots=SLOTS,
        hookspecs="mingtok_audio.hookspecs",
        builtins=("mingtok_audio.plugins",),
        distribution="mingtok-audio",
    )


@cache
def get_host() -> PluginHost:
    """The process's host; installed plugins are loaded when it is first asked for something."""
    return make_host()


def create_compressor(name: str, **options: Any) -> Compressor:
    """A new compressor by name, for example `create_compressor("pooling", in_dim=384)`.

    Raises:
        PluginError: no such compressor, broken, or options it does not take.
    """
    return get_host().create("compressor", name, **options)


def load_compressor(
    source: str | Path, *, expected: Mapping[str, PinnedModel] | None = None
) -> Compressor:
    """A trained compressor from a component folder or hub repository; see
    `mingtok_audio.core.models.components.load_component`."""
    from typing import cast

    from mingtok_audio.core.models.components import load_component

    return cast("Compressor", load_component(get_host(), "compressor", source, expected=expected))
