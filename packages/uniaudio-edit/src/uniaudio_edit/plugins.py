"""The editor's plugin host and its built-in parsers, backends and watermarks."""

from __future__ import annotations

from functools import cache

from mingtok_audio.core.plugins import ComponentSpec, PluginHost, SlotDef
from uniaudio_edit.hookspecs import hookimpl

SLOTS = {
    "instruction_parser": SlotDef(
        "uniaudio_edit.interfaces:InstructionParser",
        1,
        summary="an instruction and a transcript to a plan",
    ),
    "edit_backend": SlotDef(
        "uniaudio_edit.interfaces:EditBackend", 1, summary="carries out operations on samples"
    ),
    "watermark": SlotDef(
        "uniaudio_edit.interfaces:Watermark", 1, summary="called on every recording written"
    ),
    "timbre": SlotDef(
        "uniaudio_edit.data.timbre:Timbre", 1, summary="other voices for training recordings"
    ),
}


@hookimpl
def register_components() -> list[ComponentSpec]:
    """The components of this package."""
    return [
        ComponentSpec(
            "instruction_parser",
            "grammar",
            "uniaudio_edit.parsers.grammar:GrammarParser",
            summary="rules for English and Chinese; refuses what it would have to guess",
        ),
        ComponentSpec(
            "instruction_parser",
            "lm",
            "uniaudio_edit.parsers.lm:LmParser",
            summary="a model hears the recording and writes the new text",
        ),
        ComponentSpec(
            "edit_backend",
            "splice",
            "uniaudio_edit.backends.splice:SpliceBackend",
            summary="cuts words out, puts new ones in; every other sample stays as it is",
        ),
        ComponentSpec(
            "edit_backend",
            "lm",
            "uniaudio_edit.backends.lm:LmBackend",
            summary="a model speaks the whole edited recording, as in the paper",
        ),
        ComponentSpec(
            "edit_backend",
            "dsp",
            "uniaudio_edit.backends.dsp:DspBackend",
            summary="speed, pitch, volume, noise, fades, background sound",
        ),
        ComponentSpec(
            "timbre",
            "formant_shift",
            "uniaudio_edit.data.timbre:FormantShift",
            summary="voices of other sizes: formants and pitch moved, no model needed",
        ),
    ]


def make_host() -> PluginHost:
    """A fresh host (plugins are looked up anew); most callers want `get_host`."""
    return PluginHost(
        namespace="uniaudio_edit",
        slots=SLOTS,
        hookspecs="uniaudio_edit.hookspecs",
        builtins=("uniaudio_edit.plugins",),
        distribution="uniaudio-edit",
    )


@cache
def get_host() -> PluginHost:
    """The process's host; installed plugins are loaded when it is first asked for something."""
    return make_host()
