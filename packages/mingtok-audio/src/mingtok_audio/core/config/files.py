"""Reading and overriding config files: JSON and YAML without their surprises."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mingtok_audio.core.errors import ConfigError
from mingtok_audio.core.files import os_reason

MAX_CONFIG_BYTES = 4 << 20


def read_text(path: str | os.PathLike[str], max_bytes: int = MAX_CONFIG_BYTES) -> str:
    """The UTF-8 text of a file of at most `max_bytes`.

    Raises:
        ConfigError: missing, unreadable, too large, or not UTF-8.
    """
    file = Path(path)
    try:
        if file.is_dir():
            raise ConfigError(f"{file} is a folder, not a file")
        with file.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {os_reason(error)}") from error
    if len(data) > max_bytes:
        raise ConfigError(f"{file} is larger than {max_bytes} bytes; this is not a config")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text (byte {error.start})") from error


def load_json(path: str | os.PathLike[str], max_bytes: int = MAX_CONFIG_BYTES) -> Any:
    """The JSON value in a file; duplicate keys, NaN and infinity are refused (ConfigError)."""
    return parse_json(read_text(path, max_bytes), str(path))


def parse_json(text: str, where: str) -> Any:
    """The JSON value in `text`, as `load_json`."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{where} is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from error
    except RecursionError as error:
        raise ConfigError(f"{where} is nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits
        raise ConfigError(f"{where} is not valid JSON: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ConfigError(f"the key '{key}' appears twice")
            seen.add(key)
    return table


def _no_constant(name: str) -> float:
    raise ConfigError(f"{name} is not a JSON number")


def load_yaml(path: str | os.PathLike[str], max_bytes: int = MAX_CONFIG_BYTES) -> Any:
    """The YAML value in a file; see `parse_yaml`."""
    return parse_yaml(read_text(path, max_bytes), str(path))


def parse_yaml(text: str, where: str) -> Any:
    """YAML with the surprises taken out.

    `no`, `on` and dates stay texts, `1e-4` is a number (PyYAML makes it a text), duplicate keys
    and aliases are refused, tags too: only plain values.

    Raises:
        ConfigError: names the line.
    """
    import yaml

    try:
        return yaml.load(text, Loader=_yaml_loader())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ConfigError(f"{where} is not valid YAML: {error.problem}{place}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{where} is nested too deeply") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise ConfigError(f"{where} is not valid YAML: {error}") from error
    except (LookupError, AttributeError) as error:  # `!!bool maybe`, `!!timestamp x`
        raise ConfigError(f"{where} is not valid YAML: a value does not fit its tag") from error


def _yaml_loader() -> type:
    import yaml
    from yaml.composer import ComposerError
    from yaml.constructor import ConstructorError

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                event = self.peek_event()
                raise ComposerError(
                    None, None, "aliases are not used in these files", event.start_mark
                )
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict:
            seen: set[Any] = set()
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)
                if not isinstance(key, str | int | float | bool | None):
                    raise ConstructorError(
                        None, None, "a key must be a text or a number", key_node.start_mark
                    )
                if key in seen:
                    raise ConstructorError(
                        None, None, f"the key '{key}' appears twice", key_node.start_mark
                    )
                seen.add(key)
            return super().construct_mapping(node, deep=deep)

    # Not those of YAML 1.1, to which `no` is false and 1e-4 a text.
    Loader.yaml_implicit_resolvers = {}

    def add(tag: str, pattern: str, first: str) -> None:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))

    add("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
    add("null", r"^(?:~|null|Null|NULL|)$", "~nN")
    Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^$"), [""])
    add("int", r"^[-+]?(?:0|[1-9][0-9_]*)$", "-+0123456789")
    add(
        "float",
        r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$",
        "-+.0123456789",
    )
    return Loader


def apply_overrides(data: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """A copy of `data` with `a.b=value` applied; the value is read as YAML, so `x=[1, 2]` works.

    A number in the path indexes a list. Tables on the way are made; a key that the config does
    not know is refused by `from_dict` afterwards.

    Raises:
        ConfigError: not of the form key=value, or a path through something without keys.
    """
    result = copy.deepcopy(dict(data))
    for override in overrides:
        path, equals, text = override.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys):
            raise ConfigError(f"'{override}' is not of the form key=value (for example a.b=1)")
        node: Any = result
        for key in keys[:-1]:
            node = _step(node, key, path)
        value = parse_yaml(text, f"the value of {path.strip()}")
        if isinstance(node, list):
            node[_index(node, keys[-1], path)] = value
        elif isinstance(node, dict):
            node[keys[-1]] = value
        else:
            raise ConfigError(f"{path}: '{'.'.join(keys[:-1])}' has no keys to set")
    return result


def _step(node: Any, key: str, path: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, key, path)]
    if not isinstance(node, dict):
        raise ConfigError(f"{path}: there are no keys above '{key}' to go through")
    if node.get(key) is None:
        node[key] = {}
    return node[key]


def _index(node: list[Any], key: str, path: str) -> int:
    if not key.isdecimal() or int(key) >= len(node):
        raise ConfigError(f"{path}: '{key}' is not an index of a list of {len(node)}")
    return int(key)
