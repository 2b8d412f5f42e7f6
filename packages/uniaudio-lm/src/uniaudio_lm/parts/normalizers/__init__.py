"""Text normalisers: written text to spoken words."""

from __future__ import annotations

from typing import cast

from uniaudio_lm.config import PartConfig
from uniaudio_lm.interfaces import TextNormalizer
from uniaudio_lm.plugins import get_host


def new_normalizer(part: PartConfig | None) -> TextNormalizer | None:
    """A text normaliser by its plugin's name; None for None.

    Raises:
        PluginError: no such plugin.
    """
    if part is None:
        return None
    return cast(TextNormalizer, get_host().create("text_normalizer", part.name, **part.options))
