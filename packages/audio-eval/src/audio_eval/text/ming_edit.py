"""The published edit accuracy and no-edit error rate, reproduced for ``--compat ming``.

With their defects (evaluation.md, section 1): the first difference only, by position, an empty
hypothesis passes a deletion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

from audio_eval.text.ming import micro_tokens

_QUOTED = re.compile(r"delete\s+['\"‘’“”](.+?)['\"‘’“”]", re.IGNORECASE)
_RANGE = re.compile(r"from index (\d+) to index (\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class EditVerdict:
    """Whether an edit passed, and the texts that its no-edit error rate is taken of."""

    passed: bool
    reference: str
    hypothesis: str


@dataclass(frozen=True)
class _Region:
    """Where the edit lies: ``[start, old_end)`` in the original, ``[start, new_end)`` after."""

    kind: str
    start: int
    old_end: int
    new_end: int


def judge_edit(
    *,
    task: str,
    language: str,
    mode: str,
    instruction: str,
    original_text: str,
    edited_text: str,
    hypothesis: str,
) -> EditVerdict:
    """The published verdict on one edit.

    Args:
        task: ``deletion`` ``insertion`` ``substitution``.
        mode: ``basic`` or ``full``; only Chinese basic deletion differs.
    """
    chinese = language.startswith("zh")
    before = _tokens(original_text, chinese)
    after = _tokens(edited_text, chinese)
    heard = [token.lower() for token in micro_tokens(hypothesis)]
    region = _first_difference(before, after)
    if task == "deletion" and chinese and mode == "basic":
        region = _from_instruction(instruction, before) or region
        # This one set is judged on the recognised text as it is, its punctuation included.
        heard = list(hypothesis.strip().lower())
    joint = "" if chinese else " "
    whole = EditVerdict(False, edited_text, hypothesis)
    if region is None:
        return whole
    start, old_end, new_end = region.start, region.old_end, region.new_end
    if task == "deletion":
        passed = region.kind == "delete" and heard[start:old_end] != before[start:old_end]
        if passed:
            return EditVerdict(True, edited_text, hypothesis)
        return EditVerdict(False, edited_text, joint.join(heard[:start] + heard[old_end:]))
    if task == "insertion":
        passed = region.kind == "insert" and heard[start:new_end] == after[start:new_end]
        reference = original_text
    else:
        passed = region.kind == "replace" and heard[start:new_end] == after[start:new_end]
        reference = joint.join(after[:start] + after[new_end:])
    if not passed:
        return whole
    return EditVerdict(True, reference, joint.join(heard[:start] + heard[new_end:]))


def _tokens(text: str, chinese: bool) -> list[str]:
    return list(text.lower()) if chinese else text.lower().split()


def _first_difference(before: list[str], after: list[str]) -> _Region | None:
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for kind, i1, i2, _, j2 in matcher.get_opcodes():
        if kind != "equal":
            return _Region(kind, i1, i2, j2)
    return None


def _from_instruction(instruction: str, before: list[str]) -> _Region | None:
    """The deleted characters as the basic instruction names them."""
    quoted = _QUOTED.search(instruction)
    if quoted:
        words = quoted.group(1).lower()
        start = "".join(before).find(words)
        return None if start < 0 else _Region("delete", start, start + len(words), start)
    span = _RANGE.search(instruction)
    if span:
        return _Region("delete", int(span.group(1)) - 1, int(span.group(2)), int(span.group(1)) - 1)
    return None
