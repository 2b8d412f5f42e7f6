"""The inverse short-time Fourier transform head (Vocos; paper section 3.1.2).

Axes: B batch, L frames, T samples, F = n_fft / 2 + 1 frequencies.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAX_MAGNITUDE = 100.0
# Only where no frame of an item is left does the window sum fall below this: silence, not 0 / 0.
_TINY = 1e-8


@dataclass
class IstftState:
    """Overlap that the next frames still add to, and how many leading samples are yet to drop."""

    audio: Tensor
    """(B, n_fft - hop) windowed sum of the samples that are not complete yet."""
    window: Tensor
    """(1 or B, n_fft - hop) sum of the squared windows there."""
    skip: int


class IstftHead(nn.Module):
    """Hidden states (B, L, H) -> complex spectra -> waveform (B, L * hop).

    The published form, "polar", predicts log magnitude and phase. "cartesian" predicts a log gain
    and a complex value that it scales: no phase angle has to jump where it wraps.

    The frames are centred: (n_fft - hop) / 2 samples are dropped at each end, so that L frames
    give exactly L * hop samples.
    """

    def __init__(self, dim: int, n_fft: int, hop_length: int, form: str = "polar") -> None:
        super().__init__()
        self.form = form
        self.n_fft, self.hop_length = n_fft, hop_length
        self.overlap = n_fft - hop_length
        self.pad = self.overlap // 2
        self.out = nn.Linear(dim, (2 if form == "polar" else 3) * (n_fft // 2 + 1))
        # Not saved: a cast of the model to bfloat16 must not round it either (see `_hann`).
        self._window: Tensor | None = None

    def _hann(self, device: torch.device) -> Tensor:
        if self._window is None or self._window.device != device:
            self._window = torch.hann_window(self.n_fft, dtype=torch.float64).float().to(device)
        return self._window

    def frames(self, hidden: Tensor) -> Tensor:
        """Windowed time-domain frames (B, L, n_fft), in float32."""
        log_magnitude, *rest = self.out(hidden).float().split(self.n_fft // 2 + 1, dim=-1)
        magnitude = log_magnitude.exp().clamp(max=MAX_MAGNITUDE)
        if self.form == "polar":
            spectrum = torch.polar(magnitude, rest[0])
        else:
            spectrum = torch.complex(magnitude * rest[0], magnitude * rest[1])
        return torch.fft.irfft(spectrum, n=self.n_fft, dim=-1) * self._hann(hidden.device)

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """(..., L, n_fft) -> (..., (L - 1) * hop + n_fft)."""
        count, ratio = frames.shape[-2], self.n_fft // self.hop_length
        parts = frames.unflatten(-1, (ratio, self.hop_length))  # (..., L, ratio, hop)
        total = frames.new_zeros(*frames.shape[:-2], count + ratio - 1, self.hop_length)
        for i in range(ratio):
            total[..., i : i + count, :] += parts[..., i, :]
        return total.flatten(-2)

    def _sums(self, hidden: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        """Overlap-added frames, and the squared windows under them: (B, S) and (1 or B, S)."""
        frames = self.frames(hidden)
        square = self._hann(hidden.device).square().expand(1, hidden.shape[1], -1)
        if valid is not None:
            frames, square = frames * valid[..., None], square * valid[..., None]
        return self._overlap_add(frames), self._overlap_add(square)

    def forward(self, hidden: Tensor) -> Tensor:
        """Waveform (B, L * hop) of whole sequences."""
        audio, window = self._sums(hidden, None)
        span = slice(self.pad, audio.shape[-1] - self.pad)
        return audio[:, span] / window[:, span]

    def new_state(self, batch: int, device: torch.device) -> IstftState:
        """State of a fresh stream of `batch` items."""
        zeros = torch.zeros(batch, self.overlap, device=device, dtype=torch.float32)
        return IstftState(zeros, zeros[:1], self.pad)

    def step(self, hidden: Tensor, state: IstftState, valid: Tensor | None = None) -> Tensor:
        """Samples (B, m) that the frames hidden (B, n, H) complete, n >= 1; advances the state.

        `valid (B, n)` marks the frames that exist in each item of a batch of mixed lengths: the
        others add nothing, so that every item ends exactly as it would alone.
        """
        audio, window = self._sums(hidden, valid)
        tail = audio.shape[-1] - self.overlap
        audio = audio + F.pad(state.audio, (0, tail))
        window = window + F.pad(state.window, (0, tail))
        done = hidden.shape[1] * self.hop_length
        start = min(state.skip, done)
        state.skip -= start
        state.audio, state.window = audio[:, done:].clone(), window[:, done:].clone()
        return audio[:, start:done] / window[:, start:done].clamp_min(_TINY)

    def flush(self, state: IstftState) -> Tensor:
        """The last (n_fft - hop) / 2 samples, which no further frame will touch."""
        span = slice(state.skip, self.overlap - self.pad)
        return state.audio[:, span] / state.window[:, span].clamp_min(_TINY)
