"""`Latents`: what it checks, cuts and joins, and the decode of a part of a file."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tokenizer import tiny_model

from mingtok_audio.core.errors import FormatError
from mingtok_audio.latents import Latents


def values(batch: int = 1, frames: int = 40, dim: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, frames, dim, generator=torch.Generator().manual_seed(seed))


def test_values_alone_are_a_full_batch() -> None:
    latents = Latents(values(2, 10))
    assert latents.lengths.tolist() == [10, 10]
    assert latents.num_samples.tolist() == [3200, 3200]
    assert latents.lengths.dtype == latents.num_samples.dtype == torch.int64
    assert (latents.sample_rate, latents.frame_rate, latents.hop_length) == (16000, 50.0, 320)
    assert (latents.model_id, latents.model_hash, latents.sampled) == ("", "", False)
    assert latents.source_sample_rate is None
    assert latents.source_num_samples is None
    assert len(latents) == 2
    assert latents.seconds.tolist() == [0.2, 0.2]
    assert repr(latents) == "Latents(2 clips x 10 frames x 6 at 50 Hz, 0.20 s, mode)"


def test_arrays_and_half_precision_become_float32_tensors() -> None:
    assert Latents(values().numpy()).values.dtype == torch.float32
    assert Latents(values().bfloat16()).values.dtype == torch.float32
    assert Latents(np.zeros((1, 4, 2))).values.dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"values": torch.zeros(4, 2)}, "shape (B, L, D)"),
        ({"values": torch.zeros(0, 4, 2)}, "shape (B, L, D)"),
        ({"values": torch.zeros(1, 4, 0)}, "shape (B, L, D)"),
        ({"values": torch.zeros(1, 4, 2, dtype=torch.int64)}, "float32, not int64"),
        ({"values": [[[0.0]]]}, "not list"),
        ({"values": np.array([[["a"]]])}, "not numbers"),
        ({"values": torch.full((1, 4, 2), float("nan"))}, "NaN"),
        ({"values": torch.full((1, 4, 2), float("inf"))}, "NaN or infinity"),
        ({"lengths": [41]}, "exceeds 40 frames"),
        ({"lengths": [-1]}, "negative"),
        ({"lengths": [4, 4]}, "expected (1,)"),
        ({"lengths": [4.5]}, "whole numbers"),
        ({"lengths": ["x"]}, "whole numbers"),
        ({"lengths": [2**70]}, "whole numbers"),
        ({"num_samples": [40 * 320 + 1]}, "more than"),
        ({"num_samples": torch.tensor([True])}, "whole numbers"),
        ({"sample_rate": 0}, "sample_rate"),
        ({"sample_rate": 16000.5}, "sample_rate"),
        ({"frame_rate": 0.0}, "no whole number of samples per frame"),
        ({"frame_rate": float("nan")}, "no whole number of samples per frame"),
        ({"frame_rate": 47.0}, "no whole number of samples per frame"),
        ({"source_sample_rate": -1}, "source_sample_rate"),
        ({"context_samples": -1}, "context_samples"),
        ({"decoder_warmup_frames": "x"}, "decoder_warmup_frames"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(arguments: dict, words: str) -> None:
    with pytest.raises(FormatError) as error:
        Latents(**({"values": values()} | arguments))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_item_is_the_clip_alone() -> None:
    batch = Latents(
        values(2), lengths=[40, 25], num_samples=[12800, 7999], source_num_samples=[1, 2]
    )
    clip = batch.item(-1)
    assert clip.values.shape == (1, 25, 6)
    assert torch.equal(clip.values, batch.values[1:, :25])
    assert (clip.num_samples.tolist(), clip.lengths.tolist()) == ([7999], [25])
    assert clip.source_num_samples is not None
    assert clip.source_num_samples.tolist() == [2]
    with pytest.raises(IndexError):
        batch.item(2)


def test_cat_joins_the_pieces_of_a_stream() -> None:
    whole = values(frames=10)
    pieces = [
        Latents(whole[:, :0], source_num_samples=[3]),
        Latents(whole[:, :4], source_num_samples=[0]),
        Latents(whole[:, 4:10], num_samples=[6 * 320 - 7], source_num_samples=[9]),
        Latents(whole[:, :0], source_num_samples=[0]),
    ]
    joined = Latents.cat(pieces)
    assert torch.equal(joined.values, whole)
    assert joined.num_samples.tolist() == [10 * 320 - 7]
    assert joined.source_num_samples is not None
    assert joined.source_num_samples.tolist() == [12]


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([], "no pieces"),
        ([Latents(values(2))], "batch of 2"),
        ([Latents(values()), Latents(values(dim=5))], "different latent_dim"),
        ([Latents(values()), Latents(values(), model_hash="x")], "different model_hash"),
        ([Latents(values(), num_samples=[1]), Latents(values())], "only be the last"),
        ([Latents(values()), Latents(values(), context_samples=5)], "only be the first"),
    ],
)
def test_cat_refuses_pieces_that_do_not_go_together(pieces: list, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        Latents.cat(pieces)


def test_pieces_of_a_stream_join_to_the_offline_latents(model) -> None:
    wav = torch.randn(16000, generator=torch.Generator().manual_seed(1)) * 0.1
    stream = model.stream_encoder()
    pieces = [stream.push(part) for part in wav.split(777)]
    joined = Latents.cat([*pieces, stream.finish()])
    offline = model.encode(wav, 16000)
    torch.testing.assert_close(joined.values, offline.values, atol=1e-5, rtol=0)
    assert joined.num_samples.tolist() == offline.num_samples.tolist() == [16000]
    assert joined.source_num_samples is not None
    assert joined.source_num_samples.tolist() == [16000]


@settings(max_examples=40, deadline=None)
@given(
    frames=st.integers(1, 60),
    cut=st.integers(0, 319),
    times=st.tuples(st.floats(0, 1.2), st.floats(0.001, 1.2)),
    storage=st.sampled_from(["float32", "float16", "int8"]),
)
def test_a_partial_load_decodes_to_the_slice_of_the_full_decode(
    *, tmp_path_factory, model, frames: int, cut: int, times: tuple[float, float], storage
) -> None:
    total = frames * 320 - cut
    start, end = times[0], times[0] + times[1]
    path = tmp_path_factory.mktemp("part") / "x.mtok"
    latents = Latents(
        values(frames=frames, dim=8),
        num_samples=[total],
        decoder_warmup_frames=model.decoder_warmup_frames,
    )
    latents.save(path, storage)
    first, stop = round(start * 16000), min(total, round(end * 16000))
    if first >= total or stop <= first:
        with pytest.raises(FormatError, match="is after the end"):
            Latents.load(path, start=start, end=end)
        return
    part = Latents.load(path, start=start, end=end)
    assert part.num_samples.tolist() == [stop - first]
    assert part.values.shape[1] <= -(-(stop - first) // 320) + 1 + model.decoder_warmup_frames + 8
    full = model.decode(Latents.load(path))
    torch.testing.assert_close(model.decode(part), full[:, first:stop], atol=1e-5, rtol=0)


@pytest.mark.parametrize("change", ["latent", "unified"])
def test_a_part_reads_little_of_the_file_and_a_model_without_a_window_all_before_it(
    tmp_path: Path, change: str
) -> None:
    windowed = tiny_model(decoder_input=change)
    assert windowed.decoder_warmup_frames is not None
    latents = Latents(
        values(frames=600, dim=8), decoder_warmup_frames=windowed.decoder_warmup_frames
    )
    latents.save(tmp_path / "x.mtok")
    part = Latents.load(tmp_path / "x.mtok", start=10.0, end=10.1)
    assert part.values.shape[1] == windowed.decoder_warmup_frames + 5 + 8
    full = windowed.decode(latents)
    torch.testing.assert_close(windowed.decode(part), full[:, 160000:161600], atol=1e-5, rtol=0)

    Latents(latents.values).save(tmp_path / "unknown.mtok")
    part = Latents.load(tmp_path / "unknown.mtok", start=10.0, end=10.1)
    assert part.values.shape[1] == 505 + 8
    assert part.context_samples == 160000
    torch.testing.assert_close(windowed.decode(part), full[:, 160000:161600], atol=1e-5, rtol=0)


def test_a_batch_is_read_in_part_clip_by_clip(tmp_path: Path, model) -> None:
    batch = Latents(
        values(3, 50, 8),
        lengths=[50, 30, 10],
        num_samples=[16000, 9500, 3000],
        decoder_warmup_frames=model.decoder_warmup_frames,
    )
    batch.save(tmp_path / "x.mtok")
    part = Latents.load(tmp_path / "x.mtok", start=0.5, end=0.75)
    assert part.num_samples.tolist() == [4000, 1500, 0]
    full = model.decode(batch)[:, 8000:12000]
    torch.testing.assert_close(model.decode(part), full, atol=1e-5, rtol=0)


def test_a_saved_part_is_the_part(tmp_path: Path, model) -> None:
    whole = Latents(
        values(frames=90, dim=8), decoder_warmup_frames=model.decoder_warmup_frames, model_id="m"
    )
    whole.save(tmp_path / "x.mtok")
    Latents.load(tmp_path / "x.mtok", start=1.0, end=1.5).save(tmp_path / "part.mtok")
    full = model.decode(whole)
    again = Latents.load(tmp_path / "part.mtok")
    torch.testing.assert_close(model.decode(again), full[:, 16000:24000], atol=1e-5, rtol=0)
    inner = Latents.load(tmp_path / "part.mtok", start=0.25, end=0.3)
    torch.testing.assert_close(model.decode(inner), full[:, 20000:20800], atol=1e-5, rtol=0)


def test_a_stream_decodes_a_part_as_decode_does(tmp_path: Path, model) -> None:
    latents = Latents(values(frames=120, dim=8), decoder_warmup_frames=model.decoder_warmup_frames)
    latents.save(tmp_path / "x.mtok")
    part = Latents.load(tmp_path / "x.mtok", start=1.01, end=1.9)
    stream = model.stream_decoder()
    wav = torch.cat([stream.push(part), stream.finish()], dim=1)
    torch.testing.assert_close(wav, model.decode(part), atol=1e-5, rtol=0)


def test_trim_drops_the_warm_up_and_silences_what_is_beyond_each_clip() -> None:
    latents = Latents(values(2, 3), num_samples=[500, 900], context_samples=50)
    wav = torch.ones(2, 960)
    trimmed = latents.trim(wav)
    assert trimmed.shape == (2, 900)
    assert trimmed.sum(1).tolist() == [500, 900]


def test_importing_latents_does_not_import_torch() -> None:
    code = "import sys, mingtok_audio.latents; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_latents_travel_between_processes() -> None:
    latents = Latents(values(), model_id="m", sampled=True)
    again = pickle.loads(pickle.dumps(latents))
    assert torch.equal(again.values, latents.values)
    assert (again.model_id, again.sampled) == ("m", True)
