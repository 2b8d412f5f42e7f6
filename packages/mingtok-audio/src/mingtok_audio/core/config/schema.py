"""Strict configs: JSON or YAML in, dataclasses out, and an error that names the key.

A config class is a plain dataclass of bool, int, float, str, Path, None, Literal, list, tuple,
dict, unions of these, and other dataclasses. A misspelt key must not be ignored: that is how a
training run goes wrong without a word.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from mingtok_audio.core.errors import ConfigError

T = TypeVar("T")


_MAX_DEPTH = 64


def from_dict(cls: type[T], data: Any, where: str = "config.json") -> T:
    """`data` as the dataclass `cls`.

    Args:
        where: what `data` was read from, for messages.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a missing key, a value of the
            wrong type, or one that the class's `__post_init__` refuses with ValueError.
    """
    try:
        return _dataclass(cls, data, where, "")
    except RecursionError as error:
        raise ConfigError(f"{where} is nested too deeply") from error


def to_dict(config: Any) -> dict[str, Any]:
    """`config` (a dataclass) as plain dicts, lists and scalars, ready for JSON or YAML."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config) if f.init}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def _fail(where: str, path: str, message: str) -> ConfigError:
    return ConfigError(f"{where}: {path}: {message}" if path else f"{where}: {message}")


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _dataclass(cls: type[T], data: Any, where: str, path: str) -> T:
    if not isinstance(data, Mapping):
        raise _fail(where, path, f"expected a table of keys, found {_shown(data)}")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    hints = _hints(cls)
    for key in data:
        if key not in fields:
            raise _fail(where, _join(path, key), "unknown key" + near(str(key), fields))
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _value(hints[name], data[name], where, _join(path, name), 0)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _fail(where, _join(path, name), "missing; it has no default")
    try:
        return cls(**values)
    except ConfigError as error:
        raise _fail(where, path, str(error)) from error
    except (ValueError, TypeError, ArithmeticError) as error:
        raise _fail(where, path, str(error) or type(error).__name__) from error


def near(name: str, known: Iterable[str], say_known: bool = True) -> str:
    """ "; did you mean 'x'?", or the known names, to append to a message."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(names)}" if names and say_known else ""


def _value(hint: Any, value: Any, where: str, path: str, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise _fail(where, path, "nested too deeply")
    origin = get_origin(hint)
    if hint is Any or hint is object:
        return copy.deepcopy(_free(value, where, path, depth))
    if origin is Literal:
        for allowed in get_args(hint):
            if value == allowed and type(value) is type(allowed):
                return allowed
        choices = [str(a) for a in get_args(hint)]
        raise _fail(
            where,
            path,
            f"expected one of {', '.join(choices)}, found {_shown(value)}"
            + near(str(value), choices, say_known=False),
        )
    if origin in (typing.Union, types.UnionType):
        return _union(get_args(hint), value, where, path, depth)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _dataclass(hint, value, where, path)
    base = origin or hint
    if base in (list, Sequence, tuple):
        return _sequence(hint, value, where, path, depth)
    if base in (dict, Mapping):
        return _table(hint, value, where, path, depth)
    return _scalar(hint, value, where, path)


def _union(members: tuple[Any, ...], value: Any, where: str, path: str, depth: int) -> Any:
    if value is None and type(None) in members:
        return None
    rest = [m for m in members if m is not type(None)]
    if len(rest) == 1:
        return _value(rest[0], value, where, path, depth)
    # An exact scalar type wins over one that would be converted (int | float keeps 1 an int).
    for member in sorted(rest, key=lambda m: type(value) is not m):
        try:
            return _value(member, value, where, path, depth + 1)
        except ConfigError:
            continue
    expected = " or ".join(_type_name(m) for m in members)
    raise _fail(where, path, f"expected {expected}, found {_shown(value)}")


def _sequence(hint: Any, value: Any, where: str, path: str, depth: int) -> Any:
    base = get_origin(hint) or hint
    if not isinstance(value, list | tuple):
        raise _fail(where, path, f"expected a list, found {_shown(value)}")
    arguments = get_args(hint)
    if base is tuple and arguments and arguments[-1] is not Ellipsis:
        if len(value) != len(arguments):
            raise _fail(where, path, f"expected {len(arguments)} values, found {len(value)}")
        kinds = list(arguments)
    else:
        kinds = [arguments[0] if arguments else Any] * len(value)
    items = [
        _value(kind, item, where, f"{path}[{i}]", depth + 1)
        for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
    ]
    return tuple(items) if base is tuple else items


def _table(hint: Any, value: Any, where: str, path: str, depth: int) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise _fail(where, path, f"expected a table of keys, found {_shown(value)}")
    key_hint, item_hint = get_args(hint) or (Any, Any)
    return {
        _value(key_hint, key, where, _join(path, key), depth + 1): _value(
            item_hint, item, where, _join(path, key), depth + 1
        )
        for key, item in value.items()
    }


def _scalar(hint: Any, value: Any, where: str, path: str) -> Any:
    if hint is type(None) and value is None:
        return None
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise _fail(where, path, f"expected a finite number, found {_shown(value)}")
        return number
    if hint is Path and isinstance(value, str | Path):
        if "\0" in str(value):
            raise _fail(where, path, "a path cannot hold a null character")
        return Path(value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            return hint(value)
        except ValueError:
            choices = [str(m.value) for m in hint]
            raise _fail(
                where, path, f"expected one of {', '.join(choices)}, found {_shown(value)}"
            ) from None
    if hint in (bool, int, str) and type(value) is hint:
        return value
    raise _fail(where, path, f"expected {_type_name(hint)}, found {_shown(value)}")


def _free(value: Any, where: str, path: str, depth: int) -> Any:
    """A value of any type that JSON can hold."""
    if depth > _MAX_DEPTH:
        raise _fail(where, path, "nested too deeply")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _free(item, where, _join(path, key), depth + 1)
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _free(item, where, f"{path}[{i}]", depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise _fail(where, path, f"expected a finite number, found {_shown(value)}")
    return value


def _type_name(hint: Any) -> str:
    if hint is type(None):
        return "null"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    if hint in names:
        return names[hint]
    return getattr(hint, "__name__", str(hint))


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
