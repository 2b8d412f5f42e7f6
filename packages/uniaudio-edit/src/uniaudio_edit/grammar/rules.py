"""Rules as data: how a table of patterns is written, and how one is matched against a clause.

A pattern is a regular expression with two kinds of names in braces. `{NAME}` in capitals is a
fragment of the language's `words`. `{name}` in lower case is a slot: any text, which the engine
reads as a reference, a place or new words, by the kind of the rule. With several slots every
position of what stands between them is tried, so a rule has no opinion about where "and" cuts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

_FRAGMENT = re.compile(r"\{([A-Z][A-Z_]*)\}")
_SLOT = re.compile(r"\{([a-z]+)\}")
_MOST_CUTS = 24
"""How many positions of a separator are tried for one rule."""


@dataclass(frozen=True)
class Rule:
    """One line of a table.

    Attributes:
        kind: what it means; the engine has one maker for each kind.
        pattern: see the module's docstring; must match the whole clause or reference.
        rank: readings of a higher rank count only where none of a lower one fits the text.
        unquoted: the rank where nothing is in quotation marks; None takes `rank`.
        quoted: whether it needs a quotation.
        values: fixed values of the maker, for example `{"side": "before"}`.
        stop: where it fits, the `POSITION_KINDS` rules after it are not tried.
    """

    kind: str
    pattern: str
    rank: int = 0
    unquoted: int | None = None
    quoted: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)
    stop: bool = False


def rules(kind: str, *patterns: str, **options: Any) -> tuple[Rule, ...]:
    """Rules of one kind that differ in nothing but their patterns."""
    return tuple(Rule(kind, pattern, **options) for pattern in patterns)


POSITION_KINDS = frozenset({"position", "span", "head", "tail", "backwards"})


@dataclass(frozen=True)
class Language:
    """Everything that the engine knows of a language, as data.

    Attributes:
        code: "en" or "zh".
        words: fragments by name; they may use each other, those before them.
        prepare: a clause or reference as the patterns expect it (spaces, punctuation).
        lead, trail: politeness and other words around a clause that say nothing.
        kept: a clause that is nothing but this keeps its `trail` ("delete please").
        rewrites: (pattern, plain wording), applied to a whole instruction in order.
        literal: a quotation with what may stand around it; group `quote`.
        trimmed: (pattern, replacement, rank): what may be left off words that are not quoted.
        new: what may be left off new words, as `trimmed` without a rank.
        place_trim: what may be left off a place, as `new`.
        references, places: what a span is, and where something is put.
        listed: what separates the items of a list of references.
        items: (where, pattern, replacement): completes the items of a list ("the first" -> word)
            where its first or last item shows the unit.
        before_list: what may stand in front of a list.
        carried: (pattern, verb): the verb that a clause lends to the ones after it.
        closed: what a clause says that lends no verb.
        integer, number: how a number is written, as functions of the text.
        position: as `integer`, with "last" and its like as negative numbers.
        quantities: (kind, pattern, value): how much, see `amounts`.
        degrees: (degree, pattern): "a bit", "much".
        sound_words: every word that a clause about an amount of sound may have; empty for any.
        sound_trim: words for the recording that stand in front of a clause about its sound.
        join: what stands between a carried verb and its clause.
    """

    code: str
    words: Mapping[str, str]
    prepare: Callable[[str], str]
    lead: tuple[str, ...]
    trail: tuple[str, ...]
    references: tuple[Rule, ...]
    places: tuple[Rule, ...]
    literal: str
    trimmed: tuple[tuple[str, str, int], ...]
    new: tuple[tuple[str, str], ...]
    listed: str
    items: tuple[tuple[str, str, str], ...]
    carried: tuple[tuple[str, str], ...]
    integer: Callable[[str], int | None]
    number: Callable[[str], float | None]
    position: Callable[[str], int | None]
    quantities: tuple[tuple[str, str, float | None], ...]
    degrees: tuple[tuple[str, str], ...]
    kept: str = ""
    closed: str = "(?!)"
    rewrites: tuple[tuple[str, str], ...] = ()
    place_trim: tuple[tuple[str, str], ...] = ()
    before_list: str = ""
    sound_words: frozenset[str] = frozenset()
    sound_trim: tuple[str, ...] = ()
    join: str = " "

    def __hash__(self) -> int:
        return hash(self.code)

    def expand(self, pattern: str) -> str:
        """`pattern` with its fragments written out."""
        while _FRAGMENT.search(pattern):
            pattern = _FRAGMENT.sub(lambda m: f"(?:{self.words[m.group(1)]})", pattern)
        return pattern

    @lru_cache(maxsize=4096)  # noqa: B019 - there are two languages, and they live as long as we do
    def compiled(self, pattern: str) -> re.Pattern[str]:
        """A pattern without slots, compiled."""
        return re.compile(self.expand(pattern), re.IGNORECASE)

    def full(self, pattern: str, text: str) -> re.Match[str] | None:
        """A match of all of `text`."""
        return self.compiled(pattern).fullmatch(text)

    def search(self, pattern: str, text: str) -> re.Match[str] | None:
        """The first match in `text`."""
        return self.compiled(pattern).search(text)

    def sub(self, pattern: str, plain: str, text: str) -> str:
        """`text` with `pattern` replaced."""
        return self.compiled(pattern).sub(plain, text)

    @lru_cache(maxsize=4096)  # noqa: B019
    def _pieces(self, pattern: str) -> tuple[tuple[re.Pattern[str], ...], tuple[str, ...]]:
        """The separators around the slots of a pattern, and the names of the slots."""
        parts = _SLOT.split(self.expand(pattern))
        names, last = tuple(parts[1::2]), len(parts) - 1
        out = []
        for index in range(0, len(parts), 2):
            piece = parts[index]
            if self.code == "en":  # a space beside a slot is a space or a mark
                piece = re.sub(r"^ ", "[ ,:]+", piece) if index else piece
                piece = re.sub(r" $", "[ ,:]+", piece) if index < last else piece
            out.append(re.compile(piece + (r"\Z" if index == last else ""), re.IGNORECASE))
        return tuple(out), names

    def match(self, pattern: str, text: str) -> Iterator[dict[str, str]]:
        """Every way that all of `text` fits: the texts of slots and named groups."""
        if "{" not in pattern or not _SLOT.search(self.expand(pattern)):
            if found := self.full(pattern, text):
                yield _groups(found)
            return
        pieces, names = self._pieces(pattern)
        head = pieces[0].match(text)
        if head is not None:
            yield from self._slots(text, head.end(), pieces[1:], names, _groups(head))

    def _slots(
        self,
        text: str,
        at: int,
        pieces: tuple[re.Pattern[str], ...],
        names: tuple[str, ...],
        found: dict[str, str],
    ) -> Iterator[dict[str, str]]:
        if len(pieces) == 1:
            tail = pieces[0].search(text, at + 1)
            if tail is not None and text[at : tail.start()].strip():
                yield {**found, names[0]: text[at : tail.start()], **_groups(tail)}
            return
        for count, cut in enumerate(pieces[0].finditer(text, at + 1)):
            if count >= _MOST_CUTS:
                return
            more = {**found, names[0]: text[at : cut.start()], **_groups(cut)}
            yield from self._slots(text, cut.end(), pieces[1:], names[1:], more)


def _groups(match: re.Match[str]) -> dict[str, str]:
    return {name: value for name, value in match.groupdict().items() if value is not None}
