"""The `.mtok` file: what is in it, what is refused, and that no bytes crash the reader."""

from __future__ import annotations

import functools
import json
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from mingtok_audio import mtok
from mingtok_audio.core.errors import FormatError, UserError
from mingtok_audio.latents import Latents
from mingtok_audio.mtok import STORAGES, MtokHeader, MtokReader, read_header
from mingtok_audio.mtok_writer import MtokWriter


def example(batch: int = 2, frames: int = 30, dim: int = 7, **changes) -> Latents:
    generator = torch.Generator().manual_seed(3)
    fields = {
        "values": torch.randn(batch, frames, dim, generator=generator),
        "lengths": [frames] + [frames - 9] * (batch - 1),
        "num_samples": [frames * 320 - 5] + [(frames - 9) * 320] * (batch - 1),
        "source_sample_rate": 44100,
        "source_num_samples": [26446] + [18522] * (batch - 1),
        "model_id": "nano-v1",
        "model_hash": "ab" * 32,
        "sampled": True,
        "decoder_warmup_frames": 128,
    }
    return Latents(**(fields | changes))


@functools.cache
def example_bytes(storage: str = "float32") -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.mtok"
        example().save(path, storage)  # pyright: ignore[reportArgumentType]
        return path.read_bytes()


def parts(path: Path) -> tuple[dict, bytes]:
    """(header, tensor bytes) of a safetensors file."""
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def write(path: Path, header: dict, data: bytes) -> Path:
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    example().save(tmp_path / "x.mtok")
    return tmp_path / "x.mtok"


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("dim", [1, 7, 64])
def test_every_field_comes_back(tmp_path: Path, storage, dim: int) -> None:
    latents = example(dim=dim)
    latents.save(tmp_path / "x.mtok", storage)
    again = Latents.load(tmp_path / "x.mtok")
    for name in ("lengths", "num_samples", "source_num_samples"):
        assert getattr(again, name).tolist() == getattr(latents, name).tolist()
    for name in ("sample_rate", "frame_rate", "source_sample_rate", "model_id", "model_hash",
                 "sampled", "decoder_warmup_frames", "context_samples"):  # fmt: skip
        assert getattr(again, name) == getattr(latents, name), name
    first = (again.values - latents.values)[0]
    if storage == "float32":
        assert torch.equal(again.values[0], latents.values[0])
    elif storage == "float16":
        assert first.abs().max() <= latents.values.abs().max() * 2**-11
    else:
        peak = torch.maximum(latents.values[0].abs().amax(0), latents.values[1, :21].abs().amax(0))
        assert (first.abs() <= peak / 127 / 2 * 1.0001).all()
    assert not again.values[1, 21:].any(), "what lies beyond a clip is stored as zeros"


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("dim", [3, 8])
def test_the_safetensors_library_reads_the_same(tmp_path: Path, storage, dim: int) -> None:
    example(dim=dim).save(tmp_path / "x.mtok", storage)
    with safe_open(str(tmp_path / "x.mtok"), framework="pt") as file:
        meta = file.metadata()
        stored = file.get_tensor("values").float()
        if storage == "int8":
            stored = stored * file.get_tensor("scale")
        assert file.get_tensor("num_samples").tolist() == [9595, 6720]
    assert torch.equal(stored, Latents.load(tmp_path / "x.mtok").values)
    assert (meta["format"], meta["format_version"], meta["posterior"]) == ("mtok", "1", "sampled")
    assert (meta["sample_rate"], meta["frame_rate"], meta["hop_length"]) == ("16000", "50.0", "320")
    assert (meta["model_id"], meta["model_hash"]) == ("nano-v1", "ab" * 32)
    assert meta["storage"] == storage


def test_the_same_latents_give_the_same_bytes_whatever_the_padding(tmp_path: Path) -> None:
    latents = example()
    latents.save(tmp_path / "a.mtok")
    latents.values[1, 25:] = 99.0
    latents.save(tmp_path / "b.mtok")
    assert (tmp_path / "a.mtok").read_bytes() == (tmp_path / "b.mtok").read_bytes()


@pytest.mark.parametrize("storage", STORAGES)
@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(sum))
def test_a_stream_gives_the_bytes_of_a_whole_however_it_is_cut(
    tmp_path_factory, storage, sizes: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    frames = sum(sizes)
    latents = example(1, frames, source_sample_rate=None, source_num_samples=None)
    latents.save(folder / "whole.mtok", storage)
    header = MtokHeader(
        latent_dim=7, model_id="nano-v1", model_hash="ab" * 32, sampled=True, storage=storage,
        decoder_warmup_frames=128,
    )  # fmt: skip
    with MtokWriter(folder / "stream.mtok", header) as writer:
        for piece in torch.split(latents.values[0], sizes):
            writer.append(piece.numpy())
        writer.finish([frames], latents.num_samples.tolist())
    assert (folder / "stream.mtok").read_bytes() == (folder / "whole.mtok").read_bytes()


def test_storages_are_as_small_as_they_say(tmp_path: Path) -> None:
    sizes = {}
    for storage in STORAGES:
        example(1, 5000, 64).save(tmp_path / "x.mtok", storage)
        sizes[storage] = (tmp_path / "x.mtok").stat().st_size
    assert sizes["float32"] < 5000 * 64 * 4 + 2000
    assert sizes["float16"] < 5000 * 64 * 2 + 2000
    assert sizes["int8"] < 5000 * 64 + 2000


def test_int8_keeps_zero_and_tiny_dimensions(tmp_path: Path) -> None:
    values = torch.zeros(1, 4, 3)
    values[0, :, 1] = 1e-44
    values[0, :, 2] = 3e38
    Latents(values).save(tmp_path / "x.mtok", "int8")
    again = Latents.load(tmp_path / "x.mtok").values
    assert not again[..., :2].any()
    torch.testing.assert_close(again[..., 2], values[..., 2], rtol=1e-5, atol=0)


def test_what_cannot_be_stored_leaves_the_old_file_alone(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(FormatError, match="do not fit float16"):
        Latents(torch.full((1, 2, 2), 1e6)).save(path, "float16")
    with pytest.raises(FormatError, match="no frames"):
        Latents(torch.zeros(1, 0, 2)).save(path)
    with pytest.raises(FormatError, match="unknown storage"):
        Latents(torch.zeros(1, 2, 2)).save(path, "int4")  # pyright: ignore[reportArgumentType]
    with (
        pytest.raises(FormatError, match="not finished"),
        MtokWriter(path, MtokHeader(2)) as writer,
    ):
        writer.append(np.zeros((3, 2), np.float32))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_full_disk_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="no space left on device"):
        example().save(path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


META = {
    "format": ("parquet", "holds no latents"),
    "format_version": ("2", "format_version 2; this release reads 1"),
    "storage": ("int4", "unknown storage"),
    "posterior": ("maybe", "posterior"),
    "sample_rate": ("0", "do not go together"),
    "hop_length": ("-320", "hop_length"),
    "frame_rate": ("fast", "do not go together"),
    "context_samples": ("1e3", "context_samples"),
    "crc32": ("zzzzzzzz", "crc32"),
    "source_sample_rate": ("9" * 30, "source_sample_rate"),
    "decoder_warmup_frames": ("-1", "decoder_warmup_frames"),
}


@pytest.mark.parametrize("key", META)
def test_a_tampered_header_is_refused(path: Path, key: str) -> None:
    value, words = META[key]
    header, data = parts(path)
    header["__metadata__"][key] = value
    write(path, header, data)
    with pytest.raises(FormatError) as error:
        Latents.load(path)
    assert words in str(error.value)
    assert str(path) in str(error.value)


def test_older_versions_are_migrated_and_newer_ones_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def second(meta: dict[str, str]) -> dict[str, str]:
        return {**meta, "model_id": meta["model_id"] + "-2"}

    def third(meta: dict[str, str]) -> dict[str, str]:
        return {**meta, "model_id": meta["model_id"] + "-3"}

    before = read_header(path).model_id
    monkeypatch.setattr(mtok, "FORMAT_VERSION", 3)
    with pytest.raises(FormatError, match="format_version 1; this release reads 3"):
        read_header(path)
    monkeypatch.setattr(mtok, "MIGRATIONS", {1: second, 2: third})
    assert read_header(path).model_id == before + "-2-3"
    header, data = parts(path)
    for version in ("4", "0", "01", "-1", "1.0", "²"):
        header["__metadata__"]["format_version"] = version
        with pytest.raises(FormatError, match="this release reads 3"):
            read_header(write(path, header, data))


@pytest.mark.parametrize("key", ["format", "format_version", "storage", "posterior", "sample_rate"])
def test_a_missing_key_is_refused(path: Path, key: str) -> None:
    header, data = parts(path)
    del header["__metadata__"][key]
    with pytest.raises(FormatError):
        read_header(write(path, header, data))


def test_a_model_is_no_latents(tmp_path: Path) -> None:
    save_file({"values": np.zeros((1, 2, 3), np.float32)}, tmp_path / "m.safetensors")
    with pytest.raises(FormatError, match="holds no latents"):
        Latents.load(tmp_path / "m.safetensors")


def variant(path: Path, **tensors: np.ndarray | None) -> Path:
    """The file with other tensors, written by the safetensors library."""
    with safe_open(str(path), framework="np") as file:
        kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        meta = {k: v for k, v in file.metadata().items() if k != "crc32"}
    changed = {k: v for k, v in (kept | tensors).items() if v is not None}
    save_file(changed, path, metadata=meta)
    return path


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"values": None}, "no values"),
        ({"values": np.zeros((2, 30), np.float32)}, "no values (B, L, D)"),
        ({"values": np.zeros((2, 30, 0), np.float32)}, "are not valid latents"),
        ({"values": np.zeros((2, 0, 7), np.float32)}, "are not valid latents"),
        ({"values": np.zeros((2, 30, 7), np.float64)}, "is F64"),
        ({"values": np.zeros((2, 30, 7), np.int8)}, "is I8"),
        ({"values": np.full((2, 30, 7), np.nan, np.float32)}, "NaN"),
        ({"lengths": None}, "'lengths' is missing"),
        ({"lengths": np.zeros(3, np.int64)}, "'lengths' is I64 [3]"),
        ({"lengths": np.array([31, 1])}, "exceeds its 30 frames"),
        ({"lengths": np.array([-1, 1])}, "out of range"),
        ({"num_samples": np.array([9601, 1])}, "cannot give"),
        ({"num_samples": np.array([2**62, 1])}, "out of range"),
        ({"extra": np.zeros(1, np.float32)}, "'extra' that this version does not know"),
        ({"scale": np.ones(7, np.float32)}, "'scale' that this version does not know"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(path: Path, tensors: dict, words: str) -> None:
    with pytest.raises(FormatError) as error:
        Latents.load(variant(path, **tensors))
    assert words in str(error.value)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_a_scale_that_is_none_is_refused(tmp_path: Path, bad: float) -> None:
    path = tmp_path / "x.mtok"
    example().save(path, "int8")
    with pytest.raises(FormatError, match="scale"):
        Latents.load(variant(path, scale=np.array([1, 1, 1, bad, 1, 1, 1], np.float32)))


def test_another_writer_needs_no_checksum(path: Path) -> None:
    expected = Latents.load(path).values
    assert torch.equal(Latents.load(variant(path)).values, expected)


def test_a_flipped_bit_is_found(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-100] ^= 1
    path.write_bytes(raw)
    with pytest.raises(FormatError, match="checksum"):
        Latents.load(path)


def test_every_truncation_is_refused(path: Path) -> None:
    raw = path.read_bytes()
    for length in [*range(60), *range(60, len(raw), 97), len(raw) - 1]:
        path.write_bytes(raw[:length])
        with pytest.raises(FormatError):
            Latents.load(path)
    path.write_bytes(raw + b"x")
    with pytest.raises(FormatError, match="no tensor owns"):
        Latents.load(path)


@pytest.mark.parametrize("name", ["missing.mtok", ".", "a\0b", "x.mtok/y"])
def test_a_file_that_cannot_be_opened_is_named(path: Path, name: str) -> None:
    with pytest.raises(FormatError, match="cannot read"):
        Latents.load(path.parent / name)


def test_an_absurd_size_is_refused_before_anything_is_allocated(path: Path) -> None:
    header, data = parts(path)
    header["values"]["shape"] = [1, 2**60, 2**20]
    header["values"]["data_offsets"] = [0, 2**62]
    with pytest.raises(FormatError):
        Latents.load(write(path, header, data))
    path.write_bytes(struct.pack("<Q", 2**62) + b"{" * 100)
    with pytest.raises(FormatError, match="too large"):
        Latents.load(path)


@pytest.mark.parametrize("text", ["[" * 50000, '{"a":' * 9000, "{" + " " * 60000, '{"a":1,"a":2}'])
def test_a_header_that_is_no_table_is_refused(path: Path, text: str) -> None:
    path.write_bytes(struct.pack("<Q", len(text)) + text.encode())
    with pytest.raises(FormatError):
        read_header(path)


def survives(path: Path, raw: bytes) -> None:
    """Loading gives latents or a `FormatError`, nothing else."""
    path.write_bytes(raw)
    for times in ({}, {"start": 0.1, "end": 0.2}):
        try:
            latents = Latents.load(path, **times)
        except FormatError as error:
            assert "\n" not in str(error)
        else:
            assert torch.isfinite(latents.values).all()


@settings(max_examples=150, deadline=None)
@given(raw=st.binary(max_size=300))
def test_fuzz_any_bytes(tmp_path_factory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.mtok"
    survives(path, raw)
    survives(path, struct.pack("<Q", len(raw)) + raw)
    survives(path, struct.pack("<Q", len(raw) + 1) + b"{" + raw)


@settings(max_examples=200, deadline=None)
@given(
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6)), min_size=1, max_size=4),
    storage=st.sampled_from(STORAGES),
    in_header=st.booleans(),
)
def test_fuzz_edited_files(tmp_path_factory, edits, storage, in_header: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "edited.mtok"
    raw = bytearray(example_bytes(storage))
    for place, new in edits:
        at = int(place * (900 if in_header else len(raw)))
        raw[at : at + len(new)] = new
    survives(path, bytes(raw))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    meta=st.dictionaries(st.sampled_from(sorted(META)), JSON | st.text(max_size=20), max_size=2),
    table=st.dictionaries(
        st.sampled_from(["values", "lengths", "num_samples", "source_num_samples", "new"]),
        JSON
        | st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["F32", "F16", "I8", "I64", "F64", "BOOL", "F4"]),
                "shape": st.lists(st.integers(-1, 2**65), max_size=4),
                "data_offsets": st.lists(st.integers(-1, 2000), min_size=1, max_size=3),
            }
        ),
        max_size=2,
    ),
)
def test_fuzz_headers(tmp_path_factory, meta: dict, table: dict) -> None:
    path = tmp_path_factory.getbasetemp() / "headers.mtok"
    path.write_bytes(example_bytes())
    header, data = parts(path)
    header["__metadata__"] |= meta
    survives(write(path, header | table, data), path.read_bytes())


def test_reading_in_blocks_is_reading_at_once(path: Path) -> None:
    with MtokReader(path) as reader:
        whole = reader.read()
        blocks = list(reader.blocks(slice(3, 27), 10))
    assert [len(block) for block in blocks] == [10, 10, 4]
    assert np.array_equal(np.concatenate(blocks), whole[3:27])


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (-0.1, None, "start time must be 0 or more"),
        (float("nan"), None, "start time must be 0 or more"),
        (None, float("inf"), "end time must be 0 or more"),
        (None, -1.0, "end time must be 0 or more"),
        (0.6, None, "after the end of the clip (0.600 s)"),
        (0.3, 0.2, "must be after the start"),
        (0.3, 0.3, "must be after the start"),
        (None, 0.0, "must be after the start"),
    ],
)
def test_times_that_are_not_in_the_clip_are_refused(path: Path, start, end, words: str) -> None:
    with pytest.raises(FormatError) as error:
        Latents.load(path, start=start, end=end)
    assert words in str(error.value)
