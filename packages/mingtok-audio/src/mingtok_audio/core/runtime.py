"""Device, dtype, threads, seeds and memory. torch is imported inside the functions."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mingtok_audio.core.errors import UserError

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16")
_DEVICE = re.compile(r"(cpu|cuda|mps)(?::(\d{1,3}))?")
MAX_SEED = 2**63 - 1


def select_device(name: str | torch.device = "auto") -> torch.device:
    """The device of that name: "auto" (cuda, else mps, else cpu), "cpu", "cuda", "cuda:1", "mps".

    Raises:
        UserError: an unknown name, or a device that this machine or this torch does not have.
    """
    import torch

    text = str(name)
    if text == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if _has_mps() else "cpu")
    match = _DEVICE.fullmatch(text)
    if match is None:
        raise UserError(f"unknown device '{text}'; use auto, cpu, cuda, cuda:1 or mps")
    kind, index = match[1], match[2]
    if kind == "cuda" and not torch.cuda.is_available():
        why = "this torch is built without CUDA" if torch.version.cuda is None else "no GPU found"
        raise UserError(f"device '{text}' is not available: {why}; use --device auto or cpu")
    if kind == "cuda" and index is not None and int(index) >= torch.cuda.device_count():
        raise UserError(f"device '{text}' is not there; found {torch.cuda.device_count()} GPU(s)")
    if kind == "mps" and not _has_mps():
        raise UserError("device 'mps' is not available here; use --device auto or cpu")
    return torch.device(text)


def _has_mps() -> bool:
    import torch

    return torch.backends.mps.is_available()


def select_dtype(name: str | torch.dtype, device: torch.device | str) -> torch.dtype:
    """The dtype to compute in.

    "auto" is bfloat16 on a GPU that computes in it, else float32. On a CPU and on mps it is
    float32, so that the same input gives the same bytes on any of them. Half precision on a CPU
    without hardware for it would be many times slower than float32: float32 is used instead, with
    a warning.

    Raises:
        UserError: an unknown name.
    """
    import torch

    text = str(name).removeprefix("torch.")
    kind = torch.device(device).type
    if text == "auto":
        good = kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if good else torch.float32
    if text not in DTYPES:
        raise UserError(f"unknown dtype '{text}'; use auto, {', '.join(DTYPES)}")
    if kind == "cpu" and text != "float32" and text not in cpu_half_dtypes():
        warnings.warn(f"this CPU has no {text} arithmetic; computing in float32", stacklevel=2)
        return torch.float32
    return getattr(torch, text)


@cache
def cpu_half_dtypes() -> frozenset[str]:
    """Which of bfloat16 and float16 this CPU multiplies in hardware (x86 AVX-512 or AMX)."""
    if not sys.platform.startswith("linux"):
        return frozenset()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    flags: set[str] = set()
    for line in text.splitlines():
        if line.startswith("flags"):
            flags = set(line.partition(":")[2].split())
            break
    found = set()
    if flags & {"avx512_bf16", "amx_bf16"}:
        found.add("bfloat16")
    if flags & {"avx512_fp16", "amx_fp16"}:
        found.add("float16")
    return frozenset(found)


def set_threads(num_threads: int | None) -> int:
    """Use that many CPU threads (None: leave it); returns how many are used.

    Raises:
        UserError: less than 1.
    """
    import torch

    if num_threads is not None:
        if num_threads < 1:
            raise UserError(f"the number of threads must be at least 1, not {num_threads}")
        torch.set_num_threads(num_threads)
    return torch.get_num_threads()


def seeded_generator(seed: int) -> torch.Generator:
    """A CPU generator. Draws come from the CPU and move, so a seed means the same everywhere.

    Raises:
        UserError: a seed outside [0, 2^63 - 1].
    """
    import torch

    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise UserError(f"a seed is a whole number from 0 to {MAX_SEED}, not {seed}")
    return torch.Generator(device="cpu").manual_seed(seed)


@contextmanager
def deterministic() -> Iterator[None]:
    """Inside, torch uses deterministic kernels only and raises where there is none."""
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.backends.cudnn.benchmark = benchmark


def peak_memory_mb() -> float:
    """The most memory this process has held so far, in MiB (0 where the system does not say)."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024
