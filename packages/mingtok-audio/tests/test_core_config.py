"""Strict configs: what is accepted, and what the refusal says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mingtok_audio.core.config import (
    apply_overrides,
    from_dict,
    load_json,
    load_yaml,
    parse_json,
    parse_yaml,
    to_dict,
)
from mingtok_audio.core.errors import ConfigError


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Block:
    width: int
    window: int | None = None
    rotary: Literal["interleaved", "half"] = "half"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError("width must be at least 1")


@dataclass
class Model:
    encoder: Block
    name: str = "m"
    rates: list[int] = field(default_factory=list)
    betas: tuple[float, float] = (0.9, 0.99)
    extra: dict[str, float] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    path: Path | None = None
    mixed: int | str | None = None
    free: Any = None
    color: Color = Color.RED
    more: dict[str, Block] = field(default_factory=dict)
    any_length: tuple[int, ...] = ()
    hidden: int = field(default=0, init=False)


FULL = {
    "encoder": {"width": 8, "window": 32, "rotary": "interleaved", "dropout": 0.5},
    "name": "x",
    "rates": [1, 2],
    "betas": [0.5, 1],
    "extra": {"a": 1.5},
    "blocks": [{"width": 1}],
    "path": "a/b",
    "mixed": "7",
    "free": {"x": [1, None, "y"]},
    "color": "blue",
    "more": {"k": {"width": 3}},
    "any_length": [1, 2, 3],
}


def test_everything_is_read_and_written_back() -> None:
    model = from_dict(Model, FULL)
    assert model.encoder == Block(8, 32, "interleaved", 0.5)
    assert model.betas == (0.5, 1.0) and type(model.betas[1]) is float
    assert model.blocks == [Block(1)] and model.more == {"k": Block(3)}
    assert model.path == Path("a/b") and model.mixed == "7" and model.color is Color.BLUE
    assert from_dict(Model, to_dict(model)) == model
    assert from_dict(Model, json.loads(json.dumps(to_dict(model)))) == model
    assert from_dict(Model, {"encoder": {"width": 1}}) == Model(Block(1))


def test_what_was_read_is_a_copy() -> None:
    data = {"encoder": {"width": 1}, "free": {"x": [1]}, "rates": [1]}
    model = from_dict(Model, data)
    model.free["x"].append(2)
    model.rates.append(3)
    assert data["free"] == {"x": [1]} and data["rates"] == [1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"encoder": {"width": 8, "widnow": 1}},
            "encoder.widnow: unknown key; did you mean 'window'",
        ),
        ({"nmae": "x"}, "nmae: unknown key; did you mean 'name'?"),
        ({"zzz": 1}, "zzz: unknown key; known: any_length, betas"),
        ({"hidden": 1}, "hidden: unknown key"),
        ({"encoder": {}}, "encoder.width: missing"),
        ({"encoder": 3}, "encoder: expected a table of keys, found 3"),
        ({"encoder": {"width": "8"}}, "encoder.width: expected a whole number, found '8'"),
        ({"encoder": {"width": 8.0}}, "encoder.width: expected a whole number, found 8.0"),
        ({"encoder": {"width": True}}, "expected a whole number, found true"),
        ({"encoder": {"width": None}}, "expected a whole number, found null"),
        ({"encoder": {"width": 0}}, "encoder: width must be at least 1"),
        ({"encoder": {"width": 1, "rotary": "halv"}}, "did you mean 'half'?"),
        ({"encoder": {"width": 1, "dropout": "0"}}, "encoder.dropout: expected a number"),
        ({"encoder": {"width": 1, "dropout": float("nan")}}, "expected a finite number"),
        ({"encoder": {"width": 1, "dropout": 10**400}}, "expected a finite number"),
        ({"name": 1}, "name: expected a text, found 1"),
        ({"rates": "12"}, "rates: expected a list"),
        ({"rates": [1, "2"]}, r"rates\[1\]: expected a whole number"),
        ({"betas": [1]}, "betas: expected 2 values, found 1"),
        ({"extra": [1]}, "extra: expected a table"),
        ({"extra": {"a": "b"}}, "extra.a: expected a number"),
        ({"blocks": [{"width": 1}, {"wdth": 2}]}, r"blocks\[1\].wdth: unknown key"),
        ({"mixed": 1.5}, "mixed: expected a whole number or a text or null, found 1.5"),
        ({"free": {"x": float("inf")}}, "free.x: expected a finite number"),
        ({"color": "green"}, "color: expected one of red, blue"),
        ({"path": 3}, "path: expected Path"),
        ({"path": "a\0b"}, "null character"),
    ],
)
def test_refusals_name_the_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        from_dict(Model, {**FULL, **change}, "my.json")
    assert str(caught.value).startswith("my.json: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [None, [], "x", 3])
def test_what_is_no_table(data: object) -> None:
    with pytest.raises(ConfigError, match=r"my.json: expected a table"):
        from_dict(Model, data, "my.json")


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*FULL, "width", "window", "rotary", "a"]) | st.text(max_size=8),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from([*FULL]) | st.text(max_size=5), values, max_size=6) | values)
def test_fuzz_a_config_or_a_config_error(data: Any) -> None:
    try:
        model = from_dict(Model, data)
    except ConfigError as error:
        assert "\n" not in str(error)
    else:
        assert from_dict(Model, to_dict(model)) == model


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_fuzz_text_is_parsed_or_refused(text: str) -> None:
    for parse in (parse_yaml, parse_json):
        try:
            parse(text, "x")
        except ConfigError as error:
            assert "\n" not in str(error)


@settings(max_examples=200, deadline=None)
@given(values)
def test_json_of_plain_values_comes_back(value: Any) -> None:
    text = json.dumps(value)
    try:
        assert parse_json(text, "x") == value
    except ConfigError as error:
        assert "NaN" in text or "Infinity" in text, error


def test_mutated_config_files_never_escape(tmp_path: Path) -> None:
    import random

    rng = random.Random(0)
    original = json.dumps(FULL).encode()
    path = tmp_path / "config.json"
    for _ in range(300):
        data = bytearray(original)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data[: rng.randint(0, len(data))] if rng.random() < 0.3 else data)
        for load in (load_json, load_yaml):
            try:
                from_dict(Model, load(path), str(path))
            except ConfigError as error:
                assert "\n" not in str(error)


def test_files_that_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    cases = {
        b'{"a": 1, "a": 2}': "'a' appears twice",
        b'{"a": NaN}': "NaN is not a JSON number",
        b'{"a": -Infinity}': "-Infinity is not",
        b'{"a": }': r"line 1, column 7",
        b"\xff\xfe": "not UTF-8",
        b"": "not valid JSON",
        b"[" * 100_000: "nested too deeply",
        b"1" * 10_000: "not valid JSON",
    }
    for data, message in cases.items():
        path.write_bytes(data)
        with pytest.raises(ConfigError, match=message):
            load_json(path)
    path.write_bytes(b" " * 100)
    with pytest.raises(ConfigError, match=r"larger than 50 bytes"):
        load_json(path, max_bytes=50)
    with pytest.raises(ConfigError, match=r"no such file"):
        load_json(tmp_path / "missing.json")
    with pytest.raises(ConfigError, match=r"is a folder"):
        load_yaml(tmp_path)


def test_yaml_without_its_surprises() -> None:
    text = """
    country: no
    answer: on
    rate: 1e-4
    other: 1.5E+3
    half: .5
    count: 12
    octal: 0o17
    date: 2024-01-01
    time: 12:30:45
    flag: true
    nothing: ~
    empty:
    text: "1"
    list: [1, 2.0, x]
    """
    assert parse_yaml(text, "x") == {
        "country": "no", "answer": "on", "rate": 1e-4, "other": 1500.0, "half": 0.5, "count": 12,
        "octal": "0o17", "date": "2024-01-01", "time": "12:30:45", "flag": True, "nothing": None,
        "empty": None, "text": "1", "list": [1, 2.0, "x"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "'a' appears twice.*line 2"),
        ("a: &x [1]\nb: *x", "aliases are not used.*line 2"),
        ("a: !!python/object/apply:os.system [ls]", "line 1"),
        ("a: [1", "line"),
        ("a: b: c", "line 1"),
        ("? [1, 2]\n: 3", "a key must be"),
        ("a: 1\n--- \nb: 2", "single document|another document"),
        ("\x00", "not valid YAML"),
        ("[" * 5000, "nested too deeply|not valid YAML"),
    ],
)
def test_yaml_that_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_yaml(text, "my.yaml")
    assert "my.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_overrides() -> None:
    data = {"a": {"b": 1}, "list": [{"x": 1}, 2], "none": None}
    changed = apply_overrides(
        data, ["a.b=2", "a.c=[1, 2]", "list.0.x=hi", "list.1=1e-3", "new.deep.key=true", "none.k=1",
               "t=a=b"]
    )  # fmt: skip
    assert changed == {
        "a": {"b": 2, "c": [1, 2]}, "list": [{"x": "hi"}, 1e-3],
        "new": {"deep": {"key": True}}, "none": {"k": 1}, "t": "a=b",
    }  # fmt: skip
    assert data == {"a": {"b": 1}, "list": [{"x": 1}, 2], "none": None}


@pytest.mark.parametrize(
    "bad", ["a", "=1", "a..b=1", "x.y=1", "list.5=1", "list.k=1", "a=[1", "a.b.c=1"]
)
def test_bad_overrides(bad: str) -> None:
    with pytest.raises(ConfigError):
        apply_overrides({"a": {"b": 2}, "x": 3, "list": [1]}, [bad])
