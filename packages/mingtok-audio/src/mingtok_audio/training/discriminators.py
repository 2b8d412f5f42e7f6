"""Discriminators of the acoustic stage (paper section 4.1.1, after X-codec and its predecessors).

A multi-period discriminator looks at the waveform folded at several periods (HiFi-GAN, Kong et al.
2020); a multi-resolution discriminator looks at complex spectrograms of several window lengths
(Jang et al. 2021; Zeghidour et al. 2021). Axes: B batch, T samples, F frequencies, K frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

_SLOPE = 0.1
_QUIET = 1e-3  # of a waveform whose level is brought to 1
_POWER, _FAINT = 0.3, 1e-6


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Sizes of both discriminators. The defaults have about 1 M parameters together."""

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    period_channels: tuple[int, ...] = (16, 32, 64, 128)
    n_ffts: tuple[int, ...] = (256, 512, 1024)
    spectrum_channels: int = 24

    def __post_init__(self) -> None:
        if not self.periods and not self.n_ffts:
            raise ValueError("a discriminator needs at least one period or one n_fft")
        if min((*self.periods, *self.n_ffts, *self.period_channels, self.spectrum_channels)) < 1:
            raise ValueError("periods, n_ffts and channels must be positive")


class PeriodDiscriminator(nn.Module):
    """The waveform, at one level, as a picture of `period` columns; kernels run along the rows
    only."""

    def __init__(self, period: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.period = period
        sizes = [1, *channels]
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 1), (3, 1), (2, 0))) for a, b in pairwise(sizes)
        )
        self.out = weight_norm(nn.Conv2d(sizes[-1], 1, (3, 1), 1, (1, 0)))

    def forward(self, wav: Tensor) -> tuple[Tensor, list[Tensor]]:
        """wav (B, T) -> score map, and the hidden maps for feature matching."""
        wav = wav / wav.detach().square().mean(dim=-1, keepdim=True).sqrt().clamp_min(_QUIET)
        x = F.pad(wav, (0, -wav.shape[-1] % self.period))[:, None]
        x = x.unflatten(-1, (-1, self.period))
        return _run(self.convs, self.out, x)


class SpectrumDiscriminator(nn.Module):
    """Real and imaginary part of one spectrogram as two channels, magnitudes to the power 0.3:
    of plain numbers that lie so far apart it learns very little in a thousand steps."""

    def __init__(self, n_fft: int, channels: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        shapes = [(2, (1, 1)), (channels, (2, 1)), (channels, (2, 1)), (channels, (2, 1))]
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv2d(inputs, channels, (7, 3), stride, (3, 1)))
            for inputs, stride in shapes
        )
        self.out = weight_norm(nn.Conv2d(channels, 1, (3, 3), 1, 1))

    def forward(self, wav: Tensor) -> tuple[Tensor, list[Tensor]]:
        """wav (B, T) -> score map, and the hidden maps for feature matching."""
        spectrum = torch.stft(
            wav.float(),
            self.n_fft,
            self.n_fft // 4,
            window=self.get_buffer("window"),
            return_complex=True,
        )
        x = torch.view_as_real(spectrum).movedim(-1, 1) * self.n_fft**-0.5  # (B, 2, F, K)
        magnitude = (x.square().sum(dim=1, keepdim=True) + _FAINT).sqrt()
        x = x * 2 * magnitude ** (_POWER - 1)
        return _run(self.convs, self.out, x)


def _run(convs: nn.ModuleList, out: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    maps = []
    for conv in convs:
        x = F.leaky_relu(conv(x), _SLOPE)
        maps.append(x)
    return out(x), maps


class Adversary(nn.Module):
    """All sub-discriminators together, and what generator and discriminators learn from them."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        parts: list[nn.Module] = [
            PeriodDiscriminator(p, config.period_channels) for p in config.periods
        ]
        parts += [SpectrumDiscriminator(n, config.spectrum_channels) for n in config.n_ffts]
        self.parts = nn.ModuleList(parts)
        self._pair: tuple[Tensor, Tensor] | None = None

    def forward(self, wav: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """wav (B, T) -> a (score map, hidden maps) of each sub-discriminator."""
        return [part(wav) for part in self.parts]

    def generator_losses(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The generator's `adversarial` and `feature_matching` losses on waveforms (B, T).

        Their gradients reach `output` and no weight of the discriminators.
        """
        self._pair = (target, output.detach())
        self.requires_grad_(False)
        with torch.no_grad():
            real = self(target)
        fake = self(output)
        self.requires_grad_(True)
        return {
            "adversarial": adversarial_loss(fake),
            "feature_matching": feature_matching_loss(real, fake),
        }

    def loss(self) -> Tensor:
        """The discriminators' hinge loss on what `generator_losses` was just given."""
        if self._pair is None:
            raise RuntimeError("loss follows generator_losses")
        target, output = self._pair
        return discriminator_loss(self(target), self(output))


def discriminator_loss(
    real: list[tuple[Tensor, list[Tensor]]], fake: list[tuple[Tensor, list[Tensor]]]
) -> Tensor:
    """Hinge loss, averaged over the sub-discriminators -> scalar; 2 when it knows nothing."""
    terms = [
        F.relu(1 - r).mean() + F.relu(1 + f).mean()
        for (r, _), (f, _) in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).mean()


def adversarial_loss(fake: list[tuple[Tensor, list[Tensor]]]) -> Tensor:
    """Hinge loss of the generator -> scalar."""
    return torch.stack([F.relu(1 - score).mean() for score, _ in fake]).mean()


def feature_matching_loss(
    real: list[tuple[Tensor, list[Tensor]]], fake: list[tuple[Tensor, list[Tensor]]]
) -> Tensor:
    """L1 distance of the hidden maps relative to the real ones' size -> scalar."""
    terms = [
        F.l1_loss(f, r.detach()) / r.detach().abs().mean().clamp_min(1e-5)
        for (_, real_maps), (_, fake_maps) in zip(real, fake, strict=True)
        for r, f in zip(real_maps, fake_maps, strict=True)
    ]
    return torch.stack(terms).mean()
