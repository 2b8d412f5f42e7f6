"""The rules of speech decoders."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from mingtok_audio.core.plugins import CheckResult
from mingtok_audio.core.plugins.conformance import require
from uniaudio_lm.conformance.common import Kit, difference, random, run, save_and_load, shaken
from uniaudio_lm.interfaces import SpeechDecoder

_DIM, _FRAMES = 8, 40
_TRANSFORMER = {"dim": 16, "num_layers": 2, "num_heads": 2, "mlp_dim": 24, "window": 8}
_OPTIONS = {"dims": 5, "decoder": _TRANSFORMER, "n_fft": 64, "hop_length": 16}
_CLOSE = 1e-4


class _SpeechDecoders(Kit):
    interface = SpeechDecoder

    def shapes(self) -> str:
        module = shaken(self.make())
        wav = module(random(2, _FRAMES, _DIM))
        samples = _FRAMES * module.hop_length
        require(wav.shape == (2, samples), f"{tuple(wav.shape)}, expected {(2, samples)}")
        require(bool(torch.isfinite(wav).all()), "it gives NaN or infinite samples")
        return f"{module.hop_length} samples a frame"

    @torch.no_grad()
    def streams(self) -> str:
        module = shaken(self.make())
        latents = random(1, _FRAMES, _DIM)
        whole = module(latents)
        for size in (1, 5, 7):
            state = module.new_state(1)
            parts = [module.step(latents[:, i : i + size], state) for i in range(0, _FRAMES, size)]
            joined = torch.cat([*parts, module.flush(state)], dim=-1)
            require(joined.shape == whole.shape, f"{joined.shape[-1]} of {whole.shape[-1]} samples")
            error = difference(joined, whole)
            require(error <= _CLOSE, f"chunks of {size} frames differ by {error:.1e}")
        return "chunks give what the whole gives"

    @torch.no_grad()
    def batches(self) -> str:
        module = shaken(self.make())
        latents = random(3, _FRAMES, _DIM)
        together = module(latents)
        for i in range(3):
            error = difference(together[i : i + 1], module(latents[i : i + 1]))
            require(error <= _CLOSE, f"an item of a batch differs by {error:.1e}")
        return "an item gives what it gives alone"

    @torch.no_grad()
    def generated(self) -> str:
        """Only dimensions that are generated may count: the others are zeros there."""
        module = shaken(self.make())
        latents = random(1, _FRAMES, _DIM)
        dims = getattr(module, "dims", _DIM)
        other = latents.clone()
        other[..., dims:] = 0
        require(difference(module(latents), module(other)) == 0, f"it reads more than {dims}")
        return f"reads {dims} dimensions"

    def gradients(self) -> str:
        module = shaken(self.make()).train()
        module(random(2, _FRAMES, _DIM)).square().sum().backward()
        return self.reached(module)

    def saves(self) -> str:
        module, again = save_and_load(self.make, "speech_decoder")
        latents = random(1, _FRAMES, _DIM)
        with torch.no_grad():
            require(difference(module(latents), again(latents)) == 0, "it loads other weights")
        return "saved and loaded alike"


def check_speech_decoder(decoder: type, **options: Any) -> list[CheckResult]:
    """Check a class against the rules of `SpeechDecoder`; `options` build it."""
    names = inspect.signature(decoder).parameters
    small = {k: v for k, v in _OPTIONS.items() if k in names}
    kit = _SpeechDecoders(decoder, {"latent_dim": _DIM, **small, **options})
    return run(
        [
            ("shapes", kit.shapes),
            ("a stream equals the whole", kit.streams),
            ("batch equals single", kit.batches),
            ("reads what is generated", kit.generated),
            ("gradients reach every parameter", kit.gradients),
            ("save and load", kit.saves),
        ]
    )
