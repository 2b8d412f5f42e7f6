"""The learned stop head with bounds from the text, and silence and loop detection.

A learned head alone ends too early or never; both are what users complain about most. The guards
never claim to be the head: their ends have reasons of their own.

Axes: N items, p frames of a patch, d latent dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from uniaudio_lm.interfaces import StopDecision, StopReason, TextInfo
from uniaudio_lm.parts.stop.linear import LinearState, LinearStop, decision


@dataclass
class GuardedState(LinearState):
    """Adds what each item has said lately."""

    silent: list[int] = field(default_factory=list)
    """Silent patches in a row."""
    recent: list[list[Tensor]] = field(default_factory=list)
    """The means (d,) of the last patches."""


class GuardedStop(LinearStop):
    """`linear`, guarded.

    Args:
        dim, threshold, min_patches, max_patches, stop_after_patch: see `LinearStop`.
        min_share: of the expected length, before which the head is not believed.
        max_share: of the expected length, at which speech ends (plus `slack_seconds`).
        slack_seconds: added to the upper bound, for pauses and slow voices.
        silence_seconds: of digital silence in a row that end speech.
        silence_distance: root mean square distance per latent dimension below which a patch
            counts as silent.
        loop_seconds: what repeats itself at least twice, over at least so long in all, is a loop;
            looked for only beyond the expected length, for texts may repeat themselves too.
        loop_distance: how alike repetitions are: mean square difference over variance.
    """

    def __init__(
        self,
        dim: int,
        *,
        threshold: float = 0.5,
        min_patches: int = 1,
        max_patches: int | None = 3000,
        stop_after_patch: bool = True,
        min_share: float = 0.3,
        max_share: float = 2.5,
        slack_seconds: float = 2.0,
        silence_seconds: float = 2.0,
        silence_distance: float = 0.15,
        loop_seconds: float = 3.0,
        loop_distance: float = 0.05,
    ) -> None:
        super().__init__(
            dim,
            threshold=threshold,
            min_patches=min_patches,
            max_patches=max_patches,
            stop_after_patch=stop_after_patch,
        )
        if not 0 <= min_share <= 1 <= max_share:
            raise ValueError("min_share must be in [0, 1] and max_share at least 1")
        if min(slack_seconds, silence_distance, loop_distance) < 0:
            raise ValueError("slack_seconds, silence_distance and loop_distance cannot be negative")
        if silence_seconds <= 0 or loop_seconds <= 0:
            raise ValueError("silence_seconds and loop_seconds must be positive")
        self.min_share, self.max_share, self.slack_seconds = min_share, max_share, slack_seconds
        self.silence_seconds, self.silence_distance = silence_seconds, silence_distance
        self.loop_seconds, self.loop_distance = loop_seconds, loop_distance

    def start(self, batch: int, text_info: Sequence[TextInfo]) -> GuardedState:
        """See `StopDetector.start`."""
        info = super().start(batch, text_info).info
        return GuardedState(info, [0] * batch, [[] for _ in range(batch)])

    def select(self, state: LinearState, rows: Sequence[int]) -> GuardedState:
        """See `StopDetector.select`."""
        assert isinstance(state, GuardedState)
        return GuardedState(
            [state.info[row] for row in rows],
            [state.silent[row] for row in rows],
            [state.recent[row] for row in rows],
        )

    @torch.no_grad()
    def update(self, state: LinearState, hidden: Tensor, patch: Tensor, step: int) -> StopDecision:
        """See `StopDetector.update`."""
        assert isinstance(state, GuardedState)
        learned = super().update(state, hidden, patch, step)
        frames = patch.detach().float().cpu()
        reasons: list[StopReason] = [
            self._guard(state, i, learned.reason[i], frames[i], step)
            for i in range(len(learned.reason))
        ]
        return decision(reasons, learned.probability)

    def _guard(
        self, state: GuardedState, item: int, reason: StopReason, frames: Tensor, step: int
    ) -> StopReason:
        info = state.info[item]
        silent = self._heard_silence(state, item, frames)
        looping = self._heard_loop(state, item, frames, step)
        expected = info.expected_seconds
        if reason == "stop" and expected is not None:
            least = self.min_share * expected / info.patch_seconds
            if step < least and not silent:
                reason = ""
        if reason:
            return reason
        if expected is not None:
            most = (self.max_share * expected + self.slack_seconds) / info.patch_seconds
            if step >= max(1, most):
                return "max_length"
        if silent:
            return "silence"
        return "loop" if looping else ""

    def _heard_silence(self, state: GuardedState, item: int, frames: Tensor) -> bool:
        info = state.info[item]
        if info.silence is None:
            return False
        distance = (frames - info.silence.float().cpu()).square().mean().sqrt()
        # NaN compares as False: broken weights are not silent.
        near = bool(distance < self.silence_distance)
        state.silent[item] = state.silent[item] + 1 if near else 0
        return state.silent[item] * info.patch_seconds >= self.silence_seconds

    def _heard_loop(self, state: GuardedState, item: int, frames: Tensor, step: int) -> bool:
        info = state.info[item]
        window = max(2, round(self.loop_seconds / info.patch_seconds))
        recent = state.recent[item]
        recent.append(frames.mean(dim=0))
        del recent[: -2 * window]
        expected = 0.0 if info.expected_seconds is None else info.expected_seconds
        if step * info.patch_seconds <= expected or len(recent) < 2 * window:
            return False
        past = torch.stack(recent)
        variance = past.var(dim=0).mean()
        for period in range(1, window + 1):
            # The last `window` patches against those one period before.
            change = (past[-window:] - past[-window - period : -period]).square().mean()
            if bool(change <= self.loop_distance * variance):
                return True
        return False
