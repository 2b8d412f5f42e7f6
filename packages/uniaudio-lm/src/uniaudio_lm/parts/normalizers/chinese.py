"""Chinese as it is said: numbers, dates, times, money, units, percentages, fractions, telephone
numbers. The words of a number come from `cn2an`. Letters stay as they are.

Built like `english`: rules in order, the special before the general, each in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_DIGITS = "零一二三四五六七八九"
_READ_AS_DIGITS = 13  # a whole number of this many digits is a code, not an amount
_CURRENCIES = {
    "US$": "美元", "HK$": "港元", "NT$": "新台币", "$": "美元", "€": "欧元", "£": "英镑",
    "¥": "元", "₩": "韩元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "CNY": "元",
    "RMB": "元", "JPY": "日元", "HKD": "港元",
}  # fmt: skip
_UNITS = {
    "km/h": "公里每小时", "m/s": "米每秒", "kWh": "千瓦时", "km²": "平方公里", "km2": "平方公里",
    "m²": "平方米", "m2": "平方米", "㎡": "平方米", "m³": "立方米", "m3": "立方米",
    "km": "公里", "cm": "厘米", "mm": "毫米", "nm": "纳米", "m": "米",
    "kg": "千克", "mg": "毫克", "g": "克", "t": "吨", "mL": "毫升", "ml": "毫升", "L": "升",
    "l": "升", "ms": "毫秒", "s": "秒", "min": "分钟", "h": "小时", "GHz": "吉赫兹",
    "MHz": "兆赫兹", "kHz": "千赫兹", "Hz": "赫兹", "dB": "分贝", "kW": "千瓦", "MW": "兆瓦",
    "W": "瓦", "kV": "千伏", "V": "伏", "°": "度",
}  # fmt: skip
_MEASURES = (
    "个只条张本位次种家名块把件天年小时分钟秒周岁元斤公里公斤米升吨人口头匹辆台部座间份"
    "杯瓶碗双对套层步句段遍场篇首幅倍点半千万亿"
)
_Match = re.Match[str]


def cardinal(digits: str) -> str:
    """A whole or decimal number, written with digits (and commas), in words."""
    whole, point, part = digits.replace(",", "").partition(".")
    if len(whole) >= _READ_AS_DIGITS or (len(whole) > 1 and int(whole[0]) == 0):
        said = spelled(whole)
    else:
        from cn2an import an2cn

        said = str(an2cn(str(int(whole)), "low"))
    return f"{said}点{spelled(part)}" if point else said


def spelled(digits: str, one: str = "一") -> str:
    """Digit by digit; other characters are left out. On the telephone `one` is 幺."""
    words = "".join(_DIGITS[int(d)] for d in digits if d.isdecimal())
    return words.replace("一", one)


def _date(m: _Match) -> str:
    year, month, day = m[1], int(m[2]), int(m[3])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return m[0]
    return f"{spelled(year)}年{cardinal(str(month))}月{cardinal(str(day))}日"


def _time(m: _Match) -> str:
    hour, minute, second = int(m["h"]), int(m["m"]), m["s"]
    if hour > 24 or minute > 59:
        return m[0]
    said = f"{'两' if hour == 2 else cardinal(str(hour))}点"
    if minute or second is not None:
        said += f"{'零' if 0 < minute < 10 else ''}{cardinal(str(minute))}分"
    if second is not None:
        said += f"{'零' if 0 < int(second) < 10 else ''}{cardinal(str(int(second)))}秒"
    return said


def _money(m: _Match) -> str:
    number = m["number"].rstrip("0").rstrip(".") if "." in m["number"] else m["number"]
    return f"{cardinal(number)}{m['scale']}{_CURRENCIES[m['sign']]}"


def _share(m: _Match) -> str:
    of = "百分之" if m["unit"] == "%" else "千分之"
    minus = "负" if m["minus"] else ""
    if m["to"]:
        return f"{of}{minus}{cardinal(m['number'])}到{of}{cardinal(m['to'])}"
    return f"{of}{minus}{cardinal(m['number'])}"


def _temperature(m: _Match) -> str:
    unit = "摄氏度" if m["unit"] in ("℃", "°C") else "华氏度"
    minus = "零下" if m["minus"] else ""
    to = f"到{cardinal(m['to'])}" if m["to"] else ""
    return f"{minus}{cardinal(m['number'])}{to}{unit}"


def _measure(m: _Match) -> str:
    minus = "负" if m["minus"] else ""
    to = f"到{_counted(m['to'])}" if m["to"] else ""
    return f"{minus}{_counted(m['number'])}{to}{_UNITS[m['unit']]}"


def _rate(m: _Match) -> str:
    to = f"到{_counted(m['to'])}" if m["to"] else ""
    return f"每{m['per']}{'负' if m['minus'] else ''}{_counted(m['number'])}{to}{m['unit']}"


def _counted(number: str) -> str:
    """A number before what is counted: 2 is 两 there."""
    return "两" if number == "2" else cardinal(number)


def _fraction(m: _Match) -> str:
    return f"{cardinal(m[2])}分之{cardinal(m[1])}"


def _telephone(m: _Match) -> str:
    return "，".join(spelled(group, one="幺") for group in re.findall(r"\d+", m[0]))


def _number(m: _Match) -> str:
    return ("负" if m["minus"] else "") + cardinal(m[2])


def _either(words: dict[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_ALONE = r"(?<![A-Za-z\d.,])(?<!\d[-/:])"  # not the continuation of another number
_MINUS = r"(?<![\w.,)])(?P<minus>[-−])"
# Before a unit the sign may follow a word (气温-5℃), elsewhere that is a name (歼-20).
_SIGNED = rf"(?:(?<![A-Za-z\d.,)℃%])(?P<minus>[-−])|{_ALONE})(?P<number>{_NUMBER})"
_TO = rf"(?:[-–~～至到](?P<to>{_NUMBER}))?"
_PER = "小时|分钟|平方米|秒|天|周|月|年|人|个|次"
_LETTER_ENDS = r"(?![A-Za-z²³/])"
_RULES: list[tuple[str, str | Callable[[_Match], str]]] = [
    (rf"{_ALONE}([12]\d{{3}})[-/.](\d{{1,2}})[-/.](\d{{1,2}})(?![\d.-])", _date),
    (r"(?<!\d)(\d{4})(?=年)(?!年(?:前|后|以|间|来|内|之))", lambda m: spelled(m[1])),
    (
        r"(?<!\d)(\d{4})\s?[-–~～至到]\s?(\d{4})(?=年)",
        lambda m: f"{spelled(m[1])}到{spelled(m[2])}",
    ),
    (rf"{_ALONE}(?P<h>\d{{1,2}}):(?P<m>\d\d)(?::(?P<s>\d\d))?(?![\d:])", _time),
    (
        rf"(?P<sign>{_either(_CURRENCIES)})\s?(?P<number>{_NUMBER})(?P<scale>[十百千万亿]*)(?:元|块)?",
        _money,
    ),
    (
        rf"{_ALONE}(?P<number>{_NUMBER})(?P<scale>[十百千万亿]*)\s?(?P<sign>[€£]|(?:USD|EUR|GBP|CNY|RMB))",
        _money,
    ),
    (r"(?<![\d-])(?:\+?86[- ]?)?1[3-9]\d(?:[- ]?\d{4}){2}(?!\d)", _telephone),
    (r"(?<![\d-])(?:0\d{2,3}-\d{7,8}|[48]00-\d{3,4}-\d{3,4})(?![\d-])", _telephone),
    (
        r"(?<=电话|热线|手机|号码|拨打|致电)(?:[是为:]|\s){0,2}\d{3,16}(?!\d)",
        lambda m: m[0].rstrip("0123456789") + spelled(m[0], one="幺"),
    ),
    (rf"{_SIGNED}%?{_TO}\s?(?P<unit>[%‰])", _share),
    (rf"{_SIGNED}(?:℃|°C)?{_TO}\s?(?P<unit>℃|°C|℉|°F)", _temperature),
    (rf"{_SIGNED}{_TO}\s?(?P<unit>{_either(_UNITS)}){_LETTER_ENDS}", _measure),
    (rf"{_SIGNED}{_TO}(?P<unit>[\u4e00-\u9fff]{{1,2}})/(?P<per>{_PER})", _rate),
    (rf"{_ALONE}(\d{{1,6}})/(\d{{1,6}})(?![\d/])", _fraction),
    (rf"{_ALONE}(\d+)\s?:\s?(\d+)(?![\d:])", lambda m: f"{cardinal(m[1])}比{cardinal(m[2])}"),
    (
        rf"{_ALONE}({_NUMBER})\s?[-–~～]\s?({_NUMBER})(?![\d-]|\.\d)",
        lambda m: f"{cardinal(m[1])}到{cardinal(m[2])}",
    ),
    (
        r"(?<![\d.])\d{1,6}(?:\.\d{1,6}){2,5}(?!\d)",
        lambda m: "点".join(cardinal(part) for part in m[0].split(".")),
    ),
    (rf"(?<![\d.,第])2(?=[{_MEASURES}])(?!年(?:级|代))", "两"),
    (rf"(?:{_MINUS})?({_NUMBER})", _number),
    (r"\s?&\s?", "和"),
    (r"(?<=\w)\s?=\s?(?=\w)", "等于"),
    (r"(?<=\w)\s?\+\s?(?=\w)", "加"),
    (r"(?<=\w)\s?×\s?(?=\w)", "乘"),
]
_COMPILED = [(re.compile(pattern), said) for pattern, said in _RULES]


def normalize(text: str) -> str:
    """Chinese text as it is said; everything that no rule knows stays."""
    for pattern, said in _COMPILED:
        text = pattern.sub(said, text)
    return text
