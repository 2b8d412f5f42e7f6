"""Key/value caches: the explicit state of a causal transformer in a stream.

Axes: B batch, G key/value heads, L frames, E head size. Keys are stored rotated.
"""

from __future__ import annotations

from torch import Tensor

from mingtok_audio.core.errors import UserError


class WindowCache:
    """The last `window - 1` keys and values: constant memory and constant cost for ever."""

    def __init__(self, window: int) -> None:
        self.size = window - 1
        self.key: Tensor | None = None
        self.value: Tensor | None = None

    @property
    def held(self) -> int:
        """Frames in it."""
        return 0 if self.key is None else self.key.shape[2]

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add keys and values (B, G, n, E); return all that this chunk may attend to."""
        if self.key is not None and self.value is not None:
            key = _cat(self.key, key)
            value = _cat(self.value, value)
        # Cloned, so that a long chunk is not kept alive by the few frames still needed.
        start = max(0, key.shape[2] - self.size)
        self.key = key[:, :, start:].clone()
        self.value = value[:, :, start:].clone()
        return key, value


class FullCache:
    """All past keys and values in one buffer that doubles when full.

    Appending is linear in the stream's length, not quadratic as repeated concatenation would be.
    """

    def __init__(self, max_frames: int) -> None:
        self.max_frames = max_frames
        self.length = 0
        self.key: Tensor | None = None
        self.value: Tensor | None = None

    @property
    def held(self) -> int:
        """Frames in it."""
        return self.length

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add keys and values (B, G, n, E); return everything since the stream began."""
        length = self.length + key.shape[2]
        if length > self.max_frames:
            raise UserError(
                f"this model attends to the whole past, and the stream has reached {length} "
                f"frames, more than max_frames={self.max_frames}: split the recording, or load "
                "the model with a larger max_frames"
            )
        if self.key is None or self.value is None or length > self.key.shape[2]:
            capacity = min(self.max_frames, max(256, 2 * length))
            self.key = _grown(self.key, key, self.length, capacity)
            self.value = _grown(self.value, value, self.length, capacity)
        self.key[:, :, self.length : length] = key
        self.value[:, :, self.length : length] = value
        self.length = length
        return self.key[:, :, :length], self.value[:, :, :length]


LayerCache = WindowCache | FullCache


def _cat(a: Tensor, b: Tensor) -> Tensor:
    if a.shape[0] != b.shape[0]:
        raise ValueError(f"the stream began with a batch of {a.shape[0]}, now got {b.shape[0]}")
    out = b.new_empty(b.shape[0], b.shape[1], a.shape[2] + b.shape[2], b.shape[3])
    out[:, :, : a.shape[2]] = a
    out[:, :, a.shape[2] :] = b
    return out


def _grown(old: Tensor | None, new: Tensor, used: int, capacity: int) -> Tensor:
    out = new.new_empty(new.shape[0], new.shape[1], capacity, new.shape[3])
    if old is not None:
        out[:, :, :used] = old[:, :, :used]
    return out
