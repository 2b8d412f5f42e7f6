"""The `grammar` parser: deterministic rules for English and Chinese, and no guessing.

Every way to read an instruction is listed and looked up in the text. One that fits is the plan;
several that fit make it ambiguous, and the candidates are shown; none is an error in words.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from uniaudio_edit.errors import (
    AmbiguousInstructionError,
    InstructionError,
    NotUnderstoodError,
)
from uniaudio_edit.interfaces import InstructionParser
from uniaudio_edit.parsers import chinese, english
from uniaudio_edit.parsers.amounts import check_amount
from uniaudio_edit.parsers.quoting import Quoted, clean, extract
from uniaudio_edit.parsers.refs import Draft, Reading
from uniaudio_edit.parsers.refusals import not_understood, refuse
from uniaudio_edit.parsers.resolve import LookupFailed, find_gaps, find_spans
from uniaudio_edit.parsers.rewrites import rewrite, speaks_of_editing
from uniaudio_edit.parsers.units import Text, TextEdit, apply_edits, has_cjk
from uniaudio_edit.plan import SEMANTIC, Operation, Plan

_MAX_PARTS = 24
_MAX_CANDIDATES = 20
_MAX_OPERATIONS = 200
_SEPARATOR = re.compile(
    r"\s*[;；。\n]\s*|\s*[,，、]\s*(?:(?:and|then|also|but)\s+)*|(?<=[\w\ue000-\uf8ff]{2})\.\s+"
    r"|\s+(?:and|then|plus|also|while|but)\s+(?:(?:then|also|please)\s+)*|\s+(?=\d{1,2}[.)]\s)|\s*&\s*"
    r"|(?:然后|接着|并且|同时|而且|另外|还有|随后|之后|再(?=[把将在删去加插用])|并(?=[把将在删去加插用])|且|以及)[，,]?",
    re.IGNORECASE,
)
_VERB_BEHIND = re.compile(
    r"(?:,|;|\band\b|\bthen\b|\balso\b)\s*(?:then |also |please )*(?:delete|remove|insert|add|"
    r"replace|substitute|change|swap|erase|drop|cut|put|append|make|speed|slow|raise|lower|denoise|turn|say)\b"
    r"|(?:，|；|,|;|然后|并且|并|再|同时|接着)\s*(?:把|将|删除|删掉|去掉|插入|添加|加上|替换|在)",
    re.IGNORECASE,
)

Alternative = tuple[Operation, ...]


@dataclass(frozen=True)
class _Outcome:
    """What one clause can mean: alternatives (one is clear), or why it does not fit."""

    alternatives: tuple[Alternative, ...] = ()
    notes: tuple[str, ...] = ()
    failure: LookupFailed | None = None


class GrammarParser(InstructionParser):
    """Rules for English and Chinese; the same instruction always gives the same plan."""

    def parse(
        self, instruction: str, original_text: str, *, language: str = "", which: str = "refuse"
    ) -> Plan:
        """See `InstructionParser.parse`."""
        if which not in ("refuse", "first", "last", "all") and not re.fullmatch(r"\d{1,3}", which):
            raise InstructionError(
                f"--which is refuse, first, last, all or a number, not '{which}'"
            )
        quoted = rewrite(extract(clean(instruction)))
        text = Text(original_text)
        outcomes = _segment(quoted, text)
        choices = [outcome.alternatives for outcome in outcomes]
        operations = _choose(choices, which, text)
        notes = list(dict.fromkeys(note for outcome in outcomes for note in outcome.notes))
        if any(len(options) > 1 for options in choices):
            notes.append(f"several places match: '{which}' was asked for")
        _check(operations, text)
        return Plan(
            instruction=instruction,
            language=language or text.language,
            original_text=original_text,
            edited_text=_edited(operations, text),
            operations=operations,
            assumptions=notes,
        )


# --- clauses --------------------------------------------------------------------------------------


def _segment(quoted: Quoted, text: Text) -> list[_Outcome]:
    """The outcomes of the clauses of an instruction, cut into as many as can be understood."""
    parts = _parts(quoted.text)
    memory: dict[tuple[int, int, str], _Outcome | None] = {}

    def outcome(i: int, j: int, verb: str) -> _Outcome | None:
        key = (i, j, verb)
        if key not in memory:
            memory[key] = _evaluate(quoted.text[parts[i][0] : parts[j - 1][1]], verb, quoted, text)
        return memory[key]

    best: dict[tuple[int, str], tuple[int, int, list[_Outcome]] | None] = {}

    def search(i: int, verb: str) -> tuple[int, int, list[_Outcome]] | None:
        """(failures, -clauses, outcomes) of the parts from i on, the least of all."""
        if i == len(parts):
            return 0, 0, []
        if (i, verb) not in best:
            found = None
            for j in range(i + 1, len(parts) + 1):
                here = outcome(i, j, verb)
                if here is None:
                    continue
                rest = search(j, _verb(quoted.text[parts[i][0] : parts[j - 1][1]]) or verb)
                if rest is None:
                    continue
                score = (rest[0] + (here.failure is not None), rest[1] - 1)
                if found is None or score < found[:2]:
                    found = (*score, [here, *rest[2]])
            best[i, verb] = found
        return best[i, verb]

    found = search(0, "")
    if found is None:
        raise NotUnderstoodError(not_understood(quoted))
    for item in found[2]:
        if item.failure is not None:
            refuse(item.failure, text)
    return found[2]


def _parts(text: str) -> list[tuple[int, int]]:
    """Where the text can be cut: [start, end) of each part, without what separates them."""
    parts: list[tuple[int, int]] = []
    start = 0
    for match in _SEPARATOR.finditer(text):
        if len(parts) >= _MAX_PARTS:
            break
        if text[start : match.start()].strip(" ,.;:!?，。；：！？"):
            parts.append((start, match.start()))
            start = match.end()
    if text[start:].strip(" ,.;:!?，。；：！？"):
        parts.append((start, len(text)))
    return parts


def _verb(clause: str) -> str:
    return (chinese.verb(clause) if has_cjk(clause) else "") or english.verb(clause)


def _readings(clause: str, quoted: Quoted) -> Iterator[Reading]:
    yield from english.readings(clause, quoted)
    yield from chinese.readings(clause, quoted)


def _evaluate(clause: str, verb: str, quoted: Quoted, text: Text) -> _Outcome | None:
    """What a clause means, or None where it is no instruction at all."""
    found = _resolve_all(_readings(clause, quoted), quoted, text)
    if verb and (found is None or found.failure is not None):
        joined = f"{verb}{clause}" if has_cjk(verb) else f"{verb} {clause}"
        other = _resolve_all(_readings(joined, quoted), quoted, text)
        if other is not None and (found is None or other.failure is None):
            return other
    return found


def _resolve_all(readings: Iterator[Reading], quoted: Quoted, text: Text) -> _Outcome | None:
    fits: dict[int, dict[object, tuple[Alternative, tuple[str, ...]]]] = {}
    failures: list[tuple[int, LookupFailed]] = []
    for reading in itertools.islice(readings, 400):
        if any(_swallows_a_clause(draft.new, quoted) for draft in reading.drafts):
            continue
        try:
            alternatives = _resolve(reading, text)
        except LookupFailed as failure:
            failures.append((reading.rank, failure))
            continue
        notes = tuple(note for draft in reading.drafts for note in draft.assumptions)
        for alternative in alternatives:
            key = tuple(_frozen(op) for op in alternative)
            fits.setdefault(reading.rank, {}).setdefault(key, (alternative, notes))
    if fits:
        best = fits[min(fits)].values()
        said = tuple(dict.fromkeys(note for _, some in best for note in some))
        return _Outcome(tuple(alternative for alternative, _ in best), said)
    if failures:
        order = {"ambiguous": 0, "range": 1, "other": 2, "missing": 3}
        return _Outcome(failure=min(failures, key=lambda f: (order[f[1].kind], f[0]))[1])
    return None


def _swallows_a_clause(new: str, quoted: Quoted) -> bool:
    if new in quoted.quotes:
        return False
    return _VERB_BEHIND.search(new) is not None or speaks_of_editing(new, quoted)


# --- one reading in the text ----------------------------------------------------------------------


def _resolve(reading: Reading, text: Text) -> list[Alternative]:
    each = [_resolve_draft(draft, text) for draft in reading.drafts]
    return [
        tuple(op for part in combination for op in part) for combination in itertools.product(*each)
    ]


def _resolve_draft(draft: Draft, text: Text) -> list[Alternative]:
    if draft.type == "exchange":
        return _exchanged(draft, text)
    if draft.type == "insertion":
        assert draft.place is not None
        return [
            (
                Operation(
                    "insertion",
                    new=draft.new,
                    text_span=(gap.index, gap.index),
                    params={"leans": gap.leans},
                ),
            )
            for gap in find_gaps(draft.place, text)
        ]
    if draft.type in SEMANTIC:
        assert draft.ref is not None
        found: list[Alternative] = []
        for spans in find_spans(draft.ref, text):
            joined = _joined(spans) if draft.type == "deletion" else list(spans)
            if draft.type == "substitution" and len(joined) > 1 and _one_piece(spans):
                joined = [(spans[0][0], spans[-1][1])]
            found.append(
                tuple(
                    Operation(draft.type, text.slice(i, j), draft.new, (i, j))  # type: ignore[arg-type]
                    for i, j in joined
                )
            )
        return found
    return [(Operation(draft.type, params=dict(draft.params)),)]  # type: ignore[arg-type]


def _joined(spans: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """Spans that touch, made one."""
    out: list[tuple[int, int]] = []
    for start, end in spans:
        if out and out[-1][1] == start:
            out[-1] = (out[-1][0], end)
        else:
            out.append((start, end))
    return out


def _one_piece(spans: tuple[tuple[int, int], ...]) -> bool:
    return all(a[1] == b[0] for a, b in itertools.pairwise(spans))


def _exchanged(draft: Draft, text: Text) -> list[Alternative]:
    assert draft.ref is not None
    found: list[Alternative] = []
    for spans in find_spans(draft.ref, text):
        if len(spans) != 2:
            raise LookupFailed("an exchange needs two places", "other")
        (a, b), (c, d) = spans
        one, two = text.slice(a, b), text.slice(c, d)
        found.append(
            (
                Operation("substitution", one, two, (a, b)),
                Operation("substitution", two, one, (c, d)),
            )
        )
    return found


# --- the whole plan -------------------------------------------------------------------------------


def _choose(choices: list[tuple[Alternative, ...]], which: str, text: Text) -> list[Operation]:
    """One operation list of all alternatives, or an error that lists them."""
    if all(len(options) == 1 for options in choices):
        return _ordered([op for options in choices for op in options[0]])
    if which == "all":
        return _ordered(list({_frozen(op): op for o in choices for a in o for op in a}.values()))
    sorted_choices = [sorted(options, key=_place_key) for options in choices]
    if which in ("first", "last"):
        index = 0 if which == "first" else -1
        return _ordered([op for options in sorted_choices for op in options[index]])
    combinations = [
        _ordered([op for part in combination for op in part])
        for combination in itertools.islice(itertools.product(*sorted_choices), _MAX_CANDIDATES)
    ]
    if which != "refuse":
        number = int(which)
        if not 1 <= number <= len(combinations):
            raise InstructionError(
                f"there are {len(combinations)} candidates; --which {number} is none of them"
            )
        return combinations[number - 1]
    candidates = [_candidate(operations, text) for operations in combinations]
    raise AmbiguousInstructionError(
        f"the instruction is ambiguous, {len(candidates)} readings fit: "
        + "; ".join(f"({n}) {c}" for n, c in enumerate(candidates, 1))
        + "; say which one (--which first, last, all or a number), or name it more exactly",
        candidates,
    )


def _frozen(op: Operation) -> tuple[object, ...]:
    params = tuple(item for item in sorted(op.params.items()) if item[0] != "leans")
    return (op.type, op.old, op.new, op.text_span, params)


def _place_key(alternative: Alternative) -> tuple[tuple[int, int], ...]:
    return tuple(op.text_span or (1 << 30, 0) for op in alternative)


def _candidate(operations: list[Operation], text: Text) -> str:
    described = " and ".join(op.describe() for op in operations)
    if not any(op.is_semantic for op in operations):
        return described
    try:
        return f"{described} -> {_edited(operations, text)}"
    except IndexError:
        return described


def _ordered(operations: list[Operation]) -> list[Operation]:
    """In the order of the text, sounds last and in the order they were said."""
    semantic = sorted(
        (op for op in operations if op.is_semantic), key=lambda op: op.text_span or (0, 0)
    )
    return [*semantic, *_merged_sounds([op for op in operations if not op.is_semantic])]


def _merged_sounds(operations: list[Operation]) -> list[Operation]:
    out: list[Operation] = []
    for op in operations:
        same = next((o for o in out if o.type == op.type and op.type != "add_sound"), None)
        if same is None:
            if op not in out:
                out.append(op)
        elif op.type == "fade" and not set(same.params) & set(op.params):
            out[out.index(same)] = replace(same, params={**same.params, **op.params})
        elif same.params != op.params:
            raise InstructionError(
                f"the instruction contradicts itself: {same.describe()} and {op.describe()}; "
                "ask for one of them"
            )
    return out


def _edited(operations: list[Operation], text: Text) -> str:
    edits = [
        TextEdit(*op.text_span, op.new, str(op.params.get("leans", "after")))
        for op in operations
        if op.text_span is not None
    ]
    return apply_edits(text, edits)


def _check(operations: list[Operation], text: Text) -> None:
    """Refuse what contradicts itself, does nothing or leaves nothing."""
    semantic = [op for op in operations if op.text_span is not None]
    if len(operations) > _MAX_OPERATIONS:
        raise InstructionError(f"{len(operations)} operations are too many for one instruction")
    for one, two in itertools.combinations(semantic, 2):
        (a, b), (c, d) = one.text_span or (0, 0), two.text_span or (0, 0)
        overlap = a < d and c < b if a < b and c < d else (a < c < b or c < a < d)
        if overlap:
            raise InstructionError(
                f"the instruction contradicts itself: {one.describe()} and {two.describe()} are "
                "about the same words; ask for one of them"
            )
    for op in semantic:
        if op.type == "substitution" and op.old == op.new:
            raise InstructionError(f"the text says '{op.old}' already; there is nothing to change")
    for op in operations:
        check_amount(op)
    if semantic and not len(Text(_edited(operations, text))):
        raise InstructionError(
            "this would delete everything that is said; an empty recording is not made"
        )
