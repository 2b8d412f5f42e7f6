"""Reading English instructions: every word must find its place in one of the patterns below.

An instruction is reduced to a line of symbols (`DEL O2 Q0`, `SUB U N3 TO N5 WITH Q0`), and the
line is matched whole. `Q0` quoted words, `N3` a number, `O2` an ordinal (`O-1` the last), `U` word
or character, the rest are the upper-case words of the tables below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from audio_eval.build.target import Action, Target, UnreadableError

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_ONES = {word: number for number, word in enumerate(_SMALL.split(" "))}
_TENS = {
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
}
_RANKS = {
    "first": 1,
    "second": 2,
    "third": 3,
    "fifth": 5,
    "eighth": 8,
    "ninth": 9,
    "twelfth": 12,
    **{f"{word}th": number for word, number in _ONES.items() if number in {4, 6, 7} or number > 9},
    **{f"{word[:-1]}ieth": number for word, number in _TENS.items()},
}
_PLACES = "after|following|before|ahead|in|between|START|END"
_WHOLE = "(sentence|recording|clip|audio|text)"


def _compiled(*table: tuple[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), symbol) for pattern, symbol in table)


# Whole phrases that hold a number word or a word with another meaning elsewhere ("in", "from").
_BEFORE_NUMBERS = _compiled(
    (rf"\b(in front of|before) (the )?(whole |entire )?{_WHOLE}\b", "START"),
    (rf"\bappend (.+?) to the {_WHOLE}\b", r"INS \1 END"),
    (rf"\b(start|begin|open) (the {_WHOLE}|it) with\b", "STARTWITH"),
    (rf"\b(end|finish|close|conclude) (the {_WHOLE}|it) with\b", "ENDWITH"),
    (r"\bappend\b", "APPEND"),
    (r"\bprepend\b", "PREPEND"),
    (rf"\bat the (very )?(beginning|start)( of the {_WHOLE})?\b", "START"),
    (rf"\bat the (very )?end( of the {_WHOLE})?\b", "END"),
    (rf"\b(from|in|of) the {_WHOLE}\b", ""),
)
# Longest first where one is the start of another. Upper-case results are symbols.
_AFTER_NUMBERS = _compiled(
    (r"\b(can|could|would) you\b", ""),
    (r"\bi'd like you to\b", ""),
    (r"\b(make|have) the speaker\b", ""),
    (r"\bgo ahead and\b", ""),
    (r"\bfor me\b", ""),
    (r"\b(please|kindly|just|immediately|directly)\b", ""),
    (r"\bright (?=after|before)", ""),
    (r"\b(there is|there's) no need for (.+?) (delete|remove|cut) it\b", r"DEL \2"),
    (r"\b(i want|i'd like|we want) to hear\b", "SAY"),
    (r"\b(i want|i'd like|we want)\b", "WANT"),
    (r"\b(should|must|can|has to|have to|needs? to) (go|be removed|be deleted|be cut)$", "DELETED"),
    (r"\b(removed|deleted|cut|taken out)$", "DELETED"),
    (r"\bshould (be inserted|be added|come|go)\b", "COMES"),
    (r"\b(added|inserted|placed)\b", "INSERTED"),
    (r"\bshould (be|become|read|say)\b", "BECOMES"),
    (r"\b(let|have) (.+?) become\b", r"\2 BECOMES"),
    (r"\b(delete|remove|erase|drop|skip|lose|get rid of)\b", "DEL"),
    (r"\b(cut out|take out|leave out|strip out)\b", "DEL"),
    (r"\b(take|cut|leave) (.+?) out$", r"DEL \2"),
    (r"\bcut\b", "DEL"),
    (r"\b(instead of|in place of|rather than)\b", "INSTEADOF"),
    (r"\bsubstitute (?=Q\d+ for\b)", "SUBSTITUTE "),
    (r"\b(replace|substitute|swap|exchange)\b", "SUB"),
    (r"\b(change|turn|switch|alter|correct|convert)\b", "TURN"),
    (r"\b(insert|add|put|place|include|say|use|have)\b", "INS"),
    (rf"\b(slip|squeeze|DEL) (.+?) in (?={_PLACES})", r"INS \2 "),
    (r"\b(up to and including|through to and including)\b", "INCLUDING"),
    (r"\b(occurrences?|instances?)( of)?\b", "OCC"),
    (r"\btime it (appears|is said|comes up|occurs)\b", "TIME"),
    (r"\b(everywhere|wherever it (appears|occurs))\b", "EVERYWHERE"),
    (r"\b(that comes after|that follows?|following|after)\b", "AFTER"),
    (r"\b(that comes before|that precedes?|preceding|in front of|ahead of|before)\b", "BEFORE"),
    (r"\b(in between|between)\b", "BETWEEN"),
    (r"\bpart (that says|saying)\b", ""),
    (r"\b(characters or words|character or word|characters?|words?)\b", "U"),
    (r"\bphrase\b", "U"),
    (r"\b(at|in) (index|positions?)\b", "INDEX"),
    (r"\b(index|positions?|number)\b", "INDEX"),
    (r"\beverything\b", "REST"),
    (r"\b(every|all)\b", "ALL"),
    (r"\bfrom the end\b", "FROMEND"),
    (r"\b(through|to)\b", "TO"),
    (r"\b(with|by)\b", "WITH"),
    (r"\binto\b", "TO"),
    (r"\bfor\b", "FOR"),
    (r"\bfrom\b", "FROM"),
    (r"\band\b", "AND"),
    (r"\bpart\b", "REST"),
    (r"\b(the|an?)\b", ""),
)


def _numbers(line: str) -> str:
    """Number words and digits to `N3` and `O3` (`O-1` the last one)."""
    out: list[str] = []
    words = line.split()
    index = 0
    while index < len(words):
        word = words[index]
        following = words[index + 1] if index + 1 < len(words) else ""
        if word in _TENS and 0 < (_ONES.get(following) or 0) < 10:
            out.append(f"N{_TENS[word] + _ONES[following]}")
            index += 1
        elif word in _TENS and 0 < _RANKS.get(following, 0) < 10:
            out.append(f"O{_TENS[word] + _RANKS[following]}")
            index += 1
        elif word in _RANKS:
            out.append(f"O{_RANKS[word]}")
        elif word in _TENS:
            out.append(f"N{_TENS[word]}")
        elif word in _ONES:
            out.append(f"N{_ONES[word]}")
        elif re.fullmatch(r"\d+", word):
            out.append(f"N{int(word)}")
        elif match := re.fullmatch(r"(\d+)(st|nd|rd|th)", word):
            out.append(f"O{int(match[1])}")
        elif word in {"last", "final"}:
            out.append("O-1")
        elif word == "opening":
            out.append("O1")
        else:
            out.append(word)
        index += 1
    return " ".join(out)


def reduce(plain: str) -> str:
    """The instruction as a line of symbols."""
    line = plain.replace("’", "'")
    line = re.sub(r"[.,?!;:]+", " ", line)
    line = re.sub(r"(?<=[a-z])-(?=[a-z])", " ", line, flags=re.I)
    line = " ".join(w if re.fullmatch(r"Q\d+", w) else w.lower() for w in line.split())
    for pattern, symbol in _BEFORE_NUMBERS:
        line = pattern.sub(symbol, line)
    line = _numbers(" ".join(line.split()))
    line = re.sub(r"\bO(\d+) to O-1\b", lambda m: f"O-{m[1]}", line)
    line = re.sub(r"\bO(\d+) O-1\b", lambda m: f"O-{m[1]}", line)
    for pattern, symbol in _AFTER_NUMBERS:
        line = " ".join(pattern.sub(symbol, line).split())
    line = re.sub(r"\bO(\d+) U FROMEND\b", lambda m: f"O-{m[1]} U", line)
    return " ".join(line.split())


_Q, _N, _O = r"Q(\d+)", r"N(\d+)", r"O(-?\d+)"


def _spans(line: str, quotes: list[str], target: Target) -> list[tuple[tuple[int, int], ...]]:
    """Every reading of a reference (what goes); more than one where it says too little."""

    def match(pattern: str) -> re.Match[str] | None:
        return re.fullmatch(pattern, line)

    def number(m: re.Match[str], group: int) -> int:
        return int(m[group])

    def quote(m: re.Match[str], group: int) -> str:
        return quotes[int(m[group])]

    total = len(target)
    if m := match(rf"(?:U )?{_Q}"):
        return [(target.find_one(quote(m, 1)),)]
    if m := match(r"U ([a-z']+)"):  # a word without quotation marks
        return [(target.find_one(m[1]),)]
    if m := match(rf"{_O} (?:OCC |U )?{_Q}"):
        return [(target.find_nth(quote(m, 2), number(m, 1)),)]
    if m := match(rf"{_Q} {_O} TIME"):
        return [(target.find_nth(quote(m, 1), number(m, 2)),)]
    if m := match(rf"ALL (?:OCC )?{_Q}") or match(rf"{_Q} EVERYWHERE"):
        return [target.find_all(quote(m, 1))]
    if m := match(rf"(?:REST )?(?:U )?(?:FROM )?(?:U )?(?:INDEX )?{_N} TO (?:U )?(?:INDEX )?{_N}"):
        return [(target.range(number(m, 1), number(m, 2)),)]
    if m := match(rf"U {_N} AND {_N}"):
        if number(m, 2) != number(m, 1) + 1:
            raise UnreadableError("not_understood", line)
        return [(target.range(number(m, 1), number(m, 2)),)]
    if m := match(rf"U (?:INDEX )?{_N}"):
        return [(target.range(number(m, 1), number(m, 1)),)]
    if m := match(rf"{_O} U"):
        return [(target.range(number(m, 1), number(m, 1)),)]
    if m := match(rf"{_O} (?:TO|AND) {_O} U"):
        first, last = number(m, 1), number(m, 2)
        if " AND " in line and last != first + 1:
            raise UnreadableError("not_understood", line)
        return [(target.range(first, last),)]
    if (m := match(rf"{_O} {_N} U")) and number(m, 1) in {1, -1}:
        return [_edge(target, number(m, 2), first=number(m, 1) == 1)]
    if m := match(rf"{_N} U (START|END)"):
        return [_edge(target, number(m, 1), first=m[2] == "START")]
    if m := match(r"U (START|END)"):
        return [_edge(target, 1, first=m[1] == "START")]
    if m := match(rf"(?:{_N} )?U (AFTER|BEFORE) {_Q}"):
        start, stop = target.find_one(quote(m, 3))
        count = int(m[1] or 1)
        span = (stop, stop + count) if m[2] == "AFTER" else (start - count, start)
        if span[0] < 0 or span[1] > total:
            raise UnreadableError("index_out_of_range", line)
        return [(span,)]
    if m := match(rf"(?:REST|ALL U) (AFTER|BEFORE) {_Q}"):
        start, stop = target.find_one(quote(m, 2))
        span = (stop, total) if m[1] == "AFTER" else (0, start)
        if span[0] == span[1]:
            raise UnreadableError("no_change", line)
        return [(span,)]
    if m := match(rf"REST FROM {_Q} (INCLUDING|TO) {_Q}"):
        first, last = target.find_one(quote(m, 1)), target.find_one(quote(m, 3))
        if last[0] < first[1]:
            raise UnreadableError("index_out_of_range", line)
        inclusive = ((first[0], last[1]),)
        # "from 'a' to 'b'": with them or without them?
        return [inclusive] if m[2] == "INCLUDING" else [inclusive, ((first[0], last[0]),)]
    raise UnreadableError("not_understood", line)


def _edge(target: Target, count: int, *, first: bool) -> tuple[tuple[int, int]]:
    if not 0 < count <= len(target):
        raise UnreadableError("index_out_of_range", f"{count} of {len(target)}")
    return ((0, count) if first else (len(target) - count, len(target)),)


def _place(line: str, quotes: list[str], target: Target) -> tuple[int, bool]:
    """A place to insert at: (units in front, belongs to the unit before)."""
    total = len(target)
    if line == "START":
        return 0, False
    if line == "END":
        return total, True
    if m := re.fullmatch(rf"BETWEEN (?:U )?{_Q} AND {_Q}", line):
        first, last = target.find_one(quotes[int(m[1])]), target.find_one(quotes[int(m[2])])
        return target.gap(first[1], last[0], line)
    if m := re.fullmatch(r"BETWEEN (?:U )?[NO](\d+) AND [NO](\d+)(?: U)?", line):
        return target.gap(target.index(int(m[1])) + 1, target.index(int(m[2])), line)
    if m := re.fullmatch(r"(AFTER|BEFORE) (.+)", line):
        spans = _spans(m[2], quotes, target)
        if len(spans) != 1 or len(spans[0]) != 1:
            raise UnreadableError("two_readings", line)
        start, stop = spans[0][0]
        return (stop, True) if m[1] == "AFTER" else (start, False)
    raise UnreadableError("not_understood", line)


_SUBSTITUTIONS = (
    r"SUB (?P<ref>.+) WITH Q(?P<new>\d+)",
    r"TURN (?P<ref>.+) TO Q(?P<new>\d+)",
    r"INS Q(?P<new>\d+) INSTEADOF (?P<ref>.+)",
    r"SAY Q(?P<new>\d+) INSTEADOF (?P<ref>.+)",
    r"(?P<ref>.+) BECOMES Q(?P<new>\d+)",
)
_INSERTIONS = (
    r"INS (?:U )?Q(?P<new>\d+) (?P<place>.+)",
    r"(?P<place>(?:AFTER|BEFORE|BETWEEN|START|END).*) INS Q(?P<new>\d+)",
    r"WANT Q(?P<new>\d+) INSERTED (?P<place>.+)",
    r"Q(?P<new>\d+) COMES (?P<place>.+)",
    r"APPEND Q(?P<new>\d+)(?P<end>)",
    r"PREPEND Q(?P<new>\d+)(?: START)?(?P<start>)",
    r"STARTWITH Q(?P<new>\d+)(?P<start>)",
    r"ENDWITH Q(?P<new>\d+)(?P<end>)",
)
_DELETIONS = (r"DEL (?P<ref>.+)", r"(?:WANT )?(?P<ref>.+) DELETED")


def actions(plain: str, quotes: list[str], target: Target) -> Iterator[Action | UnreadableError]:
    """Every action that the instruction can mean, and why other ways of reading it fail."""
    line = reduce(plain)
    yield from _guard(_exchange(line, quotes, target))
    for pattern in _SUBSTITUTIONS:
        if m := re.fullmatch(pattern, line):
            new = quotes[int(m["new"])]
            yield from _guard(
                Action(spans, None, True, new) for spans in _spans_of(m, quotes, target)
            )
    for pattern in _INSERTIONS:
        if m := re.fullmatch(pattern, line):
            yield from _guard(_insertion(m, quotes, target))
    for pattern in _DELETIONS:
        if m := re.fullmatch(pattern, line):
            yield from _guard(Action(spans) for spans in _spans_of(m, quotes, target))


def _exchange(line: str, quotes: list[str], target: Target) -> Iterator[Action]:
    """ "swap A for B" puts B in A's place; "substitute A for B" puts A in B's."""
    if m := re.fullmatch(r"SUB (?P<ref>.+) FOR Q(?P<new>\d+)", line):
        for spans in _spans_of(m, quotes, target):
            yield Action(spans, None, True, quotes[int(m["new"])])
    if m := re.fullmatch(r"SUBSTITUTE Q(?P<new>\d+) FOR (?P<ref>.+)", line):
        for spans in _spans_of(m, quotes, target):
            yield Action(spans, None, True, quotes[int(m["new"])])


def _spans_of(
    m: re.Match[str], quotes: list[str], target: Target
) -> Iterator[tuple[tuple[int, int], ...]]:
    yield from _spans(m["ref"], quotes, target)


def _insertion(m: re.Match[str], quotes: list[str], target: Target) -> Iterator[Action]:
    groups = m.groupdict()
    line = groups.get("place") or ("START" if "start" in groups else "END")
    position, after = _place(line, quotes, target)
    yield Action((), position, after, quotes[int(m["new"])])


def _guard(attempts: Iterator[Action]) -> Iterator[Action | UnreadableError]:
    """Turn the first failure of a way of reading into a value."""
    try:
        yield from attempts
    except UnreadableError as error:
        yield error
