"""What both readers of instructions share: the text as spoken units, and what a reading does."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from audio_eval.build.units import Language
from mingtok_audio.core.script import HAN

_STRONG = ".?!…。？！"
_ANY_MARK = ".?!…。？！,;:，；：、"
_HAN = re.compile(f"[{HAN}]")


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


class Target:
    """The original text as spoken: units with their place in the string."""

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

    def gap(self, left: int, right: int, line: str) -> tuple[int, bool]:
        """The place between unit `left - 1` and unit `right`, which have to be neighbours."""
        if left != right:
            raise UnreadableError("not_understood", f"nothing lies just between: {line}")
        if self.text[self.places[left - 1][1] : self.places[left][0]].strip():
            raise UnreadableError("two_readings", f"punctuation in between: {line}")
        return left, True

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
