# ruff: noqa: E501, SIM102  (patterns and word lists read better unbroken)
"""References in Chinese: 第三个字, 最后两个字, 第一个“的”, 从“甲”到“乙”."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from uniaudio_edit.parsers.numbers import ZH_INTEGER, chinese_integer
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
    Refused,
    Whole,
)

Ranked = tuple[Ref, int]
_N = rf"({ZH_INTEGER})"
_CHAR = r"(?:汉字|字符|字儿|字|位置|位)"
_WORD = r"(?:单词|词语|词)"
_UNIT = rf"(?:{_CHAR}|{_WORD})"
_COUNTED = rf"(?:这|那)?(?:{ZH_INTEGER}|几|一|俩|仨)?个?(?:汉字|字|词语|词|单词|字儿)"
_THING = (
    r"(?:内容|部分|文字|文本|话|字|词|句子|东西|所有内容|全部内容|所有文字|所有字|那部分|那段|片段)"
)
_IN_TEXT = (
    r"(?:(?:这|那|该|整)?(?:句话|段话|句子|句|话|文本|文中|音频|录音|语音|原文|原句|文字|里面)"
    r"(?:里面|里头|里|中|当中|上|内)?的?)"
)
_FRONT = r"(?:前面|之前|前边|前方|以前|前头|前)"
_BACK = r"(?:后面|之后|后边|后方|以后|后头|后)"
_MAX_DEPTH = 3
_WORD_REFUSAL = (
    "Chinese writing does not show where words end; count characters (第三个字) or quote the word"
)


def literal(text: str, quoted: Quoted) -> str | None:
    """The words that `text` names by themselves."""
    bare = text.strip(" ，,：:。；;")
    if is_quote(bare):
        return quoted.content(bare)
    if match := re.fullmatch(
        rf"(?:(?:一|这|那)?(?:个|句话?|段话?|声)|{_WORD}|{_CHAR}|{_COUNTED}|短语|句子|内容|文字|文本|的)*[：:]?"
        rf"({Q})(?:这|那)?(?:{_COUNTED}|一词|一字|二字|两字|三字|四字|短语|这个短语|这句话|这句|这部分|"
        rf"部分|这段话|的内容|的部分|一句|几个字|的?字样|这个|俩字)?",
        bare,
    ):
        return quoted.content(match.group(1))
    return None if has_quote(bare) or not bare else bare


def _literals(text: str, quoted: Quoted) -> Iterator[tuple[str, int]]:
    found = literal(text, quoted)
    if found is None:
        return
    yield found, 0
    if has_quote(text):
        return
    shorter = re.sub(rf"(?:这|那)?(?:{_COUNTED}|一词|一字|二字|两字|俩字|这个)$", "", found)
    shorter = re.sub(r"^(?:字|词|词语|单词)(?=.)", "", shorter)
    if shorter and shorter != found:
        yield shorter, 1


def references(text: str, quoted: Quoted, depth: int = 0) -> Iterator[Ranked]:
    """Every way to read `text` as a reference, with its rank."""
    text = text.strip(" ，,：:。；;")
    if not text or depth > _MAX_DEPTH:
        return
    for content, rank in _literals(text, quoted):
        yield Content(content), rank
    bare = re.sub(rf"^(?:在|位于|把|将)?{_IN_TEXT}(?=.)", "", text)
    if bare != text:
        for ref, rank in references(bare, quoted, depth + 1):
            yield ref, rank + 1
    yield from ((ref, 0) for ref in _positions(text))
    yield from _occurrences(text, quoted, depth)
    yield from _relative(text, quoted, depth)
    if re.fullmatch(
        r"(?:这|那)?(?:一)?(?:整句话?|整段话?|整个(?:句子|音频|录音|文本)|全句|全文|全部|所有(?:的)?(?:内容|字|"
        r"文字)|全部(?:的)?(?:内容|字|文字)|整句|句子|这句话|一切|每个字)",
        text,
    ):
        yield Whole(), 0
    yield from _lists(text, quoted, depth)


def _positions(text: str) -> Iterator[Ref]:
    unit = rf"个?(?:{_UNIT}|索引)?(?:的?(?:字|字符))?"
    for pattern, make in (
        (rf"第{_N}{unit}", _one),
        (rf"(?:索引|下标|位置|序号)(?:为|是|在)?第?{_N}(?:的)?(?:处)?(?:的)?{_UNIT}?", _one),
        (rf"倒数第{_N}个?{_UNIT}", _from_end),
        (r"(?:第一个|首个|首|开头的?|最前面的?|头一个|打头的?)(?:那个)?()(?:字|字符|汉字|词)", _first),
        (r"(?:最后(?:面)?的?(?:一个|那个|1个)?|末尾的?(?:一个)?|末个?|尾|结尾的?(?:一个|那个)?|句末的?|句尾的?)()"
         r"(?:字|字符|汉字|词)", _last),
        (rf"(?:最?前面?的?|开头的?|头|最开始的?|起始的?|句首的?|开始的?|最前头的?|首先的?)这?{_N}个?{_UNIT}",
         _head),
        (rf"(?:最后面?的?|末尾的?|结尾的?|后面?的?|倒数|尾部的?|句末的?|句尾的?|末|最末尾?的?|后边的?)这?{_N}个?"
         rf"{_UNIT}", _tail),
    ):  # fmt: skip
        if match := re.fullmatch(pattern, text):
            if re.search(rf"{_WORD}$", text) and not re.search(rf"{_CHAR}$", text):
                yield Refused(_WORD_REFUSAL, ("count characters: 字", "quote the word: “…”"))
                return
            number = chinese_integer(match.group(1)) if match.group(1) else 1
            if number:
                yield make(number)
    to = r"(?:个?(?:字|字符|词|单词|位)?(?:的位置)?)(?:到|至|-|–|—|~|直到|一直到|开始到|起到)"
    if match := re.fullmatch(rf"(?:从|由|索引|位置|下标)*(?:第)?{_N}{to}(?:第|索引|位置|下标)?{_N}{unit}(?:为止|之间的?(?:字|内容)?)?",
                             text):  # fmt: skip
        yield from _span(match.group(1), match.group(2), text)
    if match := re.fullmatch(rf"(?:从|由)?倒数第?{_N}{to}倒数第?{_N}{unit}", text):
        a, b = chinese_integer(match.group(1)), chinese_integer(match.group(2))
        if a and b:
            yield Range(-max(a, b), -min(a, b))
    if match := re.fullmatch(
        rf"(?:从|由)?第{_N}{to}(?:最后|末尾|结尾|句末|句尾)(?:一个字|的字)?(?:为止)?", text
    ):
        if number := chinese_integer(match.group(1)):
            yield Range(number, -1)


def _span(first: str, last: str, text: str) -> Iterator[Ref]:
    a, b = chinese_integer(first), chinese_integer(last)
    if re.search(rf"{_WORD}$", text) and not re.search(rf"{_CHAR}$", text):
        yield Refused(_WORD_REFUSAL, ("count characters: 字", "quote the words: “…”"))
    elif a and b:
        yield Range(a, b)


def _one(n: int) -> Ref:
    return Range(n, n)


def _from_end(n: int) -> Ref:
    return Range(-n, -n)


def _first(_: int) -> Ref:
    return Range(1, 1)


def _last(_: int) -> Ref:
    return Range(-1, -1)


def _head(n: int) -> Ref:
    return Range(1, n)


def _tail(n: int) -> Ref:
    return Range(-n, -1)


def _occurrences(text: str, quoted: Quoted, depth: int) -> Iterator[Ranked]:
    content_rank = 0 if has_quote(text) else 1

    def content(part: str) -> str | None:
        found = literal(part, quoted)
        if found and not has_quote(part):
            found = re.sub(r"(?:这个)?[字词]$", "", found) or found
        return found

    seen = r"(?:出现的?|次出现的?)?"
    for pattern, pick in (
        (rf"第{_N}(?:个|次|处){seen}的?(?P<c>.+)", 1),
        (rf"倒数第?{_N}(?:个|次|处){seen}的?(?P<c>.+)", -1),
        (rf"(?P<c>.+?)第{_N}次出现(?:的(?:地方|位置|时候))?", 1),
        (rf"(?:最后|末)(?:一?(?:个|次|处)){seen}的?(?P<c>.+)()", 0),
        (r"(?:首个|首次出现的|头一个)(?P<c>.+)()", 2),
    ):
        if match := re.fullmatch(pattern, text):
            if pick == 0:
                number: int | None = -1
            elif pick == 2:
                number = 1
            else:
                digits = next(g for n, g in enumerate(match.groups(), 1)
                              if n != match.re.groupindex["c"])  # fmt: skip
                number = chinese_integer(digits)
                number = None if number is None else number * pick
            words = content(match.group("c"))
            if number and words:
                yield Content(words, number), content_rank
    if match := re.fullmatch(r"(?:所有|全部|每一?个|任何|全体)(?:出现)?的?(?P<c>.+)", text):
        for words, rank in _literals(match.group("c"), quoted):
            yield Content(words, "all"), max(rank, content_rank)
            if not has_quote(text) and len(words) > 1 and words[-1] in "字词":
                yield Content(words[:-1], "all"), 1
    if match := re.fullmatch(rf"(?:这|那)?{_N}(?:个|处)的?(?P<c>{Q}.*)", text):
        number, words = chinese_integer(match.group(1)), content(match.group("c"))
        if number and number > 1 and words:
            yield Content(words, "all", number), 0
    ends = (
        r"(?P<start>开头|句首|最前面|最开头|开始|句子开头)|(?P<end>结尾|末尾|句尾|句末|最后|最后面)"
    )
    if match := re.fullmatch(rf"(?:在|位于)?(?:{ends})(?:处|部分)?的(?P<c>.+)", text):
        words = content(match.group("c"))
        if words:
            yield Near(words, "start" if match.group("start") else "end"), content_rank
    if depth < 2 and (match := re.fullmatch(r"(?P<a>.+?)(?:里面?|中|当中)?的(?P<c>[^的]+)", text)):
        words = literal(match.group("c"), quoted)
        anchor = literal(match.group("a"), quoted)
        if words and anchor:
            rank = 1 if has_quote(text) else 2
            yield Near(words, "in", Content(anchor)), rank
            stripped = re.sub(r"字$", "", words)
            if stripped != words:
                yield Near(stripped, "in", Content(anchor)), rank


def _relative(text: str, quoted: Quoted, depth: int) -> Iterator[Ranked]:
    def nested(part: str) -> Iterator[Ranked]:
        return references(part, quoted, depth + 1)

    side = rf"(?:(?P<before>{_FRONT})|(?P<after>{_BACK}))"
    if match := re.fullmatch(rf"(?P<r>.+?){side}的?(?:那|这)?(?P<n>{ZH_INTEGER})?个?{_CHAR}", text):
        count = chinese_integer(match.group("n")) if match.group("n") else 1
        for anchor, rank in nested(match.group("r")):
            if count:
                yield (
                    Neighbours("before" if match.group("before") else "after", count, anchor),
                    rank,
                )
    every = r"(?:所有|全部|一切|整个)?的?"
    if match := re.fullmatch(rf"(?P<r>.+?){side}的?{every}{_THING}(?:都|全部)?", text):
        if not re.search(rf"{side}的?{_CHAR}$", text):
            for anchor, rank in nested(match.group("r")):
                yield Beyond("before" if match.group("before") else "after", anchor), rank
    tail = rf"(?:为止|之间)?(?:的?{every}(?:{_THING})?)?"
    ends = r"(?:最后面?|结尾|末尾|句末|结束|句尾|最末)"
    starts = r"(?:开头|句首|最前面|最开始|开始)"
    if match := re.fullmatch(
        rf"(?:从|由|自)?(?P<a>.+?)(?:开始|起)?(?:一直|直)?(?:到|至){ends}{tail}", text
    ):
        for anchor, rank in nested(match.group("a")):
            yield Between(anchor, Range(-1, -1)), rank
    if match := re.fullmatch(rf"(?:从|由|自)?{starts}(?:一直|直)?(?:到|至)(?P<a>.+?){tail}", text):
        for anchor, rank in nested(match.group("a")):
            yield Between(Range(1, 1), anchor), rank
    for cut in re.finditer("(?:开始|起)?(?:一直|直)?(?:到|至)", text):
        first = re.sub("^(?:从|由|自)", "", text[: cut.start()])
        last = re.sub(rf"{tail}$", "", text[cut.end() :])
        last = (
            re.sub(rf"(?:为止|之间)?的?{every}{_THING}$", "", text[cut.end() :])
            if has_quote(text)
            else last
        )
        for one, rank in itertools.islice(nested(first), 6):
            for two, other in itertools.islice(nested(last), 6):
                if isinstance(one, Content | Range) and isinstance(two, Content | Range):
                    plain = 0 if has_quote(text) or text.startswith(("从", "由")) else 1
                    yield Between(one, two), max(rank, other, plain)
    if match := re.fullmatch(
        rf"(?P<a>.+?)(?:和|与|跟|、|到)(?P<b>.+?)(?:之间|中间|当中)的?{every}{_THING}", text
    ):
        for one, rank in nested(match.group("a")):
            for two, other in nested(match.group("b")):
                exact = None if isinstance(one, Range) else False
                yield Between(one, two, exact), max(rank, other)
    if match := re.fullmatch(rf"(?P<r>.+?){side}的(?P<c>.+)", text):
        content = literal(match.group("c"), quoted)
        for anchor, rank in nested(match.group("r")):
            if content:
                name = "before" if match.group("before") else "after"
                yield Near(content, name, anchor), max(rank, 0 if has_quote(text) else 1)


def _lists(text: str, quoted: Quoted, depth: int) -> Iterator[Ranked]:
    if match := re.fullmatch(
        rf"第((?:{ZH_INTEGER}(?:个字?|字)?(?:、|和|与|及|,|，|跟|以及)+(?:第)?)+{ZH_INTEGER})个?{_CHAR}?",
        text,
    ):
        numbers = [chinese_integer(n) for n in re.findall(ZH_INTEGER, match.group(1))]
        if all(numbers):
            yield Listed(tuple(Range(n, n) for n in numbers if n)), 0
    parts = re.split(r"(?:、|，|,|以及|还有|和|与|跟|及|并且)+", text)
    if not 2 <= len(parts) <= 16 or not all(parts):
        return
    choices: list[list[Ranked]] = []
    for part in parts:
        full = f"{part}字" if re.fullmatch(rf"第{ZH_INTEGER}个?", part) else part
        found = list(itertools.islice(references(full, quoted, depth + 2), 4))
        if not found:
            return
        choices.append(found)
    for combination in itertools.islice(itertools.product(*choices), 64):
        yield Listed(tuple(r for r, _ in combination)), 1 + max(k for _, k in combination)
