"""Marks in a text that say how it is spoken: `[pause 0.5s]`, and a small part of SSML.

A text that begins with `<speak` is SSML (W3C Speech Synthesis Markup Language 1.1): `<speak>`,
`<p>`, `<s>`, `<break time="500ms"/>` and `<say-as interpret-as="characters">`. Document types and
entities of a document's own are refused, so a text cannot grow while it is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.parsers import expat

from mingtok_audio.core.errors import UserError

MAX_PAUSE, MAX_PAUSES = 10.0, 600.0
"""Seconds of one pause, and of all pauses of a text."""
_MAX_DEPTH = 32
_PAUSE = re.compile(r"\[pause[ \t]+(\d{1,6}(?:\.\d{1,6})?)[ \t]*(ms|s)\]", re.IGNORECASE)
_TIME = re.compile(r"\+?(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})(ms|s)")
_SSML = re.compile(r"\s*(?:<\?xml[^>]{0,200}\?>\s*)?<(?:speak[\s/>]|!DOCTYPE\s)")
_STRENGTHS = {
    "none": 0.0,
    "x-weak": 0.1,
    "weak": 0.2,
    "medium": 0.4,
    "strong": 0.8,
    "x-strong": 1.2,
}
_ELEMENTS = ("speak", "p", "s", "break", "say-as")
_PARAGRAPH, _SENTENCE = 0.6, 0.0
_READINGS = ("characters", "spell-out", "digits", "telephone", "cardinal", "ordinal")


@dataclass(frozen=True)
class Part:
    """Words, and the seconds of silence after them."""

    text: str
    pause: float = 0.0


def spoken_parts(text: str) -> list[Part]:
    """A text as parts without marks.

    Raises:
        UserError: SSML that cannot be read, an element that is not known, or too long a pause.
    """
    parts = _Reader().read(text) if _SSML.match(text) else _plain(text)
    if sum(part.pause for part in parts) > MAX_PAUSES:
        raise UserError(f"the pauses of the text are longer than {MAX_PAUSES:g} s in all")
    return parts


def without_marks(text: str) -> str:
    """The words of a text; see `spoken_parts`."""
    return " ".join(part.text for part in spoken_parts(text))


def _plain(text: str) -> list[Part]:
    parts, start = [], 0
    for found in _PAUSE.finditer(text):
        parts.append(Part(text[start : found.start()], _seconds(found[1], found[2])))
        start = found.end()
    return [*parts, Part(text[start:])] if start < len(text) or not parts else parts


def _seconds(number: str, unit: str) -> float:
    seconds = float(number) / (1000 if unit.lower() == "ms" else 1)
    if seconds > MAX_PAUSE:
        raise UserError(f"a pause has at most {MAX_PAUSE:g} s, not {seconds:g}")
    return seconds


class _Reader:
    """One document of SSML to its parts."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._words: list[str] = []
        self._open: list[str] = []
        self._reading = ""
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._data
        self._parser.StartDoctypeDeclHandler = self._refuse

    def read(self, text: str) -> list[Part]:
        try:
            self._parser.Parse(text.strip().encode("utf-8", "replace"), True)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code) if error.code else str(error)
            raise UserError(
                f"the SSML cannot be read: {reason}, line {error.lineno}, column {error.offset}"
            ) from error
        self._flush(0.0)
        return self._parts

    def _refuse(self, *_: object) -> None:
        raise UserError("the SSML has a document type: leave <!DOCTYPE ...> out")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if name not in _ELEMENTS:
            raise UserError(
                f"the SSML has an element <{name[:40]}>; known are {', '.join(_ELEMENTS)}"
            )
        if len(self._open) >= _MAX_DEPTH:
            raise UserError(f"the SSML has more than {_MAX_DEPTH} elements in one another")
        if self._reading:
            raise UserError("the SSML has an element in <say-as>, which holds only text")
        self._open.append(name)
        if name == "break":
            self._flush(_break(attributes))
        elif name == "say-as":
            self._reading = attributes.get("interpret-as", "")
            if self._reading not in _READINGS:
                raise UserError(
                    f"say-as knows no interpret-as {self._reading[:40]!r}; known are "
                    f"{', '.join(_READINGS)}"
                )
        elif name in ("p", "s"):
            self._flush(0.0)

    def _end(self, name: str) -> None:
        ended = self._open.pop()
        if ended == "say-as":
            self._reading = ""
        elif ended in ("p", "s"):
            self._flush(_PARAGRAPH if ended == "p" else _SENTENCE)

    def _data(self, data: str) -> None:
        if self._open[-1] == "break" and data.strip():
            raise UserError("the SSML has text in <break>, which holds none")
        self._words.append(_read_as(data, self._reading) if self._reading else data)

    def _flush(self, pause: float) -> None:
        """End a part; a pause that follows another one adds to it."""
        text = " ".join("".join(self._words).split())
        self._words = []
        if text or (pause and not self._parts):
            self._parts.append(Part(text, pause))
        elif self._parts:
            last = self._parts[-1]
            self._parts[-1] = Part(last.text, last.pause + pause)


def _break(attributes: dict[str, str]) -> float:
    time = attributes.get("time")
    if time is None:
        strength = attributes.get("strength", "medium")
        if strength not in _STRENGTHS:
            raise UserError(
                f"break knows no strength {strength[:40]!r}; known are {', '.join(_STRENGTHS)}"
            )
        return _STRENGTHS[strength]
    found = _TIME.fullmatch(time.strip())
    if found is None:
        raise UserError(f"break knows no time {time[:40]!r}; write 500ms or 0.5s")
    return _seconds(found[1], found[2])


def _read_as(text: str, reading: str) -> str:
    """A text as `say-as` wants it said, for the text normaliser."""
    if reading in ("characters", "spell-out"):
        return ", ".join(c.upper() for c in text if not c.isspace())
    if reading in ("digits", "telephone"):
        return " ".join(c for c in text if c.isalnum())
    if reading == "ordinal" and text.strip().isdecimal() and text.isascii():
        number = int(text.strip()[:18])
        teen = number % 100 in (11, 12, 13)
        return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
    return text
