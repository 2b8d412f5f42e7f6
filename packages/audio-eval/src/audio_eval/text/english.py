"""One way of writing each thing in English, around Whisper's normaliser.

Whisper's rules know one apostrophe, read "o'clock" as a zero, and lose the sign of "-5". What is
here turns the other spellings of a word into the one that they know. It never makes two different
words the same: "three o'clock" is not "thirty clock", "minus five" is not "five".
"""

from __future__ import annotations

import re
import unicodedata

_APOSTROPHES = re.compile(r"(?<=\w)[\u2018\u2019\u02bc\u02b9\u2032\u00b4`\uff07\u201b](?=\w)")
_INITIALS = re.compile(r"(?<![\w.])(?:[A-Za-z]\.){2,}(?:[A-Za-z](?![\w]))?")
_SPACED_CAPITALS = re.compile(r"(?<![\w'])[A-Z](?: [A-Z])+(?![\w'])")
_HALF_DAY = re.compile(r"(?<=\d)\s*([ap])\.?\s?m\b\.?", re.IGNORECASE)
_SPOKEN_HALF_DAY = re.compile(r"\b([ap]) m\b", re.IGNORECASE)
_CLOCK = re.compile(
    r"(?<![\d:.])([01]?\d|2[0-4]):([0-5]\d)(?![\d:])(\s*[ap]\.?m\b)?", re.IGNORECASE
)
_MINUS = re.compile(r"(?<![\w)\].])[-\u2212\u2013](?=\d)")
_RANGE = re.compile(r"(?<![\w/-])(\d{1,3})\s?[-\u2013\u2014~]\s?(\d{1,3})(?![\w/-]|\.\d)")
_FRACTIONS = {
    "\u00bd": ("one half", "a half"),
    "\u2153": ("one third", "a third"),
    "\u2154": ("two thirds", "two thirds"),
    "\u00bc": ("one quarter", "a quarter"),
    "\u00be": ("three quarters", "three quarters"),
    "1/2": ("one half", "a half"),
    "1/3": ("one third", "a third"),
    "2/3": ("two thirds", "two thirds"),
    "1/4": ("one quarter", "a quarter"),
    "3/4": ("three quarters", "three quarters"),
}
_FRACTION = re.compile(
    r"(?<![\d/.])(?:(\d+)(?:\s?(?=[\u00bd\u2153\u2154\u00bc\u00be])|\s))?"
    r"([\u00bd\u2153\u2154\u00bc\u00be]|[123]/[234](?![\d/]))"
)
_SIGNS = (
    (re.compile(r"\s*&\s*"), " and "),
    (re.compile(r"#\s?(?=\d)"), " number "),
    (re.compile(r"(?<=\d)\s+(?=%)"), ""),
    (re.compile(r"(?<=\d)\s*[\u00b0\u00ba]\s?c\b", re.IGNORECASE), " degrees celsius"),
    (re.compile(r"(?<=\d)\s*[\u00b0\u00ba]\s?f\b", re.IGNORECASE), " degrees fahrenheit"),
    (re.compile(r"(?<=\d)\s*\u00b0"), " degrees"),
    (re.compile(r"(?<=\d)\s*\u00a2"), " cents"),
    (re.compile(r"(?<=[\w.])@(?=\w)"), " at "),
    (re.compile(r"(?<=\w)\s+\+\s+(?=\w)"), " plus "),
    (re.compile(r"(?<=\w)\s*=\s*(?=\w)"), " equals "),
    (re.compile(r"\be-?mail(?=s?\b|ed\b|ing\b)", re.IGNORECASE), "email"),
    (re.compile(r"\bo'clock\b", re.IGNORECASE), "oclock"),
    (re.compile(r"\b(\d{1,2}|[a-z]+) o clock\b", re.IGNORECASE), r"\1 oclock"),
    (re.compile(r"\bcannot\b", re.IGNORECASE), "can not"),
)
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_SHORT_MONTH = re.compile(
    r"\b(jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?(?=\s+\d)", re.IGNORECASE
)
_LONG = {name[:3]: name for name in _MONTHS.split("|")}
_DAY_AFTER = re.compile(rf"\b({_MONTHS}) (?:the )?(\d{{1,2}})(?:st|nd|rd|th)\b")
_FIRST = re.compile(rf"\b({_MONTHS}) one\b")
_DAY_BEFORE = re.compile(rf"\b(?:the )?(\d{{1,2}})(?:st|nd|rd|th) of ({_MONTHS})\b")


def before_whisper(text: str) -> str:
    """``text`` written as Whisper's rules expect it."""
    text = _FRACTION.sub(_fraction, text)
    text = unicodedata.normalize("NFKC", _APOSTROPHES.sub("'", text))
    text = _CLOCK.sub(_clock, text)
    text = _HALF_DAY.sub(r" \1m ", text)
    text = _SPOKEN_HALF_DAY.sub(r"\1m", text)
    text = _INITIALS.sub(lambda m: m[0].replace(".", "") + " ", text)
    text = _SPACED_CAPITALS.sub(lambda m: m[0].replace(" ", ""), text)
    text = _RANGE.sub(r"\1 to \2", text)
    text = _MINUS.sub(" minus ", text)
    text = _SHORT_MONTH.sub(lambda m: _LONG[m[1][:3].lower()], text)
    for pattern, word in _SIGNS:
        text = pattern.sub(word, text)
    return text


def after_whisper(text: str) -> str:
    """Dates and a few words of Whisper's output in one form: "june the 3rd" is "june 3"."""
    text = _DAY_BEFORE.sub(r"\2 \1", _DAY_AFTER.sub(r"\1 \2", text))
    text = _FIRST.sub(r"\1 1", text)  # Whisper's rules write a lone 1 as a word
    return re.sub(r"\bokay\b", "ok", text)


def _fraction(found: re.Match[str]) -> str:
    alone, after = _FRACTIONS.get(found[2], (found[2], found[2]))
    if alone == found[2]:
        return found[0]
    if found[1] is None:
        return f" {alone} "
    # Whisper's rules write "two and a half" as 2.5.
    return f" {found[1]}.5 " if after == "a half" else f" {found[1]} and {after} "


def _clock(found: re.Match[str]) -> str:
    hour, minute = str(int(found[1])), found[2]
    half = found[3] or ""
    if minute == "00":
        return hour + (half or " oclock")
    return hour + minute + half  # as Whisper's rules write "ten thirty"
