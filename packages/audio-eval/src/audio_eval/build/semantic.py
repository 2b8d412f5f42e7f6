"""Deletion, insertion and substitution items: propose, word, and verify by the second path."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from audio_eval.build.edits import Change, Edit, Kind, Locator, edited_text, locators
from audio_eval.build.interpreter import interpret
from audio_eval.build.items import Draft, ItemRejectedError, MakeAudio
from audio_eval.build.lexicon import Lexicon
from audio_eval.build.presets import Cell
from audio_eval.build.propose import propose
from audio_eval.build.sources import Recording
from audio_eval.build.units import (
    Language,
    SourceText,
    Task,
    TextRejectedError,
    fold,
    parse_text,
)
from audio_eval.build.wording import Wording, write_instruction

#: Rewords an instruction: gets the item as an object, gives the instruction.
Writer = Callable[[dict[str, Any]], str]
#: Says what an instruction means: gets instruction and original text, gives the edited text.
JudgeText = Callable[[dict[str, Any]], str]

_ATTEMPTS = 12
_WORDINGS_PER_CHANGE = 3
# How often a way of pointing is used where several fit; 1 where not named.
_WEIGHTS = {"quote": 6.0, "range": 2.0, "after_quote": 2.0, "before_quote": 2.0, "quote_nth": 2.0}


@dataclass
class SemanticMaker:
    """Makes text-edit items of one language; remembers what it made, to refuse doubles.

    Args:
        lexicon: learned from the set's own texts.
        instruction_language: of the full wording ("" takes the language of the text).
        prefix: put before every instruction.
        writer: rewords each instruction; `judge` then (and always where given) says what it means.
    """

    lexicon: Lexicon
    instruction_language: Language | Literal[""] = ""
    prefix: str = ""
    writer: Writer | None = None
    judge: JudgeText | None = None
    _made: set[tuple[str, str]] = field(default_factory=set)

    def make(
        self, recording: Recording, cell: Cell, seed: int
    ) -> Iterable[Draft | ItemRejectedError]:
        """Attempts for one recording, one by one; the caller stops at the first draft it takes."""
        rng = random.Random(f"{seed}/{recording.id}/{cell}")
        try:
            source = parse_text(recording.text, self.lexicon.language)
        except TextRejectedError as error:
            yield ItemRejectedError(error.reason, error.detail)
            return
        tried = 0
        for change in propose(
            source, cast("Task", cell.task), cast("Kind", cell.kind), self.lexicon, rng
        ):
            tried += 1
            if tried > _ATTEMPTS:
                return
            yield from self.word(recording, source, change, cell=cell, rng=rng)
        if not tried:
            yield ItemRejectedError("no_proposal")

    def word(
        self,
        recording: Recording,
        source: SourceText,
        change: Change,
        *,
        cell: Cell,
        rng: random.Random,
        audio: tuple[MakeAudio | None, MakeAudio | None] = (None, None),
    ) -> Iterable[Draft | ItemRejectedError]:
        """Put one change into words and verify it; a draft, or why not, per wording tried."""
        found = [locator for locator in locators(source, change) if locator.kind == cell.kind]
        wordings = 0
        for locator in _shuffled(found, rng):
            chosen = replace(change, after=locator.after)
            text = write_instruction(
                chosen,
                locator,
                wording=cast("Wording", cell.wording),
                text_language=source.language,
                instruction_language=self._spoken(cell, source.language),
                rng=rng,
            )
            if text is None:
                continue
            wordings += 1
            try:
                yield self._draft(
                    recording,
                    source,
                    chosen,
                    locator=locator,
                    instruction=text,
                    cell=cell,
                    audio=audio,
                )
                return
            except ItemRejectedError as error:
                yield error
            if wordings == _WORDINGS_PER_CHANGE:
                return
        if not wordings:
            yield ItemRejectedError(
                "no_wording", f"{change.task} {change.spans or change.position}"
            )

    def _spoken(self, cell: Cell, language: Language) -> Language:
        # The published basic set instructs in English whatever the recording says.
        return "en" if cell.wording == "basic" else self.instruction_language or language

    def _draft(
        self,
        recording: Recording,
        source: SourceText,
        change: Change,
        *,
        locator: Locator,
        instruction: str,
        cell: Cell,
        audio: tuple[MakeAudio | None, MakeAudio | None],
    ) -> Draft:
        try:
            edited = edited_text(source, change, self.lexicon.proper)
        except TextRejectedError as error:
            raise ItemRejectedError(error.reason, error.detail) from None
        original = str(source)
        if fold(edited) == fold(original):
            raise ItemRejectedError("no_change", edited)
        key = (fold(original), fold(edited))
        if key in self._made:
            raise ItemRejectedError("duplicate_item", edited)
        edit = Edit(change, locator, edited)
        verified_by = "interpreter"
        if self.writer is not None:
            instruction = self._rewrite(edit, instruction, original, cell)
        instruction = self.prefix + instruction
        if "|" in instruction or "\n" in instruction:
            raise ItemRejectedError(
                "writer_failed", "a bar or a line break does not fit the meta file"
            )
        reading = interpret(instruction, original, source.language, self.prefix)
        if reading.reason == "not_understood" and self.writer and self.judge:
            verified_by = "judge"
        elif reading.reason:
            raise ItemRejectedError(
                reading.reason, f"{instruction} | {'; '.join(reading.problems)}"
            )
        elif fold(reading.readings[0]) != fold(edited):
            raise ItemRejectedError(
                "paths_disagree", f"{instruction} | {edited} | {reading.readings[0]}"
            )
        if self.judge is not None:
            self._ask_judge(instruction, original, edited, source.language)
        self._made.add(key)
        return Draft(
            recording=recording,
            cell=cell,
            instruction=instruction,
            original_text=original,
            edited_text=edited,
            parameters={
                "kind": locator.kind,
                "locator": locator.name,
                "spans": [list(span) for span in change.spans],
                "position": change.position,
                "payload": change.payload,
                "verified_by": verified_by,
            },
            source=audio[0],
            target=audio[1],
        )

    def _rewrite(self, edit: Edit, instruction: str, original: str, cell: Cell) -> str:
        assert self.writer is not None
        request = {
            "task": cell.task,
            "language": cell.language,
            "instruction": instruction,
            "original_text": original,
            "edited_text": edit.edited_text,
        }
        try:
            written = self.writer(request)
        except Exception as error:
            raise ItemRejectedError("writer_failed", f"{type(error).__name__}: {error}") from error
        if not isinstance(written, str) or not written.strip():
            raise ItemRejectedError("writer_failed", "it gave no text")
        return written.strip()

    def _ask_judge(self, instruction: str, original: str, edited: str, language: str) -> None:
        assert self.judge is not None
        request = {"instruction": instruction, "original_text": original, "language": language}
        try:
            heard = self.judge(request)
        except Exception as error:
            raise ItemRejectedError(
                "judge_disagrees", f"{type(error).__name__}: {error}"
            ) from error
        if _bare(str(heard)) != _bare(edited):
            raise ItemRejectedError("judge_disagrees", f"{instruction} | {edited} | {heard}")


def _bare(text: str) -> str:
    """Letters and digits only: a judge may punctuate as it likes."""
    return "".join(c for c in fold(text) if c.isalnum())


def _shuffled(found: list[Locator], rng: random.Random) -> list[Locator]:
    """In a random order in which the frequent ones tend to come first."""
    keyed = [(rng.random() ** (1.0 / _WEIGHTS.get(x.name, 1.0)), n, x) for n, x in enumerate(found)]
    return [locator for _, _, locator in sorted(keyed, key=lambda k: (-k[0], k[1]))]
