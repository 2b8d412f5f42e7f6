"""What the plugin host works with: specs, slots, where plugins come from and how they are named."""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any, Literal, TypeVar

from mingtok_audio.core.errors import PluginError, one_line

DISABLE_VARIABLE = "UNIAUDIO_DISABLE_PLUGINS"
HOOK_NAME = "register_components"
Status = Literal["ok", "broken", "disabled"]
NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,63}")
TARGET_PATTERN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class ComponentSpec:
    """One implementation of one slot.

    Attributes:
        slot: for example "compressor".
        name: what users and configs call it: lower case letters, digits and "_".
        target: "package.module:Class", imported on first use.
        api_version: of the slot's interface that the class is written for.
        summary: one line for `plugins list`.
    """

    slot: str
    name: str
    target: str
    api_version: int = 1
    summary: str = ""


@dataclass(frozen=True)
class SlotDef:
    """A slot of a package.

    Attributes:
        interface: "package.module:Class", the abstract class that implementations extend.
        api_version: of that interface; specs for another one are refused.
        conformance: "package.module:function" that takes the class and returns the
            `CheckResult`s of `plugins validate`; "" where a slot has no kit.
        summary: one line for humans.
    """

    interface: str
    api_version: int = 1
    conformance: str = ""
    summary: str = ""


@dataclass(frozen=True)
class CheckResult:
    """One check of a conformance kit."""

    check: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True)
class LoadedSpec:
    """A spec with its origin. A plugin that could not be asked has a spec of slot ""."""

    spec: ComponentSpec
    distribution: str
    version: str
    status: Status
    error: str = ""
    entry_point: str = ""
    trace: str = field(default="", repr=False, compare=False)


def normalize(distribution: str) -> str:
    """A distribution's name as package indexes compare it (My_Plugin is my-plugin)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def disabled_plugins() -> tuple[bool, set[str]]:
    """Whether all third-party plugins are switched off, and which distributions by name."""
    names = {normalize(n.strip()) for n in os.environ.get(DISABLE_VARIABLE, "").split(",")} - {""}
    return "all" in names, names - {"all"}


@dataclass(frozen=True)
class EntryPoint:
    """One entry point of an installed distribution."""

    name: str
    value: str
    distribution: str
    version: str
    load: Callable[[], Any]
    error: str = ""


def entry_points(group: str) -> Iterable[EntryPoint]:
    """The entry points of a group. One installation with damaged metadata hides no other."""
    seen: set[str] = set()
    for distribution in metadata.distributions():
        try:
            name = distribution.metadata["Name"]
            if not name or normalize(name) in seen:
                continue  # an older copy further down the path
            seen.add(normalize(name))
            points = [p for p in distribution.entry_points if p.group == group]
            version = distribution.version or ""
        except Exception as error:
            logging.getLogger(__name__).debug(
                "an installed distribution has damaged metadata: %s", error
            )
            continue
        for point in points:
            yield EntryPoint(point.name, point.value, name, version, point.load)


def version_of(distribution: str) -> str:
    """The installed version, or "" where it is not installed (run from a source tree)."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def checked_list(result: Any) -> list[ComponentSpec]:
    """What a hook returned, if it is a list of well-formed specs; else PluginError."""
    if not isinstance(result, list | tuple):
        raise PluginError(f"{HOOK_NAME} returned {type(result).__name__}, not a list")
    for item in result:
        if not isinstance(item, ComponentSpec):
            raise PluginError(f"{HOOK_NAME} returned a {type(item).__name__}, not ComponentSpec")
        texts = (item.slot, item.name, item.target, item.summary)
        if not all(isinstance(t, str) for t in texts) or type(item.api_version) is not int:
            raise PluginError(f"{HOOK_NAME} returned a ComponentSpec with fields of a wrong type")
    return list(result)


T = TypeVar("T")


def attempt(load: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    """What code of somebody else gives, or whatever it raised: its `KeyboardInterrupt` and
    `SystemExit` too. Ctrl-C of the user is passed on."""
    pressed = False

    def press(*_: object) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    before = None
    if threading.current_thread() is threading.main_thread():
        before = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, press)
    try:
        return load(), None
    except BaseException as error:
        if pressed:
            raise
        return None, error
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def mark_duplicates(loaded: list[LoadedSpec], own: str = "") -> list[LoadedSpec]:
    """Two plugins with one name: neither may be used, for nobody said which is meant.

    A built-in (of the distribution `own`) keeps its name: whoever takes it is refused.
    """
    claims: dict[tuple[str, str], list[LoadedSpec]] = {}
    for item in loaded:
        if item.status == "ok":
            claims.setdefault((item.spec.slot, item.spec.name), []).append(item)
    result = []
    for item in loaded:
        rivals = claims.get((item.spec.slot, item.spec.name), [])
        builtin = [r for r in rivals if r.distribution == own]
        if item.status == "ok" and builtin and item.distribution != own:
            error = f"'{item.spec.name}' is the name of a built-in of {origin(builtin[0])}"
            item = replace(item, status="broken", error=error)  # noqa: PLW2901
        elif item.status == "ok" and len(rivals) > 1 and not builtin:
            origins = " and ".join(origin(r) for r in rivals)
            error = (
                f"two plugins have this name: {origins}; switch one off with {DISABLE_VARIABLE} "
                "or uninstall it"
            )
            item = replace(item, status="broken", error=error)  # noqa: PLW2901
        result.append(item)
    return result


def origin(loaded: LoadedSpec) -> str:
    """The distribution and version that a spec came from."""
    return f"{loaded.distribution} {loaded.version}".strip()


def reason(error: BaseException) -> str:
    """What a plugin raised, in one line."""
    if isinstance(error, PluginError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r}) while it was loaded"
    return one_line(f"{type(error).__name__}: {error}", limit=400)


def trace(error: BaseException) -> str:
    """The traceback as text, for `plugins doctor`."""
    return "".join(traceback.format_exception(error))
