"""Mixture of experts with several routers, without a Python loop over all experts.

Axes: T tokens, D width, F expert width, E experts, K experts per token, R routers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniaudio_lm.tensors import is_plain

ROUTERS = ("text", "audio", "image")
# Up to this many (token, expert) pairs, a device other than a CPU computes each pair on its own.
_FEW_PAIRS = 32


class SwiGlu(nn.Module):
    """down(silu(gate x) * up x), gate and up in one product."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(dim, 2 * width, bias=False)
        self.down = nn.Linear(width, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class Router(nn.Module):
    """Which experts a token goes to. One weight holds the rows of all routers, text first."""

    def __init__(self, dim: int, experts: int, top_k: int, routers: int, normalize: bool) -> None:
        super().__init__()
        self.experts, self.top_k, self.routers = experts, top_k, routers
        self.normalize = normalize and top_k > 1
        self.weight = nn.Parameter(torch.empty(routers * experts, dim))
        nn.init.normal_(self.weight, std=dim**-0.5)

    def logits(self, x: Tensor, audio_mask: Tensor | None) -> Tensor:
        """x (T, D), audio_mask (T,) True = audio router -> (T, E) float32."""
        rows = self.experts
        text = F.linear(x.float(), self.weight[:rows].float())
        if audio_mask is None or self.routers == 1:
            return text
        audio = F.linear(x.float(), self.weight[rows : 2 * rows].float())
        return torch.where(audio_mask[:, None], audio, text)

    def forward(self, x: Tensor, audio_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """x (T, D) -> expert ids (T, K) and their weights (T, K), float32."""
        scores = self.logits(x, audio_mask).softmax(dim=-1)
        weight, ids = scores.topk(self.top_k, dim=-1)
        if self.normalize:
            weight = weight / weight.sum(dim=-1, keepdim=True)
        return ids, weight


class SparseMoe(nn.Module):
    """Routed experts, and one shared expert that every token passes.

    Attributes:
        stacked: the weights of three axes are stacks of matrices, (experts, out, in).
    """

    stacked = True

    def __init__(  # noqa: PLR0917
        self,
        dim: int,
        width: int,
        experts: int,
        top_k: int,
        shared_width: int,
        routers: int,
        normalize: bool,
    ) -> None:
        super().__init__()
        self.router = Router(dim, experts, top_k, routers, normalize)
        self.gate_up = nn.Parameter(torch.empty(experts, 2 * width, dim))
        self.down = nn.Parameter(torch.empty(experts, dim, width))
        nn.init.normal_(self.gate_up, std=dim**-0.5)
        nn.init.normal_(self.down, std=width**-0.5)
        self.shared = SwiGlu(dim, shared_width) if shared_width else None

    def forward(self, x: Tensor, audio_mask: Tensor | None = None) -> Tensor:
        """x (B, n, D), audio_mask (B, n) -> (B, n, D)."""
        flat = x.flatten(0, 1)
        mask = None if audio_mask is None else audio_mask.flatten()
        ids, weight = self.router(flat, mask)
        if flat.device.type == "cpu":
            # Several tokens share experts, whose weights are then read once.
            compute = self._chosen if len(flat) == 1 else self._grouped
            mixed = compute(flat, ids, weight)
        elif ids.numel() > _FEW_PAIRS or not is_plain(self.gate_up):
            mixed = self._grouped(flat, ids, weight)
        else:
            mixed = self._gathered(flat, ids, weight)
        out = mixed.to(x.dtype).view_as(x)
        return out if self.shared is None else out + self.shared(x)

    def _chosen(self, x: Tensor, ids: Tensor, weight: Tensor) -> Tensor:
        """Each pair on its own, reading the experts' weights where they lie.

        For CPUs: nothing is copied, and reading the ids waits for nobody.
        """
        rows = []
        for token, experts in enumerate(ids.tolist()):
            outs = []
            for expert in experts:
                gate, up = F.linear(x[token], self.gate_up[expert]).chunk(2)
                outs.append(F.linear(F.silu(gate) * up, self.down[expert]).float())
            rows.append(weight[token] @ torch.stack(outs))
        return torch.stack(rows)

    def _gathered(self, x: Tensor, ids: Tensor, weight: Tensor) -> Tensor:
        """The chosen experts' weights gathered: no synchronisation with the device."""
        tokens, k = ids.shape
        pairs = x[:, None].expand(-1, k, -1).reshape(tokens * k, -1, 1)
        chosen = ids.flatten()
        gate, up = torch.bmm(self.gate_up[chosen], pairs).squeeze(-1).chunk(2, dim=-1)
        out = torch.bmm(self.down[chosen], (F.silu(gate) * up)[..., None])
        return (out.view(tokens, k, -1).float() * weight[..., None]).sum(dim=1)

    def _grouped(self, x: Tensor, ids: Tensor, weight: Tensor) -> Tensor:
        """Pairs sorted by expert, and one grouped product for each layer of all experts."""
        k = ids.shape[1]
        order = ids.flatten().argsort(stable=True)
        counts = ids.new_zeros(len(self.gate_up)).scatter_add_(
            0, ids.flatten(), torch.ones_like(ids.flatten())
        )
        sorted_x = x[order // k]
        gate, up = grouped_linear(sorted_x, self.gate_up, counts).chunk(2, dim=-1)
        out = grouped_linear(F.silu(gate) * up, self.down, counts).float()
        # Back to (token, choice) order: a sum in a fixed order, the same on every run.
        rows = out[order.argsort()].view(len(x), k, -1)
        return torch.bmm(weight[:, None], rows).squeeze(1)


def grouped_linear(x: Tensor, weight: Tensor, counts: Tensor) -> Tensor:
    """Rows of x (M, D), sorted by group with `counts` (E,) rows each, times weight (E, out, D).

    One call where torch has it for this device and dtype; otherwise one product per group that has
    rows.
    """
    grouped = getattr(F, "grouped_mm", None)
    native = x.device.type == "cpu" or (x.device.type == "cuda" and x.dtype == torch.bfloat16)
    # It wants rows that begin at multiples of 16 bytes, and numbers as they are.
    aligned = all(size * x.element_size() % 16 == 0 for size in weight.shape[1:])
    fits = native and aligned and is_plain(weight)
    if grouped is not None and fits and not torch.is_grad_enabled():
        return grouped(x, weight.transpose(1, 2), offs=counts.cumsum(0).to(torch.int32))
    parts = [
        F.linear(part, weight[expert])
        for expert, part in enumerate(x.split(counts.tolist()))
        if len(part)
    ]
    return torch.cat(parts)
