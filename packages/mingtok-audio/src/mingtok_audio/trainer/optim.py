"""Optimisers and schedules: Muon for the matrices of the transformers, AdamW for the rest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mingtok_audio.core.runtime import cpu_half_dtypes

# Quintic Newton-Schulz coefficients of Muon (Jordan, 2024): fast, to singular values in about
# [0.7, 1.2] in five steps.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalised(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices of (..., m, n), roughly: singular values near 1.

    In bfloat16 where the machine multiplies it in hardware (accelerators, CPUs with AMX or AVX-512
    BF16), else in the matrix's own dtype: on other CPUs bfloat16 is up to a hundred times slower.
    """
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.mT if tall else matrix
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    if matrix.device.type != "cpu" or "bfloat16" in cpu_half_dtypes():
        x = x.bfloat16()
    for _ in range(steps):
        gram = x @ x.mT
        x = _affine(x, _affine(gram, gram, gram, b, c), x, a, 1.0)
    return (x.mT if tall else x).to(matrix.dtype)


def _affine(added: Tensor, left: Tensor, right: Tensor, beta: float, alpha: float) -> Tensor:
    """beta * added + alpha * left @ right, in one product."""
    product = torch.addmm if added.ndim == 2 else torch.baddbmm
    return product(added, left, right, beta=beta, alpha=alpha)


def blockwise(matrix: Tensor, block: int | None) -> Tensor:
    """Orthogonalise a matrix in blocks of `block` rows (or columns, if it is wide).

    A block is about one attention head or a group of neurons: the update has the same scale, and
    costs a fraction of the whole matrix's on one CPU thread. None takes the matrix whole.
    """
    rows, columns = matrix.shape
    if block is None or max(rows, columns) % block or max(rows, columns) == block:
        return orthogonalised(matrix)
    if rows >= columns:
        return orthogonalised(matrix.unflatten(0, (-1, block))).flatten(0, 1)
    return blockwise(matrix.T, block).T


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised (Nesterov form), with decoupled weight decay; 2-D weights only."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        block: int | None = None,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "block": block}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update from the gradients that are there."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                buffer = state["momentum"]
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = blockwise(p.grad.lerp(buffer, group["momentum"]), group["block"])
                # Every entry moves by about lr * sqrt(1 / columns), whatever the blocks.
                scale = math.sqrt(max(1.0, p.shape[0] / p.shape[1])) * _rms(p, update)
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * scale)


def _rms(parameter: Tensor, update: Tensor) -> float:
    """Factor that gives a blockwise update the norm that the whole matrix's would have."""
    return math.sqrt(min(parameter.shape)) / max(float(update.norm()), 1e-7)


def build_optimizers(
    model: nn.Module,
    *,
    lr: float,
    muon_lr: float | None,
    muon_block: int | None = None,
    betas: tuple[float, float] = (0.8, 0.99),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    scales: Mapping[str, float] | None = None,
) -> list[torch.optim.Optimizer]:
    """AdamW, and Muon for the 2-D weights inside transformer blocks when `muon_lr` is given.

    `scales`: beginnings of parameter names, and factors of their learning rates; the longest
    beginning counts.
    """
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    matrices = [(n, p) for n, p in named if muon_lr is not None and p.ndim == 2 and ".blocks." in n]
    chosen = {id(p) for _, p in matrices}
    rest = [(n, p) for n, p in named if id(p) not in chosen]
    optimizers: list[torch.optim.Optimizer] = []
    if rest:
        groups = _groups(rest, lr, scales or {})
        optimizers.append(
            torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        )
    if matrices and muon_lr is not None:
        groups = _groups(matrices, muon_lr, scales or {})
        optimizers.append(Muon(groups, lr=muon_lr, weight_decay=weight_decay, block=muon_block))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def _groups(
    named: list[tuple[str, nn.Parameter]], lr: float, scales: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Parameters of one learning rate each, in a fixed order."""
    by_scale: dict[float, list[nn.Parameter]] = {}
    for name, parameter in named:
        fitting = [k for k in scales if name.startswith(k)]
        scale = scales[max(fitting, key=len)] if fitting else 1.0
        by_scale.setdefault(scale, []).append(parameter)
    return [{"params": p, "lr": lr * s} for s, p in sorted(by_scale.items(), reverse=True)]


def schedule(kind: str, step: int, max_steps: int, warmup: int, decay_fraction: float) -> float:
    """Factor of the peak learning rate at a step.

    "constant"; "cosine" to zero; "trapezoid": constant, then linear to zero over the last
    `decay_fraction` of the run.
    """
    if step < warmup:
        return (step + 1) / warmup
    if kind == "constant":
        return 1.0
    if kind == "cosine":
        progress = (step - warmup) / max(1, max_steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    if kind == "trapezoid":
        return min(1.0, max(0, max_steps - step) / max(1.0, decay_fraction * max_steps))
    raise ValueError(f"unknown schedule {kind!r}: constant, cosine or trapezoid")
