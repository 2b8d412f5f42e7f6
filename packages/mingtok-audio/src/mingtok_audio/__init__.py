"""Unified continuous speech tokenizer: 16 kHz speech to 50 Hz latents, unified features, and back.

    from mingtok_audio import MingTok, load_audio
    tok = MingTok.from_pretrained("nano")
    latents = tok.encode(*load_audio("speech.wav"))

Importing this package does not import torch; the names below do, when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mingtok_audio.core.lazy import lazy_names

if TYPE_CHECKING:
    from mingtok_audio.core.audio import load_audio, resample, save_audio
    from mingtok_audio.core.errors import UserError
    from mingtok_audio.interfaces import Compressor
    from mingtok_audio.latents import Latents
    from mingtok_audio.models.mingtok import MingTok

__version__ = "0.1.0"

__all__ = [
    "Compressor",
    "Latents",
    "MingTok",
    "UserError",
    "__version__",
    "load_audio",
    "resample",
    "save_audio",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Compressor": "mingtok_audio.interfaces",
        "Latents": "mingtok_audio.latents",
        "MingTok": "mingtok_audio.models.mingtok",
        "UserError": "mingtok_audio.core.errors",
        "load_audio": "mingtok_audio.core.audio",
        "resample": "mingtok_audio.core.audio",
        "save_audio": "mingtok_audio.core.audio",
    },
)
