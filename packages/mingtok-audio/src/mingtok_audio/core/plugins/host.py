"""The plugin host: which implementations a slot has, where they come from, and what is wrong.

A package owns a host with its slots; built-ins and third parties register through the same pluggy
hook, `register_components() -> list[ComponentSpec]`. A spec is a few texts: the class behind it is
imported, and checked against the slot's interface, when it is first used.

Somebody's broken plugin must never stop a command, least of all the one that would help to remove
it. So every entry point is loaded on its own, whatever it raises is kept, shown once as a warning,
and listed by `plugins list`.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mingtok_audio.core.config import near
from mingtok_audio.core.errors import PluginError
from mingtok_audio.core.plugins.specs import (
    DISABLE_VARIABLE,
    HOOK_NAME,
    NAME_PATTERN,
    TARGET_PATTERN,
    CheckResult,
    ComponentSpec,
    LoadedSpec,
    SlotDef,
    attempt,
    checked_list,
    disabled_plugins,
    entry_points,
    mark_duplicates,
    normalize,
    origin,
    reason,
    trace,
    version_of,
)

if TYPE_CHECKING:
    import pluggy


logger = logging.getLogger("mingtok_audio.plugins")


class PluginHost:
    """The plugins of one package.

    Args:
        namespace: the package's import name; its entry-point group is `<namespace>.plugins`, and
            its hooks are marked with pluggy markers of that name.
        slots: slot names to definitions.
        hookspecs: "package.module" with the pluggy hook specification.
        builtins: modules with the package's own `register_components`.
        distribution: whose version the built-ins carry.
    """

    def __init__(
        self,
        namespace: str,
        slots: Mapping[str, SlotDef],
        hookspecs: str,
        builtins: Sequence[str],
        distribution: str,
    ) -> None:
        self.namespace = namespace
        self.group = f"{namespace}.plugins"
        self.slots = dict(slots)
        self.distribution = distribution
        self._hookspecs = hookspecs
        self._builtins = tuple(builtins)
        self._manager: pluggy.PluginManager | None = None
        self._loaded: list[LoadedSpec] | None = None
        self._classes: dict[tuple[str, str], type] = {}
        self._warned = False

    # -- what there is ------------------------------------------------------------------------

    def specs(self, slot: str | None = None) -> list[LoadedSpec]:
        """Every spec, broken and disabled ones too; of one slot, or all."""
        if self._loaded is None:
            self._loaded = mark_duplicates(self._load_all(), self.distribution)
        if slot is None:
            return list(self._loaded)
        self._slot(slot)
        return [loaded for loaded in self._loaded if loaded.spec.slot == slot]

    def names(self, slot: str) -> list[str]:
        """The names in a slot that can be used, sorted."""
        return sorted({s.spec.name for s in self.specs(slot) if s.status == "ok"})

    def table(self) -> list[dict[str, Any]]:
        """The rows of `plugins list --json`."""
        return [
            {
                "slot": loaded.spec.slot or None,
                "name": loaded.spec.name,
                "distribution": loaded.distribution,
                "version": loaded.version,
                "api_version": loaded.spec.api_version if loaded.spec.slot else None,
                "status": loaded.status,
                "error": loaded.error or None,
                "summary": loaded.spec.summary,
            }
            for loaded in self.specs()
        ]

    def warnings(self) -> list[str]:
        """One line for each broken plugin."""
        return [
            f"plugin '{loaded.spec.name}' of {origin(loaded)} is not used: {loaded.error}"
            for loaded in self.specs()
            if loaded.status == "broken"
        ]

    def show_warnings(self) -> None:
        """Log `warnings` the first time this is called; `resolve` does it by itself."""
        if not self._warned:
            self._warned = True
            for line in self.warnings():
                logger.warning("%s", line)

    # -- using it -----------------------------------------------------------------------------

    def resolve(self, slot: str, name: str) -> type:
        """The class behind a name, imported and checked against the slot's interface.

        Raises:
            PluginError: no such slot or name (with the nearest one), a name that two
                distributions claim, disabled, broken, or not an implementation of the interface.
        """
        self.show_warnings()
        definition = self._slot(slot)
        known = self._classes.get((slot, name))
        if known is not None:
            return known
        loaded = self._find(slot, name)
        if loaded.status != "ok":
            raise PluginError(f"{slot} '{name}' of {origin(loaded)} is broken: {loaded.error}")
        try:
            found = self._import_class(loaded, definition)
        except PluginError as error:
            self._record(loaded, str(error))
            raise PluginError(f"{slot} '{name}' of {origin(loaded)} is broken: {error}") from error
        self._classes[slot, name] = found
        return found

    def create(self, slot: str, name: str, **options: Any) -> Any:
        """An instance of the class behind a name, built with `options`.

        The options are kept on it as `component_options`, for `save_component`.

        Raises:
            PluginError: as `resolve`; options that the class does not take, or refuses.
        """
        found = self.resolve(slot, name)
        check_options(found, options, f"{slot} '{name}'")
        try:
            component = found(**options)
        except (TypeError, ValueError) as error:
            raise PluginError(f"{slot} '{name}' refuses its options: {error}") from error
        with contextlib.suppress(AttributeError):  # a class with __slots__ keeps no options
            component.component_options = dict(options)
        return component

    def validate(self, name: str) -> tuple[LoadedSpec, list[CheckResult]]:
        """Run the slot's conformance kit on `name` ("name", or "slot:name" where two slots share
        it).

        Raises:
            PluginError: no such component, ambiguous, broken, or a slot without a kit.
        """
        slot, colon, rest = name.partition(":")
        wanted = [
            s
            for s in self.specs()
            if s.spec.name == (rest if colon else name) and (not colon or s.spec.slot == slot)
        ]
        slots = sorted({s.spec.slot for s in wanted if s.spec.slot})
        if not slots:
            if wanted:
                raise PluginError(f"plugin '{name}' of {origin(wanted[0])}: {wanted[0].error}")
            names = {s.spec.name for s in self.specs()}
            raise PluginError(f"there is no component '{name}'{near(name, names)}")
        if len(slots) > 1:
            choices = ", ".join(f"{s}:{rest or name}" for s in slots)
            raise PluginError(f"'{name}' is in several slots; say which: {choices}")
        found = self.resolve(slots[0], wanted[0].spec.name)
        kit = self.slots[slots[0]].conformance
        if not kit:
            raise PluginError(f"the slot {slots[0]} has no conformance kit")
        loaded = self._find(slots[0], wanted[0].spec.name)
        return loaded, list(import_target(kit)(found))

    # -- loading ------------------------------------------------------------------------------

    def _slot(self, slot: str) -> SlotDef:
        if slot not in self.slots:
            raise PluginError(
                f"there is no slot '{slot}' in {self.namespace}{near(slot, self.slots)}"
            )
        return self.slots[slot]

    def _find(self, slot: str, name: str) -> LoadedSpec:
        candidates = [s for s in self.specs(slot) if s.spec.name == name]
        if candidates:
            # A plugin that is refused (say, for an old api_version) does not hide a good one.
            return min(candidates, key=lambda s: s.status != "ok")
        off = [s for s in self.specs() if s.status == "disabled"]
        hint = near(name, self.names(slot))
        if off:
            names = ", ".join(sorted({s.distribution for s in off}))
            hint += f" (switched off by {DISABLE_VARIABLE}: {names})"
        raise PluginError(f"there is no {slot} '{name}'{hint}")

    def _record(self, loaded: LoadedSpec, error: str) -> None:
        assert self._loaded is not None
        self._loaded[self._loaded.index(loaded)] = replace(loaded, status="broken", error=error)

    def _load_all(self) -> list[LoadedSpec]:
        import pluggy

        class Manager(pluggy.PluginManager):
            """Takes a plain function called like the hook for the hook: a forgotten (or another
            project's) marker does not make a plugin invalid."""

            def parse_hookimpl_opts(self, plugin: Any, name: str) -> pluggy.HookimplOpts | None:
                options = super().parse_hookimpl_opts(plugin, name)
                plain = name == HOOK_NAME and inspect.isroutine(getattr(plugin, name, None))
                if options is None and plain:
                    return pluggy.HookimplOpts(
                        wrapper=False,
                        hookwrapper=False,
                        optionalhook=False,
                        tryfirst=False,
                        trylast=False,
                        specname=None,
                    )
                return options

        self._manager = Manager(self.namespace)
        self._manager.add_hookspecs(importlib.import_module(self._hookspecs))
        version = version_of(self.distribution)
        loaded: list[LoadedSpec] = []
        for module in self._builtins:
            source = LoadedSpec(
                ComponentSpec("", module, module), self.distribution, version, "ok", "", module
            )
            loaded += self._load_one(source, lambda module=module: importlib.import_module(module))
        everything, disabled = disabled_plugins()
        for entry in entry_points(self.group):
            source = LoadedSpec(
                ComponentSpec("", entry.name, entry.value),
                entry.distribution,
                entry.version,
                "ok",
                "",
                f"{entry.name} = {entry.value}",
            )
            if everything or normalize(entry.distribution) in disabled:
                error = f"switched off by {DISABLE_VARIABLE}"
                loaded.append(replace(source, status="disabled", error=error))
            elif entry.error:
                loaded.append(replace(source, status="broken", error=entry.error))
            else:
                loaded += self._load_one(source, entry.load)
        return loaded

    def _load_one(self, source: LoadedSpec, load: Callable[[], Any]) -> list[LoadedSpec]:
        """The specs of one plugin, or one broken entry that says what it raised."""
        # What a plugin prints when it is imported must not get into a command's JSON.
        with contextlib.redirect_stdout(sys.stderr):
            specs, error = attempt(lambda: self._ask(load(), source))
        if error is not None:
            return [replace(source, status="broken", error=reason(error), trace=trace(error))]
        return [self._check_spec(spec, source) for spec in specs or ()]

    def _ask(self, plugin: Any, source: LoadedSpec) -> list[ComponentSpec]:
        manager = self._manager
        assert manager is not None
        name = manager.register(plugin, name=f"{source.distribution}:{source.entry_point}")
        callers = manager.get_hookcallers(plugin) or []
        unknown = sorted(caller.name for caller in callers if not caller.has_spec())
        if unknown or not callers:
            manager.unregister(name=name)
            if unknown:
                raise PluginError(f"it has an unknown hook '{unknown[0]}'; the hook is {HOOK_NAME}")
            raise PluginError(
                f"it has no hook: define {HOOK_NAME}() with {self._hookspecs}.hookimpl"
            )
        specs: list[ComponentSpec] = []
        for caller in callers:
            for implementation in caller.get_hookimpls():
                if implementation.plugin is plugin:
                    specs += checked_list(implementation.function())
        return specs

    def _check_spec(self, spec: ComponentSpec, source: LoadedSpec) -> LoadedSpec:
        error = ""
        if spec.slot not in self.slots:
            error = f"the slot '{spec.slot}' is unknown{near(str(spec.slot), self.slots)}"
        elif not NAME_PATTERN.fullmatch(spec.name):
            error = f"the name '{spec.name}' is not lower case letters, digits and _"
        elif not TARGET_PATTERN.fullmatch(spec.target):
            error = f"the target '{spec.target}' is not of the form package.module:Class"
        elif spec.api_version != self.slots[spec.slot].api_version:
            error = (
                f"it is written for version {spec.api_version} of the {spec.slot} interface; "
                f"this {self.distribution} has version {self.slots[spec.slot].api_version}"
            )
        return replace(source, spec=spec, status="broken" if error else "ok", error=error)

    def _import_class(self, loaded: LoadedSpec, definition: SlotDef) -> type:
        interface = import_target(definition.interface)
        with contextlib.redirect_stdout(sys.stderr):
            found, error = attempt(lambda: import_target(loaded.spec.target))
        if error is not None:
            raise PluginError(
                f"{loaded.spec.target} cannot be imported: {reason(error)}"
            ) from error
        if not isinstance(found, type) or not issubclass(found, interface):
            raise PluginError(f"{loaded.spec.target} is not a subclass of {definition.interface}")
        if inspect.isabstract(found):
            missing = ", ".join(sorted(found.__abstractmethods__))
            raise PluginError(f"{loaded.spec.target} lacks {missing}")
        return found


def check_options(found: type, options: Mapping[str, Any], what: str) -> None:
    """Refuse options that the constructor of `found` does not take, or that are missing.

    Raises:
        PluginError: names the option, and the nearest one.
    """
    parameters = dict(inspect.signature(found).parameters)
    kinds = {p.kind for p in parameters.values()}
    named = {
        n for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        for option in options:
            if option not in named:
                raise PluginError(f"{what} has no option '{option}'{near(option, named)}")
    for name in sorted(named):
        if parameters[name].default is inspect.Parameter.empty and name not in options:
            raise PluginError(f"{what} needs the option '{name}'")


def import_target(target: str) -> Any:
    """The object that "package.module:attribute" names."""
    module, _, path = target.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found
