"""Device, dtype, seeds and threads."""

from __future__ import annotations

import pytest
import torch

from mingtok_audio.core import runtime
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.runtime import (
    deterministic,
    peak_memory_mb,
    seeded_generator,
    select_device,
    select_dtype,
    set_threads,
)


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert select_device("cpu") == torch.device("cpu")
    assert select_device(torch.device("cpu")) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert select_device("auto") == torch.device("cpu")
    for name in ("cuda", "cuda:1", "mps"):
        with pytest.raises(UserError, match=f"device '{name}' is not available"):
            select_device(name)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert select_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert select_device("auto") == torch.device("cuda")
    assert select_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UserError, match=r"found 2 GPU"):
        select_device("cuda:2")
    for name in ("", "gpu", "cpu;rm", "cuda:x", "cuda:-1", "CUDA"):
        with pytest.raises(UserError, match=r"unknown device"):
            select_device(name)


def test_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert select_dtype("auto", "cpu") == torch.float32
    assert select_dtype(torch.float32, torch.device("cpu")) == torch.float32
    monkeypatch.setattr(runtime, "cpu_half_dtypes", frozenset)
    with pytest.warns(UserWarning, match=r"no bfloat16 arithmetic"):
        assert select_dtype("bfloat16", "cpu") == torch.float32
    monkeypatch.setattr(runtime, "cpu_half_dtypes", lambda: frozenset({"bfloat16"}))
    assert select_dtype("bfloat16", "cpu") == torch.bfloat16
    assert select_dtype("float16", "cuda") == torch.float16
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert select_dtype("auto", "cuda") == torch.bfloat16
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    assert select_dtype("auto", "cuda") == torch.float32
    with pytest.raises(UserError, match=r"unknown dtype"):
        select_dtype("fp8", "cpu")


def test_seeds() -> None:
    first, second = (torch.randn(4, generator=seeded_generator(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, torch.randn(4, generator=seeded_generator(8)))
    for bad in (-1, 2**63, True, 1.5, "7"):
        with pytest.raises(UserError, match=r"a seed is a whole number"):
            seeded_generator(bad)  # type: ignore[arg-type]


def test_threads_memory_and_determinism() -> None:
    before = torch.get_num_threads()
    try:
        assert set_threads(1) == 1
        assert set_threads(None) == 1
        with pytest.raises(UserError, match=r"at least 1"):
            set_threads(0)
    finally:
        torch.set_num_threads(before)
    assert peak_memory_mb() > 10
    with deterministic():
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
