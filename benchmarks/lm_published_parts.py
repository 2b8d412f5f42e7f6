"""The published way of computing the language model's parts, for comparison; see `lm_published`.

Own code after `spec/reference` and the timing notes: the same products, in the same number and
order. Experts in a Python loop with three products each and a synchronisation a layer; keys and
values repeated for their groups, caches that are copied as they grow; the head's time embedding,
history and unconditional branch computed again in every solver step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.modules.transformer import apply_rotary
from uniaudio_lm.parts.heads.flow_matching import SIGMA, sinusoids, solver_times

Cache = list[tuple[Tensor, Tensor]]


class _Expert(nn.Module):
    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.gate, self.up = (nn.Linear(dim, width, bias=False) for _ in range(2))
        self.down = nn.Linear(width, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))


class _Moe(nn.Module):
    def __init__(self, dim: int, width: int, experts: int, top_k: int, shared: int) -> None:
        super().__init__()
        self.top_k = top_k
        self.gate = nn.Linear(dim, experts, bias=False)
        self.experts = nn.ModuleList(_Expert(dim, width) for _ in range(experts))
        self.shared = _Expert(dim, shared * width)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(0, 1)
        scores = F.linear(flat.float(), self.gate.weight.float()).softmax(dim=-1)
        weight, ids = scores.topk(self.top_k, dim=-1)
        weight = weight / weight.sum(dim=-1, keepdim=True)
        counts = ids.new_zeros(len(flat), len(self.experts)).scatter_(1, ids, 1).sum(dim=0)
        order = ids.flatten().argsort()
        rows, parts, start = flat[order // self.top_k], [], 0
        for expert, count in zip(self.experts, counts.cpu().tolist(), strict=True):
            if count:
                parts.append(expert(rows[start : start + count]))
            start += count
        outs = torch.cat(parts)
        back = torch.empty_like(outs)
        back[order] = outs
        mixed = back.view(*ids.shape, -1).float() * weight[..., None]
        return mixed.sum(dim=1).to(x.dtype).view_as(x) + self.shared(x)


class PublishedLlm(nn.Module):
    """Embeddings in, the last hidden states out, and the logits that audio steps do not need."""

    def __init__(  # noqa: PLR0917
        self,
        vocab: int,
        dim: int,
        layers: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        experts: int,
        top_k: int,
        width: int,
        shared: int,
    ) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.norms = nn.ModuleList(nn.RMSNorm(dim, eps=1e-5) for _ in range(2 * layers + 1))
        rows = (heads + 2 * kv_heads) * head_dim
        self.qkv = nn.ModuleList(nn.Linear(dim, rows, bias=False) for _ in range(layers))
        self.out = nn.ModuleList(
            nn.Linear(heads * head_dim, dim, bias=False) for _ in range(layers)
        )
        self.moe = nn.ModuleList(_Moe(dim, width, experts, top_k, shared) for _ in range(layers))
        self.lm_head = nn.Linear(dim, vocab, bias=False)

    def forward(self, x: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """x (B, n, D) and the keys and values so far -> hidden states, keys and values."""
        past = cache[0][0].shape[2] if cache else 0
        b, n, _ = x.shape
        half = self.head_dim // 2
        frequency = 600000.0 ** -(torch.arange(half).float() / half)
        angle = torch.arange(past, past + n).float()[:, None] * frequency
        mask = torch.zeros(b, 1, n, past + n, dtype=x.dtype)
        if n > 1:
            mask.masked_fill_(torch.ones(n, past + n).triu(past + 1).bool(), -torch.inf)
        grown: Cache = []
        for i, (qkv, out, moe) in enumerate(zip(self.qkv, self.out, self.moe, strict=True)):
            heads = qkv(self.norms[2 * i](x)).view(b, n, -1, self.head_dim).transpose(1, 2)
            q, k, v = heads.split([self.heads, self.kv_heads, self.kv_heads], dim=1)
            q = apply_rotary(q, angle.cos(), angle.sin(), "half")
            k = apply_rotary(k, angle.cos(), angle.sin(), "half")
            if cache:
                k, v = torch.cat((cache[i][0], k), dim=2), torch.cat((cache[i][1], v), dim=2)
            grown.append((k, v))
            groups = self.heads // self.kv_heads
            k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
            x = x + out(mixed.transpose(1, 2).flatten(2))  # (B, N, n, E) -> (B, n, N E)
            x = x + moe(self.norms[2 * i + 1](x))
        x = self.norms[-1](x)
        self.lm_head(x[:, -1:])
        return x, grown


class _DitBlock(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = (nn.RMSNorm(dim, eps=1e-6) for _ in range(2))
        self.q, self.k, self.v, self.out = (nn.Linear(dim, dim) for _ in range(4))
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        h = self.norm1(x)
        q, k, v = (
            part(h).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.q, self.k, self.v)
        )
        q, k = (apply_rotary(part, cos, sin, "interleaved") for part in (q, k))
        mixed = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class PublishedDit(nn.Module):
    """The published head: everything in every step."""

    def __init__(self, cond_dim: int, latent_dim: int, dim: int, depth: int, heads: int) -> None:
        super().__init__()
        self.time_in, self.time_out = nn.Linear(256, dim), nn.Linear(dim, dim)
        self.cond, self.x_embedder = nn.Linear(cond_dim, dim), nn.Linear(latent_dim, dim)
        self.blocks = nn.ModuleList(_DitBlock(dim, heads) for _ in range(depth))
        self.norm, self.linear = nn.RMSNorm(dim, eps=1e-6), nn.Linear(dim, latent_dim)
        self.head_dim = dim // heads

    def forward(self, x: Tensor, t: Tensor, cond: Tensor, history: Tensor) -> Tensor:
        time = self.time_out(F.silu(self.time_in(sinusoids(t))))
        first = (time + self.cond(cond))[:, None]
        tokens = torch.cat((first, self.x_embedder(history), self.x_embedder(x)), dim=1)
        exponent = torch.arange(0, self.head_dim, 2).float() / self.head_dim
        angle = torch.arange(tokens.shape[1]).float()[:, None] * 10000.0**-exponent
        for block in self.blocks:
            tokens = block(tokens, angle.cos(), angle.sin())
        return self.linear(self.norm(tokens))[:, -x.shape[1] :]

    def sample(self, cond: Tensor, history: Tensor, num_steps: int, scale: float) -> Tensor:
        """Guided Euler steps with the published noise, temperature 1.5."""
        times = solver_times(num_steps)
        x = torch.randn_like(history)
        for k in range(num_steps):
            dt = times[k + 1] - times[k]
            t = times[k].expand(2 * len(x)).to(x)
            both = self(
                torch.cat((x, x)), t, torch.cat((cond, torch.zeros_like(cond))),
                torch.cat((history, history)),
            )  # fmt: skip
            with_cond, without = both.chunk(2)
            y = x + dt * (with_cond + scale * (with_cond - without))
            x = y + SIGMA * (1.5 * dt).sqrt() * torch.randn_like(y)
        return y


class PublishedSemantic(nn.Module):
    """The semantic module: pre-norm blocks on all frames so far, the cache by concatenation."""

    def __init__(self, latent_dim: int, hidden: int, dim: int, layers: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.fc1, self.fc2 = nn.Linear(latent_dim, hidden), nn.Linear(hidden, dim)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2 * layers + 1))
        self.q, self.v, self.out = (
            nn.ModuleList(nn.Linear(dim, dim) for _ in range(layers)) for _ in range(3)
        )
        self.k = nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in range(layers))
        self.up = nn.ModuleList(nn.Linear(dim, 4 * dim) for _ in range(layers))
        self.down = nn.ModuleList(nn.Linear(4 * dim, dim) for _ in range(layers))

    def forward(self, latents: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """latents (B, n, d) -> features (B, n, H), keys and values."""
        x = self.fc2(F.gelu(self.fc1(latents)))
        n, past = x.shape[1], cache[0][0].shape[2] if cache else 0
        half = x.shape[-1] // self.heads // 2
        frequency = 10000.0 ** -(torch.arange(half).float() / half)
        angle = torch.arange(past, past + n).float()[:, None] * frequency
        mask = torch.ones(n, past + n).tril(past).bool()
        grown: Cache = []
        for i in range(len(self.q)):
            h = self.norms[2 * i](x)
            q, k, v = (
                part[i](h).unflatten(-1, (self.heads, -1)).transpose(1, 2)
                for part in (self.q, self.k, self.v)
            )
            q, k = (apply_rotary(part, angle.cos(), angle.sin(), "interleaved") for part in (q, k))
            if cache:
                k, v = torch.cat((cache[i][0], k), dim=2), torch.cat((cache[i][1], v), dim=2)
            grown.append((k, v))
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
            x = x + self.out[i](mixed.transpose(1, 2).flatten(2))
            x = x + self.down[i](F.gelu(self.up[i](self.norms[2 * i + 1](x))))
        return self.norms[-1](x), grown
