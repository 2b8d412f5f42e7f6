"""The plugin host: specs, discovery by entry points, and the `plugins` commands."""

from mingtok_audio.core.plugins.host import PluginHost, check_options, import_target
from mingtok_audio.core.plugins.specs import (
    DISABLE_VARIABLE,
    CheckResult,
    ComponentSpec,
    LoadedSpec,
    SlotDef,
)

__all__ = [
    "DISABLE_VARIABLE",
    "CheckResult",
    "ComponentSpec",
    "LoadedSpec",
    "PluginHost",
    "SlotDef",
    "check_options",
    "import_target",
]
