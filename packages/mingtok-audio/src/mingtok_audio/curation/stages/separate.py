"""Optional source separation: speech without the music under it. Off unless a model is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.models.weights import sha256_of_file
from mingtok_audio.curation.interfaces import FileStage
from mingtok_audio.curation.loaders import load_from_plugin
from mingtok_audio.curation.recording import Recording

_CHUNK, _FADE = 30.0, 0.5  # seconds


class Separate(FileStage):
    """Replace a recording by its speech.

    Args:
        model: a TorchScript file that maps samples (1, T) at the pipeline's rate to speech (1, T);
            or `plugin` or `plugin:SOURCE`, for a separator that an installed package offers. None:
            the stage does nothing.
    """

    columns = {"separated": "bool"}

    def __init__(self, model: str | None = None) -> None:
        self.model = model
        self._run: Any = None

    def identity(self) -> Mapping[str, Any]:
        """The weights of a TorchScript file."""
        if self.model is None or self.model.partition(":")[0] == "plugin":
            return {}
        return {"weights": sha256_of_file(self.model)} if Path(self.model).is_file() else {}

    def load(self) -> None:
        """Read the model."""
        if self.model is None or self._run is not None:
            return
        kind, _, source = self.model.partition(":")
        if kind == "plugin":
            self._run = load_from_plugin("separator", source or None)
            return
        import torch

        try:
            self._run = torch.jit.load(self.model, map_location="cpu").eval()
        except (RuntimeError, ValueError, OSError) as error:
            raise UserError(
                f"separate.model {self.model} is no TorchScript file: {error}"
            ) from error

    def run(self, recording: Recording) -> None:
        """Separate it in chunks of 30 s with linear cross-fades."""
        recording.values["separated"] = self.model is not None
        if self.model is None:
            return
        self.load()
        recording.fill(self._chunks(recording), recording.rate)

    def _chunks(self, recording: Recording) -> Iterator[np.ndarray]:
        import torch

        tail = np.zeros(0, np.float32)
        at = 0.0
        while at < recording.seconds:
            wav = recording.read(at, at + _CHUNK + _FADE)
            with torch.inference_mode():
                found = np.asarray(self._run(torch.from_numpy(wav)[None]))
            if found.reshape(-1).shape != wav.shape:
                raise UserError(f"separate.model gives {found.shape} for samples {(1, *wav.shape)}")
            out = found.reshape(-1).astype(np.float32)
            count = min(len(tail), len(out))
            if count:
                ramp = ((np.arange(count) + 0.5) / count).astype(np.float32)
                out[:count] = tail[:count] * (1 - ramp) + out[:count] * ramp
            last = at + _CHUNK + _FADE >= recording.seconds
            keep = len(out) if last else round(_CHUNK * recording.rate)
            yield out[:keep]
            tail = out[keep:]
            if last:
                return
            at += _CHUNK
