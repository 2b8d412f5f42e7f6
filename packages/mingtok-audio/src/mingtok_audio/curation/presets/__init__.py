"""Rules of what a task can use, as YAML files with their reasons.

task: generation
rules:
  - name: noisy                 # the reason of what is dropped
    keep: snr is null or snr >= 20
    why: background noise is learned as part of the voice
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path

from mingtok_audio.core.config.files import load_yaml, parse_yaml
from mingtok_audio.core.config.schema import from_dict, near
from mingtok_audio.core.errors import ConfigError
from mingtok_audio.core.expressions import Expression, parse

NAMES = ("edit", "generation", "understanding")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class Rule:
    """What is kept, and why.

    Attributes:
        name: the reason code of what breaks it.
        keep: the condition.
        why: for people.
    """

    name: str
    keep: str
    why: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"a rule's name is lower case letters, digits and _, not '{self.name}'"
            )

    @property
    def place(self) -> str:
        """How messages name it."""
        return "--where" if self.name == "where" else f"the rule {self.name}"

    @cached_property
    def expression(self) -> Expression:
        """The condition, understood."""
        return parse(self.keep, self.place)


@dataclass(frozen=True)
class Preset:
    """The rules of a task, in the order in which they are applied."""

    task: str
    rules: tuple[Rule, ...]
    about: str = ""


def load_preset(source: str) -> Preset:
    """A preset by its name, or from a YAML file.

    Raises:
        ConfigError: no such preset, or a file that is not one.
    """
    if source in NAMES:
        text = resources.files(__name__).joinpath(f"{source}.yaml").read_text(encoding="utf-8")
        data, where = parse_yaml(text, f"preset {source}"), f"preset {source}"
    elif Path(source).suffix in (".yaml", ".yml"):
        data, where = load_yaml(source), source
    else:
        raise ConfigError(
            f"there is no preset '{source}'{near(source, NAMES)}; or give a .yaml file"
        )
    preset = from_dict(Preset, data, where)
    for rule in preset.rules:
        _ = rule.expression
    return preset
