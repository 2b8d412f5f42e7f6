"""A receipt from somebody else decides nothing about paths, and breaks nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mingtok_audio.core.errors import UserError
from uniaudio_edit.editor import Editor
from uniaudio_edit.receipt import apply_receipt, undo_receipt


@pytest.fixture(scope="module")
def edit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an edit, inside one that nothing may be written to."""
    folder = tmp_path_factory.mktemp("outer") / "inner"
    folder.mkdir()
    rng = np.random.default_rng(0)
    soundfile.write(folder / "in.wav", 0.1 * rng.standard_normal(8000), 16000)
    Editor().edit_file(folder / "in.wav", "make it softer", folder / "out.wav")
    yield folder


def outside(folder: Path) -> set[Path]:
    return {p for p in folder.parent.rglob("*") if folder not in p.parents}


@pytest.mark.parametrize(
    "path",
    [
        *("../evil.wav", "/tmp/evil.wav", "a/../../evil.wav", "/etc/passwd"),
        *("x\u0007.wav", "a\nb.wav", "", "."),
    ],
)
@pytest.mark.parametrize("field", ["source", "output", "undo"])
def test_paths_of_a_receipt_reach_nowhere(edit: Path, field: str, path: str) -> None:
    data = json.loads((edit / "out.receipt.json").read_text(encoding="utf-8"))
    if field == "undo":
        data["undo"] = path
    else:
        data[field]["path"] = path
    receipt = edit / "bad.receipt.json"
    receipt.write_text(json.dumps(data), encoding="utf-8")
    before = outside(edit)
    for replay in (apply_receipt, undo_receipt):
        try:
            replay(receipt, None, None, force=True)
        except UserError as error:
            assert "\n" not in str(error)
    assert outside(edit) == before
    assert not Path("/tmp/evil.wav").exists()


_VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 70), 1 << 70),
    st.floats(),
    st.text(max_size=12),
    st.just([]),
    st.just({}),
    st.just([[1]]),
)


def places(data: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    items = (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    )
    for key, value in items:
        yield from places(value, (*at, key))


@settings(max_examples=120, deadline=None)
@given(st.data(), _VALUES)
def test_any_change_of_a_receipt_is_an_error_in_words(
    edit: Path, data: st.DataObject, value: Any
) -> None:
    original = json.loads((edit / "out.receipt.json").read_text(encoding="utf-8"))
    changed = copy.deepcopy(original)
    at = data.draw(st.sampled_from(list(places(original))[1:]))
    place = changed
    for key in at[:-1]:
        place = place[key]
    place[at[-1]] = value
    receipt = edit / "changed.receipt.json"
    receipt.write_text(json.dumps(changed), encoding="utf-8")
    before = outside(edit)
    for replay, name in ((apply_receipt, "a.wav"), (undo_receipt, "b.wav")):
        try:
            replay(receipt, None, edit / name, force=True)
        except UserError as error:
            assert "\n" not in str(error)
    assert outside(edit) == before


def test_the_same_edit_gives_the_same_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "in.wav", 0.1 * rng.standard_normal(8000), 16000)
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).mkdir()
        Editor().edit_file(tmp_path / "in.wav", "make it softer", tmp_path / name / "o.wav")
    for name in ("o.wav", "o.receipt.json", "o.undo.safetensors"):
        assert len({(tmp_path / f / name).read_bytes() for f in "abcd"}) == 1
