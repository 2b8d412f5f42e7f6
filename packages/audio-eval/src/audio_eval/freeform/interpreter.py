"""Read an instruction as a listener would: the second, independent path to the edited text.

`interpret(instruction, original_text, ...)` sees nothing of how an item was made. It must consume
every word of the instruction, finds the place on the original *string* and edits that string, and
returns every reading it can find. One reading is a sound item; two mean that the instruction is
ambiguous; none that it is not understood. `units.py` states the rule both paths follow.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from audio_eval.freeform.units import Language

_STRONG = ".?!…。？！"
_ANY_MARK = ".?!…。？！,;:，；：、"
_QUOTE_PAIRS = {"“": "”", "‘": "’", '"': '"', "'": "'", "«": "»", "`": "`", "「": "」", "『": "』"}
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff〇]")


class UnreadableError(ValueError):
    """One way of reading an instruction that leads nowhere; `reason` says why."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Action:
    """What a reading does: units (0-based, stop exclusive) removed or replaced, or a place."""

    spans: tuple[tuple[int, int], ...] = ()
    position: int | None = None
    after: bool = True
    payload: str = ""


@dataclass(frozen=True)
class Interpretation:
    """All that an instruction can mean for a text.

    Attributes:
        readings: the distinct edited texts, in the order found.
        problems: `reason: detail` of every way that led nowhere, when there is no reading.
    """

    readings: tuple[str, ...]
    problems: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why this is not exactly one reading; "" when it is."""
        if len(self.readings) > 1:
            return "two_readings"
        if self.readings:
            return ""
        return self.problems[0].split(":")[0] if self.problems else "not_understood"


class Target:
    """The original text as the listener hears it: units with their place in the string."""

    def __init__(self, text: str, language: Language) -> None:
        self.language: Language = language
        self.text = " ".join(text.split())
        if language == "zh":
            self.text = self.text.replace(" ", "")
            self.places = [m.span() for m in _HAN.finditer(self.text)]
        else:
            pattern = rf"[^\s{re.escape(_ANY_MARK)}](?:\S*[^\s{re.escape(_ANY_MARK)}])?"
            self.places = [m.span() for m in re.finditer(pattern, self.text)]
        self.heard = [self._sound(self.text[a:b]) for a, b in self.places]

    @staticmethod
    def _sound(word: str) -> str:
        return word.replace("’", "'").casefold()

    def __len__(self) -> int:
        return len(self.places)

    def find(self, quote: str) -> list[tuple[int, int]]:
        """Every place (also overlapping) where the words of `quote` stand."""
        words = Target(quote, self.language).heard
        if not words:
            raise UnreadableError("empty_quote", quote)
        size = len(words)
        return [
            (i, i + size)
            for i in range(len(self.heard) - size + 1)
            if self.heard[i : i + size] == words
        ]

    def find_one(self, quote: str) -> tuple[int, int]:
        """The only place of `quote`."""
        places = self.find(quote)
        if not places:
            raise UnreadableError("not_in_text", quote)
        if len(places) > 1:
            raise UnreadableError("ambiguous_match", f"{quote!r} is there {len(places)} times")
        return places[0]

    def find_nth(self, quote: str, order: int) -> tuple[int, int]:
        """The `order`-th place of `quote` (-1: the last)."""
        places = self.find(quote)
        if any(b[0] < a[1] for a, b in itertools.pairwise(places)):
            raise UnreadableError("ambiguous_match", f"{quote!r} overlaps with itself")
        index = order - 1 if order > 0 else len(places) + order
        if not 0 <= index < len(places):
            raise UnreadableError("index_out_of_range", f"{quote!r} is there {len(places)} times")
        return places[index]

    def find_all(self, quote: str) -> tuple[tuple[int, int], ...]:
        places = self.find(quote)
        if not places:
            raise UnreadableError("not_in_text", quote)
        if any(b[0] < a[1] for a, b in itertools.pairwise(places)):
            raise UnreadableError("ambiguous_match", f"{quote!r} overlaps with itself")
        return tuple(places)

    def index(self, number: int) -> int:
        """The 0-based unit of a 1-based index, or of one counted from the end (-1: the last)."""
        found = number - 1 if number > 0 else len(self) + number
        if number == 0 or not 0 <= found < len(self):
            raise UnreadableError("index_out_of_range", f"{number} of {len(self)}")
        return found

    def range(self, first: int, last: int) -> tuple[int, int]:
        start, stop = self.index(first), self.index(last) + 1
        if start >= stop:
            raise UnreadableError("index_out_of_range", f"{first} to {last}")
        return start, stop

    def apply(self, action: Action) -> str:
        """The string after `action`."""
        if action.position is not None:
            return self._insert(action)
        text = self.text
        for start, stop in sorted(action.spans, reverse=True):
            head, tail = text[: self.places[start][0]], text[self.places[stop - 1][1] :]
            text = head + action.payload + tail if action.payload else self._close(head, tail)
        if not text.strip(_ANY_MARK + " "):
            raise UnreadableError("empty_result")
        return text

    def _insert(self, action: Action) -> str:
        gap = "" if self.language == "zh" else " "
        position = action.position or 0
        if action.after and position > 0:
            end = self.places[position - 1][1]
            return f"{self.text[:end]}{gap}{action.payload}{self.text[end:]}"
        if position >= len(self):
            raise UnreadableError("index_out_of_range", str(position))
        start = self.places[position][0]
        return f"{self.text[:start]}{action.payload}{gap}{self.text[start:]}"

    def _close(self, head: str, tail: str) -> str:
        """Join what is left on both sides of a deletion, with one punctuation mark at most."""
        bare = head.rstrip().rstrip(_ANY_MARK)
        mark = head.rstrip()[len(bare) :]
        rest = tail.lstrip().lstrip(_ANY_MARK)
        other = tail.lstrip()[: len(tail.lstrip()) - len(rest)]
        rest = rest.lstrip()
        if not bare:
            return rest
        if other and (not mark or (set(other) & set(_STRONG) and not set(mark) & set(_STRONG))):
            mark = other
        gap = " " if rest and self.language == "en" else ""
        return bare + mark + gap + rest


def quotes_out(instruction: str) -> tuple[str, list[str]]:
    """Replace quoted parts by ` Q0 `, ` Q1 `, ...; an apostrophe inside a word opens nothing."""
    out: list[str] = []
    quotes: list[str] = []
    index = 0
    while index < len(instruction):
        char = instruction[index]
        closing = _QUOTE_PAIRS.get(char)
        end = _closing(instruction, index, closing) if closing else -1
        if end < 0:
            out.append(char)
            index += 1
            continue
        out.append(f" Q{len(quotes)} ")
        quotes.append(instruction[index + 1 : end])
        index = end + 1
    return "".join(out), quotes


def _closing(text: str, start: int, closing: str) -> int:
    """Where the quotation opened at `start` ends, or -1 where it is an apostrophe."""
    single = closing in {"'", "’"}
    latin_before = start > 0 and text[start - 1].isascii() and text[start - 1].isalnum()
    if single and latin_before:
        return -1
    for end in range(start + 1, len(text)):
        if text[end] != closing:
            continue
        following = text[end + 1 : end + 2]
        if single and following.isascii() and following.isalnum() and text[end - 1].isascii():
            continue  # the apostrophe of "don't"
        return end
    return -1


def interpret(
    instruction: str, original_text: str, language: Language, prefix: str = ""
) -> Interpretation:
    """Every reading of `instruction` for `original_text`.

    Args:
        prefix: a fixed opening that is no part of the instruction and is taken off first.
    """
    from audio_eval.freeform import interpreter_en, interpreter_zh

    body = instruction.strip()
    body = body.removeprefix(prefix.strip()).strip() if prefix else body
    plain, quotes = quotes_out(body)
    target = Target(original_text, language)
    reader = interpreter_zh if _HAN.search(plain) else interpreter_en
    attempts: Iterator[Action | UnreadableError] = reader.actions(plain, quotes, target)
    readings: list[str] = []
    problems: list[str] = []
    for attempt in attempts:
        if isinstance(attempt, UnreadableError):
            problems.append(str(attempt))
            continue
        try:
            text = target.apply(attempt)
        except UnreadableError as error:
            problems.append(str(error))
            continue
        if text not in readings:
            readings.append(text)
    if not readings and not problems:
        problems = [f"not_understood: {plain.strip()}"]
    return Interpretation(tuple(readings), tuple(problems))
