"""Which script a character belongs to: the one table of ranges of this project.

The classes below are the insides of a regular expression's brackets:
`re.compile(f"[{HAN}]")`, `re.compile(f"[^{CJK}]+")`.
"""

from __future__ import annotations

import re

HAN = (
    "\u2e80-\u2fdf\u3005\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
"""Chinese characters: the unified ideographs with all extensions, radicals, `々`, `〇` and the
Suzhou numerals (Unicode property Script=Han)."""
KANA = "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9d"
HANGUL = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3"
CJK = HAN + KANA + HANGUL
"""Scripts that are written without spaces between words, or count as characters."""
CJK_PUNCTUATION = (
    "\u3000-\u3004\u3008-\u3020\u3030\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)

_HAN = re.compile(f"[{HAN}]")
_CJK = re.compile(f"[{CJK}]")


def is_han(character: str) -> bool:
    """Whether one character is Chinese."""
    return _HAN.fullmatch(character) is not None


def is_cjk(character: str) -> bool:
    """Whether one character is Chinese, Japanese or Korean."""
    return _CJK.fullmatch(character) is not None


def count_han(text: str) -> int:
    """How many characters of a text are Chinese."""
    return len(_HAN.findall(text))


def has_han(text: str) -> bool:
    """Whether a text holds a Chinese character."""
    return _HAN.search(text) is not None
