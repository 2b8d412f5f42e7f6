"""Characters that nobody sees, taken out of texts before they are compared."""

from __future__ import annotations

import re

# Soft hyphen, zero-width and direction marks, word joiner, byte order mark, variation selectors.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\ufe00-\ufe0f\ufeff]"
)


def without_invisible(text: str) -> str:
    """``text`` without soft hyphens, zero-width characters and marks of direction."""
    return _INVISIBLE.sub("", text)
