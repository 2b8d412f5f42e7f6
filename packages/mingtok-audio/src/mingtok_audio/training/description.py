"""A description of speech without its phase, for latents that a language model can generate.

Reconstruction alone makes latents that code the waveform's phase, which no text foretells. Here
the first dimensions of the latents are taught what can be foretold: the principal components of a
log-mel spectrum (spectral envelope) and of the autocorrelation over lags (pitch and voicing). The
other dimensions stay free for the rest, and the decoder learns to do without them. Not in the
paper. All windows end with their frame, so a causal encoder has heard them.

Axes: B batch, T samples, L frames, W window samples, M mel bands, G lags, E described dimensions,
D latent dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.training.losses import mel_filter_bank

_WINDOW = 0.064  # seconds the autocorrelation hears
_SPECTRUM_WINDOW = 0.04
_BANDS = 40
_LAGS = 48
_PITCHES = (62.5, 400.0)  # Hz
_PITCH_BAND = 1500.0  # Hz; above, harmonics wander
_FLOOR = 0.03


@dataclass(frozen=True)
class DescriptionConfig:
    """How the latents' first `spectrum_dims + pitch_dims` dimensions are taught."""

    spectrum_dims: int = 14
    pitch_dims: int = 6
    weight: float = 1.0
    """Of the mean squared error to the whitened components."""
    hide: float = 0.3
    """Share of the items whose other dimensions the decoder does not see."""
    disturb: float = 0.3
    """Share of the items whose other dimensions carry noise, of a level up to 1."""
    recordings: int = 300
    """Crops that the components are computed from."""

    def __post_init__(self) -> None:
        if self.spectrum_dims < 1 or self.pitch_dims < 0 or self.recordings < 1:
            raise ValueError("description: spectrum_dims and recordings are at least 1")
        if self.hide < 0 or self.disturb < 0 or self.hide + self.disturb > 1:
            raise ValueError("description: hide and disturb are shares, together at most 1")

    @property
    def dims(self) -> int:
        """E."""
        return self.spectrum_dims + self.pitch_dims


class Description(nn.Module):
    """Waveform to E whitened numbers a frame."""

    bank: Tensor
    short: Tensor
    long: Tensor
    low: Tensor
    lags: Tensor
    taper: Tensor
    centre: Tensor
    basis: Tensor

    def __init__(self, config: DescriptionConfig, sample_rate: int, hop_length: int) -> None:
        super().__init__()
        self.config, self.hop = config, hop_length
        self.window = round(_WINDOW * sample_rate)
        self.spectrum_window = round(_SPECTRUM_WINDOW * sample_rate)
        self.register_buffer("bank", mel_filter_bank(_BANDS, self.spectrum_window, sample_rate))
        self.register_buffer("short", torch.hann_window(self.spectrum_window))
        self.register_buffer("long", torch.hann_window(self.window))
        size = 2 * self.window
        keep = torch.arange(size // 2 + 1) * (sample_rate / size) <= _PITCH_BAND
        self.register_buffer("low", keep.float())
        self.register_buffer("lags", _lag_weights(sample_rate, size))
        own = torch.fft.irfft(torch.fft.rfft(torch.hann_window(self.window), size).abs() ** 2)
        self.register_buffer("taper", own / own[0])
        self.register_buffer("centre", torch.zeros(_BANDS + _LAGS))
        self.register_buffer("basis", torch.zeros(_BANDS + _LAGS, config.dims))

    def measured(self, wav: Tensor) -> Tensor:
        """wav (B, T) -> log-mel spectrum and autocorrelation side by side, (B, L, M + G)."""
        wav = F.pad(wav, (self.window - self.hop, -wav.shape[-1] % self.hop))
        frames = wav.unfold(-1, self.window, self.hop)  # (B, L, W)
        short = frames[..., -self.spectrum_window :] * self.short
        mel = torch.fft.rfft(short).abs() @ self.bank
        power = torch.fft.rfft(frames * self.long, 2 * self.window).abs() ** 2 * self.low
        correlation = torch.fft.irfft(power)
        energy = correlation[..., :1]
        level = correlation / (energy + 1e-2) / self.taper.clamp_min(0.05)
        return torch.cat(((mel + _FLOOR).log10(), level @ self.lags), dim=-1)

    @torch.no_grad()
    def fit(self, crops: Iterable[Tensor]) -> None:
        """Find the components in crops (B, T)."""
        seen = torch.cat([self.measured(crop).flatten(0, 1) for crop in crops])
        self.centre.copy_(seen.mean(dim=0))
        seen = seen - self.centre
        self.basis.zero_()
        parts = (
            (slice(0, _BANDS), slice(0, self.config.spectrum_dims)),
            (slice(_BANDS, None), slice(self.config.spectrum_dims, None)),
        )
        for rows, columns in parts:
            count = self.basis[:, columns].shape[1]
            if not count:
                continue
            values, vectors = torch.linalg.eigh(torch.cov(seen[:, rows].T))
            values, vectors = values.flip(0)[:count], vectors.flip(1)[:, :count]
            # The sign of an eigenvector is chance: a run that resumes must find the same one.
            vectors = vectors * vectors[vectors.abs().argmax(dim=0), torch.arange(count)].sign()
            self.basis[rows, columns] = vectors / values.clamp_min(1e-8).sqrt()

    @torch.no_grad()
    def forward(self, wav: Tensor) -> Tensor:
        """wav (B, T) -> (B, L, E)."""
        return (self.measured(wav) - self.centre) @ self.basis

    def loss(self, mean: Tensor, wav: Tensor) -> Tensor:
        """Mean squared error of the first dimensions of the latents' mean (B, L, D)."""
        wanted = self(wav)
        return F.mse_loss(mean[..., : self.config.dims].float(), wanted)

    def veil(self, latents: Tensor, generator: torch.Generator) -> Tensor:
        """Latents (B, L, D) with the dimensions that are not described hidden or disturbed, in
        some of the items."""
        rest = latents[..., self.config.dims :]
        chance = torch.rand(len(latents), generator=generator)
        level = torch.rand(len(latents), generator=generator)
        noise = torch.randn(rest.shape, generator=generator)
        hidden = (chance < self.config.hide).to(rest)[:, None, None]
        disturbed = (chance >= 1 - self.config.disturb).float() * level
        rest = rest * (1 - hidden) + noise.to(rest) * disturbed.to(rest)[:, None, None]
        return torch.cat((latents[..., : self.config.dims], rest), dim=-1)


def _lag_weights(sample_rate: int, size: int) -> Tensor:
    """Linear interpolation of the autocorrelation (size) at lags of equal ratio, (size, G)."""
    low, high = sample_rate / _PITCHES[1], sample_rate / _PITCHES[0]
    lags = torch.logspace(0, 1, _LAGS, base=high / low, dtype=torch.float64) * low
    distance = (torch.arange(size, dtype=torch.float64)[:, None] - lags).abs()
    return (1 - distance).clamp_min(0).float()
