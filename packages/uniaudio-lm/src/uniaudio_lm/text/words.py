"""What counts as a word: letters and digits between spaces, or one character of Chinese."""

from __future__ import annotations

import re

_SINGLE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0002ffff〇"
_LETTERS = rf"[^\W_{_SINGLE}][\u0300-\u036f]*"
_WORD = re.compile(
    rf"[{_SINGLE}]"
    rf"|[$€£¥+-]?(?:{_LETTERS})+(?:(?:['’.\-‐‑@&/]|(?<=\d)[,:](?=\d))(?:{_LETTERS})+)*['’]?[%°]?"
    r"|[&%+=#*@§°$€£¥]"
)


def split_words(text: str) -> list[str]:
    """The words of a text in order, as they are written.

    Punctuation, emoji and what else nobody says belongs to none; what joins letters ("don't",
    "3.5", "well-known") stays inside, and signs that are said ("&", "50%") count.
    """
    return _WORD.findall(text)


def is_single(word: str) -> bool:
    """Whether a word is one character of a script that is written without spaces."""
    return re.fullmatch(f"[{_SINGLE}]", word) is not None
