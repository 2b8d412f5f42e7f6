"""Linear interpolation in time: one latent to several frames, whole and streamed.

Frame i of the output lies at (i + 0.5) / factor - 0.5 input steps (half-pixel centres); the two
edges are clamped. Axes: B batch, L latents, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class UpsamplerState:
    """The latest input (B, 1, C); None at the start of a stream."""

    last: Tensor | None = None


class LinearUpsampler:
    """(B, L, C) -> (B, L * factor, C).

    Only the last `factor // 2` frames of an input depend on the next one. A stream holds back
    these frames and no others.
    """

    def __init__(self, factor: int) -> None:
        self.factor = factor
        self.held = factor // 2
        """Frames that wait for the next input."""
        # Between two inputs lie the late frames of the first and the early frames of the second.
        early = factor - self.held
        centre = [(i + 0.5) / factor - 0.5 for i in range(factor)]
        # A plain list: a model may be made on the meta device, and has no state of this.
        self._weight = [*centre[early:], *(1 + place for place in centre[:early])]

    def __call__(self, x: Tensor) -> Tensor:
        if self.factor == 1:
            return x
        state = UpsamplerState()
        return torch.cat((self.step(x, state), self.flush(state)), dim=1)

    def step(self, x: Tensor, state: UpsamplerState) -> Tensor:
        """The frames that n further inputs x (B, n, C), n >= 1, complete; advances the state."""
        if self.factor == 1:
            return x
        first = state.last is None
        before = torch.cat((x[:, :1] if state.last is None else state.last, x[:, :-1]), dim=1)
        weight = torch.tensor(self._weight, dtype=x.dtype, device=x.device)[:, None]
        frames = before[:, :, None] * (1 - weight) + x[:, :, None] * weight  # (B, n, factor, C)
        state.last = x[:, -1:]
        frames = frames.flatten(1, 2)
        return frames[:, self.held :] if first else frames

    def flush(self, state: UpsamplerState) -> Tensor:
        """The frames that were held back: copies of the last input (the edge is clamped)."""
        if self.factor == 1 or state.last is None:
            raise ValueError("nothing is held back")
        return state.last.expand(-1, self.held, -1)
