"""Flow matching along the optimal-transport path: loss, solver, guidance (paper, appendix A).

x0 is noise, x1 data, x_t = (1 - t) x0 + t x1, and the velocity is x1 - x0. What computes the
velocity is a subclass: `heads.dit`, `heads.mlp`, or yours.

Axes: N patches, p frames of a patch, d latent dimensions, D width of the condition, K steps.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from mingtok_audio.core.errors import UserError
from uniaudio_lm.interfaces import GenerationHead

SIGMA = 0.25
"""Scale of the step noise: its standard deviation is SIGMA sqrt(temperature |dt|)."""

# Where a grid of 32 uniform steps keeps a point when there are only K of them: dense near the
# noise, where the path bends (the published tables). Other K are uniform.
_PRUNED = {
    5: (0, 2, 4, 8, 16, 32),
    6: (0, 2, 4, 6, 8, 16, 32),
    7: (0, 2, 4, 6, 8, 16, 24, 32),
    10: (0, 2, 4, 6, 8, 12, 16, 20, 24, 28, 32),
    12: (0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32),
    16: (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32),
}


def solver_times(num_steps: int, sway: float = -1.0, pruned: bool = True) -> Tensor:
    """The times 0 = t_0 < ... < t_K = 1 (K + 1,), float32; uniform before `sway` unless `pruned`
    and there is a published table for K.

    `sway` bends the grid: t = u + sway (cos(pi u / 2) - 1 + u); -1 gives 1 - cos(pi u / 2), 0
    leaves it. Raises `UserError` for fewer than one step.
    """
    if isinstance(num_steps, bool) or not isinstance(num_steps, int) or num_steps < 1:
        raise UserError(f"the number of solver steps is a whole number from 1, not {num_steps}")
    table = _PRUNED.get(num_steps) if pruned else None
    if table is None:
        u = torch.linspace(0, 1, num_steps + 1, dtype=torch.float64)
    else:
        u = torch.tensor(table, dtype=torch.float64) / 32
    return (u + sway * (torch.cos(math.pi / 2 * u) - 1 + u)).float()


class FlowHead(GenerationHead):
    """A generation head by flow matching. Subclasses compute the velocity.

    Args:
        cond_dim: D.
        latent_dim: d.
        patch_size: p.
        cond_dropout: probability of training a patch without its condition, for guidance.
        sway: of the solver's grid; see `solver_times`.
        time_distribution: of t in training. "uniform" is published; "logit_normal" puts more
            weight on the middle of the path, where it is hardest.
    """

    def __init__(  # noqa: PLR0917
        self,
        cond_dim: int,
        latent_dim: int,
        patch_size: int,
        cond_dropout: float = 0.1,
        sway: float = -1.0,
        time_distribution: Literal["uniform", "logit_normal"] = "uniform",
    ) -> None:
        super().__init__()
        for value, what in (
            (cond_dim, "cond_dim"), (latent_dim, "latent_dim"), (patch_size, "patch_size"),
        ):  # fmt: skip
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{what} must be a whole number from 1, not {value!r}")
        if not 0 <= cond_dropout < 1:
            raise ValueError(f"cond_dropout must be in [0, 1), not {cond_dropout}")
        if time_distribution not in ("uniform", "logit_normal"):
            raise ValueError(f"time_distribution is uniform or logit_normal, {time_distribution=}")
        self.cond_dim, self.latent_dim, self.patch_size = cond_dim, latent_dim, patch_size
        self.cond_dropout, self.sway = cond_dropout, sway
        self.pruned = True
        """Whether the solver takes the published tables of steps; see `solver_times`."""
        self.time_distribution = time_distribution

    @abstractmethod
    def prepare(self, times: Tensor, cond: Tensor, history: Tensor) -> Any:
        """Everything of a solver run that does not depend on x.

        Args:
            times: (K, 1) where all patches share the steps, or (K, N).
            cond: (N, D), zero where there is no condition.
            history: (N, p, d).

        Returns:
            What `velocity` takes as `context`.
        """

    @abstractmethod
    def velocity(self, x: Tensor, step: int, context: Any) -> Tensor:
        """Velocity (N, p, d) at x (N, p, d) and times[step]."""

    def velocity_at(self, x: Tensor, t: Tensor, cond: Tensor, history: Tensor) -> Tensor:
        """Velocity (N, p, d) at x (N, p, d), times t (N,), for cond (N, D), history (N, p, d)."""
        return self.velocity(x, 0, self.prepare(t[None], cond, history))

    # --- training --------------------------------------------------------------------------------

    def loss(
        self,
        cond: Tensor,
        target: Tensor,
        history: Tensor,
        *,
        num_samples: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """See `GenerationHead.loss`: mean squared error of the velocity."""
        if num_samples < 1:
            raise UserError(f"num_samples must be at least 1, not {num_samples}")
        if num_samples > 1:
            cond, target, history = (
                v.repeat_interleave(num_samples, dim=0) for v in (cond, target, history)
            )
        count = len(target)
        if self.time_distribution == "uniform":
            t = torch.rand(count, generator=generator)
        else:
            t = torch.randn(count, generator=generator).sigmoid()
        x0 = torch.randn(target.shape, generator=generator).to(target)
        keep = torch.rand(count, generator=generator) >= self.cond_dropout
        if self.training:
            cond = cond * keep.to(cond)[:, None]
        return self.path_loss(cond, target, history, x0, t.to(target))

    def path_loss(  # noqa: PLR0917
        self,
        cond: Tensor,
        x1: Tensor,
        history: Tensor,
        x0: Tensor,
        t: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        """The loss for given noise x0 (N, p, d) and times t (N,), over frames where mask (N, p)."""
        at = t[:, None, None]
        predicted = self.velocity_at((1 - at) * x0 + at * x1, t, cond, history)
        return flow_error(predicted, x0, x1, mask)

    # --- sampling --------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self,
        cond: Tensor,
        history: Tensor,
        *,
        num_steps: int = 10,
        cfg_scale: float = 2.0,
        temperature: float = 0.0,
        init_noise: Tensor | None = None,
        step_noise: Tensor | None = None,
        generators: Sequence[torch.Generator] | None = None,
    ) -> Tensor:
        """See `GenerationHead.sample`."""
        return self.trajectory(
            cond, history, num_steps=num_steps, cfg_scale=cfg_scale, temperature=temperature,
            init_noise=init_noise, step_noise=step_noise, generators=generators,
        )[-1]  # fmt: skip

    @torch.no_grad()
    def trajectory(
        self,
        cond: Tensor,
        history: Tensor,
        *,
        num_steps: int = 10,
        cfg_scale: float = 2.0,
        temperature: float = 0.0,
        init_noise: Tensor | None = None,
        step_noise: Tensor | None = None,
        generators: Sequence[torch.Generator] | None = None,
    ) -> list[Tensor]:
        """The initial noise and where each step leads, before its own noise: K + 1 x (N, p, d)."""
        if not math.isfinite(cfg_scale):
            raise UserError(f"the guidance scale must be a finite number, not {cfg_scale}")
        if not (math.isfinite(temperature) and temperature >= 0):
            raise UserError(f"the temperature must be 0 or more, not {temperature}")
        count = len(cond)
        times = solver_times(num_steps, self.sway, self.pruned)
        steps = times.diff().tolist()
        if generators is not None and len(generators) != count:
            raise ValueError(f"{len(generators)} generators for {count} items")
        shape = (self.patch_size, self.latent_dim)
        if init_noise is None:
            init_noise = _draw(count, shape, generators)
        x = init_noise.to(history)
        if temperature > 0 and step_noise is None:
            step_noise = _draw(count, (num_steps, *shape), generators).transpose(0, 1)
        # Both branches go through the model together: one evaluation a step.
        guided = cfg_scale != 0
        if guided:
            cond = torch.cat((cond, torch.zeros_like(cond)))
            history = torch.cat((history, history))
        context = self.prepare(times[:-1, None].to(history), cond, history)
        path = [x]
        for k, dt in enumerate(steps):
            if guided:
                with_cond, without = self.velocity(torch.cat((x, x)), k, context).chunk(2)
                velocity = with_cond + cfg_scale * (with_cond - without)
            else:
                velocity = self.velocity(x, k, context)
            y = x + dt * velocity
            path.append(y)
            x = y
            if temperature > 0 and step_noise is not None and k + 1 < num_steps:
                x = y + SIGMA * math.sqrt(temperature * abs(dt)) * step_noise[k].to(y)
        return path


def flow_error(predicted: Tensor, x0: Tensor, x1: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared error of a velocity (N, p, d) over the frames where mask (N, p) is true."""
    error = (predicted.float() - (x1 - x0).float()).square()
    if mask is None:
        return error.mean()
    weight = mask.to(error)[..., None]
    return (error * weight).sum() / (weight.sum() * error.shape[-1]).clamp_min(1)


def _draw(
    count: int, shape: tuple[int, ...], generators: Sequence[torch.Generator] | None
) -> Tensor:
    """Unit Gaussian (count, *shape) on the CPU; each item from its own generator."""
    if generators is None:
        return torch.randn(count, *shape, dtype=torch.float32)
    return torch.stack([torch.randn(shape, generator=g, dtype=torch.float32) for g in generators])


def sinusoids(t: Tensor, count: int = 256, scale: float = 1000.0) -> Tensor:
    """Times (...) -> sines and cosines (..., count) of `scale` t at geometric frequencies."""
    half = count // 2
    # In float32 like the published code: `scale * t` reaches 1000 rad, where its rounding shows.
    frequency = torch.exp(
        torch.arange(half, device=t.device).float() * -(math.log(10000.0) / (half - 1))
    )
    angle = scale * t.float()[..., None] * frequency
    return torch.cat((angle.sin(), angle.cos()), dim=-1).to(t.dtype)
