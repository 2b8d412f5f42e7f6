"""Reading Chinese instructions, in the manner of `interpreter_en.py`: reduced to symbols, matched
whole. Symbols: `Q0` quoted words, `N3` a number, `O2` 第二 (`O-1` 最后一), `B` counted from the
end, `U` 字 or 词, `<` in front of, `>` after, and the upper-case words of `_PATTERNS`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from audio_eval.build.target import Action, Target, UnreadableError

_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2}
_NUMBER = r"(?:\d+|[零一二两三四五六七八九]?十[一二三四五六七八九]?|[零一二两三四五六七八九])"

_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"其中的|句子里的|紧跟在|紧挨在(?=Q)", ""),
    (r"(?:请|麻烦)?你?帮我|麻烦你?|请", ""),
    (r"我想|我要", ""),
    (rf"倒数第({_NUMBER})[个处]", r"B\1"),
    (r"最后一?次?个?出现的", "O-1"),
    (r"最后一个|最后一处", "O-1"),
    (rf"第({_NUMBER})次出现的", r"O\1"),
    (rf"第({_NUMBER})[个处]?", r"O\1"),
    (r"个?(?:单词|字|词)", "U"),
    (r"可以删掉|可以去掉|应该删掉|不要了", "DELETED"),
    (r"不要说|别说", "DEL"),
    (r"替换成|替换为|更换为|换成|改成|改为|换为|要改成|应改为|应该是", "BECOMES"),
    (r"替换|代替|取代|换掉", "REPLACES"),
    (r"删除|删掉|删去|删了|去掉|去除|去了|移除|剪掉|拿掉", "DEL"),
    (r"句子(?=开头|最前面|结尾|末尾|最后面)", ""),
    (r"作为开头|开头(?=$)", "START"),
    (r"作为结尾|结尾(?=$)", "END"),
    (r"插入到|添加到|加到|放到|插到|放在|加在", "INTO"),
    (r"要加上|应该有|插入|加上|添加|加入|补上|增加", "INS"),
    (r"句首|开头|最前面", "START"),
    (r"句末|结尾|末尾|最后面", "END"),
    (r"的?(?:后面|之后|后边)|(?<=[U\dQ])后", ">"),
    (r"的?(?:前面|之前|前边)|(?<=[U\dQ])前", "<"),
    (r"之间|中间", "BETWEEN"),
    (r"所有的|全部的|每一个|每个|所有出现的|所有|全部", "ALL"),
    (r"[（(]?包括(Q\d+)在内[)）]?|含(Q\d+)", r"INCL"),
    (r"内容|部分", "REST"),
    (r"一直到|到|至", "TO"),
    (r"和|与", "AND"),
    (r"吧|一下|[(（）)]", ""),
)
_PHRASES = tuple((re.compile(pattern), symbol) for pattern, symbol in _PATTERNS)


def number(text: str) -> int:
    """A number in digits or in Chinese, up to 99."""
    if text.isdigit():
        return int(text)
    tens, ten, ones = text.rpartition("十")
    if not ten:
        return _DIGITS[text]
    return 10 * (_DIGITS[tens] if tens else 1) + (_DIGITS[ones] if ones else 0)


def reduce(plain: str) -> str:
    """The instruction as a line of symbols without spaces."""
    line = re.sub(r"[\s。，,.!！?？]+", "", plain)
    for pattern, symbol in _PHRASES:
        line = pattern.sub(symbol, line)
    return line


_N = f"({_NUMBER})"


def _spans(line: str, quotes: list[str], target: Target) -> tuple[tuple[int, int], ...]:
    """What a reference points at."""

    def match(pattern: str) -> re.Match[str] | None:
        return re.fullmatch(pattern, line)

    total = len(target)
    if m := match(rf"Q(\d+)(?:这{_N}U)?"):
        return (target.find_one(quotes[int(m[1])]),)
    if m := match(rf"O(-1|{_NUMBER})Q(\d+)"):
        order = -1 if m[1] == "-1" else number(m[1])
        return (target.find_nth(quotes[int(m[2])], order),)
    if m := match(r"ALLQ(\d+)"):
        return target.find_all(quotes[int(m[1])])
    if m := match(rf"(?:从)?O{_N}U?(?:TO|AND)O?{_N}U"):
        first, last = number(m[1]), number(m[2])
        if "AND" in line and last != first + 1:
            raise UnreadableError("not_understood", line)
        return (target.range(first, last),)
    if m := match(rf"(?:START)?O{_N}U"):
        return (target.range(number(m[1]), number(m[1])),)
    if match("O-1U") or match("END的U"):
        return (target.range(-1, -1),)
    if match("START的U"):
        return (target.range(1, 1),)
    if m := match(rf"B{_N}U"):
        return (target.range(-number(m[1]), -number(m[1])),)
    if m := match(rf"(?:前|START的|<的){_N}U"):
        return (target.range(1, number(m[1])),)
    if m := match(rf"(?:最?后|END的){_N}U"):
        return (target.range(-number(m[1]), -1),)
    if m := match(rf"Q(\d+)([<>])的({_NUMBER}|那)U"):
        start, stop = target.find_one(quotes[int(m[1])])
        count = 1 if m[3] == "那" else number(m[3])
        span = (stop, stop + count) if m[2] == ">" else (start - count, start)
        if span[0] < 0 or span[1] > total:
            raise UnreadableError("index_out_of_range", line)
        return (span,)
    if m := match(r"Q(\d+)([<>])的ALL(?:U|REST)"):
        start, stop = target.find_one(quotes[int(m[1])])
        span = (stop, total) if m[2] == ">" else (0, start)
        if span[0] == span[1]:
            raise UnreadableError("no_change", line)
        return (span,)
    if m := match(r"从Q(\d+)TOQ(\d+)INCL的REST"):
        first, last = target.find_one(quotes[int(m[1])]), target.find_one(quotes[int(m[2])])
        if last[0] < first[1]:
            raise UnreadableError("index_out_of_range", line)
        return ((first[0], last[1]),)
    raise UnreadableError("not_understood", line)


def _place(line: str, quotes: list[str], target: Target) -> tuple[int, bool]:
    """A place to insert at: (units in front, belongs to the unit before)."""
    if line == "START":
        return 0, False
    if line == "END":
        return len(target), True
    if m := re.fullmatch(r"Q(\d+)ANDQ(\d+)BETWEEN", line):
        left = target.find_one(quotes[int(m[1])])[1]
        right = target.find_one(quotes[int(m[2])])[0]
        return target.gap(left, right, line)
    if m := re.fullmatch(rf"O{_N}U?ANDO{_N}UBETWEEN", line):
        return target.gap(target.index(number(m[1])) + 1, target.index(number(m[2])), line)
    if m := re.fullmatch(r"(.+?)([<>])", line):
        spans = _spans(m[1], quotes, target)
        if len(spans) != 1:
            raise UnreadableError("two_readings", line)
        start, stop = spans[0]
        return (stop, True) if m[2] == ">" else (start, False)
    raise UnreadableError("not_understood", line)


_SUBSTITUTIONS = (
    r"(?:[把将])?(?P<ref>.+?)BECOMESQ(?P<new>\d+)",
    r"用Q(?P<new>\d+)REPLACES(?P<ref>.+)",
)
_INSERTIONS = (
    r"在?(?P<place>.+?)INSQ(?P<new>\d+)",
    r"[把将]Q(?P<new>\d+)INTO(?P<place>.+)",
    r"[以用]Q(?P<new>\d+)(?P<place>START|END)",
)
_DELETIONS = (
    r"DEL(?P<ref>.+)",
    r"[把将](?P<ref>.+)DEL",
    r"(?P<ref>.+)DELETED",
)


def actions(plain: str, quotes: list[str], target: Target) -> Iterator[Action | UnreadableError]:
    """Every action that the instruction can mean, and why other ways of reading it fail."""
    line = reduce(plain)
    for patterns, kind in ((_SUBSTITUTIONS, "sub"), (_INSERTIONS, "ins"), (_DELETIONS, "del")):
        for pattern in patterns:
            if not (m := re.fullmatch(pattern, line)):
                continue
            try:
                if kind == "ins":
                    position, after = _place(m["place"], quotes, target)
                    yield Action((), position, after, quotes[int(m["new"])])
                else:
                    new = quotes[int(m["new"])] if kind == "sub" else ""
                    yield Action(_spans(m["ref"], quotes, target), None, True, new)
            except UnreadableError as error:
                yield error
