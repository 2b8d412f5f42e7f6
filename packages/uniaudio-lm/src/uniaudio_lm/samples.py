"""Samples as callers give them, checked and brought to one form: at every entry alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from mingtok_audio.core.audio import check_sample_rate
from mingtok_audio.core.errors import AudioError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_LOUDEST = 64.0  # no recording in [-1, 1] goes so far beyond; integers written as floats do


def as_samples(
    wav: ArrayLike | Tensor, sample_rate: int, what: str = "the recording"
) -> np.ndarray:
    """A recording as float32 samples (T,), at its own rate.

    Args:
        wav: (T,) floats of any precision in about [-1, 1]: an array, a tensor on any device, a
            list.
        what: it is called in errors.

    Raises:
        AudioError: integers, numbers that are not samples in [-1, 1], NaN, infinity, no samples,
            another shape, a sample rate that cannot be.
    """
    if isinstance(wav, Tensor):
        tensor = wav.detach().cpu()
        # NumPy has no bfloat16.
        array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    else:
        try:
            array = np.asarray(wav)
        except ValueError as error:  # rows of unequal lengths
            raise AudioError(f"{what}: expected samples (T,), got a nested list") from error
    if array.dtype.kind in "iu":
        raise AudioError(
            f"{what}: expected floating-point samples in [-1, 1], got {array.dtype}: divide by "
            f"{np.iinfo(array.dtype).max + 1}"
        )
    if array.dtype.kind != "f":
        raise AudioError(f"{what}: expected floating-point samples, got {array.dtype}")
    if array.ndim != 1:
        raise AudioError(f"{what}: expected samples (T,), not an array of shape {array.shape}")
    if not len(array):
        raise AudioError(f"{what} holds no samples")
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, and is refused
        array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        raise AudioError(f"{what} holds NaN or infinite samples")
    peak = float(np.abs(array).max())
    if peak > _LOUDEST:
        raise AudioError(
            f"{what} has samples up to {peak:,.0f}, not in [-1, 1]: divide by 32768 if they are "
            "16-bit numbers"
        )
    check_sample_rate(sample_rate)
    return array
