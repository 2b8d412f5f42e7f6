"""The kit of stop detectors."""

from __future__ import annotations

from typing import Any

import torch

from mingtok_audio.core.plugins import CheckResult
from mingtok_audio.core.plugins.conformance import require
from uniaudio_lm.conformance.common import (
    DIM,
    LATENT,
    PATCH,
    Kit,
    random,
    run,
    save_and_load,
    shaken,
    small,
)
from uniaudio_lm.interfaces import StopDetector, TextInfo


def check_stop_detector(detector: type, **options: Any) -> list[CheckResult]:
    """Check a detector class against the rules of `StopDetector`; `options` build it."""
    kit = StopKit(detector, small(detector, options, {"dim": DIM}))
    return run(
        [
            ("decisions", kit.decisions),
            ("minimum and maximum", kit.bounds),
            ("batch equals single", kit.batch),
            ("broken numbers", kit.broken_numbers),
            ("gradient", kit.gradient),
            ("save and load", kit.save_load),
        ]
    )


class StopKit(Kit):
    interface = StopDetector

    def decisions(self) -> None:
        detector = shaken(self.make())
        state = detector.start(3, [TextInfo()] * 3)
        for step in range(1, 4):
            made = detector.update(state, random(3, DIM), random(3, PATCH, LATENT), step)
            require(made.stop.shape == (3,) and made.stop.dtype == torch.bool, "stop is no (N,)")
            require(len(made.reason) == 3 and made.probability.shape == (3,), "not one per item")
            known = {"", "stop", "max_length", "silence", "loop"}
            require(set(made.reason) <= known, f"unknown reason in {made.reason}")
            agree = [bool(r) for r in made.reason] == made.stop.tolist()
            require(agree, "stop and reason disagree")

    def bounds(self) -> None:
        detector = shaken(self.make())
        info = TextInfo(min_patches=4, max_patches=9, expected_seconds=0.6)
        for scale in (-50.0, 0.0, 50.0):
            state, reason = detector.start(1, [info]), ""
            for step in range(1, 10):
                hidden = scale * random(1, DIM)
                made = detector.update(state, hidden, random(1, PATCH, LATENT, seed=step), step)
                reason = made.reason[0]
                early = step < 4 and reason == "stop"
                require(not early, f"it stopped at patch {step}, before the minimum of 4")
                if reason:
                    break
            require(bool(reason), "it went past the maximum")

    def batch(self) -> None:
        detector = shaken(self.make())
        hidden = 3 * random(8, 4, DIM)
        patches = random(8, 4, PATCH, LATENT, seed=1)
        infos = [TextInfo(max_patches=n) for n in (3, 8, 5, 6)]
        alone = []
        for i in range(4):
            state = detector.start(1, [infos[i]])
            alone.append(
                [
                    detector.update(
                        state, hidden[t, i : i + 1], patches[t, i : i + 1], t + 1
                    ).reason[0]
                    for t in range(8)
                ]
            )
        state, items = detector.start(4, infos), [0, 1, 2, 3]
        for t in range(8):
            if t == 2:
                items = [0, 3, 2]
                state = detector.select(state, items)
            made = detector.update(state, hidden[t, items], patches[t, items], t + 1)
            expected = [alone[i][t] for i in items]
            require(made.reason == expected, f"patch {t + 1}: {made.reason}, alone {expected}")

    def broken_numbers(self) -> None:
        detector = shaken(self.make())
        state = detector.start(1, [TextInfo(max_patches=5)])
        nan = torch.full((1, DIM), torch.nan)
        reason = ""
        for step in range(1, 6):
            made = detector.update(state, nan, torch.full((1, PATCH, LATENT), torch.nan), step)
            reason = made.reason[0]
            if reason:
                break
        require(reason == "max_length", f"NaN ended with {reason!r}")

    def gradient(self) -> str:
        detector = shaken(self.make()).train()
        hidden = random(2, 12, DIM).requires_grad_()
        loss = detector.loss(hidden, torch.tensor([12, 7]))
        require(loss.dim() == 0 and bool(loss.isfinite()), "the loss is not a finite scalar")
        loss.backward()
        require(hidden.grad is not None, "no gradient reaches the hidden states")
        assert hidden.grad is not None
        require(not bool(hidden.grad[1, 7:].any()), "a gradient reaches the padding")
        return self.reached(detector)

    def save_load(self) -> None:
        module, again = save_and_load(self.make, "stop_detector")
        found = []
        for detector in (module, again):
            state = detector.start(2, [TextInfo()] * 2)
            made = detector.update(state, random(2, DIM), random(2, PATCH, LATENT), 20)
            found.append(made.probability)
        require(torch.equal(*found), "loaded weights give other probabilities")
