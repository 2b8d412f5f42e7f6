"""Errors a user can act on: one line that says what is wrong, where, and what to do.

The command line turns every `UserError` into that line on stderr and exit code 2. Anything else
that escapes a command is a bug of ours.
"""

from __future__ import annotations


class UserError(Exception):
    """Bad input or wrong usage. The message is one line and names the input it is about."""

    def __init__(self, message: str) -> None:
        # File names and messages of other libraries may hold line breaks; ours never do.
        self.message = one_line(message)
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


class AudioError(UserError):
    """An audio file or array that cannot be read, used or written."""


class ConfigError(UserError):
    """A config with an unknown key, a wrong type or a missing value."""


class FormatError(UserError):
    """A file of a format we define or check (`.mtok`, safetensors) that is damaged or unknown."""


class HubError(UserError):
    """A model or component that cannot be found, downloaded or trusted."""


class PluginError(UserError):
    """A plugin that is missing, broken, disabled, ambiguous or does not fit its slot."""


def one_line(text: str, limit: int = 2000) -> str:
    """`text` on one line without control characters. What is longer than `limit` characters loses
    its middle: a file name may be endless, the reason comes after it."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(flat) <= limit:
        return flat
    tail = limit // 3
    return f"{flat[: limit - tail - 1]}…{flat[-tail:]}"
