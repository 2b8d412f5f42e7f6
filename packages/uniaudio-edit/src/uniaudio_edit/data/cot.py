"""The chain of thought: the edited text with the edited region between two [MASK]s.

Paper section 6.1: the model first writes the text of the edited speech; [MASK] shows it where. A
deletion has nothing between its two marks.
"""

from __future__ import annotations

from uniaudio_edit.text import Text

MASK = "[MASK]"
PROMPT = "Please recognize the language of this speech and transcribe it. And {}."
"""The sentence around an instruction that the published checkpoints were trained with."""


def mark(text: str, span: tuple[int, int]) -> str:
    """`text` with marks around its units [i, j); i == j is the place before unit i."""
    parsed, (i, j) = Text(text), span
    if not 0 <= i <= j <= len(parsed):
        raise ValueError(f"units {i} to {j} of a text of {len(parsed)}")
    if i < j:
        start, end = parsed.units[i].start, parsed.units[j - 1].end
    else:
        start = end = parsed.units[i - 1].end if i else 0
    return f"{text[:start]}{MASK}{text[start:end]}{MASK}{text[end:]}"


def unmark(cot: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without marks, and the marked spans of units.

    Raises:
        ValueError: an odd number of marks.
    """
    pieces = cot.split(MASK)
    if len(pieces) % 2 == 0:
        raise ValueError(f"the marks of {cot!r} do not come in pairs")
    text, spans = "", []
    for n, piece in enumerate(pieces):
        begin = len(text)
        text += piece
        if n % 2:
            spans.append((begin, len(text)))
    units = Text(text).units
    found = []
    for begin, end in spans:
        i = sum(1 for unit in units if unit.start < begin)
        j = sum(1 for unit in units if unit.start < end)
        found.append((i, max(i, j)))
    return text, found


def published_prompt(instruction: str) -> str:
    """An instruction in the sentence that the published checkpoints know."""
    bare = instruction.strip().rstrip(".。!！")
    if bare[:1].isascii() and bare[1:2].islower():
        bare = bare[0].lower() + bare[1:]
    return PROMPT.format(bare)
