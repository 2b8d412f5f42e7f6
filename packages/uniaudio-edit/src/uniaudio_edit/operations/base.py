"""What an edit operation is: everything about it in one class, in one file.

An operation says how it is asked for in each language, what its parameters may be, how it is done,
how a published model is asked for it, and how a training pair of it is made. A plugin adds one with
`ComponentSpec("edit_operation", NAME, "my_package.module:MyOperation")`; see `reverb` for one that
is nothing but its file.

The instructions of the benchmark (`audio_eval`) are written and read by other code on purpose: the
editor must not be measured with its own words.

Axes: T samples, C channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from uniaudio_edit.data.pair import Material, NoPairError, Pair, Style
from uniaudio_edit.errors import InstructionError
from uniaudio_edit.grammar.amounts import degree, factor_of, measure, quantity
from uniaudio_edit.grammar.clause import Clause
from uniaudio_edit.grammar.references import Draft, Reading
from uniaudio_edit.grammar.rules import Rule

if TYPE_CHECKING:
    import numpy as np

    from uniaudio_edit.pcm import Floats
    from uniaudio_edit.plan import Operation
    from uniaudio_edit.text import Text


@dataclass
class Sound:
    """What a sound operation is told besides its parameters.

    Attributes:
        rate: Hz.
        seed: of everything random.
        options: of the editor, by name.
        notes: one line each for the receipt's warnings; the operation appends.
    """

    rate: int
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class EditOperation(ABC):
    """An operation by its name in plans.

    Attributes:
        name: the `type` of a plan's operation.
        example: an instruction, for the message about one that is not understood.
        semantic: whether it changes words.
        repeatable: whether it may stand several times in a plan, with other parameters.
        mergeable: whether two of it that set different parameters are one.
        limits: smallest and largest value of each numerical parameter.
        wordings: patterns by language, see `grammar.rules`; a `Rule` gives one a rank.
        sentences: templates of training instructions, by style.
        task: under what name `edit-data` makes pairs of it; "" for none.
        weight: how often, relative to the others.
        library: what does the work, for the receipt: (what for, distribution); None for this
            package.
    """

    name: ClassVar[str]
    example: ClassVar[str] = ""
    semantic: ClassVar[bool] = False
    repeatable: ClassVar[bool] = False
    mergeable: ClassVar[bool] = False
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {}
    wordings: ClassVar[Mapping[str, tuple[str | Rule, ...]]] = {}
    sentences: ClassVar[Mapping[Style, tuple[str, ...]]] = {}
    task: ClassVar[str] = ""
    weight: ClassVar[float] = 1.0
    library: ClassVar[tuple[str, str] | None] = None

    @abstractmethod
    def readings(self, clause: Clause) -> Iterator[Reading]:
        """Every way to read a clause as this operation."""

    def check(self, params: Mapping[str, Any]) -> None:
        """Refuse parameters out of range.

        Raises:
            InstructionError: says which, and the range.
        """
        for name, (low, high) in self.limits.items():
            value = params.get(name)
            if value is not None and not low <= value <= high:
                raise InstructionError(
                    f"{self.name} {name} {value:g} is out of range: {low:g} to {high:g}"
                )

    def published(self, op: Operation, text: Text) -> str:
        """How a model with the published training data is asked for it; "" where it never was.

        Args:
            op: of a plan.
            text: what the recording says before it.
        """
        del op, text
        return ""

    def pair(self, material: Material, rng: Random) -> Pair:
        """A training pair from a recording.

        Raises:
            NoPairError: this recording makes none.
        """
        del material, rng
        raise NoPairError("not_made")

    def sentence(self, style: Style, rng: Random, **values: str) -> str:
        """A training instruction with its values in their places."""
        return rng.choice(self.sentences[style]).format(**values)


class WordOperation(EditOperation):
    """Changes words: its rules name references, places and new words."""

    semantic = True
    weight = 3.0

    def readings(self, clause: Clause) -> Iterator[Reading]:
        """By the rules of `wordings`."""
        yield from clause.drafts(self.name, self.wordings.get(clause.language.code, ()))


class NamedOperation(EditOperation):
    """Is asked for by rules without references.

    A rule's named groups are given to `understood`. Rules see the clause in lower case.
    """

    quoted_about: ClassVar[Mapping[str, str]] = {}
    """By language: what a clause must be about for its quotations to be read as plain words."""

    def readings(self, clause: Clause) -> Iterator[Reading]:
        """By the rules of `wordings`."""
        language = clause.language
        if clause.has_quote:
            about = self.quoted_about.get(language.code)
            if about is None or not language.search(about, clause.text):
                return
        for wording in self.wordings.get(language.code, ()):
            rule = Rule("", wording) if isinstance(wording, str) else wording
            for found in language.match(rule.pattern, clause.sound):
                understood = self.understood(found, clause)
                if understood is not None:
                    params, notes = understood
                    draft = Draft(self.name, params=params, assumptions=tuple(notes))
                    yield Reading((draft,), rule.rank)

    def understood(
        self, found: Mapping[str, Any], clause: Clause
    ) -> tuple[dict[str, Any], list[str]] | None:
        """Parameters and assumptions, of what a rule found; None where it means something else."""
        del found, clause
        return {}, []


class SoundOperation(NamedOperation):
    """Changes the sound of the whole recording; the backend `dsp` applies it."""

    @abstractmethod
    def apply(self, wav: np.ndarray, params: Mapping[str, Any], sound: Sound) -> np.ndarray:
        """(T, C) float64 to (T', C).

        The same samples, parameters and seed always give the same result.

        Raises:
            MissingPartError: a file or library that it needs is not there.
            UserError: it cannot be done on this recording.
        """


class CutOperation(SoundOperation):
    """Takes stretches of time out; every sample that stays is the source's."""

    @abstractmethod
    def cuts(
        self, wav: np.ndarray | Floats, params: Mapping[str, Any], sound: Sound
    ) -> list[tuple[int, int]]:
        """The samples [a, b) of (T, C) that go, in order, not overlapping.

        `wav` may be converted only where it is looked at: take its length, and slices.

        Raises:
            UserError: nothing would be left, or nothing is to be taken out.
        """

    def apply(self, wav: np.ndarray, params: Mapping[str, Any], sound: Sound) -> np.ndarray:
        """Without fades; the backend `cut` joins the pieces."""
        import numpy as np

        keep = np.ones(len(wav), bool)
        for start, end in self.cuts(wav, params, sound):
            keep[start:end] = False
        return wav[keep]


@dataclass(frozen=True)
class Amounts:
    """What a language says about a quality that can be more or less.

    Attributes:
        about: a clause about it matches this somewhere (from the start, with `^`).
        up, down: the words of the two directions.
        other: words that show that it is about another quality.
        units: (pattern, scale or fixed value, note) of amounts with a unit of their own.
    """

    about: str
    up: str
    down: str
    other: str = "(?!)"
    units: tuple[tuple[str, float, str], ...] = ()


class ScaledOperation(SoundOperation):
    """A quality that is made more or less by a factor, "20 % faster", "half as loud".

    Attributes:
        parameter: the factor's name.
        amounts: by language.
        steps_up, steps_down: the factor of "a bit", of no amount, and of "much".
    """

    parameter: ClassVar[str] = "factor"
    amounts: ClassVar[Mapping[str, Amounts]] = {}
    steps_up: ClassVar[tuple[float, float, float]] = (1.0, 1.0, 1.0)
    steps_down: ClassVar[tuple[float, float, float]] = (1.0, 1.0, 1.0)

    def readings(self, clause: Clause) -> Iterator[Reading]:
        """By `amounts`: what the clause is about, its directions, and how much."""
        language, said = clause.language, clause.sound
        table = self.amounts.get(language.code)
        if table is None or clause.has_quote or not clause.only_sound_words:
            return
        if not language.search(table.about, said) or language.search(table.other, said):
            return
        up = language.search(table.up, said) is not None
        down = language.search(table.down, said) is not None
        for params, notes in self.read(clause, table, up, down):
            yield Reading((Draft(self.name, params=params, assumptions=tuple(notes)),))

    def read(
        self, clause: Clause, table: Amounts, up: bool, down: bool
    ) -> Iterator[tuple[dict[str, Any], list[str]]]:
        """Parameters and assumptions; a factor here, other scales override it."""
        how_much = quantity(clause.language, clause.sound)
        if how_much is None and up == down:
            return  # no direction, or two opposite ones
        notes: list[str] = []
        if how_much is None:
            size = degree(clause.language, clause.sound)
            steps = self.steps_up if up else self.steps_down
            factor = steps[{"slight": 0, "": 1, "strong": 2}[size]]
            how = {"slight": "a bit", "strong": "much", "": "no amount was given"}[size]
            notes.append(f"{how}: {self.name} factor {factor:.3g}")
        else:
            factor, note = factor_of(how_much, up, down)
            notes += [note] if note else []
        yield {self.parameter: round(factor, 6)}, notes

    def measured(self, clause: Clause, table: Amounts) -> tuple[float, str] | None:
        """An amount with a unit of its own, and the note that belongs to it."""
        return measure(clause.language, clause.sound, table.units)
