"""A clause of an instruction, as the wordings of an operation are given it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from uniaudio_edit.grammar.quoting import has_quote
from uniaudio_edit.grammar.references import Reading
from uniaudio_edit.grammar.rules import Language, Rule

Drafted = Callable[[str, int, dict[str, str], Language], Iterator[Reading]]
"""Operation, rank, slots and groups of a rule, language -> readings."""


@dataclass(frozen=True)
class Clause:
    """A clause in one language.

    Attributes:
        text: without politeness, and without the marks around it.
        sound: the same in lower case, with what is in quotation marks in its place and without
            words for the recording in front: what sound operations look at.
        language: its table.
    """

    text: str
    sound: str
    language: Language
    _draft: Drafted

    @property
    def has_quote(self) -> bool:
        """Whether something is in quotation marks."""
        return has_quote(self.text)

    @property
    def only_sound_words(self) -> bool:
        """Whether every word is one that amounts of sound are spoken of with."""
        known = self.language.sound_words
        return not known or set(re.findall(r"[^\W\d_]+(?:'[a-z]+)?", self.sound)) <= known

    def drafts(self, operation: str, wordings: Iterable[str | Rule]) -> Iterator[Reading]:
        """The readings of the clause as `operation`, by a table of rules about words."""
        quoted = self.has_quote
        for wording in wordings:
            rule = Rule("", wording) if isinstance(wording, str) else wording
            if rule.quoted and not quoted:
                continue
            rank = rule.rank if quoted or rule.unquoted is None else rule.unquoted
            for found in self.language.match(rule.pattern, self.text):
                yield from self._draft(operation, rank, found, self.language)
