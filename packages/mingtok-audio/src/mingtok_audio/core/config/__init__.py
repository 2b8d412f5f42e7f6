"""Typed configuration: dataclasses from JSON and YAML, strictly checked."""

from mingtok_audio.core.config.files import (
    MAX_CONFIG_BYTES,
    apply_overrides,
    load_json,
    load_yaml,
    parse_json,
    parse_yaml,
    read_text,
)
from mingtok_audio.core.config.schema import from_dict, near, to_dict

__all__ = [
    "MAX_CONFIG_BYTES",
    "apply_overrides",
    "from_dict",
    "load_json",
    "load_yaml",
    "near",
    "parse_json",
    "parse_yaml",
    "read_text",
    "to_dict",
]
