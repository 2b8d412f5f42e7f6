"""The editor's plugin host and its built-in parsers, operations and backends."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from mingtok_audio.core.errors import PluginError, UserError
from mingtok_audio.core.plugins import ComponentSpec, PluginHost, SlotDef
from uniaudio_edit.hookspecs import hookimpl

if TYPE_CHECKING:
    from uniaudio_edit.operations.base import EditOperation

_KIT = "uniaudio_edit.conformance"

logger = logging.getLogger("mingtok_audio")

SLOTS = {
    "instruction_parser": SlotDef(
        "uniaudio_edit.interfaces:InstructionParser",
        1,
        f"{_KIT}:check_instruction_parser",
        "an instruction and a transcript to a plan",
    ),
    "edit_operation": SlotDef(
        "uniaudio_edit.operations.base:EditOperation",
        1,
        f"{_KIT}:check_edit_operation",
        "something that can be asked for: wordings, limits, how it is done, training pair",
    ),
    "edit_backend": SlotDef(
        "uniaudio_edit.interfaces:EditBackend",
        1,
        f"{_KIT}:check_edit_backend",
        "carries out operations on samples",
    ),
    "voice_converter": SlotDef(
        "uniaudio_edit.data.voices:VoiceConverter",
        1,
        f"{_KIT}:check_voice_converter",
        "other voices for training recordings",
    ),
}


# In the order in which a clause is offered to them.
_OPERATIONS = (
    ("speed", "speed:Speed", "faster or slower at the same pitch"),
    ("pitch", "pitch:Pitch", "higher or lower at the same speed"),
    ("volume", "volume:Volume", "louder or softer, by a factor or in dB"),
    ("fade", "fade:Fade", "from or to silence"),
    ("denoise", "denoise:Denoise", "less background noise"),
    ("add_sound", "sound:AddSound", "a background sound"),
    ("reverb", "reverb:Reverb", "the echo of a room"),
    ("loudness", "loudness:Loudness", "to a loudness in LUFS, under a true peak"),
    ("trim", "trim:Trim", "stretches of time go or stay"),
    ("silences", "silences:Silences", "long pauses are shortened"),
    ("fillers", "fillers:Fillers", "um, uh and their like go"),
    ("emotion", "style:Emotion", "another feeling in the voice"),
    ("dialect", "style:Dialect", "another accent"),
    ("substitution", "substitution:Substitution", "new words for old ones"),
    ("insertion", "insertion:Insertion", "new words between old ones"),
    ("deletion", "deletion:Deletion", "words go"),
)


@hookimpl
def register_components() -> list[ComponentSpec]:
    """The components of this package."""
    return [
        *(
            ComponentSpec(
                "edit_operation", name, f"uniaudio_edit.operations.{target}", summary=what
            )
            for name, target, what in _OPERATIONS
        ),
        ComponentSpec(
            "instruction_parser",
            "grammar",
            "uniaudio_edit.grammar.engine:GrammarParser",
            summary="rules for English and Chinese; refuses what it would have to guess",
        ),
        ComponentSpec(
            "instruction_parser",
            "lm",
            "uniaudio_edit.lm_parser:LmParser",
            summary="a model reads the recording and writes the new text",
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
            "voice_converter",
            "formant_shift",
            "uniaudio_edit.data.voices:FormantShift",
            summary="voices of other sizes: formants and pitch moved, no model needed",
        ),
    ]


def make_host() -> PluginHost:
    """A fresh host (plugins are looked up again); most callers want `get_host`."""
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


@cache
def edit_operations() -> dict[str, EditOperation]:
    """Every usable edit operation by name: the built-in ones, then those of plugins by name."""
    host = get_host()
    names = host.names("edit_operation")
    builtin = [name for name, _, _ in _OPERATIONS if name in names]
    found: dict[str, EditOperation] = {}
    for name in [*builtin, *(n for n in names if n not in builtin)]:
        try:
            found[name] = host.create("edit_operation", name)
        except UserError as error:
            if name in builtin:
                raise
            logger.warning("%s", error)  # one broken plugin takes nothing else away
    return found


@contextmanager
def blamed(slot: str, name: str) -> Iterator[None]:
    """Whatever code of a plugin raises, but for errors in words, names the plugin.

    Raises:
        PluginError: instead of what a component of another distribution raised.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        for loaded in get_host().specs(slot):
            if loaded.spec is not None and loaded.spec.name == name:
                if loaded.distribution == "uniaudio-edit":
                    raise
                raise PluginError(
                    f"{slot} '{name}' of {loaded.distribution} failed: "
                    f"{type(error).__name__}: {error}"
                ) from error
        raise
