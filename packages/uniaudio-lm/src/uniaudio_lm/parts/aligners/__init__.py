"""Built-in aligners, and how a model, `asr` and editing get one."""

from uniaudio_lm.parts.aligners.loading import load_aligner

__all__ = ["load_aligner"]
