"""Numbers in words: English and Chinese, cardinal and ordinal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_ONES_TEXT = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_ONES = _ONES_TEXT.split()
_ORDINAL_ONES_TEXT = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
_ORDINAL_ONES = _ORDINAL_ONES_TEXT.split()
_TEN_NAMES_TEXT = "twenty thirty forty fifty sixty seventy eighty ninety"
_TEN_NAMES = _TEN_NAMES_TEXT.split()
_EN_UNITS = {word: value for value, word in enumerate(_ONES)}
_EN_TENS = {word: 10 * tens for tens, word in enumerate(_TEN_NAMES, 2)}
_EN_ORDINALS = {word: value for value, word in enumerate(_ORDINAL_ONES, 1)}
_EN_TENTHS = {f"{word[:-1]}ieth": value for word, value in _EN_TENS.items()}
_TENS = "|".join(_EN_TENS)
_UNITS_19 = "|".join(sorted((w for w in _EN_UNITS if w != "zero"), key=len, reverse=True))
_ORD_19 = "|".join(sorted(_EN_ORDINALS, key=len, reverse=True))
_TENTHS = "|".join(_EN_TENTHS)

EN_CARDINAL = (
    rf"(?:\d{{1,4}}|(?:{_TENS})(?:[ -](?:{_UNITS_19}))?|(?:{_UNITS_19}|a hundred|one hundred)"
    r"|a couple(?: of)?|couple of|a|an)"
)
EN_ORDINAL = (
    rf"(?:\d{{1,4}}(?:st|nd|rd|th)|(?:{_TENS})[ -](?:{_ORD_19})|{_ORD_19}|{_TENTHS}|hundredth)"
)


def english_integer(text: str) -> int | None:
    """ "three", "twenty-one", "3", "a couple of", "third", "3rd" as a number."""
    word = text.strip().lower()
    if match := re.fullmatch(r"(\d{1,6})(?:st|nd|rd|th)?", word):
        return int(match.group(1))
    if "couple" in word:
        return 2
    if word in ("a", "an", "single", "one single"):
        return 1
    if word in ("a hundred", "one hundred", "hundredth"):
        return 100
    for table in (_EN_UNITS, _EN_TENS, _EN_ORDINALS, _EN_TENTHS):
        if word in table:
            return table[word]
    tens, _, rest = word.replace("-", " ").partition(" ")
    if tens in _EN_TENS and rest:
        unit = _EN_UNITS.get(rest, _EN_ORDINALS.get(rest))
        if unit is not None and 0 < unit < 10:
            return _EN_TENS[tens] + unit
    return None


def english_position(text: str) -> int | None:
    """ "third", "3", "last", "second to last", "number 3" as a position from 1, or from -1."""
    word = re.sub(r"^(?:the |very |number |no\.? ?|# ?)+", "", text.strip().lower())
    if word in ("last", "final", "ending", "closing"):
        return -1
    if word in ("opening", "initial", "starting", "beginning", "leading"):
        return 1
    if word == "penultimate" or re.fullmatch(r"(?:next|second)[ -]to[ -]last", word):
        return -2
    if word == "antepenultimate":
        return -3
    tail = r"[ -](?:to[ -](?:the[ -])?)?last| from (?:the )?(?:last|end|back)"
    if match := re.fullmatch(rf"(.+?)(?:{tail})", word):
        number = english_integer(match.group(1))
        return None if number is None else -number
    return english_integer(word)


def english_number(text: str) -> float | None:
    """A number that may have a fraction: "1.5", "one and a half", "half", "two point five"."""
    word = re.sub(r"\s+", " ", text.strip().lower())
    if re.fullmatch(r"[-+]?(?:\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})", word):
        return float(word)
    sign = -1.0 if re.match(r"(?:minus|negative) ", word) else 1.0
    word = re.sub(r"^(?:minus|negative|plus) ", "", word)
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", word):
        return sign * float(word)
    simple = {"half": 0.5, "a half": 0.5, "one half": 0.5, "a quarter": 0.25, "one quarter": 0.25}
    simple |= {"three quarters": 0.75, "a third": 1 / 3, "one third": 1 / 3, "two thirds": 2 / 3}
    if word in simple:
        return sign * simple[word]
    if match := re.fullmatch(r"(.+) and (a half|a quarter|three quarters)", word):
        whole = english_integer(match.group(1))
        return None if whole is None else sign * (whole + simple[match.group(2)])
    if match := re.fullmatch(r"(.+?) point (.+)", word):
        whole = english_integer(match.group(1))
        digits = [english_integer(d) for d in match.group(2).split()]
        if whole is None or any(d is None or d > 9 for d in digits):
            return None
        return sign * float(f"{whole}." + "".join(str(d) for d in digits))
    whole = english_integer(word)
    return None if whole is None else sign * whole


EN_NUMBER = (
    r"(?:(?:minus |negative |plus )?(?:[-+]?(?:\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})"
    rf"|(?:{_UNITS_19}|zero) point (?:(?:{_UNITS_19}|zero)(?: |\b))+"
    rf"|(?:{_UNITS_19}) and (?:a half|a quarter|three quarters)"
    rf"|(?:{_TENS})(?:[ -](?:{_UNITS_19}))?|{_UNITS_19}|zero"
    r"|(?:a |one )?half|(?:a |one )quarter|three quarters|(?:a|one) third|two thirds|an?))"
)

_ZH_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0, "俩": 2}
_ZH_DIGITS |= {"仨": 3}
ZH_INTEGER = r"(?:\d{1,6}|[零〇一二两俩三仨四五六七八九十百]{1,7})"
ZH_NUMBER = (
    r"(?:[-+负]?(?:\d{1,9}(?:\.\d{1,9})?|[零〇一二两三四五六七八九十百]{1,7}"
    r"(?:点[零〇一二三四五六七八九]{1,6})?)(?:个?半)?|半)"
)


def chinese_integer(text: str) -> int | None:
    """ "三", "二十一", "两", "3" as a number."""
    word = text.strip()
    if re.fullmatch(r"\d{1,6}", word):
        return int(word)
    if not word or not re.fullmatch(r"[零〇一二两俩三仨四五六七八九十百]+", word):
        return None
    if not re.search("[十百]", word):
        return int("".join(str(_ZH_DIGITS[c]) for c in word))
    total, digit = 0, None
    for char in word:
        if char in "十百":
            scale = 10 if char == "十" else 100
            total += (1 if digit is None else digit) * scale
            digit = None
        else:
            digit = _ZH_DIGITS[char]
    return total + (digit or 0)


def other_spellings(content: str) -> Iterator[str]:
    """`content` with its numbers written the other way: digits in words, number words in digits.

    A transcript may say "twenty-five" where an instruction says "25", and the reverse.
    """
    if re.search(r"\d", content):
        for spell in (_english_words, _english_words_and, _chinese_words):
            yield _respelled(content, spell)
        return
    value = chinese_integer(content) if len(content) > 1 else None
    value = _english_value(content) if value is None else value
    if value is not None:
        yield str(value)


def _respelled(content: str, spell: Callable[[int], str]) -> str:
    return re.sub(r"\d{1,12}", lambda m: spell(int(m.group())), content)


def _english_words_and(value: int) -> str:
    return _english_words(value, "and")


def _english_words(value: int, andword: str = "") -> str:
    import inflect

    words = inflect.engine().number_to_words(value, andword=andword)  # type: ignore[arg-type]
    return str(words).replace(",", "")


def _chinese_words(value: int) -> str:
    import cn2an

    return cn2an.an2cn(str(value))


def _english_value(text: str) -> int | None:
    """ "two hundred and five" as 205; None where another word is among them."""
    total, group, seen = 0, 0, False
    for word in re.split(r"[\s-]+", text.strip().lower()):
        if word in _EN_UNITS or word in _EN_TENS:
            group, seen = group + _EN_UNITS.get(word, _EN_TENS.get(word, 0)), True
        elif word == "hundred" and seen:
            group *= 100
        elif word in ("thousand", "million") and seen:
            total, group = total + group * (1000 if word == "thousand" else 10**6), 0
        elif word != "and" or not seen:
            return None
    return total + group if seen else None


def chinese_number(text: str) -> float | None:
    """ "一点五", "0.8", "负三", "半", "两个半" as a number."""
    word = text.strip()
    sign = 1.0
    if word[:1] in ("负", "-", "+"):
        sign = 1.0 if word[0] == "+" else -1.0
        word = word[1:]
    if word == "半":
        return sign * 0.5
    half = 0.5 if word.endswith("半") else 0.0
    word = re.sub("个?半$", "", word)
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", word):
        return sign * (float(word) + half)
    whole, point, digits = word.partition("点")
    number = chinese_integer(whole)
    if number is None:
        return None
    if not point:
        return sign * (number + half)
    if not digits or any(d not in _ZH_DIGITS for d in digits):
        return None
    return sign * float(f"{number}." + "".join(str(_ZH_DIGITS[d]) for d in digits))
