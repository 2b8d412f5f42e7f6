"""Watermarks: an inaudible mark in synthetic speech."""

from __future__ import annotations

from typing import cast

from uniaudio_lm.plugins import get_host
from uniaudio_lm.watermarking import Watermark


def new_watermark(name: str) -> Watermark:
    """A watermark by its plugin's name.

    Raises:
        PluginError: no such plugin.
    """
    return cast(Watermark, get_host().create("watermark", name))
