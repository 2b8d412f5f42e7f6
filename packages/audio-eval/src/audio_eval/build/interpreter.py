"""Read an instruction as a listener would: the second, independent path to the edited text.

`interpret(instruction, original_text, ...)` sees nothing of how an item was made. It must consume
every word of the instruction, finds the place on the original *string* and edits that string, and
returns every reading it can find. One reading is a sound item; two mean that the instruction is
ambiguous; none that it is not understood. `units.py` states the rule both paths follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audio_eval.build.target import Action, Target, UnreadableError
from audio_eval.build.units import Language
from mingtok_audio.core.script import has_han

_QUOTE_PAIRS = {"“": "”", "‘": "’", '"': '"', "'": "'", "«": "»", "`": "`", "「": "」", "『": "』"}


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
        prefix: a fixed opening that is not part of the instruction and is removed first.
    """
    from audio_eval.build import interpreter_en, interpreter_zh

    body = instruction.strip()
    body = body.removeprefix(prefix.strip()).strip() if prefix else body
    plain, quotes = quotes_out(body)
    target = Target(original_text, language)
    reader = interpreter_zh if has_han(plain) else interpreter_en
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
