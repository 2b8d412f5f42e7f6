"""English as it is said: numbers, ordinals, dates, times, money, units, percentages, fractions,
telephone numbers, abbreviations. The words of a number come from `inflect`.

Each rule is a pattern and what its match is said as. They run in order, the special before the
general; none of them can take more than linear time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from uniaudio_lm.parts.normalizers.english_words import (
    ABBREVIATIONS,
    CODES,
    COUNTED,
    CURRENCIES,
    DIGITS,
    INITIALISMS,
    MONTH_OF,
    MONTHS,
    RULERS,
    SCALES,
    SPOKEN_ACRONYMS,
    UNITS,
    WEEKDAYS,
)
from uniaudio_lm.parts.phonemizers.english import look_up

_READ_AS_DIGITS = 13  # a whole number of this many digits is a code, not an amount
_Match = re.Match[str]


@cache
def _engine() -> Any:
    import inflect

    return inflect.engine()


@lru_cache(4096)  # a text has the same few numbers many times
def _words(number: int | str) -> str:
    return str(_engine().number_to_words(number, andword="and", comma=""))


def cardinal(digits: str) -> str:
    """A whole or decimal number, written with digits (and commas), in words."""
    whole, point, part = digits.replace(",", "").partition(".")
    if len(whole) >= _READ_AS_DIGITS or (len(whole) > 1 and int(whole[0]) == 0):
        said = spelled(whole)
    else:
        said = _words(int(whole))
    return f"{said} point {spelled(part)}" if point else said


def ordinal(number: int) -> str:
    """21 -> "twenty-first"."""
    return _words(_engine().ordinal(number))


def spelled(digits: str) -> str:
    """Digit by digit; other characters are left out."""
    return " ".join(DIGITS[int(d)] for d in digits if d.isdecimal())


def year(number: int) -> str:
    """A year: 1984 -> "nineteen eighty-four", 2005 -> "two thousand and five"."""
    century, rest = divmod(number, 100)
    if number < 1000 or number % 1000 == 0 or 2000 < number < 2010:
        return _words(number)
    if not rest:
        return f"{_words(century)} hundred"
    return f"{_words(century)} {'oh ' if rest < 10 else ''}{_words(rest)}"


def _date(day: int, month: int, in_year: str | None) -> str | None:
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return None
    said = f"{MONTHS[month - 1]} {ordinal(day)}"
    return f"{said}, {year(int(in_year))}" if in_year else said


def _iso_date(m: _Match) -> str:
    return _date(int(m[3]), int(m[2]), m[1]) or m[0]


def _slash_date(m: _Match) -> str:
    first, second = int(m[1]), int(m[2])
    # Month first as in America, unless that is not a month.
    day, month = (first, second) if first > 12 else (second, first)
    return _date(day, month, m[3]) or m[0]


def _worded_date(m: _Match) -> str:
    return _date(int(m["day"]), MONTH_OF[m["month"].lower()[:3]], m["year"]) or m[0]


def _month_year(m: _Match) -> str:
    return f"{MONTHS[MONTH_OF[m['month'].lower()[:3]] - 1]} {year(int(m['year']))}"


def _time(m: _Match) -> str:
    hour, minute, second = int(m["h"]), int(m["m"]), m["s"]
    if hour > 24 or minute > 59:
        return m[0]
    words = [_words(hour)]
    if minute:
        words.append(f"{'oh ' if minute < 10 else ''}{_words(minute)}")
    elif not m["half"] and second is None:
        words.append("o'clock" if 1 <= hour <= 12 else "hundred hours")
    if second is not None:
        words.append(f"and {_words(int(second))} seconds")
    if m["half"]:
        words.append(f"{m['half'].upper()} M")
    return " ".join(words)


def _money(m: _Match) -> str:
    sign, number, scale = m["sign"], m["number"], m["scale"]
    one, several, cent, cents = CURRENCIES[CODES.get(sign, sign)]
    if scale:
        return f"{cardinal(number)} {SCALES[scale.lower()]} {several}"
    whole, point, part = number.replace(",", "").partition(".")
    if not (point and len(part) == 2 and cent):
        return f"{cardinal(number)} {one if number == '1' else several}"
    small = int(part)
    words = []
    if int(whole) or not small:
        words.append(f"{cardinal(whole)} {one if whole == '1' else several}")
    if small:
        words.append(f"{_words(small)} {cent if small == 1 else cents}")
    return " and ".join(words)


def _measure(m: _Match) -> str:
    one, several = UNITS[m["unit"]]
    minus = "minus " if m["minus"] else ""
    if m["to"]:
        return f"{minus}{cardinal(m['number'])} to {cardinal(m['to'])} {several}"
    return f"{minus}{cardinal(m['number'])} {one if m['number'] == '1' else several}"


def _decade(m: _Match) -> str:
    said = year(int(m[1]))
    return f"{said.removesuffix('y')}ies" if said.endswith("y") else f"{said}s"


def _fraction(m: _Match) -> str:
    top, bottom = int(m["top"]), int(m["bottom"])
    if not 0 < top < bottom <= 100:
        return f"{m['whole'] or ''}{cardinal(m['top'])} over {cardinal(m['bottom'])}"
    below = {2: "half", 4: "quarter"}.get(bottom) or ordinal(bottom)
    if top > 1:
        below = "halves" if bottom == 2 else f"{below}s"
    if m["whole"]:
        return f"{cardinal(m['whole'].strip())} and {'a' if top == 1 else _words(top)} {below}"
    return f"{_words(top)} {below}"


def _eighths(m: _Match) -> str:
    return f"{_words(int(m[1]))} {ordinal(int(m[2]))}s"


def _telephone(m: _Match) -> str:
    groups = ", ".join(spelled(group) for group in re.findall(r"\d+", m[0]))
    return f"plus {groups}" if m[0].startswith("+") else groups


def _range(m: _Match) -> str:
    years = all(len(part) == 4 and 1100 <= int(part) < 2100 for part in (m[1], m[2]))
    return " to ".join(year(int(part)) if years else cardinal(part) for part in (m[1], m[2]))


def _version(m: _Match) -> str:
    lead = "version " if m[0].startswith("v") else ""
    return lead + " point ".join(cardinal(part) for part in m[0].lstrip("v").split("."))


def _web(m: _Match) -> str:
    said = re.sub(r"^https?://", "", m[0])
    for sign, word in (("@", "at"), ("/", "slash"), (".", "dot"), ("-", "dash")):
        said = said.replace(sign, f" {word} ")
    return " ".join(said.split())


_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50}


def _roman(m: _Match) -> str:
    name, letters = m["name"], m["roman"]
    values = [_ROMAN_VALUES[c] for c in letters]
    number = sum(-v if v < w else v for v, w in zip(values, [*values[1:], 0], strict=True))
    if name in RULERS:
        return f"{name} the {ordinal(number)}"
    if name in COUNTED or len(letters) > 1:
        return f"{name} {_words(number)}"
    return m[0]


def _height(m: _Match) -> str:
    return f"{_words(int(m[1]))} foot {_words(int(m[2]))}"


def _months(m: _Match) -> str:
    return " to ".join(MONTHS[MONTH_OF[part.lower()[:3]] - 1] for part in (m[1], m[2]))


def _weekdays(m: _Match) -> str:
    return " to ".join(WEEKDAYS[part] for part in (m[1], m[2]))


def _capitals(m: _Match) -> str:
    """A word in capitals, letter by letter where it is not one that is read."""
    word, plural = m["word"], "s" if m["plural"] else ""
    digits = m.string[m.end() : m.end() + 1].isdigit()
    known = look_up(word.lower()) is not None
    spell = word in INITIALISMS or (not known and word not in SPOKEN_ACRONYMS)
    if digits and len(word) <= 4 and word not in SPOKEN_ACRONYMS:
        spell = True
    if not spell or len(word) > 6:
        return m[0]
    return " ".join(word) + (f"'{plural}" if plural else "")


def _is_shouted(text: str) -> bool:
    """Whether a text is in capitals for their own sake."""
    words: list[str] = re.findall(r"[^\W\d_]{2,}", text)
    upper = [word for word in words if word.isupper()]
    return len(upper) > 1 and 2 * len(upper) > len(words) and any(len(w) > 3 for w in upper)


def _either(words: Any) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_MONTH = (
    r"(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)(?!\w)(?:\.(?=,?\s[a-z\d]))?"
)
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>[12]\d{3})"
_ALONE = r"(?<![\w.,])(?<!\d[-/:])"  # not the continuation of another number
_MINUS = r"(?<![\w.,)])(?P<minus>[-−])"
_HALF = r"(?P<half>[ap])\.?m\b(?:\.(?=\s+(?-i:[a-z])|\S))?"
_CODE = _either(CODES)
_WEEKDAY = _either(WEEKDAYS)
_MONTHS_ONLY = _MONTH.replace("(?P<month>", "(?:").removesuffix(r"(?!\w)(?:\.(?=,?\s[a-z\d]))?")
_STREETS = {
    "St": "Street", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Dr": "Drive", "Ln": "Lane",
}  # fmt: skip
_SCALE = r"(?: ?(?P<scale>thousand|million|billion|trillion|bn|mn|tn|[kKmMbB])(?![\w²³]))?"
_RULES: list[tuple[str, str | Callable[[_Match], str]]] = [
    (r"https?://[\w./-]*\w|www\.[\w./-]*\w", _web),
    (r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{0,64}\w", _web),
    (
        r"(?<=[a-z\d]) (St|Ave|Blvd|Rd|Dr|Ln)\b\.?(?!\s+[A-Z][a-z]|\w)",
        lambda m: f" {_STREETS[m[1]]}",
    ),
    (rf"(?<![\w/])(?:{_either(ABBREVIATIONS)})(?![\w/])", lambda m: ABBREVIATIONS[m[0]]),
    (rf"(?<!\w)({_WEEKDAY})\.?\s?[-–]\s?({_WEEKDAY})\b\.?", _weekdays),
    (rf"(?<!\w)({_MONTHS_ONLY})\.?\s?[-–]\s?({_MONTHS_ONLY})\b", _months),
    (rf"(?<!\w)({_WEEKDAY})(?:\.(?=,?\s)|(?=,? \d|, [A-Z]))", lambda m: WEEKDAYS[m[1]]),
    (
        r"(?<!\w)(?P<name>[A-Z][a-z]+) (?P<roman>X{0,3}(?:IX|IV|VI{0,3}|II{1,2}|I(?!\s+[a-z]))"
        r"|X{1,3}|XL|L)(?![\w'])(?!\.\w)",
        _roman,
    ),
    (
        r"(?<![\w/])([A-Z]{1,3})\s?&\s?([A-Z]{1,3})(?!\w)",
        lambda m: f"{' '.join(m[1])} and {' '.join(m[2])}",
    ),
    (r"(?<!\w)C\+\+(?!\w)", "C plus plus"),
    (r"(?<!\w)([CF])#(?!\w)", r"\1 sharp"),
    (r"(?<!\w)([A-F])\+(?![\w+])", r"\1 plus"),
    (r"(?<![\w/.])(\d{1,4})/(\d{1,4})ths(?!\w)", _eighths),
    (r"(?<![\w/.,])(\d\d)/\1(?![\w/])", lambda m: f"{cardinal(m[1])} {cardinal(m[1])}"),
    (r"(?<=\d)\s?\*\s?(?=\d)", " times "),
    (r"(?<=\d)M(?=\s+[a-z])", " million"),
    (r"(?<=\d)B(?=\s+[a-z])", " billion"),
    (
        r"(?<!\w)([$€£])(\d[\d,.]*)\s?[-–]\s?[$€£]?(\d[\d,.]*\d|\d)(?![\w,.]\d|\w)",
        lambda m: f"{cardinal(m[2])} to {cardinal(m[3])} {CURRENCIES[m[1]][1]}",
    ),
    (r"(?<![\w.,/])24/7(?![\w/])", "twenty-four seven"),
    (r"(?<![\w.,/])9/11(?![\w/])", "nine eleven"),
    (r"(?<![\w.,-])911(?![\w.,-]\d|\w)", "nine one one"),
    (r"(?<![\w.])(\d{1,2})['’′]\s?(\d{1,2})(?:\"|''|”|″)", _height),
    (r"(?<![\w.])(\d{1,3})['’′](?![\w])", lambda m: f"{cardinal(m[1])} feet"),
    (r"(?<![\w.\"“])(\d{1,3})[″](?!\w)", lambda m: f"{cardinal(m[1])} inches"),
    (r"(?<![\w.])[pP]\.\s?(?=\d)", "page "),
    (r"(?<![\w.])pp\.\s?(?=\d)", "pages "),
    (r"§\s?(?=\d)", "section "),
    (r"(?<!\w)[~≈]\s?(?=[\d$€£])", "about "),
    (r"±\s?(?=\d)", "plus or minus "),
    (r"≥\s?(?=\d)", "at least "),
    (r"≤\s?(?=\d)", "at most "),
    (r"(?<=\s)>\s?(?=\d)", "more than "),
    (r"(?<=\s)<\s?(?=\d)", "less than "),
    (r"(?<=\d)\+(?!\s?\d)", " plus"),
    (r"(?<![\w.])(\d+(?:\.\d+)?)[xX×](?=\s+[a-z])", lambda m: f"{cardinal(m[1])} times"),
    (r"(?<!\w)#(?=[A-Za-z])", "hashtag "),
    (r"(?<![\w.,-])1-\d{3}-\d{3}-\d{4}(?![\w-])", _telephone),
    (r"(?<!\w)etc\.(?=\s*(?:$|[A-Z]))", "et cetera."),
    (r"(?<!\w)etc\.", "et cetera"),
    (r"(?<!\w)[Nn]o\.\s?(?=\d)|#(?=\d)", "number "),
    (r"(?<=\d)(?=[¼-¾⅐-⅞])", " "),
    (r"[¼-¾⅐-⅞]", lambda m: unicodedata.normalize("NFKC", m[0]).replace("\u2044", "/")),
    (rf"{_ALONE}([12]\d{{3}})[-/](\d{{1,2}})[-/](\d{{1,2}})(?![\w-])", _iso_date),
    (rf"{_ALONE}(\d{{1,2}})/(\d{{1,2}})/(\d{{4}})(?![\w/])", _slash_date),
    (rf"(?<!\w){_MONTH}\s{_DAY}(?:,?\s{_YEAR})?(?![\w:]|[.,]\d)", _worded_date),
    (rf"(?<!\w)(?:[Tt]he )?{_DAY}(?: of)?\s{_MONTH}(?:,?\s{_YEAR}(?!\w))?", _worded_date),
    (rf"(?<!\w){_MONTH},?\s{_YEAR}(?!\w)", _month_year),
    (rf"(?i){_ALONE}(?P<h>\d{{1,2}}):(?P<m>\d\d)(?::(?P<s>\d\d))?(?:\s?{_HALF})?(?![\w:])", _time),
    (
        rf"(?i){_ALONE}(?P<h>\d{{1,2}})(?P<m>)(?P<s>)\s?{_HALF}",
        lambda m: f"{cardinal(m['h'])} {m['half'].upper()} M",
    ),
    (
        rf"(?<!\w)(?P<sign>{_either(CURRENCIES)}|(?:{_CODE})(?=\s?\d))\s?(?P<number>{_NUMBER}){_SCALE}",
        _money,
    ),
    (rf"{_ALONE}(?P<number>{_NUMBER}){_SCALE}\s?(?P<sign>[€£₹₽₩₺₪฿₿¢]|(?:{_CODE})\b)", _money),
    (r"\+\d{1,3}(?:[ .-]\(?\d{1,4}\)?){2,5}(?!\w)|\+\d{7,15}(?!\w)", _telephone),
    (r"(?<![\w-])(?:\(\d{3}\) ?|\d{3}[-. ])?\d{3}-\d{4}(?![\w-])", _telephone),
    (r"(?<![\w.,-])\d{3}[-. ]\d{3,4}[-. ]\d{3,4}(?![\w-])", _telephone),
    (r"(?<![\w.])(1\d\d0|20\d0)s(?!\w)", _decade),
    (r"(?<!\w)['’](\d0)s(?!\w)", _decade),
    (r"(?<=\b[Tt]he )(\d0)s(?!\w)", _decade),
    (
        rf"(?:{_MINUS}|{_ALONE})(?P<number>{_NUMBER})(?:\s?[-–]\s?(?P<to>{_NUMBER}))?"
        rf"\s?(?P<unit>{_either(UNITS)})(?![\w²³/])",
        _measure,
    ),
    (r"(?<![\w.])(\d{1,9})(?:st|nd|rd|th)(?!\w)", lambda m: ordinal(int(m[1]))),
    (
        rf"{_ALONE}(?P<whole>\d{{1,6}}\s)?(?P<top>\d{{1,6}})/(?P<bottom>\d{{1,6}})(?![\w/])",
        _fraction,
    ),
    (rf"{_ALONE}(\d{{1,4}})\s?[-–]\s?(\d{{1,4}})(?![\w,-]|\.\d)", _range),
    (
        rf"{_ALONE}(\d{{1,4}}):(\d{{1,4}})(?![\w:])",
        lambda m: f"{cardinal(m[1])} to {cardinal(m[2])}",
    ),
    (r"(?<![\w.])v?\d{1,6}(?:\.\d{1,6}){2,5}(?!\w)", _version),
    (
        r"\b((?i:in|since|until|year)) ([12]\d{3})(?!\w|[.,]\d)",
        lambda m: f"{m[1]} {year(int(m[2]))}",
    ),
    (r"(?<!\w)\.(\d+)", lambda m: f"point {spelled(m[1])}"),
    (r"(?<![\w.'’])(?P<word>[A-Z]{2,6})(?P<plural>s?)(?![a-z\w'’]*[a-z_])", _capitals),
    (r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])", " "),  # "3D" is two words
    (rf"(?:{_MINUS})?({_NUMBER})", lambda m: ("minus " if m["minus"] else "") + cardinal(m[2])),
    (r"\s?&\s?", " and "),
    (r"(?<=\w)\s?=\s?(?=\w)", " equals "),
    (r"(?<=\w)\s?\+\s?(?=\w)", " plus "),
    (r"(?<=\w)\s?×\s?(?=\w)", " times "),
]
_COMPILED = [(re.compile(pattern), said) for pattern, said in _RULES]


def normalize(text: str) -> str:
    """English text as it is said; everything that no rule knows stays."""
    shouted = _is_shouted(text)
    for pattern, said in _COMPILED:
        if not (shouted and said is _capitals):
            text = pattern.sub(said, text)
    return text
