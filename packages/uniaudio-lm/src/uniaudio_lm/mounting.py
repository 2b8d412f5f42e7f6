"""Commands and plugin hosts of other packages, found by entry points.

Each entry point is loaded on its own: a broken one is recorded and named, and no command of
another package suffers from it.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from dataclasses import replace
from functools import partial

import typer

from mingtok_audio.core.errors import PluginError
from mingtok_audio.core.plugins import ComponentSpec, LoadedSpec, PluginHost, SlotDef
from mingtok_audio.core.plugins.specs import (
    DISABLE_VARIABLE,
    EntryPoint,
    attempt,
    disabled_plugins,
    entry_points,
    normalize,
    origin,
    reason,
    trace,
)

COMMANDS_GROUP = "uniaudio.commands"
HOSTS_GROUP = "uniaudio.hosts"
_OURS = frozenset({"mingtok-audio", "uniaudio-lm", "uniaudio-edit", "audio-eval"})

logger = logging.getLogger("uniaudio_lm.mounting")


def _is_disabled(point: EntryPoint) -> bool:
    everything, names = disabled_plugins()
    name = normalize(point.distribution)
    return name in names or (everything and name not in _OURS)


def _source(point: EntryPoint) -> LoadedSpec:
    spec = ComponentSpec("command", point.name, point.value)
    text = f"{point.name} = {point.value}"
    return LoadedSpec(spec, point.distribution, point.version, "ok", point.error, text)


class CommandHost(PluginHost):
    """The mounted commands, as `plugins list` and `plugins doctor` show them."""

    def __init__(self) -> None:
        slot = SlotDef("typer:Typer", 1, "", "commands under uniaudio")
        super().__init__("uniaudio_lm", {"command": slot}, "", (), "uniaudio-lm")
        self.group = COMMANDS_GROUP
        self.found: list[LoadedSpec] = []

    def specs(self, slot: str | None = None) -> list[LoadedSpec]:
        """The entry points that were mounted, broken and disabled ones too."""
        return list(self.found)

    def resolve(self, slot: str, name: str) -> type:
        """A command is not a class that could be built."""
        raise PluginError(f"'{name}' is a command, not a component")


def mount_commands(app: typer.Typer, own: set[str]) -> CommandHost:
    """Merge every `uniaudio.commands` entry point (a `typer.Typer`) into `app`.

    Args:
        own: names that `app` has itself; an entry point that brings one of these, or one that
            another brought, is broken.
    """
    host = CommandHost()
    taken = dict.fromkeys(own, "uniaudio-lm")
    for point in sorted(entry_points(COMMANDS_GROUP), key=_ours_first):
        source = _source(point)
        if _is_disabled(point):
            error = f"switched off by {DISABLE_VARIABLE}"
            host.found.append(replace(source, status="disabled", error=error))
            continue
        with contextlib.redirect_stdout(sys.stderr):
            found, error = attempt(partial(_mountable, point, taken))
        if error is not None or found is None:
            raised = error or PluginError("it gave nothing")
            host.found.append(
                replace(source, status="broken", error=reason(raised), trace=trace(raised))
            )
            continue
        mounted, names = found
        taken |= dict.fromkeys(names, point.distribution)
        app.add_typer(mounted)
        host.found.append(replace(source, error=""))
    return host


def _mountable(point: EntryPoint, taken: dict[str, str]) -> tuple[typer.Typer, list[str]]:
    """The commands of an entry point, and their names."""
    mounted = _flat(point.load())
    names = _command_names(mounted)
    for name in names:
        if name in taken:
            raise PluginError(f"its command '{name}' is already one of {taken[name]}")
    return mounted, names


def _ours_first(point: EntryPoint) -> tuple[bool, str]:
    return normalize(point.distribution) not in _OURS, point.name


def _flat(mounted: object) -> typer.Typer:
    """The commands and groups of a Typer in one without a name, which merges when it is added."""
    if not isinstance(mounted, typer.Typer):
        raise PluginError(f"it is a {type(mounted).__name__}, not a typer.Typer")
    flat = typer.Typer()
    flat.registered_commands += mounted.registered_commands
    flat.registered_groups += mounted.registered_groups
    return flat


def _command_names(mounted: typer.Typer) -> list[str]:
    # A wrapper keeps a Typer of one command from collapsing into that command.
    wrapper = typer.Typer()
    wrapper.add_typer(mounted)
    wrapper.command("--")(lambda: None)
    group = typer.main.get_command(wrapper)
    return [name for name in getattr(group, "commands", {}) if name != "--"]


def mounted_hosts() -> list[PluginHost]:
    """The plugin hosts of packages above this one (group `uniaudio.hosts`, a function each)."""
    hosts = []
    for point in sorted(entry_points(HOSTS_GROUP), key=_ours_first):
        if _is_disabled(point):
            continue
        with contextlib.redirect_stdout(sys.stderr):
            host, error = attempt(lambda point=point: point.load()())
        if error is None and not isinstance(host, PluginHost):
            error = PluginError(f"{point.value} gave a {type(host).__name__}, not a PluginHost")
        if error is not None:
            logger.warning("the plugins of %s: %s", origin(_source(point)), reason(error))
        else:
            hosts.append(host)
    return hosts
