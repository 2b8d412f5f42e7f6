"""Numbers in Chinese text to the words they are read as: 2024年 二零二四年, 15% 百分之十五."""

from __future__ import annotations

import re

_DIGITS = "零一二三四五六七八九"
_UNITS = ("", "十", "百", "千")
_MYRIADS = ("", "万", "亿", "万亿")
_NUMBER = re.compile(r"(?<![0-9a-z.])(-?)(\d+(?:,\d{3})+|\d+)(?:\.(\d+))?(%?)(?![0-9a-z])(年?)")
#: Longer strings of digits are telephone numbers and the like, read one by one.
_MAX_CARDINAL = 16


def read_numbers(text: str) -> str:
    """``text`` with Arabic numbers written as Chinese words (percent, decimals, years, minus).

    Digits that are part of a Latin word (``mp3``) stay. Four digits before 年, a leading zero, and
    more than 16 digits are read digit by digit.
    """
    return _NUMBER.sub(_read, text)


def _read(found: re.Match[str]) -> str:
    minus, whole, fraction, percent, year = found.groups()
    whole = whole.replace(",", "")
    one_by_one = (
        (year and len(whole) == 4)
        or (len(whole) > 1 and whole[0] == "0")
        or len(whole) > _MAX_CARDINAL
    )
    words = spell(whole) if one_by_one else cardinal(int(whole))
    if fraction:
        words += "点" + spell(fraction)
    return ("百分之" if percent else "") + ("负" if minus else "") + words + year


def spell(digits: str) -> str:
    """``"2024"`` to ``二零二四``."""
    return "".join(_DIGITS[int(d)] for d in digits)


def cardinal(number: int) -> str:
    """A whole number up to 16 digits as it is read: 10 十, 110 一百一十, 20003 二万零三."""
    if number == 0:
        return _DIGITS[0]
    groups: list[int] = []
    while number:
        number, rest = divmod(number, 10000)
        groups.append(rest)
    out = ""
    gap = False
    for place in range(len(groups) - 1, -1, -1):
        group = groups[place]
        if group == 0:
            gap = bool(out)
            continue
        if out and (gap or group < 1000):
            out += _DIGITS[0]
        out += _group(group) + _MYRIADS[place]
        gap = False
    # 一十 is said 十 at the start.
    return out[1:] if out.startswith("一十") else out


def _group(group: int) -> str:
    out, zero = "", False
    for power in (3, 2, 1, 0):
        digit = group // 10**power % 10
        if digit:
            out += (_DIGITS[0] if zero and out else "") + _DIGITS[digit] + _UNITS[power]
            zero = False
        else:
            zero = True
    return out
