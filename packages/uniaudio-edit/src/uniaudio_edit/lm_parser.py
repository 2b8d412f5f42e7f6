"""The `lm` parser: a model reads the recording and the instruction and writes the new text.

Paper section 6.1: the answer is a chain of thought, the edited text with the edited region between
[MASK]s. Its difference from what the recording says is the plan. Edits of the sound have no answer
in text; the rules of `grammar` read those, and what they find ambiguous or impossible stays so.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uniaudio_edit.data.cot import MASK, published_prompt, unmark
from uniaudio_edit.errors import (
    InstructionError,
    NotFoundError,
    NotUnderstoodError,
    TextNeededError,
)
from uniaudio_edit.grammar.engine import GrammarParser
from uniaudio_edit.grammar.quoting import clean, extract
from uniaudio_edit.interfaces import InstructionParser
from uniaudio_edit.plan import Operation, Plan
from uniaudio_edit.text import Text

if TYPE_CHECKING:
    from uniaudio_edit.parts import Parts
    from uniaudio_edit.pcm import Recording

_SPECIAL = re.compile(r"<\|?/?[A-Za-z_]\w*\|?>")
_LANGUAGE = re.compile(r"[^\t\n]{0,40}\t")
READ_BY = {"read_by": "lm"}
"""In the parameters of operations that a model read: the `lm` backend gives it the instruction."""


@dataclass(frozen=True)
class Answer:
    """A chain of thought, taken apart.

    Attributes:
        text: the edited text, without marks, language and special tokens.
        regions: spans [i, j) of its units that are marked; [] where nothing is.
    """

    text: str
    regions: list[tuple[int, int]]


def read_answer(written: str) -> Answer:
    """What a model wrote: "language TAB" in front is left out; a mark without its partner shows a
    place and no region."""
    said = _LANGUAGE.sub("", _SPECIAL.sub("", written), count=1)
    if said.count(MASK) % 2:
        cut = said.rindex(MASK)
        said = f"{said[:cut]}{MASK}{said[cut:]}"
    text, regions = unmark(said)
    return Answer(re.sub(r"\s+", " ", text).strip(), regions)


class LmParser(InstructionParser):
    """Asks a model; needs one that is trained for edits (`Editor(model=...)`, `--model`)."""

    needs_recording = True

    def parse(
        self,
        instruction: str,
        original_text: str,
        *,
        language: str = "",
        which: str = "refuse",
        recording: Recording | None = None,
        parts: Parts | None = None,
    ) -> Plan:
        """See `InstructionParser.parse`. The answer's confidence is the share of the words outside
        the edited region that it has in common with the text, and is under 1."""
        sentence = clean(instruction)
        known = self._by_rules(instruction, original_text, language, which)
        if known is not None:
            return known
        if not Text(original_text).units:
            raise TextNeededError(
                "what the recording says is not known, so no words can be edited; give it with "
                "--text"
            )
        if recording is None or parts is None:
            raise InstructionError("the parser 'lm' listens to the recording, and none was given")
        written, ended = _ask(sentence, recording, parts)
        answer = read_answer(written)
        if not ended:
            shown = answer.text if len(answer.text) <= 60 else f"{answer.text[:59]}…"
            raise InstructionError(
                f"the model did not finish its answer ('{shown}'); it may not be trained for "
                "edits: use --parser grammar, or another --model"
            )
        text = Text(original_text)
        operations = differences(text, Text(answer.text), answer.regions)
        if not operations:
            raise NotUnderstoodError(
                "the model leaves the text as it is; say it another way, or use --parser grammar"
            )
        if not Text(answer.text).units:
            raise InstructionError(
                "this would delete everything that is said; an empty recording is not made"
            )
        return Plan(
            instruction=instruction,
            language=language or text.language,
            original_text=original_text,
            edited_text=answer.text,
            operations=operations,
            assumptions=[f"the model {parts.model_id} understood: {answer.text}"],
            confidence=_confidence(operations, len(text)),
        )

    @staticmethod
    def _by_rules(instruction: str, text: str, language: str, which: str) -> Plan | None:
        """The plan of an edit of the sound; None for edits of words and for other wordings.

        Raises:
            InstructionError: the rules understand the instruction, and it cannot be carried out.
        """
        try:
            plan = GrammarParser().parse(instruction, text, language=language, which=which)
        except (NotUnderstoodError, TextNeededError):
            return None
        except NotFoundError as error:
            quotes = extract(clean(instruction)).quotes
            if any(str(error).startswith(f"'{quote}'") for quote in quotes):
                raise  # words in quotation marks are meant as they stand
            return None
        return None if plan.semantic else plan


def _ask(sentence: str, recording: Recording, parts: Parts) -> tuple[str, bool]:
    from uniaudio_edit.parts import mono_float
    from uniaudio_lm.tasks.edit import edit_answer

    model = parts.editing_lm("the parser 'lm' needs a model that is trained for edits")
    return edit_answer(
        model.model, mono_float(recording), recording.sample_rate, published_prompt(sentence)
    )


def differences(before: Text, after: Text, regions: list[tuple[int, int]]) -> list[Operation]:
    """The operations that make `before` to `after`.

    A single marked region says which of several equal readings is meant, where all the words
    outside it agree; otherwise the shortest difference counts.
    """
    a, b = [unit.key for unit in before.units], [unit.key for unit in after.units]
    if len(regions) == 1:
        i, j = regions[0]
        end = len(a) - (len(b) - j)
        if i <= end and a[:i] == b[:i] and a[end:] == b[j:]:
            return _operation(before, after, (i, end), (i, j))
    out: list[Operation] = []
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag != "equal":
            out += _operation(before, after, (i, j), (k, m))
    return out


def _operation(
    before: Text, after: Text, old: tuple[int, int], new: tuple[int, int]
) -> list[Operation]:
    gone, come = before.slice(*old), after.slice(*new)
    if old[0] == old[1] and not come:
        return []
    if gone == come:
        return []
    if not come:
        return [Operation("deletion", gone, "", old, params=dict(READ_BY))]
    if old[0] == old[1]:
        return [Operation("insertion", "", come, old, params={"leans": "after", **READ_BY})]
    return [Operation("substitution", gone, come, old, params=dict(READ_BY))]


def _confidence(operations: list[Operation], units: int) -> float:
    """The share of the text's units that the model's answer keeps, at most 0.99."""
    touched = sum(j - i for op in operations for i, j in [op.text_span or (0, 0)])
    return round(min(0.99, 1 - touched / max(1, units)), 3)
