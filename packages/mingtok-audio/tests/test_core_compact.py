"""Weights in 8 bits a number on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_tokenizer import tiny_model

from mingtok_audio import MingTok
from mingtok_audio.commands.info import describe_model
from mingtok_audio.core.errors import FormatError
from mingtok_audio.core.models.compact import (
    SMALLEST,
    compacted,
    count_of,
    expanded,
    scaled_names,
)
from mingtok_audio.core.models.hub import load_tensors, save_tensors

GENERATOR = torch.Generator().manual_seed(0)


def some_tensors() -> dict[str, torch.Tensor]:
    return {
        "wide": torch.randn(64, 3, 100, generator=GENERATOR)
        * torch.logspace(-6, 2, 64)[:, None, None],
        "zero": torch.zeros(64, 100),
        "bias": torch.randn(64, generator=GENERATOR),
        "count": torch.arange(5),
    }


def test_rows_keep_their_own_scale(tmp_path: Path) -> None:
    tensors = some_tensors()
    kept = dict(compacted(tensors.items()))
    assert kept["wide"].dtype == torch.int8 and kept["bias"].dtype == torch.float16
    assert tensors["zero"].numel() >= SMALLEST and torch.equal(kept["count"], tensors["count"])
    save_tensors(tmp_path / "model.safetensors", kept, {"format": "pt"})
    assert (tmp_path / "model.safetensors").stat().st_size < 0.3 * 4 * (64 * 300 + 64 * 100)
    found = dict(load_tensors(tmp_path))
    assert found.keys() == tensors.keys()
    for name in ("wide", "zero"):
        largest = tensors[name].flatten(1).abs().amax(dim=1)
        error = (found[name] - tensors[name]).flatten(1).abs().amax(dim=1)
        assert bool((error <= largest / 253).all()) and found[name].dtype == torch.float32


def test_six_bits_take_three_quarters(tmp_path: Path) -> None:
    tensors = {**some_tensors(), "odd": torch.randn(100, 99, generator=GENERATOR)}
    tensors["matrix"] = torch.randn(64, 384, generator=GENERATOR)
    kept = dict(compacted(tensors.items(), bits=6))
    assert kept["matrix"].dtype == torch.uint8 and kept["matrix"].shape == (64, 288)
    assert kept["wide"].dtype == torch.int8 and kept["odd"].dtype == torch.int8
    save_tensors(tmp_path / "model.safetensors", kept, {"format": "pt"})
    found = dict(load_tensors(tmp_path))
    assert {n: t.shape for n, t in found.items()} == {n: t.shape for n, t in tensors.items()}
    largest = tensors["matrix"].abs().amax(dim=1)
    error = (found["matrix"] - tensors["matrix"]).abs().amax(dim=1)
    assert bool((error <= largest / 61.9).all())
    counted = sum(count_of(name, tensor.shape, kept) for name, tensor in kept.items())
    assert counted == sum(tensor.numel() for tensor in tensors.values())
    with pytest.raises(FormatError, match="do not fit"):
        wrong = {**kept, "matrix": torch.zeros(64, 287, dtype=torch.uint8)}
        dict(expanded(wrong.items(), scaled_names(kept)))
    with pytest.raises(ValueError, match="8 or 6"):
        list(compacted(tensors.items(), bits=4))


def test_some_stay_in_float16() -> None:
    tensors = some_tensors()
    kept = dict(compacted(tensors.items(), ("wi", "other")))
    assert kept["wide"].dtype == torch.float16 and "wide.int8_scale" not in kept
    assert kept["zero"].dtype == torch.int8
    assert torch.allclose(kept["wide"].float(), tensors["wide"], rtol=1e-3, atol=1e-7)


def test_any_order_and_damage() -> None:
    kept = list(compacted(some_tensors().items()))
    names = scaled_names(name for name, _ in kept)
    assert names == {"wide", "zero"}
    forth, back = dict(expanded(kept, names)), dict(expanded(reversed(kept), names))
    assert all(torch.equal(forth[name], back[name]) for name in forth)
    with pytest.raises(FormatError, match="'wide' or its scales are missing"):
        dict(expanded([pair for pair in kept if pair[0] != "wide"], names))
    wrong = {**dict(kept), "wide": torch.zeros(63, 300, dtype=torch.int8)}
    with pytest.raises(FormatError, match="do not fit"):
        dict(expanded(wrong.items(), names))
    with pytest.raises(FormatError, match="NaN"):
        list(compacted([("x", torch.full((2, 2), torch.nan))]))
    with pytest.raises(FormatError, match="ends in"):
        list(compacted([("x.int8_scale", torch.zeros(3))]))


def test_a_compact_tokenizer_is_the_same_tokenizer(tmp_path: Path) -> None:
    model = tiny_model()
    plain = model.save_pretrained(tmp_path / "plain")
    small = model.save_pretrained(tmp_path / "small")
    save_tensors(small / "model.safetensors", dict(compacted(model.state_dict().items())), {})
    loaded = MingTok.from_pretrained(small)
    for name, value in model.state_dict().items():
        assert torch.allclose(loaded.state_dict()[name], value, atol=float(value.abs().max()) / 200)
    assert describe_model(str(small))["parameters"] == describe_model(str(plain))["parameters"]
