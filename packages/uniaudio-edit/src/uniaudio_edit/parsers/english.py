# ruff: noqa: E501, SIM102  (patterns and word lists read better unbroken)
"""English clauses: one operation each (or an exchange, which is two)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from uniaudio_edit.parsers.acoustic_english import acoustic_readings
from uniaudio_edit.parsers.english_refs import UNIT, literal, position, references
from uniaudio_edit.parsers.numbers import EN_CARDINAL, EN_ORDINAL
from uniaudio_edit.parsers.quoting import Quoted, has_quote
from uniaudio_edit.parsers.refs import Draft, Listed, Place, Reading

_POLITE = re.compile(
    r"^(?:(?:please|kindly|hey|hi|ok(?:ay)?|now|just|simply|also|and|so|then|next|finally|lastly|"
    r"first(?:ly)?,|second(?:ly)?,|additionally|plus|afterwards|after that|i think|"
    r"(?:can|could|would|will) (?:you|we)(?: (?:please|kindly|just|also|maybe))*|"
    r"(?:i )?(?:want|need|would like|'d like|wish|ask) you to|i'd like you to|i (?:want|need|would"
    r" like|'d like) to|i'd (?:like|love|prefer) (?:you )?to|we need to|you (?:should|need to|must|"
    r"have to|can|could)|let's|let us|help me(?: to)?|go ahead and|try to|make sure (?:to|you)|"
    r"be sure to|remember to|i would|would you mind|do|(?:\(?\d{1,2}[.)]|[-*•]))[ ,:]+)+",
    re.IGNORECASE,
)
_BY = re.compile(
    r"^(?:modify|change|edit|fix|update|correct|alter|revise|rewrite)(?: (?:the|this|that|my))? (?:whole )?"
    r"(?:sentence|audio|recording|speech|clip|text|utterance|transcript|line|it)(?: by| so that|:| and) (?=\S)",
    re.IGNORECASE,
)
_POLITE_END = re.compile(
    r"(?:[ ,]+(?:please|thanks|thank you|for me|if you (?:can|could|please|would)|will you|"
    r"would you|okay|ok|as well|too|altogether|entirely|completely|instead|now|at once))+$",
    re.IGNORECASE,
)
_WHERE = (
    r"(?:(?:whole|entire|original|given|spoken|source|input|current|following|full|first|last)\s)?"
    r"(?:sentence|audio|recording|speech|clip|text|utterance|transcript(?:ion)?|file|line|sample|"
    r"phrase|statement|message|passage|content|voice ?over|track|paragraph|quote|wav)"
)
_JUNK_END = re.compile(
    rf"[ ,]+(?:from|in|(?<!out )of|within|on|inside|for|throughout)(?: (?:the|this|that|my|your|her|"
    rf"his|our|its))? {_WHERE}$",
    re.IGNORECASE,
)

_OF_TEXT = rf"(?: of (?:it|(?:(?:the|this|that|my) )?(?:{_WHERE}|everything|thing)))?"

_V_DEL = (
    r"(?:delete|remove|erase|drop|omit|get rid of|take (?:out|away|off)|cut(?: (?:out|off|away))?|"
    r"strip(?: (?:out|off|away))?|eliminate|leave out|skip|discard|scrap|kill|lose|trim(?: off)?|"
    r"clip(?: (?:out|off))?|snip(?: (?:out|off))?|edit out|exclude|wipe(?: out)?|clear|ditch|chop"
    r"(?: (?:off|out))?|excise|throw (?:out|away)|do away with|rub out|crop(?: out)?|silence|"
    r"deleting|removing|cutting|erasing|dropping|taking out|leave off|shave off)"
)
_V_INS = (
    r"(?:insert|add(?: in)?|put(?: in)?|place|say|append|prepend|include|stick(?: in)?|slip(?: in)?|"
    r"throw(?: in)?|squeeze(?: in)?|attach|tack(?: on)?|drop in|introduce|speak|state|mention|"
    r"inject|write(?: in)?|set|have|inserting|adding|position|embed|interject|supplement)"
)
_V_SUB = (
    r"(?:replace|substitute|change|swap(?: out)?|switch(?: out)?|turn|make|exchange|convert|modify|"
    r"alter|edit|correct|fix|rewrite|update|transform|rename|revise|amend|reword|rephrase|replacing|"
    r"changing|substituting|swapping|adjust|trade|shift|read|say|have|set|let|re-?record)"
)
_SAY = (
    r"(?:(?:have|make|let) (?:it|her|him|them|the (?:speaker|voice|person|audio|recording)) say|say(?:s|ing)?|use|put|have|write|read|speak|insert|place|choose|make (?:it|that|this)(?: "
    r"say)?|it (?:should|must) (?:say|be|read)|let it (?:be|say)|pick|give|go with|with|i want|"
    r"(?:i|we|you|she|he|they|it|the (?:speaker|voice|audio|text|sentence)) (?:should|must|want to"
    r"|needs? to|ought to)(?: say| be| read| use)?|change (?:it|that) to|it's|it is)"
)
_AFTER = r"(?:after|following|behind|succeeding)"
_BEFORE = r"(?:before|preceding|in front of|ahead of|prior to)"
_JUST = r"(?:right |just |directly |immediately |straight )?"
_START = (
    r"(?:(?:to|at|in|on|onto|as|from|into) )?(?:the )?(?:very |absolute )?(?:start|beginning|front|"
    r"head|opening|top)"
)
_END = (
    r"(?:(?:to|at|in|on|onto|as|into) )?(?:the )?(?:very |absolute )?(?:end|ending|back|tail|close|"
    r"finish)"
)
_GO = r"(?:should|must|needs? to|has to|have to|ought to|can|shall|is to|are to)"


def normalise(clause: str) -> str:
    """The clause without politeness and without "in the recording"."""
    text = clause.strip(" ,;:.!?")
    while True:
        shorter = _BY.sub("", _POLITE.sub("", text + " ").strip())
        plain = _POLITE_END.sub("", shorter).strip(" ,;:.!?")
        if not re.fullmatch(rf"{_V_DEL}|{_V_INS}|{_V_SUB}|", plain, re.IGNORECASE):
            shorter = plain  # "delete please" is about the word please
        shorter = _JUNK_END.sub("", shorter).strip(" ,;:.!?")
        if shorter == text:
            return text
        text = shorter


def verb(clause: str) -> str:
    """The verb that a clause begins with, for the clauses behind it that leave it out."""
    for pattern in (_V_DEL, r"(?:insert|add|put|append|place)", r"(?:replace|substitute|change|swap"
                    r"(?: out)?|switch|turn|convert|exchange)"):  # fmt: skip
        if match := re.match(rf"({pattern}) ", normalise(clause), re.IGNORECASE):
            return match.group(1)
    return ""


def readings(clause: str, quoted: Quoted) -> Iterator[Reading]:
    """Every way to read one English clause."""
    text = normalise(clause)
    if not text:
        return
    yield from acoustic_readings(text, quoted)
    yield from _exchanges(text, quoted)
    yield from _substitutions(text, quoted)
    yield from _insertions(text, quoted)
    yield from _deletions(text, quoted)


def _full(pattern: str, text: str) -> re.Match[str] | None:
    return re.fullmatch(pattern, text, re.IGNORECASE)


# --- deletion -------------------------------------------------------------------------------------


_GONE = (
    r"(?:gone|removed|deleted|cut(?: out)?|dropped|erased|omitted|taken out|left out|out|"
    r"eliminated|disappear)"
)


def _deletions(text: str, quoted: Quoted) -> Iterator[Reading]:
    gone = _GONE
    patterns = (
        rf"{_V_DEL} (?P<ref>.+)",
        r"(?:take|cut|leave|edit|strip|chop|trim|get|throw|clip|snip|pull) (?P<ref>.+?) "
        rf"(?:out|off|away)(?: (?:of|from) (?:it|(?:(?:the|this|that|my) )?{_WHERE}))?",
        rf"(?:i |we )?(?:want|need|'d like|would like|i'd like) (?P<ref>.+?) (?:to be |to )?{gone}",
        rf"(?P<ref>.+?) {_GO} (?:go|go away|disappear|be {gone})",
        rf"have (?P<ref>.+?) {gone}",
        r"(?:don't|do not|never|stop) (?:say|include|speak|read|mention|use|saying)(?: the)? "
        r"(?P<ref>.+)",
        r"without (?:saying )?(?P<ref>.+)",
        r"(?:say|read|speak) (?:it|this|that) without (?:saying )?(?P<ref>.+)",
        r"no (?:more )?(?P<ref>.+)",
    )
    for rank, pattern in enumerate(patterns):
        if match := _full(pattern, text):
            for ref, ref_rank in references(match.group("ref"), quoted):
                yield Reading((Draft("deletion", ref),), ref_rank + (0 if rank < 8 else 1))


# --- substitution ---------------------------------------------------------------------------------


def _splits(text: str, pattern: str) -> Iterator[tuple[str, str, str]]:
    """Every (left, separator, right) of `text` at `pattern`."""
    for match in re.finditer(rf"[ ,]+({pattern})[ :]+", text, re.IGNORECASE):
        yield text[: match.start()], match.group(1).lower(), text[match.end() :]


def _new(text: str, quoted: Quoted) -> str | None:
    """What is put in. Quotations may stand alone only; other words are taken as they are."""
    text = re.sub(rf"^(?:just |simply |only |be |say |read )?(?=(?:the )?(?:{UNIT} )?\S)", "", text)
    found = literal(text, quoted)
    return found if found and not re.fullmatch(r"[\W_]+", found) else None


def _sub(old: str, new: str, quoted: Quoted, rank: int = 0) -> Iterator[Reading]:
    content = _new(new, quoted)
    if content is None:
        return
    for ref, ref_rank in references(old, quoted):
        yield Reading((Draft("substitution", ref, new=content),), max(rank, ref_rank))


_CHANGED = r"(?:replaced|changed|swapped(?: out)?|substituted|switched|turned|converted|corrected|exchanged|modified)"


def _substitutions(text: str, quoted: Quoted) -> Iterator[Reading]:
    if match := _full(rf"({_V_SUB}) (.+)", text):
        name, rest = match.group(1).lower(), match.group(2)
        for old, between, new in _splits(
            rest,
            r"with|by|to be|to say|to read|to|into|for|as|so it (?:says|reads)|in(?= favou?r of)",
        ):
            if name.startswith("substitut") and between == "for":
                # "substitute NEW for OLD" is the dictionary's order; people also say the other.
                yield from _sub(new, old, quoted)
                yield from _sub(old, new, quoted, 1)
            elif name.startswith(("read", "say", "have", "let", "set", "shift")):
                if between in ("as", "to", "to be", "to say", "to read"):
                    yield from _sub(old, new, quoted, 1)
            elif name.startswith("replac") and between == "for":
                yield from _sub(old, new, quoted, 1)
            else:
                yield from _sub(old, new, quoted)
        if match := _full(r"(.+?) (\S)", rest):  # make "old" "new"
            if name in ("make", "change", "turn") and has_quote(match.group(2)):
                yield from _sub(match.group(1), match.group(2), quoted)
        if name in ("let", "have", "make"):
            for old, _, new in _splits(rest, "be|become|say|read"):
                yield from _sub(old, new, quoted, 1)
    if match := _full(
        r"(?:i |i'd |we |we'd |i would )?(?:rather )?prefer (.+?) (?:to|over|instead of|rather than) (.+)",
        text,
    ):
        yield from _sub(match.group(2), match.group(1), quoted)
    other = r"(?:instead of|rather than|in place of|in lieu of|and not|not)(?: saying| using)?"
    if match := _full(rf"(?:{_SAY}|{_V_SUB}) (.+)", text):
        for new, _, old in _splits(match.group(1), other):
            yield from _sub(old, new, quoted)
    for new, _, old in _splits(text, r"(?:instead of|rather than|in place of)"):
        yield from _sub(old, new, quoted, 1)
    if match := _full(
        r"(?:instead of|rather than|in place of|in lieu of|where it says|where (?:she|he) says)"
        r"(?: saying| using)? (.+)",
        text,
    ):
        for old, _, new in _splits(match.group(1), _SAY):
            yield from _sub(old, new, quoted)
    if match := _full(r"not (.+?),? but(?: rather)? (.+)", text) or _full(
        rf"(?:don't|do not|never) (?:say|use) (.+?),? (?:but|{_SAY})(?: say)? (.+)", text
    ):
        yield from _sub(match.group(1), match.group(2), quoted)
    become = (
        rf"{_GO} (?:be {_CHANGED} (?:by|with|to|into|for)|be|become|say|read|sound like)|becomes|"
        rf"is (?:now|{_CHANGED} (?:by|with|to|into))|(?:to be )?{_CHANGED} (?:by|with|to|into|for)"
        r"|->|=>|→|⇒|-->|>"
    )
    for old, between, new in _splits(text, become):
        wanted = r"^(?:i |we )?(?:want|need|have|would like|'d like|i'd like) "
        bare = re.sub(wanted, "", old, flags=re.IGNORECASE)
        if not re.match(
            rf"{_GONE}$|(?:{_CHANGED}|added|inserted|placed|put|spoken|said)\b", new, re.I
        ):
            yield from _sub(bare, new, quoted, 0 if between != "is now" else 1)
    same = r"(?:in(?:to)? (?:the|that|its) (?:same |exact )*(?:place|spot|position|stead)|there|instead)"
    if match := _full(
        rf"{_V_DEL} (.+?),? (?:and|then|and then|but) (?:{_V_INS}|use) (.+?) {same}", text
    ) or _full(rf"{_V_DEL} (.+?),? (?:and|then|and then) {same},? (?:{_V_INS}|use) (.+)", text):
        yield from _sub(match.group(1), match.group(2), quoted)


def _exchanges(text: str, quoted: Quoted) -> Iterator[Reading]:
    """ "swap 'a' and 'b'": each takes the other's place."""
    lead = (
        rf"(?:swap|exchange|switch|interchange|reverse|flip|transpose|trade)(?: around)?(?: the)?"
        rf"(?: (?:places|positions?|order) of)?(?: the)?(?: two)?(?: {UNIT})?(?: \:)?"
    )
    if not (match := _full(rf"{lead} (.+?)(?: around)?", text)):
        return
    for first, _, second in _splits(match.group(1), "and|with"):
        for one, rank in references(first, quoted):
            for two, other in references(second, quoted):
                # "swap 'a' with 'b'" is an exchange only where 'b' is in the text too.
                yield Reading((Draft("exchange", Listed((one, two))),), max(rank, other))


# --- insertion ------------------------------------------------------------------------------------


def places(text: str, quoted: Quoted) -> Iterator[tuple[Place, int]]:
    """Every way to read `text` as a place for something new."""
    text = re.sub(rf"\b{UNIT} ?(?:or|/) ?{UNIT}\b", "word", text.strip(" ,:"), flags=re.I)
    if _full(rf"{_START}{_OF_TEXT}|first|up front|in front", text):
        yield Place("start"), 0
    if _full(rf"{_END}{_OF_TEXT}|last|on|afterwards", text):
        yield Place("end"), 0
    if match := _full(
        rf"(?:as |to be |so (?:that )?it (?:is|becomes) )(?:the )?({EN_ORDINAL}|last|final|opening|"
        rf"closing)(?: {UNIT})?", text
    ) or _full(
        rf"(?:at|in|into|to) (?:the )?(?:{UNIT} )?(?:index|position|place|slot|spot)"
        rf"(?: number| no\.?)? ({EN_CARDINAL})|(?:at|in|into|to) (?:the )?({EN_ORDINAL}|last) "
        rf"(?:{UNIT} )?(?:index|position|place|slot|spot)", text
    ):  # fmt: skip
        number = position(next(g for g in match.groups() if g))
        if number is not None:
            yield Place("become", position=number), 0
    if match := _full(rf"{_JUST}(?:in |right )?(?:in )?between (?:the )?(?:{UNIT} )?(.+?)", text):
        for first, _, second in _splits(match.group(1), "and|&"):
            tail = re.search(rf" {UNIT}s?$", second, re.IGNORECASE)
            if tail and re.fullmatch(rf"(?:the )?(?:{EN_ORDINAL}|{EN_CARDINAL})", first, re.I):
                first = f"{first} word"  # noqa: PLW2901
            elif re.fullmatch(r"\d+", first) and re.fullmatch(r"\d+", second):
                first, second = f"word {first}", f"word {second}"  # noqa: PLW2901
            for one, rank in references(first, quoted):
                for two, other in references(second, quoted):
                    yield Place("between", ref=one, other=two), max(rank, other)
    if match := _full(
        rf"{_JUST}(?:(?P<after>{_AFTER})|(?P<before>{_BEFORE}))(?: where (?:it|she|he) says)? (.+)",
        text,
    ):
        side = "after" if match.group("after") else "before"
        anchor = re.sub(r"^index(?= \d)", "word index", match.group(3), flags=re.IGNORECASE)
        if _full(r"(?:the )?(?:whole |entire )?(?:sentence|text|speech|audio|recording|everything)"
                 r"(?: else)?", anchor):  # fmt: skip
            yield Place("start" if side == "before" else "end"), 0
        for ref, rank in references(anchor, quoted):
            yield Place("beside", side, ref), rank


_STARTERS = (
    rf"{_JUST}(?:{_AFTER}|{_BEFORE}|(?:in )?between)|(?:at|to|in|on|onto|into|as|so) (?:the|that|it|"
    r"index|position|word|place|very)|to be|first|last|at|on|between"
)


def _ins(place: str, new: str, quoted: Quoted, rank: int = 0) -> Iterator[Reading]:
    content = _new(new, quoted)
    if content is None:
        return
    for where, place_rank in places(place, quoted):
        yield Reading((Draft("insertion", place=where, new=content),), max(rank, place_rank))


def _insertions(text: str, quoted: Quoted) -> Iterator[Reading]:
    if match := _full(rf"({_V_INS}) (.+)", text):
        rest = match.group(2)
        for found in re.finditer(rf"[ ,]+(?=(?:{_STARTERS})\b)", rest, re.IGNORECASE):
            yield from _ins(rest[found.end() :], rest[: found.start()], quoted)
        if found := _full(r"(.+?)[ ,:]+(\S)", rest):  # insert after "a" "b"
            if has_quote(found.group(2)):
                place = re.sub(rf"[ ,:]+(?:the )?(?:{UNIT}|phrase|text)[ :]*$", "", found.group(1))
                yield from _ins(place, found.group(2), quoted)
    verbs = rf"(?:{_V_INS}|there should be|it should say|i want|we need)"
    starters = rf"{_JUST}(?:{_AFTER}|{_BEFORE}|(?:in )?between)|at|to|on|in|as"
    if re.match(rf"(?:{starters})\b", text, re.IGNORECASE):
        for place, _, new in _splits(text, rf"(?:(?:please|you|also|just|we) )*{verbs}"):
            yield from _ins(place, new, quoted)
    what = (
        r"(?: off| out)?(?: (?:it|things|the (?:whole )?\w+|this(?: \w+)?|my \w+|everything))?"
        r"(?: off| out)?"
    )
    if match := _full(
        rf"(?:begin|start|open|lead|kick|preface|precede){what} (?:with|by saying) (.+)", text
    ):
        yield from _ins("at the start", match.group(1), quoted)
    if match := _full(
        rf"(?:end|finish|close|conclude|complete|round){what} (?:with|by saying) (.+)", text
    ):
        yield from _ins("at the end", match.group(1), quoted)
    for lead, side in (("follow(?: up)?", "after"), ("precede|preface", "before")):
        if match := _full(rf"(?:{lead}) (.+)", text):
            for anchor, _, new in _splits(match.group(1), "with|by"):
                yield from _ins(f"{side} {anchor}", new, quoted)
    if match := _full(r"(?:append|tack on|attach) (.+)", text):
        yield from _ins(
            "at the end", re.sub(r" (?:on ?to|to) (?:it|the \w+)$", "", match.group(1)), quoted
        )
    if match := _full(r"prepend (.+)", text):
        yield from _ins("at the start", re.sub(r" to (?:it|the \w+)$", "", match.group(1)), quoted)
    for new, _, place in _splits(text, rf"{_GO} (?:come|go|be (?:inserted|added|placed|put))"):
        yield from _ins(place, new, quoted)
