"""A description of speech without its phase, for latents that a language model can generate.

Reconstruction alone makes latents that encode the waveform's phase, which cannot be predicted from
text. Here the first dimensions of the latents learn what can be predicted: the principal components
of a log-mel spectrum (spectral envelope) and of the autocorrelation over lags (pitch and voicing).
The other dimensions stay free for the rest, and the decoder learns to do without them. Not in the
paper. All windows end with their frame, so a causal encoder has seen them.

Axes: B batch, T samples, L frames, W window samples, M mel bands, G lags, E described dimensions,
D latent dimensions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.core.errors import ConfigError
from mingtok_audio.core.models.hub import save_tensors
from mingtok_audio.training.losses import mel_filter_bank

_WINDOW = 0.064  # seconds that the autocorrelation covers
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
    transform_dims: int = 0
    """How many dimensions after those learn the lowest coefficients of a modified discrete
    cosine transform, in units of their standard deviation: waveform, not description."""
    weight: float = 1.0
    """Of the mean squared error to the whitened components."""
    transform_weight: float = 1.0
    """Of the mean squared error to the transform's coefficients."""
    hide: float = 0.3
    """Share of the items whose other dimensions the decoder does not see."""
    disturb: float = 0.3
    """Share of the items whose other dimensions carry noise, of a level up to 1."""
    noise: float = 0.0
    """Largest level of the noise that the decoder finds on the described dimensions (each item has
    one of its own): a generation head does not hit them exactly either."""
    recordings: int = 300
    """Crops that the components are computed from."""
    file: str | None = None
    """Components that were found before (`Description.save`), so that several runs share them."""

    def __post_init__(self) -> None:
        if self.spectrum_dims < 1 or self.pitch_dims < 0 or self.recordings < 1:
            raise ValueError("description: spectrum_dims and recordings are at least 1")
        if self.hide < 0 or self.disturb < 0 or self.hide + self.disturb > 1:
            raise ValueError("description: hide and disturb are shares, together at most 1")
        if self.noise < 0:
            raise ValueError("description: noise cannot be negative")

    @property
    def dims(self) -> int:
        """E."""
        return self.spectrum_dims + self.pitch_dims

    @property
    def taught(self) -> int:
        """Dimensions that have a target: E, and the transform's."""
        return self.dims + self.transform_dims


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
    cosines: Tensor
    scale: Tensor

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
        self.register_buffer("cosines", transform_basis(hop_length).float())
        self.register_buffer("scale", torch.ones(hop_length))

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
        crops = list(crops)
        coefficients = torch.cat([self.transformed(crop).flatten(0, 1) for crop in crops])
        self.scale.copy_(coefficients.square().mean(dim=0).sqrt().clamp_min(1e-6))
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
        """wav (B, T) -> (B, L, E), and after them the transform's dimensions, if there are any."""
        said = (self.measured(wav) - self.centre) @ self.basis
        count = self.config.transform_dims
        if not count:
            return said
        return torch.cat((said, (self.transformed(wav) / self.scale)[..., :count]), dim=-1)

    def transformed(self, wav: Tensor) -> Tensor:
        """wav (B, T) -> the cosine transform of each frame and the next, (B, L, hop)."""
        wav = F.pad(wav, (0, self.hop + -wav.shape[-1] % self.hop))
        return wav.unfold(-1, 2 * self.hop, self.hop) @ self.cosines

    def loss(self, mean: Tensor, wav: Tensor) -> Tensor:
        """Weighted mean squared error of the first dimensions of the latents' mean (B, L, D)."""
        error = (mean[..., : self.config.taught].float() - self(wav)).square()
        said, rest = error[..., : self.config.dims], error[..., self.config.dims :]
        total = self.config.weight * said.mean()
        return total + self.config.transform_weight * rest.mean() if rest.shape[-1] else total

    def veil(self, latents: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Latents (B, L, D) with the dimensions that are not described hidden or disturbed, in
        some of the items; and in which they are not hidden (B,)."""
        said, rest = latents[..., : self.config.dims], latents[..., self.config.dims :]
        if self.config.noise:
            level = self.config.noise * torch.rand(len(latents), 1, 1, generator=generator)
            said = said + (torch.randn(said.shape, generator=generator) * level).to(said)
        chance = torch.rand(len(latents), generator=generator)
        level = torch.rand(len(latents), generator=generator)
        noise = torch.randn(rest.shape, generator=generator)
        hidden = (chance < self.config.hide).to(rest)[:, None, None]
        disturbed = (chance >= 1 - self.config.disturb).float() * level
        rest = rest * (1 - hidden) + noise.to(rest) * disturbed.to(rest)[:, None, None]
        return torch.cat((said, rest), dim=-1), chance >= self.config.hide

    def save(self, path: str | Path, sample_rate: int) -> Path:
        """Write the components and what they are of, as safetensors."""
        shape = {
            "spectrum_dims": self.config.spectrum_dims,
            "pitch_dims": self.config.pitch_dims,
            "sample_rate": sample_rate,
            "hop_length": self.hop,
        }
        tensors = {"centre": self.centre, "basis": self.basis, "scale": self.scale}
        save_tensors(Path(path), tensors, {"description": json.dumps(shape)})
        return Path(path)

    @classmethod
    def load(cls, path: str | Path, config: DescriptionConfig | None = None) -> Self:
        """Components that `save` wrote; `config` must ask for as many.

        Raises:
            ConfigError: no such file, another one, or other dimensions than `config` asks for.
        """
        try:
            with safe_open(path, "pt") as file:
                shape = json.loads(file.metadata()["description"])
                found = {name: file.get_tensor(name) for name in ("centre", "basis", "scale")}
            spectrum, pitch = int(shape["spectrum_dims"]), int(shape["pitch_dims"])
            rate, hop = int(shape["sample_rate"]), int(shape["hop_length"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"description: {path} cannot be read: {error}") from error
        if config is None:
            config = DescriptionConfig(spectrum_dims=spectrum, pitch_dims=pitch)
        if (config.spectrum_dims, config.pitch_dims) != (spectrum, pitch):
            raise ConfigError(
                f"description: {path} holds {spectrum} + {pitch} dimensions, "
                f"not {config.spectrum_dims} + {config.pitch_dims}"
            )
        made = cls(config, rate, hop)
        for name, value in found.items():
            made.get_buffer(name).copy_(value)
        return made


def transform_basis(hop: int) -> Tensor:
    """The modified discrete cosine transform of windowed frames (2 hop, hop), in float64; its
    transpose over hop / 2 goes back (Princen and Bradley, 1986)."""
    n = torch.arange(2 * hop, dtype=torch.float64)[:, None]
    k = torch.arange(hop, dtype=torch.float64)
    window = (math.pi * (n + 0.5) / (2 * hop)).sin()
    return window * (math.pi / hop * (n + 0.5 + hop / 2) * (k + 0.5)).cos()


def _lag_weights(sample_rate: int, size: int) -> Tensor:
    """Linear interpolation of the autocorrelation (size) at lags of equal ratio, (size, G)."""
    low, high = sample_rate / _PITCHES[1], sample_rate / _PITCHES[0]
    lags = torch.logspace(0, 1, _LAGS, base=high / low, dtype=torch.float64) * low
    distance = (torch.arange(size, dtype=torch.float64)[:, None] - lags).abs()
    return (1 - distance).clamp_min(0).float()
