"""The `grammar` parser: deterministic rules for English and Chinese, and no guessing.

Every way to read an instruction is listed and looked up in the text. One that fits is the plan;
several that fit make it ambiguous, and the candidates are shown; none is an error in words.

What the languages say stands in tables (`en`, `zh`), what an operation is called in its own file
(`operations`); this module only combines them. Every reading of a piece of text is made once, and
the pieces that one instruction may be cut into are counted: past `_MOST_STEPS` it is refused, so
any instruction is answered in well under a second.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from mingtok_audio.core.errors import PluginError
from mingtok_audio.core.script import has_han
from uniaudio_edit.errors import (
    AmbiguousInstructionError,
    InstructionError,
    NotFoundError,
    NotUnderstoodError,
    TextNeededError,
)
from uniaudio_edit.grammar.clause import Clause
from uniaudio_edit.grammar.en import ENGLISH
from uniaudio_edit.grammar.quoting import Quoted, clean, extract, has_quote, is_quote, shown
from uniaudio_edit.grammar.references import (
    Between,
    Beyond,
    Content,
    Draft,
    Except,
    Listed,
    LookupFailed,
    Near,
    Neighbours,
    Place,
    Range,
    Reading,
    Ref,
    Refused,
    Sentence,
    Whole,
    find_gaps,
    find_spans,
)
from uniaudio_edit.grammar.rules import POSITION_KINDS, Language, Rule
from uniaudio_edit.grammar.zh import CHINESE
from uniaudio_edit.interfaces import InstructionParser
from uniaudio_edit.plan import Operation, Plan
from uniaudio_edit.plugins import blamed, edit_operations
from uniaudio_edit.text import Text, TextEdit, apply_edits

if TYPE_CHECKING:
    from uniaudio_edit.operations.base import EditOperation

logger = logging.getLogger("mingtok_audio")

LANGUAGES = (ENGLISH, CHINESE)
_MAX_PARTS = 24
_MOST_JOINED = 10  # parts that one clause may have
_MAX_CANDIDATES = 20
_MAX_OPERATIONS = 200
_MAX_DEPTH = 3
_MOST_STEPS = 600
_CHARACTERS_A_STEP = 30
_MOST_READINGS = 400
_SHOWN_UNITS = 60
_MARKS = " ,;:.!?，。；：！？"
_SEPARATOR = re.compile(
    r"\s*[;；。\n]\s*|\s*[,，、]\s*(?:(?:and|then|also|but)\s+)*"
    r"|(?<=[\w\ue000-\uf8ff]{2})\.\s+"
    r"|\s+(?:and|then|plus|also|while|(?<!everything )(?<!anything )(?<!all )(?<!words )but)\s+"
    r"(?:(?:then|also|please)\s+)*"
    r"|\s+(?=\d{1,2}[.)]\s)|\s*&\s*"
    r"|(?:然后|接着|并且|同时|而且|另外|还有|随后|之后|再(?=[把将在删去加插用])|并(?=[把将在删去加插用])"
    r"|且|以及)[，,]?",
    re.IGNORECASE,
)
# Unquoted new words never hold another clause, and never speak about the editing itself: where
# they do, a sentence was misread.
_NOT_SAID = re.compile(
    r"(?:,|;|\band\b|\bthen\b|\balso\b)\s*(?:then |also |please )*(?:delete|remove|insert|add|"
    r"replace|substitute|change|swap|erase|drop|cut|put|append|make|speed|slow|raise|lower|"
    r"denois\w+|turn|say)\b"
    r"|(?:，|；|,|;|然后|并且|并|再|同时|接着)\s*(?:把|将|删除|删掉|去掉|插入|添加|加上|替换|在)"
    r"|\b(?:words?|characters?|syllables?|positions?|index|speaker|sentence|recording|beginning|"
    r"skip|delete|remove|omit|erase|insert|replace|substitute|leave out|no need)\b"
    r"|删|插入|替换|位置|字符|第[一二三四五六七八九十\d]+个",
    re.IGNORECASE,
)

Alternative = tuple[Operation, ...]
Ranked = tuple[Ref, int]
Operations = dict[str, "EditOperation"]


@dataclass(frozen=True)
class _Outcome:
    """What one clause can mean: alternatives (one is clear), or why it does not fit."""

    alternatives: tuple[Alternative, ...] = ()
    notes: tuple[str, ...] = ()
    failure: LookupFailed | None = None


class GrammarParser(InstructionParser):
    """Rules for English and Chinese; the same instruction always gives the same plan.

    Args:
        operations: what can be asked for; None takes every installed edit operation.
    """

    def __init__(self, operations: Iterable[EditOperation] | None = None) -> None:
        if operations is None:
            operations = edit_operations().values()
        self._operations = {operation.name: operation for operation in operations}

    def parse(
        self, instruction: str, original_text: str, *, language: str = "", which: str = "refuse"
    ) -> Plan:
        """See `InstructionParser.parse`."""
        if which not in ("refuse", "first", "last", "all") and not re.fullmatch(r"\d{1,3}", which):
            raise InstructionError(
                f"--which is refuse, first, last, all or a number, not '{which}'"
            )
        quoted = extract(clean(instruction))
        for table in LANGUAGES:
            for pattern, plain in table.rewrites:
                quoted = replace(quoted, text=table.sub(pattern, plain, quoted.text))
        text = Text(original_text)
        outcomes = _Reader(quoted, text, self._operations).outcomes()
        choices = [outcome.alternatives for outcome in outcomes]
        operations = _choose(choices, which, text, self._operations)
        notes = list(dict.fromkeys(note for outcome in outcomes for note in outcome.notes))
        if any(len(options) > 1 for options in choices):
            notes.append(f"several places match: '{which}' was asked for")
        _check(operations, text, self._operations)
        return Plan(
            instruction=instruction,
            language=language or text.language,
            original_text=original_text,
            edited_text=_edited(operations, text),
            operations=operations,
            assumptions=notes,
            confidence=round(len(operations) / (len(operations) + len(notes)), 4),
        )


class _Reader:
    """Reads one instruction on one text; remembers what it has read."""

    def __init__(self, quoted: Quoted, text: Text, operations: Operations) -> None:
        self.quoted, self.text, self.operations = quoted, text, operations
        self._references: dict[tuple[str, str, int], tuple[Ranked, ...]] = {}
        self._places: dict[tuple[str, str], tuple[tuple[Place, int], ...]] = {}
        self._steps = 0

    # --- clauses ----------------------------------------------------------------------------------

    def outcomes(self) -> list[_Outcome]:
        """The outcomes of the instruction's clauses, cut into as many as can be understood."""
        said = self.quoted.text
        parts = _parts(said)
        memory: dict[tuple[int, int, str], _Outcome | None] = {}
        # best[i, verb]: (failures, -clauses, outcomes) of the parts from i on, the least of all
        best: dict[tuple[int, str], tuple[int, int, list[_Outcome]] | None] = {}

        def search(i: int, verb: str) -> tuple[int, int, list[_Outcome]] | None:
            if i == len(parts):
                return 0, 0, []
            if (i, verb) in best:
                return best[i, verb]
            found = None
            for j in range(i + 1, min(len(parts), i + _MOST_JOINED) + 1):
                clause = said[parts[i][0] : parts[j - 1][1]]
                if (i, j, verb) not in memory:
                    memory[i, j, verb] = self._evaluate(clause, verb)
                here = memory[i, j, verb]
                rest = search(j, _verb(clause) or verb) if here is not None else None
                if here is None or rest is None:
                    continue
                score = (rest[0] + (here.failure is not None), rest[1] - 1)
                if found is None or score < found[:2]:
                    found = (*score, [here, *rest[2]])
            best[i, verb] = found
            return found

        found = search(0, "")
        if found is None:
            raise NotUnderstoodError(_not_understood(self.quoted, self.operations))
        for item in found[2]:
            if item.failure is not None:
                _refuse(item.failure, self.text)
        return found[2]

    def _evaluate(self, clause: str, verb: str) -> _Outcome | None:
        """What a clause means, or None where it is not an instruction."""
        found = self._resolve_all(clause)
        if verb and (found is None or found.failure is not None):
            joined = f"{verb}{clause}" if has_han(verb) else f"{verb} {clause}"
            other = self._resolve_all(joined)
            if other is not None and (found is None or other.failure is None):
                return other
        return found

    def _readings(self, text: str) -> Iterator[Reading]:
        for language in LANGUAGES:
            if language is CHINESE and not has_han(text):
                continue
            bare = _bare(text, language)
            if bare:
                clause = Clause(bare, self._sound(bare, language), language, self.draft)
                for operation in list(self.operations.values()):
                    try:
                        with blamed("edit_operation", operation.name):
                            readings = list(operation.readings(clause))
                    except PluginError as error:  # a broken plugin takes nothing else away
                        logger.warning("%s", error)
                        del self.operations[operation.name]
                        continue
                    yield from readings

    def _sound(self, text: str, language: Language) -> str:
        sound = re.sub(r"\s+", " ", shown(text, self.quoted, "").lower()).strip(" .!?,")
        for pattern in language.sound_trim:
            sound = language.sub(pattern, "", sound) or sound
        return sound

    def _resolve_all(self, clause: str) -> _Outcome | None:
        fits: dict[int, dict[object, tuple[Alternative, tuple[str, ...]]]] = {}
        failures: list[tuple[int, LookupFailed]] = []
        for reading in itertools.islice(self._readings(clause), _MOST_READINGS):
            if any(self._is_no_speech(draft.new) for draft in reading.drafts):
                continue
            try:
                alternatives = _resolve(reading, self.text)
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

    def _is_no_speech(self, new: str) -> bool:
        return new not in self.quoted.quotes and _NOT_SAID.search(new) is not None

    # --- what a clause names ----------------------------------------------------------------------

    def draft(
        self, operation: str, rank: int, found: dict[str, str], language: Language
    ) -> Iterator[Reading]:
        """The readings of a clause that a rule fits, by the names of its slots and groups.

        `ref` or `old` is what the operation is about (`kept`: what stays of all the rest), `first`
        and `last` are two places that are exchanged, `new` is put in: at a `place`, `before` or
        `after` an `anchor`, or at the `start` or `end`.
        """
        new = ""
        if "new" in found:
            said = self._new(found["new"], language)
            if said is None:
                return
            new = said
        if "first" in found:
            for (one, a), (two, b) in itertools.product(
                self.references(found["first"], language), self.references(found["last"], language)
            ):
                yield Reading((Draft("exchange", Listed((one, two))),), max(rank, a, b))
        elif "place" in found:
            for place, k in self.places(found["place"], language):
                yield Reading((Draft(operation, place=place, new=new),), max(rank, k))
        elif "anchor" in found:
            side = "before" if "before" in found else "after"
            for ref, k in self.references(found["anchor"], language):
                place = Place("beside", side, ref)
                yield Reading((Draft(operation, place=place, new=new),), max(rank, k))
        elif "start" in found or "end" in found:
            place = Place("start" if "start" in found else "end")
            yield Reading((Draft(operation, place=place, new=new),), rank)
        else:
            for ref, k in self.references(found.get("ref", found.get("old", "")), language):
                ref = Except(_all_of(ref)) if "kept" in found else ref  # noqa: PLW2901
                yield Reading((Draft(operation, ref, new=new),), max(rank, k))

    def _new(self, text: str, language: Language) -> str | None:
        """What is put in: a quotation that stands alone, or the words as they are."""
        text = text.strip(_MARKS)
        for pattern, plain in language.new:
            text = language.sub(pattern, plain, text)
        found = self._literal(text, language)
        return found if found and not re.fullmatch(r"[\W_]+", found) else None

    def _literal(self, text: str, language: Language) -> str | None:
        """The words that `text` names by themselves, or None where it is more than a name."""
        bare = text.strip(_MARKS)
        if is_quote(bare):
            return self.quoted.content(bare)
        if match := language.full(language.literal, bare):
            return self.quoted.content(match["quote"])
        return None if has_quote(bare) or not bare else bare

    def _literals(self, text: str, language: Language) -> Iterator[tuple[str, int]]:
        """Readings of `text` as words of the recording, the plainest first."""
        found = self._literal(text, language)
        if found is None:
            return
        yield found, 0
        if has_quote(text):
            return
        shorter, rank = found, 0
        for pattern, plain, cost in language.trimmed:
            shorter, rank = language.sub(pattern, plain, shorter), max(rank, cost)
        if shorter and shorter != found:
            yield shorter, rank

    def references(self, text: str, language: Language, depth: int = 0) -> tuple[Ranked, ...]:
        """Every way to read `text` as a reference, with its rank."""
        text = text.strip(" ,:;.，：。；")
        if not text or depth > _MAX_DEPTH:
            return ()
        key = (language.code, text, depth)
        if key not in self._references:
            self._steps += 1 + len(text) // _CHARACTERS_A_STEP
            if self._steps > _MOST_STEPS:
                raise InstructionError(
                    "the instruction can be cut in too many ways to be sure of its meaning; put "
                    "the words that are meant in quotation marks, or give it in shorter ones"
                )
            found: dict[Ranked, None] = {}
            for ranked in self._read(text, language, depth):
                found.setdefault(ranked)
            self._references[key] = tuple(found)
        return self._references[key]

    def _read(self, text: str, language: Language, depth: int) -> Iterator[Ranked]:
        for content, rank in self._literals(text, language):
            yield Content(content), rank
        plain, stopped = not has_quote(text), False
        for rule in language.references:
            if (stopped and rule.kind in POSITION_KINDS) or (rule.quoted and plain):
                continue
            rank = rule.unquoted if plain and rule.unquoted is not None else rule.rank
            for found in language.match(rule.pattern, text):
                stopped = stopped or rule.stop
                for ref, k in self._make(rule, found, language, depth):
                    yield ref, (rank + k if rule.kind == "again" else max(rank, k))
        yield from self._lists(text, language, depth)

    def _make(
        self, rule: Rule, found: dict[str, str], language: Language, depth: int
    ) -> Iterator[Ranked]:
        """The references that a rule stands for."""
        values = rule.values

        def number(name: str) -> int | None:
            return values[name] if name in values else language.position(found[name])

        def nested(name: str) -> tuple[Ranked, ...]:
            return self.references(found[name], language, depth + 1)

        side = "before" if "before" in found else "after"
        match rule.kind:
            case "position" | "backwards":
                n = number("n")
                if n:
                    n = -n if rule.kind == "backwards" else n
                    yield Range(n, n), 0
            case "span" | "span_backwards":
                n, m = number("n"), number("m")
                if n and m and rule.kind == "span":
                    yield Range(n, m), 0
                elif n and m:
                    yield Range(-max(n, m), -min(n, m)), 0
            case "head" | "tail":
                n = language.integer(found["count"])
                if n:
                    yield (Range(1, n) if rule.kind == "head" else Range(-n, -1)), 0
            case "positions":
                pattern = language.compiled("{INTEGER}")
                numbers = [language.integer(n) for n in pattern.findall(found["numbers"])]
                if all(numbers):
                    yield Listed(tuple(Range(n, n) for n in numbers if n)), 0
            case "sentence":
                n = number("n")
                if n:
                    yield Sentence(n), 0
            case "sentences":
                n, m = number("n"), number("m")
                if n and m:
                    yield Sentence(n, m), 0
            case "first_sentences" | "last_sentences":
                n = language.integer(found["count"])
                if n:
                    yield Sentence(*((1, n) if rule.kind == "first_sentences" else (-n, -1))), 0
            case "sentence_with":
                for content, k in self._literals(found["content"], language):
                    yield Sentence(0, content=content), k
            case "nth" | "nth_last":
                n = number("n")
                for content, k in self._literals(found["content"], language) if n else ():
                    yield Content(content, -n if rule.kind == "nth_last" and n else n), k
            case "every":
                count = values.get("count")
                if "times" in found:
                    count = language.integer(found["times"])
                    if not count or count < 2:
                        return
                for content, k in self._literals(found["content"], language):
                    yield Content(content, "all", count), k
                    shorter = re.sub(values.get("singular", "(?!)"), "", content)
                    if shorter and shorter != content and not has_quote(found["content"]):
                        yield Content(shorter, "all", count), values["singular_rank"]
            case "near" | "near_start" | "near_end":
                for content, k in self._literals(found["content"], language):
                    if rule.kind != "near":
                        yield Near(content, "start" if rule.kind == "near_start" else "end"), k
                        continue
                    for anchor, rank in nested("anchor"):
                        yield Near(content, side, anchor), max(k, rank)
            case "inside":
                outer = self._literal(found["outer"], language) if depth < 2 else None
                content = self._literal(found["content"], language)
                if content and outer:
                    yield Near(content, "in", Content(outer)), 0
                    shorter = re.sub(values["singular"], "", content)
                    if shorter and shorter != content:
                        yield Near(shorter, "in", Content(outer)), 0
            case "neighbours":
                n = language.integer(found["count"]) if "count" in found else 1
                for anchor, k in nested("anchor") if n else ():
                    yield Neighbours(side, n or 1, anchor), k
            case "beyond":
                for anchor, k in nested("anchor"):
                    yield Beyond(side, anchor), k
            case "onwards":
                for anchor, k in nested("anchor"):
                    yield Between(anchor, Range(-1, -1)), k
            case "until":
                for anchor, k in nested("anchor"):
                    yield Between(Range(1, 1), anchor), k
            case "from_to" | "between":
                for (one, k), (two, m) in itertools.product(nested("first"), nested("last")):
                    if rule.kind == "between":
                        counted = isinstance(one, Range) and isinstance(two, Range)
                        yield Between(one, two, None if counted else False), max(k, m)
                    elif isinstance(one, Content | Range) and isinstance(two, Content | Range):
                        yield Between(one, two), max(k, m)
            case "except":
                for anchor, k in nested("anchor"):
                    yield Except(_all_of(anchor)), k
            case "refused":
                yield Refused(values["reason"], values["candidates"]), 0
            case "whole":
                yield Whole(), 0
            case "again":
                yield from nested("rest")

    def _lists(self, text: str, language: Language, depth: int) -> Iterator[Ranked]:
        """ "'a', 'b' and 'c'", "the first and the last word"."""
        listed = language.sub(language.before_list, "", text) if language.before_list else text
        parts = language.compiled(language.listed).split(listed)
        if not 2 <= len(parts) <= 16 or not all(parts):
            return
        choices: list[tuple[Ranked, ...]] = []
        for part in parts:
            full = part
            for where, pattern, plain in language.items:
                shows = language.search(where, parts[-1]) or language.search(where, parts[0])
                if shows and language.full(pattern, part):
                    full = language.sub(f"^{pattern}$", plain, part)
                    break
            found = self.references(full, language, depth + 2)[:4]
            if not found:
                return
            choices.append(found)
        for combination in itertools.islice(itertools.product(*choices), 64):
            yield Listed(tuple(r for r, _ in combination)), 1 + max(k for _, k in combination)

    def places(self, text: str, language: Language) -> tuple[tuple[Place, int], ...]:
        """Every way to read `text` as a place for something new."""
        text = text.strip(" ,:，：")
        for pattern, plain in language.place_trim:
            text = language.sub(pattern, plain, text)
        key = (language.code, text)
        if key not in self._places:
            self._places[key] = tuple(self._read_places(text, language))
        return self._places[key]

    def _read_places(self, text: str, language: Language) -> Iterator[tuple[Place, int]]:
        for rule in language.places:
            for found in language.match(rule.pattern, text):
                side = "before" if "before" in found else "after"
                match rule.kind:
                    case "start" | "end":
                        yield Place(rule.kind), 0
                    case "outside":
                        yield Place("start" if side == "before" else "end"), 0
                    case "become":
                        n = language.position(found["n"])
                        if n:
                            yield Place("become", position=n), 0
                    case "between_positions":
                        n, m = language.position(found["n"]), language.position(found["m"])
                        if n and m:
                            yield Place("between", ref=Range(n, n), other=Range(m, m)), 0
                    case "between":
                        for (one, k), (two, m) in itertools.product(
                            self.references(found["first"], language),
                            self.references(found["last"], language),
                        ):
                            yield Place("between", ref=one, other=two), max(k, m)
                    case _:
                        for ref, k in self.references(found["anchor"], language):
                            yield Place("beside", side, ref), k


def _all_of(ref: Ref) -> Ref:
    """Every occurrence of unpicked words: "all but 'the'" keeps each of them."""
    if isinstance(ref, Content) and ref.pick is None:
        return replace(ref, pick="all")
    if isinstance(ref, Listed):
        return Listed(tuple(_all_of(item) for item in ref.items))
    return ref


def _bare(clause: str, language: Language) -> str:
    """The clause without politeness and without "in the recording"."""
    text = language.prepare(clause).strip(_MARKS)
    while True:
        shorter = f"{text} "
        for pattern in language.lead:
            shorter = language.sub(pattern, "", shorter).strip()
        for pattern in language.trail:
            plain = language.sub(pattern, "", shorter).strip(_MARKS)
            if not (language.kept and language.full(language.kept, plain)):
                shorter = plain  # "delete please" is about the word please
        shorter = shorter.strip(_MARKS)
        if shorter == text:
            return text
        text = shorter


def _parts(text: str) -> list[tuple[int, int]]:
    """Where the text can be cut: [start, end) of each part, without what separates them."""
    parts: list[tuple[int, int]] = []
    start = 0
    for match in _SEPARATOR.finditer(text):
        if len(parts) >= _MAX_PARTS:
            break
        if text[start : match.start()].strip(_MARKS):
            parts.append((start, match.start()))
            start = match.end()
    if text[start:].strip(_MARKS):
        parts.append((start, len(text)))
    return parts


def _verb(clause: str) -> str:
    """The verb that a clause begins with, for the clauses after it that leave it out."""
    for language in (CHINESE, ENGLISH) if has_han(clause) else (ENGLISH,):
        text = _bare(clause, language)
        if language.search(language.closed, text):
            continue  # what follows "all but ..." is kept too
        for pattern, verb in language.carried:
            if match := language.compiled(pattern).match(text):
                return verb or match.group(1)
    return ""


def plan_word_edits(
    original_text: str, edits: Iterable[tuple[int, int, str]], instruction: str = ""
) -> Plan:
    """The plan of edits that name their words by number: units [start, end) become the new text.

    It is the plan that an instruction with the same meaning gives. `instruction`: "" describes it.

    Raises:
        InstructionError: no edits, numbers outside the text, or edits that overlap, change nothing
            or leave nothing.
    """
    text, known, drafts = Text(original_text), edit_operations(), list[Operation]()
    for start, end, new in edits:
        if not 0 <= start <= end <= len(text):
            raise InstructionError(
                f"there are no words {start + 1} to {end}: the text has {len(text)}"
            )
        said = new.strip()
        if start == end and not said:
            raise InstructionError("an insertion needs the words that are inserted")
        if said and not len(Text(said)):
            raise InstructionError(f"'{said}' holds no word that could be said")
        if start == end:
            op = Operation("insertion", "", said, (start, end), params={"leans": "after"})
        else:
            kind = "substitution" if said else "deletion"
            op = Operation(kind, text.slice(start, end), said, (start, end))
        drafts.append(op)
    if not drafts:
        raise InstructionError("no words were changed")
    operations = _ordered(drafts, known)
    _check(operations, text, known)
    return Plan(
        instruction=instruction or " and ".join(op.describe() for op in operations),
        language=text.language,
        original_text=original_text,
        edited_text=_edited(operations, text),
        operations=operations,
    )


# --- one reading in the text ----------------------------------------------------------------------


def _resolve(reading: Reading, text: Text) -> list[Alternative]:
    each = [_resolve_draft(draft, text) for draft in reading.drafts]
    return [
        tuple(op for part in combination for op in part) for combination in itertools.product(*each)
    ]


def _resolve_draft(draft: Draft, text: Text) -> list[Alternative]:
    if draft.place is not None:
        return [
            (
                Operation(
                    draft.type,
                    new=draft.new,
                    text_span=(gap.index, gap.index),
                    params={"leans": gap.leans},
                ),
            )
            for gap in find_gaps(draft.place, text)
        ]
    if draft.ref is None:
        return [(Operation(draft.type, params=dict(draft.params)),)]
    found = find_spans(draft.ref, text)
    if draft.type == "exchange":
        return [_exchanged(spans, text) for spans in found]
    alternatives: list[Alternative] = []
    for spans in found:
        joined = list(spans) if draft.new else _joined(spans)
        if len(joined) > 1 and all(a[1] == b[0] for a, b in itertools.pairwise(joined)):
            joined = [(spans[0][0], spans[-1][1])]
        alternatives.append(
            tuple(Operation(draft.type, text.slice(i, j), draft.new, (i, j)) for i, j in joined)
        )
    return alternatives


def _joined(spans: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """Spans that touch, made one."""
    out: list[tuple[int, int]] = []
    for start, end in spans:
        if out and out[-1][1] == start:
            out[-1] = (out[-1][0], end)
        else:
            out.append((start, end))
    return out


def _exchanged(spans: tuple[tuple[int, int], ...], text: Text) -> Alternative:
    if len(spans) != 2:
        raise LookupFailed("an exchange needs two places", "other")
    one, two = (text.slice(*span) for span in spans)
    return (
        Operation("substitution", one, two, spans[0]),
        Operation("substitution", two, one, spans[1]),
    )


# --- the whole plan -------------------------------------------------------------------------------


def _choose(
    choices: list[tuple[Alternative, ...]], which: str, text: Text, known: Operations
) -> list[Operation]:
    """One operation list of all alternatives, or an error that lists them."""
    if all(len(options) == 1 for options in choices):
        return _ordered([op for options in choices for op in options[0]], known)
    if which == "all":
        every = {_frozen(op): op for o in choices for a in o for op in a}
        return _ordered(list(every.values()), known)
    sorted_choices = [sorted(options, key=_place_key) for options in choices]
    if which in ("first", "last"):
        index = 0 if which == "first" else -1
        return _ordered([op for options in sorted_choices for op in options[index]], known)
    combinations = [
        _ordered([op for part in combination for op in part], known)
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
    if len(text) > _SHOWN_UNITS:
        return f"{described}{_surroundings(operations, text)}"
    try:
        return f"{described} -> {_edited(operations, text)}"
    except IndexError:
        return described


def _surroundings(operations: list[Operation], text: Text) -> str:
    """Where in a long text the first of the operations is."""
    i, j = next(op.text_span for op in operations if op.text_span is not None)
    return f" (in '… {text.slice(max(0, i - 4), min(len(text), j + 4))} …')"


def _ordered(operations: list[Operation], known: Operations) -> list[Operation]:
    """In the order of the text, sounds last and in the order they were said."""
    semantic = sorted(
        (op for op in operations if op.is_semantic), key=lambda op: op.text_span or (0, 0)
    )
    merged: list[Operation] = []
    for op in (op for op in operations if not op.is_semantic):
        same = next((o for o in merged if o.type == op.type), None)
        kind = known.get(op.type)
        if same is None or same.params == op.params:
            merged += [op] if same is None else []
        elif kind is not None and kind.repeatable:
            merged.append(op)
        elif kind is not None and kind.mergeable and not set(same.params) & set(op.params):
            merged[merged.index(same)] = replace(same, params={**same.params, **op.params})
        else:
            raise InstructionError(
                f"the instruction contradicts itself: {same.describe()} and {op.describe()}; "
                "ask for one of them"
            )
    return [*semantic, *merged]


def _edited(operations: list[Operation], text: Text) -> str:
    edits = [
        TextEdit(*op.text_span, op.new, str(op.params.get("leans", "after")))
        for op in operations
        if op.text_span is not None
    ]
    return apply_edits(text, edits)


def _check(operations: list[Operation], text: Text, known: Operations) -> None:
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
        if (kind := known.get(op.type)) is not None:
            kind.check(op.params)
    if semantic and not len(Text(_edited(operations, text))):
        raise InstructionError(
            "this would delete everything that is said; an empty recording is not made"
        )


# --- what cannot be done --------------------------------------------------------------------------


def _not_understood(quoted: Quoted, known: Operations) -> str:
    text = shown(quoted.text, quoted, "'")
    text = text if len(text) <= 80 else f"{text[:79]}…"
    examples = [op.example for op in known.values() if op.example]
    return (
        f"this instruction is not understood: {text}; what can be asked for, in English or "
        f"Chinese, for example: {'; '.join(examples)}"
    )


def _refuse(failure: LookupFailed, text: Text) -> NoReturn:
    """Raise what a failed look-up means to the user."""
    if failure.candidates:
        raise AmbiguousInstructionError(
            f"the instruction is ambiguous: {failure.message}", failure.candidates
        )
    if not len(text) and failure.kind in ("missing", "range"):
        raise TextNeededError(
            "what the recording says is not known, so no words can be edited; give it with --text"
        )
    if failure.content:
        close = text.closest(failure.content)
        raise NotFoundError(failure.message, close, failure.content)
    raise (NotFoundError if failure.kind == "missing" else InstructionError)(failure.message)
