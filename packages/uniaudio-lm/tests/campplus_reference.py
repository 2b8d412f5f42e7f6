"""The published CAM++ network with its own normalisations, and ONNX files of it with random
weights. Written from the paper and the published structure; used by tests only."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _NormRelu(nn.Sequential):
    def __init__(self, channels: int) -> None:
        super().__init__(nn.BatchNorm1d(channels), nn.ReLU())


class _Block2d(nn.Module):
    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, (stride, 1), 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, channels, 1, (stride, 1), bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + self.shortcut(x))


class _Cam(nn.Module):
    def __init__(self, inner: int, growth: int, kernel: int, dilation: int) -> None:
        super().__init__()
        pad = (kernel - 1) // 2 * dilation
        self.linear_local = nn.Conv1d(
            inner, growth, kernel, padding=pad, dilation=dilation, bias=False
        )
        self.linear1 = nn.Conv1d(inner, inner // 2, 1)
        self.linear2 = nn.Conv1d(inner // 2, growth, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear_local(x)
        parts = F.avg_pool1d(x, 100, 100, ceil_mode=True)
        shape = parts.shape
        near = parts.unsqueeze(-1).expand(*shape, 100).reshape(*shape[:-1], -1)[..., : x.shape[-1]]
        context = F.relu(self.linear1(x.mean(-1, keepdim=True) + near))
        return y * torch.sigmoid(self.linear2(context))


class _Layer(nn.Module):
    def __init__(self, width: int, inner: int, growth: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = _NormRelu(width)
        self.linear1 = nn.Conv1d(width, inner, 1, bias=False)
        self.nonlinear2 = _NormRelu(inner)
        self.cam_layer = _Cam(inner, growth, kernel, dilation)

    def forward(self, x: Tensor) -> Tensor:
        return self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))


class Reference(nn.Module):
    def __init__(
        self,
        *,
        layers: tuple[int, ...] = (12, 24, 16),
        dilations: tuple[int, ...] = (1, 2, 2),
        front: int = 32,
        channels: int = 128,
        growth: int = 32,
        dim: int = 192,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, front, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(front)
        self.residual = nn.Sequential(*(_Block2d(front, s) for s in (2, 1, 2, 1)))
        self.conv2 = nn.Conv2d(front, front, 3, (2, 1), 1, bias=False)
        self.bn2 = nn.BatchNorm2d(front)
        self.tdnn = nn.Conv1d(front * 10, channels, 5, 2, 2, bias=False)
        self.tdnn_nonlinear = _NormRelu(channels)
        self.blocks, self.transits = nn.ModuleList(), nn.ModuleList()
        width = channels
        for count, dilation in zip(layers, dilations, strict=True):
            block = nn.ModuleList()
            for _ in range(count):
                block.append(_Layer(width, 4 * growth, growth, 3, dilation))
                width += growth
            self.blocks.append(block)
            self.transits.append(
                nn.Sequential(_NormRelu(width), nn.Conv1d(width, width // 2, 1, bias=False))
            )
            width //= 2
        self.out_nonlinear = _NormRelu(width)
        self.dense = nn.Conv1d(2 * width, dim, 1, bias=False)
        self.dense_norm = nn.BatchNorm1d(dim, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 1).unsqueeze(1)
        x = self.residual(F.relu(self.bn1(self.conv1(x))))
        x = F.relu(self.bn2(self.conv2(x)))
        x = x.reshape(x.shape[0], x.shape[1] * x.shape[2], x.shape[3])
        x = self.tdnn_nonlinear(self.tdnn(x))
        for block, transit in zip(self.blocks, self.transits, strict=True):
            assert isinstance(block, nn.ModuleList)
            for layer in block:
                x = torch.cat([x, layer(x)], dim=1)
            x = transit(x)
        x = self.out_nonlinear(x)
        x = torch.cat([x.mean(dim=-1), x.std(dim=-1, unbiased=True)], dim=-1)
        return self.dense_norm(self.dense(x.unsqueeze(-1)).squeeze(-1))


TINY = {"layers": (2, 3, 1), "front": 4, "channels": 16, "growth": 8}


def write_campplus(path: Path, seed: int = 0, fold: bool = True, **sizes: object) -> Path:
    """An ONNX file of the network with random weights and statistics.

    Args:
        fold: as the published export: what can be is folded into convolutions. False leaves every
            normalisation a node of its own.
    """
    torch.manual_seed(seed)
    model = Reference(**sizes).eval()  # type: ignore[arg-type]
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)  # else the input hardly reaches the output
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 2.0)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.2)
    mode = torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(
        model,
        (torch.randn(1, 250, 80),),
        str(path),
        dynamo=False,
        training=mode,
        do_constant_folding=fold,
        input_names=["input"],
        output_names=["output"],
        dynamic_axes={"input": {0: "B", 1: "T"}},
        opset_version=14,
    )
    return path
