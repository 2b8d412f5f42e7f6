"""Reconstruction losses (paper section 4.1.1, and what a small model on few hours needs besides).

Axes: B batch, T samples, K frames of a spectrogram, F frequencies, M mel bands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.core.errors import ConfigError


def mel_filter_bank(
    num_mels: int, n_fft: int, sample_rate: int, fmin: float = 0.0, fmax: float | None = None
) -> Tensor:
    """Triangular filters on the HTK mel scale, (F, M), peak 1 (no area normalisation)."""
    fmax = sample_rate / 2 if fmax is None else fmax
    low, high = (2595 * math.log10(1 + f / 700) for f in (fmin, fmax))
    mels = torch.linspace(low, high, num_mels + 2, dtype=torch.float64)
    edges = 700 * (10 ** (mels / 2595) - 1)
    frequency = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)[:, None]
    rising = (frequency - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp_min(0).float()


def stft(wav: Tensor, n_fft: int, hop_length: int, window: Tensor) -> Tensor:
    """Complex spectrogram (B, F, K) of wav (B, T), centred frames."""
    return torch.stft(wav, n_fft, hop_length, window=window, center=True, return_complex=True)


class MultiScaleMelLoss(nn.Module):
    """L1 distance of log-mel spectrograms, mean or sum over several window lengths.

    The filters have a peak of 1. Filters of equal area would shift both logarithms of a band alike,
    so the distance is the same, but for where the floor lies.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        n_ffts: Sequence[int] = (64, 128, 256, 512, 1024, 2048),
        num_mels: Sequence[int] = (10, 20, 40, 60, 80, 120),
        floor: float = 1e-5,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        if len(n_ffts) != len(num_mels) or not n_ffts:
            raise ConfigError(
                f"a mel loss needs as many numbers of bands as window lengths: {len(num_mels)} and "
                f"{len(n_ffts)}"
            )
        self.n_ffts, self.floor, self.reduction = tuple(n_ffts), floor, reduction
        for n_fft, mels in zip(n_ffts, num_mels, strict=True):
            bank = mel_filter_bank(mels, n_fft, sample_rate)
            self.register_buffer(f"bank_{n_fft}", bank, persistent=False)
            self.register_buffer(f"window_{n_fft}", torch.hann_window(n_fft), persistent=False)

    def log_mel(self, wav: Tensor, n_fft: int) -> Tensor:
        """(B, T) -> (B, K, M) log10 magnitude."""
        power = stft(wav, n_fft, n_fft // 4, self.get_buffer(f"window_{n_fft}"))
        magnitude = (power.real**2 + power.imag**2 + 1e-12).sqrt()
        mel = magnitude.transpose(1, 2) @ self.get_buffer(f"bank_{n_fft}")
        return mel.clamp_min(self.floor).log10()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Both (B, T) -> scalar."""
        losses = []
        for n_fft in self.n_ffts:
            with torch.no_grad():
                expected = self.log_mel(target, n_fft)
            losses.append(F.l1_loss(self.log_mel(output, n_fft), expected))
        total = torch.stack(losses)
        return total.sum() if self.reduction == "sum" else total.mean()


class CompressedSpectralLoss(nn.Module):
    """Distance of power-compressed complex spectrograms, magnitude and phase together.

    The magnitude is raised to `power` (about how loudness is heard) with the phase kept; the loss
    is the mean absolute error of the compressed magnitude plus `phase` times that of the compressed
    complex value. Unlike a log-mel distance it says which phase is right.
    """

    def __init__(
        self,
        n_ffts: Sequence[int] = (256, 512, 1024),
        power: float = 0.4,
        phase: float = 1.0,
        floor: float = 1e-4,
    ) -> None:
        super().__init__()
        self.n_ffts, self.power, self.phase, self.floor = tuple(n_ffts), power, phase, floor
        for n_fft in n_ffts:
            self.register_buffer(f"window_{n_fft}", torch.hann_window(n_fft), persistent=False)

    def _compress(self, wav: Tensor, n_fft: int) -> tuple[Tensor, Tensor]:
        spectrum = torch.view_as_real(
            stft(wav, n_fft, n_fft // 4, self.get_buffer(f"window_{n_fft}")) * n_fft**-0.5
        )
        square = spectrum.square().sum(-1) + self.floor**2
        gain = square ** ((self.power - 1) / 2)
        return spectrum * gain[..., None], square.sqrt() * gain

    def forward(self, output: Tensor, target: Tensor, phased: Tensor | None = None) -> Tensor:
        """Both (B, T) -> scalar. `phased` (B,) is False for items whose phase nobody can know: only
        their magnitudes count."""
        total = output.new_zeros(())
        for n_fft in self.n_ffts:
            with torch.no_grad():
                complex_t, magnitude_t = self._compress(target, n_fft)
            complex_o, magnitude_o = self._compress(output, n_fft)
            total = total + F.l1_loss(magnitude_o, magnitude_t)
            if phased is None:
                total = total + self.phase * F.l1_loss(complex_o, complex_t)
            else:
                error = F.l1_loss(complex_o, complex_t, reduction="none").mean(dim=(1, 2, 3))
                total = total + self.phase * (error * phased.to(error)).mean()
        return total / len(self.n_ffts)
