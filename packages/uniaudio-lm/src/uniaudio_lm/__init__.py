"""One speech language model that recognises and speaks; every part is a swappable plugin.

    from uniaudio_lm import UniAudio
    lm = UniAudio.from_pretrained("path/to/model")

Importing this package does not import torch or transformers; the names below do, when they are
first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mingtok_audio.core.lazy import lazy_names

if TYPE_CHECKING:
    from mingtok_audio.core.errors import UserError
    from uniaudio_lm.engine import UniAudio
    from uniaudio_lm.interfaces import Aligner, Backbone, GenerationHead, StopDetector
    from uniaudio_lm.tasks.ask import Answer
    from uniaudio_lm.tasks.asr import Transcript
    from uniaudio_lm.tasks.tts import Speech, VoicePrompt

__version__ = "0.1.0"

__all__ = [
    "Aligner",
    "Answer",
    "Backbone",
    "GenerationHead",
    "Speech",
    "StopDetector",
    "Transcript",
    "UniAudio",
    "UserError",
    "VoicePrompt",
    "__version__",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Aligner": "uniaudio_lm.interfaces",
        "Answer": "uniaudio_lm.tasks.ask",
        "Backbone": "uniaudio_lm.interfaces",
        "GenerationHead": "uniaudio_lm.interfaces",
        "StopDetector": "uniaudio_lm.interfaces",
        "Speech": "uniaudio_lm.tasks.tts",
        "Transcript": "uniaudio_lm.tasks.asr",
        "UniAudio": "uniaudio_lm.engine",
        "VoicePrompt": "uniaudio_lm.tasks.tts",
        "UserError": "mingtok_audio.core.errors",
    },
)
