# ruff: noqa: E501, SIM102  (patterns and word lists read better unbroken)
"""References in English: "the last two words", "the second 'the'", "from 'a' to 'b'"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from uniaudio_edit.parsers.numbers import EN_CARDINAL, EN_ORDINAL, english_integer
from uniaudio_edit.parsers.quoting import Q, Quoted, has_quote, is_quote
from uniaudio_edit.parsers.refs import (
    Between,
    Beyond,
    Content,
    Listed,
    Near,
    Neighbours,
    Range,
    Ref,
    Whole,
)

Ranked = tuple[Ref, int]

_NOUN = (
    r"(?:words?|characters?|chars?|phrases?|terms?|expressions?|parts?|bits?|texts?|strings?|"
    r"clauses?|sections?|segments?|portions?|fragments?|names?|tokens?|verbs?|nouns?|adjectives?|"
    r"adverbs?|pieces?|passages?|hanzi)"
)
UNIT = r"(?:words?|characters?|chars?|tokens?|terms?|hanzi|units?)"
_DET = r"(?:the |that |this |those |these |its |their |my |her |his )?"
_VERY = r"(?:very |exact |single )?"
_WHICH = r"(?:that |which )?(?:comes? |is |are |appears? |stands? |goes |occurs? |says? )?"
_JUST = r"(?:right |just |directly |immediately |straight )?"
_AFTER = r"(?:after|following|behind|succeeding|to the right of)"
_BEFORE = r"(?:before|preceding|in front of|ahead of|prior to|to the left of)"
_LAST_ORD = (
    rf"(?:last|final|ending|closing|penultimate|antepenultimate|(?:next|second)[ -]to[ -]last|"
    rf"{EN_ORDINAL}[ -](?:to[ -](?:the[ -])?)?last|{EN_ORDINAL} from (?:the )?(?:last|end|back))"
)
_FIRST_ORD = rf"(?:opening|initial|starting|beginning|leading|{EN_ORDINAL})"
_ORD = rf"(?:{_LAST_ORD}|{_FIRST_ORD})"
_EVERY = (
    r"(?:all(?: of)?(?: the)?|every(?: single)?|each(?: of the)?|both(?: of)?(?: the)?|any|"
    r"all (?:two|three|four|five)(?: of the)?)"
)
_TIMES = r"(?:occurrences?|instances?|mentions?|appearances?|copies|uses?)"
_MAX_DEPTH = 3


def position(text: str) -> int | None:
    """ "third", "3", "last", "second to last", "number 3" as a position from 1, or from -1."""
    word = re.sub(r"^(?:the |very |number |no\.? ?|# ?)+", "", text.strip().lower())
    if word in ("last", "final", "ending", "closing"):
        return -1
    if word in ("opening", "initial", "starting", "beginning", "leading"):
        return 1
    if word == "penultimate" or re.fullmatch(r"(?:next|second)[ -]to[ -]last", word):
        return -2
    if word == "antepenultimate":
        return -3
    tail = r"[ -](?:to[ -](?:the[ -])?)?last| from (?:the )?(?:last|end|back)"
    if match := re.fullmatch(rf"(.+?)(?:{tail})", word):
        number = english_integer(match.group(1))
        return None if number is None else -number
    return english_integer(word)


def literal(text: str, quoted: Quoted) -> str | None:
    """The words that `text` names by themselves, or None where it is more than a name."""
    bare = text.strip(" ,:;.!?")
    if is_quote(bare):
        return quoted.content(bare)
    if match := re.fullmatch(
        rf"(?:(?:the|a|an|that|this|those|these|its|some|my|her|his) )?(?:following )?"
        rf"(?:{UNIT} or {UNIT} |(?:new )?{_NOUN} |sentence |line |{EN_CARDINAL} {_NOUN} )?"
        rf"(?:of )?(?:called |reading |saying |that says |that reads |namely |: ?)?({Q})"
        rf"(?: (?:{_NOUN}|sentence|itself|there))?",
        bare,
        re.IGNORECASE,
    ):
        return quoted.content(match.group(1))
    return None if has_quote(bare) or not bare else bare


def _literals(text: str, quoted: Quoted) -> Iterator[tuple[str, int]]:
    """Readings of `text` as words of the recording, the plainest first."""
    found = literal(text, quoted)
    if found is None:
        return
    yield found, 0
    if has_quote(text):
        return
    stripped = re.sub(rf"^(?:the|that|this|a|an) (?:{_NOUN} )?", "", found, flags=re.IGNORECASE)
    stripped = re.sub(rf"^{_NOUN} ", "", stripped, flags=re.IGNORECASE)
    stripped = re.sub(rf" (?:{_NOUN}|there)$", "", stripped, flags=re.IGNORECASE)
    if stripped and stripped != found:
        yield stripped, 2


def references(text: str, quoted: Quoted, depth: int = 0) -> Iterator[Ranked]:
    """Every way to read `text` as a reference, with its rank."""
    text = re.sub(rf"\b{UNIT} ?(?:or|/) ?{UNIT}\b", "words", text.strip(" ,:;."), flags=re.I)
    if not text or depth > _MAX_DEPTH:
        return
    for content, rank in _literals(text, quoted):
        yield Content(content), rank
    yield from ((ref, 0) for ref in _positions(text))
    yield from _occurrences(text, quoted)
    yield from _relative(text, quoted, depth)
    if re.fullmatch(
        r"(?:it|them)? ?(?:all|everything|every word|all (?:of )?(?:it|(?:the )?words?|(?:the )?text)|"
        r"(?:all of )?(?:the |this )?(?:whole|entire|complete|full) (?:\w+)|the (?:sentence|text|"
        r"recording|audio|speech|transcript))",
        text,
        re.IGNORECASE,
    ):
        yield Whole(), 0
    yield from _lists(text, quoted, depth)


def _positions(text: str) -> Iterator[Ref]:
    """Positions that are counted: words, never contents."""

    def full(pattern: str) -> re.Match[str] | None:
        return re.fullmatch(pattern, text, re.IGNORECASE)

    number = rf"({EN_CARDINAL}|{EN_ORDINAL})"
    to = r" ?(?:to|through|thru|till|until|up to|-|–|—|~|and) ?(?:the |word |index |position )*"
    where = (
        r"(?:(?:at|in|with|of|from|on) )?(?:the )?(?:index(?:es)?|indices|positions?|places?|slot)?"
    )
    if match := full(rf"{_DET}{_VERY}({_ORD}){_VERY} {UNIT}"):
        yield from _range(match.group(1), match.group(1))
        return  # "the third to last word" is no range
    if match := full(
        rf"{_DET}{_VERY}({EN_ORDINAL}) {UNIT},? (?:count(?:ed|ing) )?(?:backwards? )?"
        r"from (?:the )?(?:end|back|last)(?: one| word| of .+)?"
    ) or full(rf"{_DET}{UNIT} {_WHICH}(?:the )?({EN_ORDINAL}) from (?:the )?(?:end|back)"):
        yield from _range(f"{match.group(1)} from the end", f"{match.group(1)} from the end")
        return
    if match := full(rf"{_DET}{_VERY}({EN_ORDINAL}) {UNIT},? from (?:the )?(?:beginning|start)"):
        yield from _range(match.group(1), match.group(1))
        return
    if match := full(rf"{_DET}{UNIT} (?:in |at )(?:the )?({_ORD}) (?:position|place)"):
        yield from _range(match.group(1), match.group(1))
    if match := full(
        rf"{_DET}(?:very )?(?:(first|opening|initial|leading|beginning|starting)|(last|final|"
        rf"closing|ending|trailing)) ({EN_CARDINAL}) {UNIT}"
    ):
        yield from _edge(match.group(3), match.group(1) is not None)
    if match := full(rf"{_DET}({EN_CARDINAL}) (?:(first|opening|initial)|(last|final)) {UNIT}"):
        yield from _edge(match.group(1), match.group(2) is not None)
    if match := full(
        rf"(?:from )?{_DET}(?:{UNIT} )?(?:number(?:ed|s)? |from )*{where} ?(?:the )?{number}{to}"
        rf"{number}(?: {UNIT})?"
    ):
        joined = match.group(0)
        listed = re.search(rf"{re.escape(match.group(1))} ?and ", joined, re.IGNORECASE)
        word = re.search(UNIT + "|index|indices|position", joined, re.IGNORECASE)
        if word and not (listed and not joined.lower().startswith("from ")):
            yield from _range(match.group(1), match.group(2))
    if match := full(rf"(?:from )?{_DET}({_ORD})(?: {UNIT})?{to}({_ORD}) {UNIT}") or full(
        rf"from {_DET}({_ORD}) {UNIT} (?:to|through|until|till) {_DET}({_ORD})"
    ):
        if not re.search(rf"\band (?:the )?{re.escape(match.group(2))} {UNIT}$", text, re.I):
            yield from _range(match.group(1), match.group(2))
    if match := full(
        rf"{_DET}(?:{UNIT} )?(?:that is )?(?:at |in |with |of )?(?:the )?(?:{UNIT}|index|position|"
        rf"place)(?: at| in)?(?: (?:index|position|place))?(?: ?(?:number|no\.?|#|=))? ?({EN_CARDINAL})"
    ):
        number_text = match.group(1).lower()
        if number_text not in ("a", "an") and "couple" not in number_text:
            yield from _range(number_text, number_text)


def _range(first: str, last: str) -> Iterator[Ref]:
    a, b = position(first), position(last)
    if a is not None and b is not None:
        yield Range(a, b)


def _edge(count: str, at_start: bool) -> Iterator[Ref]:
    number = english_integer(count)
    if number:
        yield Range(1, number) if at_start else Range(-number, -1)


def _occurrences(text: str, quoted: Quoted) -> Iterator[Ranked]:
    """ "the second 'the'", "every 'the'", "'the' the second time"."""
    word = rf"(?:{_TIMES} )?(?:of )?{_DET}(?:{_NOUN} )?(?:of )?"
    if match := re.fullmatch(rf"{_DET}{_VERY}({_ORD}) {word}(.+)", text, re.IGNORECASE):
        pick, content = position(match.group(1)), literal(match.group(2), quoted)
        if pick and content:
            yield Content(content, pick), 0 if has_quote(text) else 1
    if match := re.fullmatch(
        rf"(.+?),? (?:(?:the |for the )({_ORD}) (?:time|occurrence|one)|\(?({_ORD}) {_TIMES}\)?)",
        text,
        re.IGNORECASE,
    ):
        pick = position(match.group(2) or match.group(3))
        content = literal(match.group(1), quoted)
        if pick and content:
            yield Content(content, pick), 0
    if match := re.fullmatch(
        rf"({_EVERY}) (?:{EN_CARDINAL} )?{word}(.+)", text, re.IGNORECASE
    ) or re.fullmatch(r"()(.+?) (?:everywhere|throughout|each time|every time)", text, re.I):
        count = 2 if match.group(1).lower().startswith("both") else None
        for content, rank in _literals(match.group(2), quoted):
            yield Content(content, "all", count), rank
            if content.endswith("s") and has_quote(text) is False:
                yield Content(content[:-1], "all", count), 2


def _relative(text: str, quoted: Quoted, depth: int) -> Iterator[Ranked]:
    """References that lean on another one."""

    def nested(part: str) -> Iterator[Ranked]:
        return references(part, quoted, depth + 1)

    def full(pattern: str) -> re.Match[str] | None:
        return re.fullmatch(pattern, text, re.IGNORECASE)

    side = rf"(?:({_AFTER})|({_BEFORE}))"
    if match := full(
        rf"(?:the |a )?(?:single )?(?:(?:next |previous )?({EN_CARDINAL}) )?{UNIT} {_WHICH}"
        rf"{_JUST}{side} (.+)"
    ):
        count = english_integer(match.group(1)) if match.group(1) else 1
        for anchor, rank in nested(match.group(4)):
            if count:
                yield Neighbours("after" if match.group(2) else "before", count, anchor), rank
    everything = (
        r"(?:everything|anything|all(?: (?:of )?(?:the )?(?:\w+))?|the rest(?: of (?:it|the \w+))?|"
        r"(?:the |that )?(?:whole )?(?:part|text|portion|section|words|bit)|whatever|what|every word)"
    )
    if match := full(rf"{everything} {_WHICH}{_JUST}{side} (.+)"):
        for anchor, rank in nested(match.group(3)):
            yield Beyond("after" if match.group(1) else "before", anchor), rank
    prefix = rf"(?:{everything} )?{_WHICH}"
    if match := full(
        rf"{prefix}(?:starting )?from (.+?) (?:to|until|till|through|up to|all the way to|down to) "
        r"(?:the )?(?:very )?(?:end|finish|close)(?: of .+)?"
    ) or full(rf"{prefix}(?:starting )?from (.+?) (?:on|onwards?|onward|forward|and after)"):
        for anchor, rank in nested(match.group(1)):
            yield Between(anchor, Range(-1, -1)), rank
    if match := full(
        rf"{prefix}(?:from (?:the )?(?:very )?(?:beginning|start)(?: of .+?)? (?:to|until|till|"
        r"through|up to)|up to(?: and including)?|until|through) (.+)"
    ):
        for anchor, rank in nested(match.group(1)):
            yield Between(Range(1, 1), anchor), rank
    for match in re.finditer(
        r" (?:to|through|until|till|up to|all the way to|and ending (?:with|at)) ", text, re.I
    ):
        start = re.match(rf"{prefix}(?:starting )?from ", text, re.IGNORECASE)
        if start is None or start.end() > match.start():
            continue
        for first, rank in nested(text[start.end() : match.start()]):
            for last, other in nested(text[match.end() :]):
                if isinstance(last, Content | Range) and isinstance(first, Content | Range):
                    yield Between(first, last), max(rank, other)
    if match := full(rf"(?:{everything}|{_NOUN}) {_WHICH}(?:in )?between (.+?) and (.+)") or full(
        rf"(?:the )(?:{_NOUN}|everything) {_WHICH}(?:in )?between (.+?) and (.+)"
    ):
        counted = re.search(rf"\d|{UNIT}|{EN_ORDINAL}\b", match.group(2) or "", re.IGNORECASE)
        for first, rank in nested(match.group(1)):
            for last, other in nested(match.group(2)):
                if counted and isinstance(last, Range):
                    yield Between(first, last, None), max(rank, other)
                else:
                    yield Between(first, last, False), max(rank, other)
    for match in re.finditer(rf" {_WHICH}{_JUST}{side} ", text, re.IGNORECASE):
        content = literal(text[: match.start()], quoted)
        if content is None or not (has_quote(text) or match.start()):
            continue
        for anchor, rank in nested(text[match.end() :]):
            name = "after" if match.group(1) else "before"
            yield Near(content, name, anchor), max(rank, 0 if has_quote(text) else 1)
    if match := full(r"(.+?) at the (?:(very )?(start|beginning|front)|(very )?(end|back))"):
        content = literal(match.group(1), quoted)
        if content:
            yield Near(content, "start" if match.group(3) else "end"), 1


def _lists(text: str, quoted: Quoted, depth: int) -> Iterator[Ranked]:
    """ "'a', 'b' and 'c'", "the first and the last word"."""
    parts = re.split(
        r"\s*,\s*(?:and |or )?(?:also )?|\s+and(?: also)?\s+|\s+as well as\s+|\s*&\s*|\s+plus\s+",
        re.sub(r"^both (?:of )?", "", text, flags=re.IGNORECASE),
        flags=re.IGNORECASE,
    )
    if not 2 <= len(parts) <= 16 or not all(parts):
        return
    unit = re.search(rf" ({UNIT})$", parts[-1], re.IGNORECASE)
    head = re.match(
        rf"(?:the )?({UNIT}|index(?:es)?|indices|positions?)(?: (?:at|in|number))?"
        rf"(?: (?:index(?:es)?|positions?))? (?:\d|{EN_CARDINAL}$)",
        parts[0],
        re.IGNORECASE,
    )
    choices: list[list[Ranked]] = []
    for part in parts:
        full = part
        if re.fullmatch(rf"(?:the )?(?:{_ORD}|{EN_CARDINAL})", part, re.IGNORECASE):
            if unit:
                full = f"{part} word"
            elif head:
                full = f"word {part}"
        found = [(r, k) for r, k in references(full, quoted, depth + 2)]
        if not found:
            return
        choices.append(found[:4])
    for combination in _combinations(choices):
        yield Listed(tuple(r for r, _ in combination)), 1 + max(k for _, k in combination)


def _combinations(choices: list[list[Ranked]], limit: int = 64) -> Iterator[tuple[Ranked, ...]]:
    import itertools

    return itertools.islice(itertools.product(*choices), limit)
