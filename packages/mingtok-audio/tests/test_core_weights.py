"""Safetensors weights: headers, shards, hashes, and every way they can be wrong."""

from __future__ import annotations

import hashlib
import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from mingtok_audio.core.errors import FormatError, HubError, UserError
from mingtok_audio.core.models import weights
from mingtok_audio.core.models.hub import (
    load_tensors,
    read_safetensors_header,
    save_tensors,
    sha256_of_weights,
    weight_files,
)

TENSORS = {
    "a": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "b.c": torch.ones(4, dtype=torch.bfloat16),
    "empty": torch.zeros(0, 5),
    "scalar": torch.tensor(7, dtype=torch.int64),
}
INDEX = "model.safetensors.index.json"


def write(path: Path, header: Any, data: bytes = b"") -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path


def entry(dtype: str, shape: list[Any], start: Any, end: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def shards(folder: Path, weight_map: Any = None) -> Path:
    save_file({"a": TENSORS["a"]}, folder / "model-1.safetensors")
    save_file({"b": TENSORS["b.c"]}, folder / "model-2.safetensors")
    if weight_map is None:
        weight_map = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(
        torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a
    )


def test_one_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_tensors(path, TENSORS, {"note": "x"})
    header = read_safetensors_header(path)
    assert header["__metadata__"] == {"note": "x"}
    assert header["a"].dtype == "F32" and header["a"].shape == (2, 3)
    assert header["a"].end - header["a"].start == 24
    assert weight_files(tmp_path) == [path]
    assert same(dict(load_tensors(tmp_path)), TENSORS)
    assert sha256_of_weights(tmp_path) == hashlib.sha256(path.read_bytes()).hexdigest()
    save_tensors(path, {"a": TENSORS["a"] + 1})
    assert sha256_of_weights(tmp_path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_tied_and_strided_tensors_are_saved(tmp_path: Path) -> None:
    base = torch.arange(6.0).reshape(2, 3)
    tensors = {"a": base, "b": base, "t": base.T}
    save_tensors(tmp_path / "model.safetensors", tensors)
    assert same(dict(load_tensors(tmp_path)), tensors)
    with pytest.raises(FormatError, match=r"no tensors"):
        save_tensors(tmp_path / "b.safetensors", {})
    with pytest.raises(UserError, match=r"does not exist"):
        save_tensors(tmp_path / "no" / "b.safetensors", tensors)


def test_shards(tmp_path: Path) -> None:
    shards(tmp_path)
    assert [f.name for f in weight_files(tmp_path)] == [
        "model-1.safetensors",
        "model-2.safetensors",
    ]
    assert same(dict(load_tensors(tmp_path)), {"a": TENSORS["a"], "b": TENSORS["b.c"]})
    lines = "".join(
        f"{hashlib.sha256((tmp_path / n).read_bytes()).hexdigest()}  {n}\n"
        for n in ("model-1.safetensors", "model-2.safetensors")
    )
    assert sha256_of_weights(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize(
    "name",
    [
        "../model-2.safetensors",
        "/etc/model.safetensors",
        "sub/model.safetensors",
        "..safetensors",
        "C:\\model.safetensors",
        "model-2.bin",
        "~/x.safetensors",
        "a/../b.safetensors",
        "",
        "-x.safetensors",
        "a\n.safetensors",
        3,
        None,
        ["model-2.safetensors"],
    ],
)
def test_shard_names_outside_the_folder_are_refused(tmp_path: Path, name: object) -> None:
    shards(tmp_path, {"a": "model-1.safetensors", "b": name})
    with pytest.raises(HubError, match=r"plain .safetensors file name") as caught:
        weight_files(tmp_path)
    assert "'b'" in str(caught.value)


def test_links_are_refused_except_in_a_download_cache(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    shards(folder)
    (folder / "model-2.safetensors").rename(tmp_path / "elsewhere.safetensors")
    (folder / "model-2.safetensors").symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(HubError, match=r"is a link"):
        list(load_tensors(folder))
    (folder / INDEX).unlink()
    (folder / "model.safetensors").symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(HubError, match=r"is a link"):
        weight_files(folder)
    cache = tmp_path / "models--org--name"
    snapshot, blobs = cache / "snapshots" / "abc", cache / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    save_file({"a": TENSORS["a"]}, blobs / "hash")
    (snapshot / "model.safetensors").symlink_to(Path("../../blobs/hash"))
    assert same(dict(load_tensors(snapshot)), {"a": TENSORS["a"]})
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(HubError, match=r"is a link"):
        weight_files(snapshot)


def test_shards_missing_truncated_or_without_their_tensor(tmp_path: Path) -> None:
    shards(tmp_path, {"a": "model-1.safetensors", "b": "model-9.safetensors"})
    with pytest.raises(HubError, match=r"names the shard model-9.safetensors, which is not"):
        list(load_tensors(tmp_path))
    shards(tmp_path, {"a": "model-1.safetensors", "zz": "model-2.safetensors"})
    with pytest.raises(HubError, match=r"lacks the tensor 'zz'"):
        list(load_tensors(tmp_path))
    shards(tmp_path)
    second = tmp_path / "model-2.safetensors"
    second.write_bytes(second.read_bytes()[:-1])
    with pytest.raises(FormatError, match=r"model-2.safetensors is truncated"):
        list(load_tensors(tmp_path))


@pytest.mark.parametrize("index", ["[]", "{}", '{"weight_map": {}}', '{"weight_map": 3}', "x", ""])
def test_an_index_that_is_none(tmp_path: Path, index: str) -> None:
    (tmp_path / INDEX).write_text(index)
    with pytest.raises(HubError, match=r"weight_map|not valid JSON"):
        weight_files(tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "last.ckpt", "w.PTH", "m.pkl"])
def test_pickles_are_refused_in_words(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(HubError, match=r"can run code") as caught:
        weight_files(tmp_path)
    assert name in str(caught.value)


def test_no_weights(tmp_path: Path) -> None:
    with pytest.raises(HubError, match=r"holds no weights"):
        weight_files(tmp_path)
    with pytest.raises(HubError, match=r"not a folder"):
        weight_files(tmp_path / "missing")
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(HubError, match=r"is not a file"):
        weight_files(tmp_path)


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (b"{", b"", "damaged safetensors header"),
        (b"[]", b"", "no table"),
        (b"\xff", b"", "damaged"),
        ({"a": 3}, b"", "no dtype, shape"),
        ({"a": {"dtype": "F32", "shape": [1]}}, b"", "no dtype, shape"),
        ({"a": entry("PICKLE", [1], 0, 4)}, bytes(4), "unknown type PICKLE"),
        ({"a": entry("F32", [-1], 0, 4)}, bytes(4), "not whole numbers"),
        ({"a": entry("F32", [1.0], 0, 4)}, bytes(4), "not whole numbers"),
        ({"a": entry("F32", [True], 0, 4)}, bytes(4), "not whole numbers"),
        ({"a": entry("F32", [1], 0, "4")}, bytes(4), "not whole numbers"),
        ({"a": entry("F32", [2], 0, 4)}, bytes(4), "does not follow from its shape"),
        ({"a": entry("F32", [1], 4, 0)}, bytes(4), "does not follow from its shape"),
        ({"a": entry("F32", [1 << 40, 1 << 40], 0, 4)}, bytes(4), "too large"),
        ({"a": entry("F32", [1], 4, 8)}, bytes(8), "overlaps or leaves a gap"),
        ({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 0, 4)}, bytes(4), "overlaps"),
        ({"a": entry("F32", [2], 0, 8), "b": entry("F32", [1], 4, 8)}, bytes(8), "overlaps"),
        ({"a": entry("F32", [2], 0, 8)}, bytes(7), "truncated: its header promises 8 bytes"),
        ({"a": entry("F32", [1], 0, 4)}, bytes(6), "2 bytes that no tensor owns"),
        ({"__metadata__": {"a": 1}}, b"", "metadata must be texts"),
        ({"__metadata__": 3}, b"", "metadata must be texts"),
        (b'{"a": 1, "a": 2}', b"", "'a' appears twice"),
    ],
)
def test_tampered_headers(tmp_path: Path, header: Any, data: bytes, message: str) -> None:
    path = write(tmp_path / "model.safetensors", header, data)
    with pytest.raises(FormatError, match=message) as caught:
        read_safetensors_header(path)
    assert str(path) in str(caught.value)
    with pytest.raises(FormatError):
        list(load_tensors(tmp_path))


def test_sizes_are_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"abc")
    with pytest.raises(FormatError, match=r"truncated"):
        read_safetensors_header(path)
    path.write_bytes(struct.pack("<Q", 1 << 62) + b"{}")
    with pytest.raises(FormatError, match=r"not a safetensors file"):
        read_safetensors_header(path)
    path.write_bytes(struct.pack("<Q", 100) + b"{}")
    with pytest.raises(FormatError, match=r"truncated inside its header"):
        read_safetensors_header(path)
    save_file(TENSORS, path)
    with pytest.raises(FormatError, match=r"over 16 bytes"):
        read_safetensors_header(path, max_header=16)
    monkeypatch.setattr(weights, "MAX_TENSORS", 3)
    with pytest.raises(FormatError, match=r"more than 3"):
        read_safetensors_header(path)
    with pytest.raises(FormatError, match=r"no such file"):
        read_safetensors_header(tmp_path / "missing")


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(TENSORS, path)
    original = path.read_bytes()
    header_end = 8 + struct.unpack("<Q", original[:8])[0]
    rng = random.Random(0)
    refusals = 0
    for _ in range(400):
        data = bytearray(original)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(header_end)] = rng.randrange(256)
        if rng.random() < 0.2:
            data = data[: rng.randrange(len(data))]
        path.write_bytes(data)
        try:
            list(load_tensors(tmp_path))
        except FormatError as error:
            refusals += 1
            assert "\n" not in str(error)
    assert refusals > 300
