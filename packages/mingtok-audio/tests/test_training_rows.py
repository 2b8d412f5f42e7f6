"""Manifests that stay in their files: the same recordings, conditions on rows, wrong ones."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingtok_audio.core import expressions
from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.training.manifests import Source, read_source, read_sources


def rows(count: int = 50) -> list[dict[str, Any]]:
    return [
        {
            "audio": f"{i}.wav", "seconds": 1 + i / 10, "text": f"text {i} é", "split": "train",
            "language": "en" if i % 2 else "zh", "dnsmos": None if i == 7 else 2 + i / 20,
            "speaker": f"s{i % 5}",
        }
        for i in range(count)
    ]  # fmt: skip


def write(folder: Path, kind: str, values: list[dict[str, Any]]) -> Source:
    path = folder / f"m.{kind}"
    if kind == "parquet":
        pa = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist(values), path, row_group_size=7)
    else:
        path.write_text(
            "".join(json.dumps(v) + "\n" + "\n" * (i % 3) for i, v in enumerate(values))
        )
    return Source(str(path))


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_rows_are_the_same_in_any_order_and_kind(kind: str, tmp_path: Path) -> None:
    values = rows()
    found = read_source(write(tmp_path, kind, values))
    assert len(found) == 50
    for i in (49, 0, 25, 7, -1):
        recording = found[i]
        assert recording.path == tmp_path / values[i]["audio"] and recording.whole
        assert recording.text == values[i]["text"]
        assert recording.fields["speaker"] == values[i]["speaker"]
    assert [r.id for r in found] == [v["audio"] for v in values] == [r.id for r in found[0:50]]
    assert found.seconds.tolist() == [v["seconds"] for v in values]
    assert found.weights.tolist() == [r.weight for r in found]
    with pytest.raises(IndexError):
        found[50]


def test_sources_follow_one_another(tmp_path: Path) -> None:
    for name, split in (("a", "train"), ("b", "valid"), ("c", "train")):
        (tmp_path / name).mkdir()
        write(tmp_path / name, "jsonl", [{**row, "split": split} for row in rows(3)])
    both = read_sources([
        Source(str(tmp_path / name / "m.jsonl"), weight=weight)
        for name, weight in (("a", 1.0), ("b", 5.0), ("c", 2.0))
    ])  # fmt: skip
    assert [r.path.parent.name for r in both] == ["a"] * 3 + ["c"] * 3
    assert both[4].weight == 2 * both[4].seconds == both.weights[4]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("dnsmos > 3.4", lambda r: r["dnsmos"] is not None and r["dnsmos"] > 3.4),
        ("language == 'en' and seconds < 3", lambda r: r["language"] == "en" and r["seconds"] < 3),
        ("not (language = 'en')", lambda r: r["language"] == "zh"),
        ("speaker in ('s1', 's4')", lambda r: r["speaker"] in ("s1", "s4")),
        ("dnsmos is null or dnsmos < 2.2", lambda r: r["dnsmos"] is None or r["dnsmos"] < 2.2),
        ("dnsmos * 2 - 1 >= seconds + 3",
         lambda r: r["dnsmos"] is not None and r["dnsmos"] * 2 - 1 >= r["seconds"] + 3),
        ("false", lambda r: False),
    ],
)  # fmt: skip
def test_a_condition_chooses_rows(kind: str, where: str, expected: Any, tmp_path: Path) -> None:
    values = rows()
    source = write(tmp_path, kind, values)
    found = read_source(Source(source.manifest, where=where))
    assert [r.id for r in found] == [v["audio"] for v in values if expected(v)]
    if len(found):
        assert found[len(found) - 1].id == [r.id for r in found][-1]


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("dnsmoss > 3", "did you mean 'dnsmos'"),
        ("language > 3", "language|text"),
        ("seconds", "neither true nor false"),
    ],
)
def test_conditions_that_rows_cannot_answer(where: str, words: str, tmp_path: Path) -> None:
    source = write(tmp_path, "jsonl", rows())
    with pytest.raises(ConfigError, match=words) as found:
        read_source(Source(source.manifest, where=where))
    assert "\n" not in str(found.value) and "m.jsonl" in str(found.value)


@pytest.mark.parametrize(
    "where",
    ["", "seconds >", "import os", "__import__('os')", "a.b > 1", "seconds > 1;", "(" * 80 + "1"],
)
def test_conditions_that_are_none_are_refused_when_the_config_is_read(where: str) -> None:
    with pytest.raises(ValueError, match="where"):
        Source("m.jsonl", where=where)


@given(st.text(max_size=40))
def test_no_text_does_anything_but_choose_or_be_refused(text: str) -> None:
    try:
        condition = expressions.parse(text)
    except UserError as error:
        assert "\n" not in str(error) or "\n" in text
        return
    with contextlib.suppress(TypeError):
        assert condition({"a": 1, "b": "x", "c": None}) in (True, False, None)


def test_rows_of_curation_that_were_dropped_are_left_out(tmp_path: Path) -> None:
    values = [{"path": r["audio"], "seconds": 1.0, "start": 0.5, "kept": i % 2 == 0,
               "split": "train"} for i, r in enumerate(rows(6))]  # fmt: skip
    found = read_source(write(tmp_path, "parquet", values))
    assert [r.id for r in found] == ["0.wav", "2.wav", "4.wav"]
    assert (found[1].start, found[1].whole) == (0.5, False)


def test_a_row_costs_sixteen_bytes(tmp_path: Path) -> None:
    import tracemalloc

    write(tmp_path, "jsonl", rows(2000))
    text = (tmp_path / "m.jsonl").read_text().replace("\n\n", "\n")
    (tmp_path / "m.jsonl").write_text(text * 10)
    read_source(Source(str(tmp_path / "m.jsonl")))  # what is imported and cached once
    tracemalloc.start()
    found = read_source(Source(str(tmp_path / "m.jsonl")))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) > 19_000 and held < 40 * len(found)
