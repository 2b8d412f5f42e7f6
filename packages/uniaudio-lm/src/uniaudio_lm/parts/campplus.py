"""CAM++, the speaker model: filter bank features to one embedding of a voice.

Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware
Masking" (2023), as 3D-Speaker trained it. A small two-dimensional residual network reads the
spectrum, a densely connected time-delay network reads its channels, and mean and deviation over
time give the embedding. Every normalisation is an affine map here, and those that follow a
convolution are part of it.

Axes: B clips, F frames of 10 ms, M mel bins, T frames of 20 ms, C channels, E embedding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.core.errors import AudioError
from uniaudio_lm.parts.speaker_features import kaldi_fbank

SEGMENT = 100  # frames whose mean is the local context of each of them


@dataclass(frozen=True)
class CampPlusConfig:
    """Sizes; the defaults are the published ones.

    Attributes:
        mel_bins: M, a multiple of 8.
        front_channels: of the two-dimensional network.
        channels: after the first time-delay layer.
        growth: channels that each dense layer adds.
        bottleneck: channels inside a dense layer.
        layers, kernels, dilations: of each block of dense layers.
        dim: E.
    """

    mel_bins: int = 80
    front_channels: int = 32
    channels: int = 128
    growth: int = 32
    bottleneck: int = 128
    layers: tuple[int, ...] = (12, 24, 16)
    kernels: tuple[int, ...] = (3, 3, 3)
    dilations: tuple[int, ...] = (1, 2, 2)
    first_kernel: int = 5
    dim: int = 192


class Affine(nn.Module):
    """A normalisation with fixed statistics: x * scale + shift for each channel (dimension 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        return x * self.scale[:, None] + self.shift[:, None]


class _Residual(nn.Module):
    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, (stride, 1), 1)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)
        self.shortcut = nn.Conv2d(channels, channels, 1, (stride, 1)) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        inside = self.second(F.relu(self.first(x)))
        return F.relu(inside + (x if self.shortcut is None else self.shortcut(x)))


class _DenseLayer(nn.Module):
    """A time-delay layer whose outputs are masked by what the clip and the segment sound like."""

    def __init__(self, width: int, config: CampPlusConfig, kernel: int, dilation: int) -> None:
        super().__init__()
        inner = config.bottleneck
        self.norm = Affine(width)
        self.squeeze = nn.Conv1d(width, inner, 1)
        pad = (kernel - 1) // 2 * dilation
        self.local = nn.Conv1d(inner, config.growth, kernel, padding=pad, dilation=dilation)
        self.context = nn.Conv1d(inner, inner // 2, 1)
        self.mask = nn.Conv1d(inner // 2, config.growth, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(F.relu(self.norm(x))))
        segments = F.avg_pool1d(x, SEGMENT, SEGMENT, ceil_mode=True)
        near = segments.repeat_interleave(SEGMENT, dim=-1)[..., : x.shape[-1]]
        context = F.relu(self.context(x.mean(dim=-1, keepdim=True) + near))
        return self.local(x) * self.mask(context).sigmoid()


class _Transit(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = Affine(width)
        self.halve = nn.Conv1d(width, width // 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.halve(F.relu(self.norm(x)))


class CampPlus(nn.Module):
    """See the module. Random weights until they are loaded."""

    def __init__(self, config: CampPlusConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or CampPlusConfig()
        front = config.front_channels
        self.first = nn.Conv2d(1, front, 3, 1, 1)
        self.residual = nn.ModuleList(_Residual(front, stride) for stride in (2, 1, 2, 1))
        self.last = nn.Conv2d(front, front, 3, (2, 1), 1)
        kernel, width = config.first_kernel, config.channels
        self.delay = nn.Conv1d(
            front * (config.mel_bins // 8), width, kernel, 2, padding=(kernel - 1) // 2
        )
        self.blocks = nn.ModuleList()
        self.transits = nn.ModuleList()
        for layers, kernel, dilation in zip(
            config.layers, config.kernels, config.dilations, strict=True
        ):
            block = nn.ModuleList()
            for _ in range(layers):
                block.append(_DenseLayer(width, config, kernel, dilation))
                width += config.growth
            self.blocks.append(block)
            self.transits.append(_Transit(width))
            width //= 2
        self.dense = nn.Conv1d(2 * width, config.dim, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Features less their mean over time (B, F, M) -> embeddings (B, E)."""
        x = F.relu(self.first(features.transpose(1, 2)[:, None]))
        for layer in self.residual:
            x = layer(x)
        x = F.relu(self.last(x)).flatten(1, 2)  # (B, C, M / 8, F) -> (B, C M / 8, F)
        x = F.relu(self.delay(x))
        for block, transit in zip(self.blocks, self.transits, strict=True):
            assert isinstance(block, nn.ModuleList)
            for layer in block:
                x = torch.cat((x, layer(x)), dim=1)
            x = transit(x)
        x = F.relu(x)
        pooled = torch.cat((x.mean(dim=-1), x.std(dim=-1)), dim=1)
        return self.dense(pooled[..., None])[..., 0]

    @torch.no_grad()
    def embed(self, wav: Tensor) -> Tensor:
        """The embedding (E,) of a voice: 16 kHz samples (T,) in [-1, 1].

        Raises:
            AudioError: a voice of fewer than 3 frames (45 ms), which has no deviation over time.
        """
        bank = kaldi_fbank(wav)
        if len(bank) < 3:
            raise AudioError("a voice of less than 45 ms gives no speaker embedding")
        return self((bank - bank.mean(dim=0))[None])[0]

    def layers(self) -> Iterator[nn.Module]:
        """Convolutions and normalisations in the order in which they are carried out."""
        yield self.first
        for layer in self.residual:
            assert isinstance(layer, _Residual)
            yield from (layer.first, layer.second)
            if layer.shortcut is not None:
                yield layer.shortcut
        yield from (self.last, self.delay)
        for block, transit in zip(self.blocks, self.transits, strict=True):
            assert isinstance(block, nn.ModuleList) and isinstance(transit, _Transit)
            for layer in block:
                assert isinstance(layer, _DenseLayer)
                yield from (layer.norm, layer.squeeze, layer.local, layer.context, layer.mask)
            yield from (transit.norm, transit.halve)
        yield self.dense
