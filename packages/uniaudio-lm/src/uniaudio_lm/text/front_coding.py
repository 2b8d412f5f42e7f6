"""Sorted words in which the letters shared with the word before are one character.

Both tables of words that ship are kept so; compression does the rest.
"""

from __future__ import annotations

from collections.abc import Iterable

_NONE_SHARED = ord("A")
_MOST_SHARED = 25


def front_coded(words: Iterable[str]) -> list[str]:
    """Words in order, coded one after another."""
    out, before = [], ""
    for word in words:
        shared = 0
        while shared < min(len(before), len(word), _MOST_SHARED) and before[shared] == word[shared]:
            shared += 1
        out.append(chr(_NONE_SHARED + shared) + word[shared:])
        before = word
    return out


def front_decoded(coded: Iterable[str]) -> list[str]:
    """What `front_coded` was given.

    Raises:
        IndexError: an empty entry.
    """
    out, before = [], ""
    for entry in coded:
        before = before[: ord(entry[0]) - _NONE_SHARED] + entry[1:]
        out.append(before)
    return out
