"""The kit of generation heads."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mingtok_audio.core.plugins import CheckResult
from mingtok_audio.core.plugins.conformance import require
from uniaudio_lm.conformance.common import (
    DIM,
    LATENT,
    PATCH,
    TOLERANCE,
    Kit,
    difference,
    random,
    run,
    save_and_load,
    shaken,
    small,
)
from uniaudio_lm.interfaces import GenerationHead


def check_generation_head(head: type, **options: Any) -> list[CheckResult]:
    """Check a head class against the rules of `GenerationHead`; `options` build it."""
    kit = HeadKit(
        head, small(head, options, {"cond_dim": DIM, "latent_dim": LATENT, "patch_size": PATCH})
    )
    return run(
        [
            ("shapes, steps and guidance", kit.shapes),
            ("guidance", kit.guidance),
            ("randomness", kit.randomness),
            ("batch equals single", kit.batch),
            ("gradient", kit.gradient),
            ("save and load", kit.save_load),
        ]
    )


class HeadKit(Kit):
    interface = GenerationHead

    def _inputs(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        shape = (count, PATCH, LATENT)
        return random(count, DIM), random(*shape, seed=1), random(*shape, seed=2)

    def shapes(self) -> str:
        head = shaken(self.make())
        cond, history, noise = self._inputs(3)
        for steps in (1, 2, 5, 10):
            for scale in (0.0, 0.5, 1.0, 2.0):
                out = head.sample(cond, history, num_steps=steps, cfg_scale=scale, init_noise=noise)
                require(out.shape == noise.shape, f"a patch is {tuple(out.shape)}")
                require(bool(out.isfinite().all()), f"{steps} steps, guidance {scale}: not finite")
        return "1 to 10 steps, guidance 0 to 2"

    def guidance(self) -> None:
        head = shaken(self.make())
        cond, history, noise = self._inputs(2)
        found = [
            head.sample(cond, history, num_steps=1, cfg_scale=s, init_noise=noise)
            for s in (0.0, 1.0, 2.0)
        ]
        # One Euler step is linear in the velocity, and that in the guidance.
        error = difference(found[2] - found[1], found[1] - found[0])
        require(error <= TOLERANCE, f"one step is not linear in the guidance: {error:.2g}")
        require(difference(found[0], found[2]) > 0, "guidance changes nothing")

    def randomness(self) -> None:
        head = shaken(self.make())
        cond, history, noise = self._inputs(2)

        def sample(seed: int) -> Tensor:
            torch.manual_seed(seed + 100)  # the global generator must not matter
            generators = [torch.Generator().manual_seed(seed + i) for i in range(2)]
            return head.sample(cond, history, num_steps=3, temperature=1.0, generators=generators)

        first = sample(0)
        require(torch.equal(first, sample(0)), "the same generators give other patches")
        require(difference(first, sample(5)) > 0, "the generators change nothing")
        cold = [head.sample(cond, history, num_steps=3, init_noise=noise) for _ in range(2)]
        require(torch.equal(*cold), "temperature 0 with a given initial draw is not deterministic")

    def batch(self) -> str:
        head = shaken(self.make())
        cond, history, noise = self._inputs(4)
        steps = random(3, 4, PATCH, LATENT, seed=3)
        options: dict[str, Any] = {"num_steps": 3, "temperature": 1.5}
        whole = head.sample(cond, history, init_noise=noise, step_noise=steps, **options)
        worst = 0.0
        for i in range(4):
            one = slice(i, i + 1)
            alone = head.sample(
                cond[one], history[one], init_noise=noise[one], step_noise=steps[:, one], **options
            )
            worst = max(worst, difference(alone, whole[one]))
        require(worst <= TOLERANCE, f"an item differs by {worst:.2g} in a batch")
        return f"largest difference {worst:.1g}"

    def gradient(self) -> str:
        head = shaken(self.make()).train()
        cond, history, target = self._inputs(6)
        cond.requires_grad_()
        generator = torch.Generator().manual_seed(0)
        loss = head.loss(cond, target, history, num_samples=2, generator=generator)
        require(loss.dim() == 0 and bool(loss.isfinite()), "the loss is not a finite scalar")
        loss.backward()
        require(cond.grad is not None and bool(cond.grad.any()), "no gradient reaches cond")
        return self.reached(head)

    def save_load(self) -> None:
        module, again = save_and_load(self.make, "generation_head")
        cond, history, noise = self._inputs(2)
        one, two = (m.sample(cond, history, num_steps=2, init_noise=noise) for m in (module, again))
        require(torch.equal(one, two), "loaded weights give other patches")
