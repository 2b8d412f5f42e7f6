"""Numbers in Chinese text to the words they are read as: 2024年 二零二四年, 15% 百分之十五."""

from __future__ import annotations

import re

_DIGITS = "零一二三四五六七八九"
_UNITS = ("", "十", "百", "千")
_MYRIADS = ("", "万", "亿", "万亿")
_HAN_DIGIT = "零一二三四五六七八九"
_HAN_NUMBER = _HAN_DIGIT + "十百千万亿"
_CLOCK = re.compile(r"(?<![\d:.])([01]?\d|2[0-4]):([0-5]\d)(?![\d:])")
_FRACTION = re.compile(r"(?<![\d/])(\d{1,4})/(\d{1,4})(?![\d/])")
_RANGE = re.compile(r"(?<![\w.-])(\d+(?:\.\d+)?%?)\s?[-~–—]\s?(\d+(?:\.\d+)?%?)(?![\d-])")
_MYRIAD_DECIMAL = re.compile(r"(?<![\d.])(\d+)\.(\d+)([万亿])")
_UNITS_LATIN = (("kg", "公斤"), ("km", "公里"), ("cm", "厘米"), ("mm", "毫米"), ("ml", "毫升"))
_UNIT = re.compile(r"(?<=\d)\s?(kg|km|cm|mm|ml)(?![a-z])")
_MONEY = re.compile(r"([¥$])\s?(\d+(?:,\d{3})*(?:\.\d+)?)")
# Service and mobile numbers are read digit by digit, unless something is counted with them.
_SERVICE = re.compile(
    r"(?<![\d.,])(11[0249]|12[02]|10086|12306|12345|1[3-9]\d{9})"
    r"(?![\d.,%]|\s?[个名位只条张本台辆架元块毛角美年月日号天岁米公克吨升度分秒小点层页篇章万亿千百多])"
)
_NUMBER = re.compile(r"(?<![0-9a-z.])(-?)(\d+(?:,\d{3})+|\d+)(?:\.(\d+))?(%?)(?![0-9a-z])(年?)")
#: Longer strings of digits are telephone numbers and the like, read one by one.
_MAX_CARDINAL = 16


def read_numbers(text: str) -> str:
    """``text`` with Arabic numbers written as Chinese words (percent, decimals, years, minus).

    Digits that are part of a Latin word (``mp3``) stay. Four digits before 年, a leading zero, and
    more than 16 digits are read digit by digit.
    """
    text = _CLOCK.sub(_clock, text)
    text = _FRACTION.sub(lambda m: f"{cardinal(int(m[2]))}分之{cardinal(int(m[1]))}", text)
    text = _RANGE.sub(r"\1到\2", text)
    text = _MONEY.sub(lambda m: m[2] + ("元" if m[1] == "¥" else "美元"), text)
    text = _UNIT.sub(lambda m: dict(_UNITS_LATIN)[m[1]], text)
    text = text.replace("℃", "摄氏度").replace("°c", "摄氏度")
    text = _MYRIAD_DECIMAL.sub(_myriads, text)
    text = _SERVICE.sub(lambda m: spell(m[1]), text)
    return _NUMBER.sub(_read, text)


_SAID_MYRIAD_DECIMAL = re.compile(rf"([{_HAN_NUMBER}]+)点([{_HAN_DIGIT}]+)([万亿])")
_SAID_ONE = re.compile(rf"(?<=[{_HAN_DIGIT}幺])幺|幺(?=[{_HAN_DIGIT}幺])")
_SAID_TO = re.compile(rf"(?<=[{_HAN_NUMBER}])至(?=[{_HAN_NUMBER}百负])")
_SAID_HALF = re.compile(rf"(?<=[{_HAN_NUMBER}]点)半")
_SAID_QUARTER = re.compile(rf"(?<=[{_HAN_NUMBER}]点)一刻")
_SAID_MINUTE = re.compile(rf"([{_HAN_NUMBER}]点[{_HAN_NUMBER}]+)分(?![之{_HAN_NUMBER}钟])")
_SAID_WHOLE = re.compile(rf"(?<=[{_HAN_NUMBER}]点)[整钟](?!数)")


def same_numbers(text: str) -> str:
    """Numbers in words in one form: 两 and 二, 幺 and 一, 点半 and 点三十, 一点二万 and its sum."""
    # 两 and 二 are the same number said before a measure word and elsewhere.
    text = text.replace("两", "二").replace("〇", "零")
    text = _SAID_ONE.sub("一", text)
    text = _SAID_TO.sub("到", text)
    text = _SAID_HALF.sub("三十", text)
    text = _SAID_QUARTER.sub("十五", text)
    text = _SAID_MINUTE.sub(r"\1", text)
    text = _SAID_WHOLE.sub("", text)
    return _SAID_MYRIAD_DECIMAL.sub(_said_myriads, text)


def _clock(found: re.Match[str]) -> str:
    hour, minute = cardinal(int(found[1])), int(found[2])
    if minute == 0:
        return f"{hour}点"
    return f"{hour}点{'零' if minute < 10 else ''}{cardinal(minute)}"


def _myriads(found: re.Match[str]) -> str:
    whole, fraction, unit = found.groups()
    size = 4 if unit == "万" else 8
    if len(fraction) > size or len(whole) > 6:
        return found[0]
    return str(int(whole + fraction) * 10 ** (size - len(fraction)))


def _said_myriads(found: re.Match[str]) -> str:
    whole, fraction, unit = found.groups()
    if not all(c in _HAN_DIGIT for c in whole):
        return found[0]
    digits = "".join(str(_HAN_DIGIT.index(c)) for c in whole)
    tail = "".join(str(_HAN_DIGIT.index(c)) for c in fraction)
    size = 4 if unit == "万" else 8
    if len(tail) > size or len(digits) > 6:
        return found[0]
    return cardinal(int(digits + tail) * 10 ** (size - len(tail)))


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
