# ruff: noqa: E501, SIM102  (patterns and word lists read better unbroken)
"""Chinese clauses: one operation each (or an exchange, which is two)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from uniaudio_edit.parsers.acoustic_chinese import acoustic_readings
from uniaudio_edit.parsers.chinese_refs import literal, references
from uniaudio_edit.parsers.numbers import ZH_INTEGER, chinese_integer
from uniaudio_edit.parsers.quoting import Q, Quoted, has_quote
from uniaudio_edit.parsers.refs import Draft, Listed, Place, Reading
from uniaudio_edit.parsers.units import CJK, has_cjk

_POLITE = re.compile(
    r"^(?:请问|请你?|麻烦你?|劳驾|烦请|拜托|能不能|能否|可不可以|可以|是否可以|帮我|帮忙|帮|给我|替我|你|您|我想要?|"
    r"我要|我希望|我需要|希望|想要?|需要|现在|然后|接着|再|并且|并|同时|另外|还有|最后(?=[把将在删去用])|首先|先|也|还要?|"
    r"顺便|之后|随后|而且|且|其次|第[一二三四五]步|直接|只要?|只需|就|那么|好的?|\(?\d{1,2}[.、)）]|[①②③④⑤⑥]|[，,、：: ])+"
)
_POLITE_END = re.compile(
    r"(?:吧|呗|谢谢你?|好吗|可以吗|行吗|好不好|就行了?|就可以了?|就好了?|即可|一下|啊|呀|哦|吗|[，,。！!？?；; ])+$"
)
_SUBV = (
    r"(?:替换|更换|改换|换|改|变|修改|更改|变更|说|读|念|写|改说|改写|调整|置换|转换|转|纠正|更正|替|订正|改读|换说)"
    r"(?:成了?|为|作|做|到)|换上|换用|改用|→|->|=>|改说|换说"
)
_DELV = (
    r"(?:删除|删掉|删去|删了|删|去掉|去除|去了|移除|移掉|移走|除去|除掉|剪掉|剪去|剪除|剪切掉|拿掉|拿走|拿去|清除|清掉|抹掉|抹去|"
    r"消除|消掉|裁掉|裁剪掉|砍掉|略去|略掉|省略掉?|省去|省掉|切掉|切除|剔除|丢掉|丢弃|扔掉|擦除|擦掉|减掉|去|取消|撤掉|舍去|剪)"
    r"(?:掉|了|去)?"
)
_INSV = (
    r"(?:插入|添加|加入|加上|增加|补充|补上|补|添上|插上|插进|插|放入|放上|放|加进|加|添|接上|接|写上|追加|附加|附上|附|多说|"
    r"多加|说|再说|念|读|塞入|塞|填入|补入|补一?句|放进|安插|嵌入|带上|续上|续)(?:去|来|上|入|了|进)?"
)
_FRONT = r"(?:的?(?:前面|之前|前边|前方|以前|前头|前|左边))"
_BACK = r"(?:的?(?:后面|之后|后边|后方|以后|后头|后|右边))"
_START = (
    r"(?:(?:整个|这个|全)?(?:句子?|整句话?|这句话|文本|音频|录音|话|全文|段落|语句)?的?(?:最开头|开头|句首|最前面?|前面|首部|"
    r"开始|起始|开端|最开始|之前|最前头|首|头)(?:处|部分|位置|地方|部|的位置|的地方)?|句首|句前|文首)"
)
_END = (
    r"(?:(?:整个|这个|全)?(?:句子?|整句话?|这句话|文本|音频|录音|话|全文|段落|语句)?的?(?:最末尾|末尾|结尾|句末|句尾|最后面?|后面|"
    r"尾部|结束|最末|末端|尾巴|末|之后|尾|最尾部?)(?:处|部分|位置|地方|部|的位置|的地方|一句)?|句末|句尾|文末)"
)
_ALL = r"(?:都|全部|全都|全|统统|一起|也|一并|给|也都)*"


def squeeze(text: str) -> str:
    """`text` without the spaces that Chinese does not need; those between Latin words stay."""
    near = rf"[{CJK}\ue000-\uf8ff，。；、：！？“”]"
    text = re.sub(rf"(?<={near})\s+|\s+(?={near})", "", text.strip())
    return re.sub(r"(?<=\d)\s+(?=[%％])", "", text)


def normalise(clause: str) -> str:
    """The clause without politeness."""
    text = squeeze(clause)
    while True:
        shorter = _POLITE_END.sub("", _POLITE.sub("", text)).strip(" ，,。；;：:")
        if shorter == text:
            return text
        text = shorter


def verb(clause: str) -> str:
    """The verb of a clause, for the clauses behind it that leave it out."""
    text = normalise(clause)
    if re.match(_DELV, text):
        return "删除"
    if re.match("在", text):
        return "在"
    return "把" if re.match("把|将", text) else ""


def readings(clause: str, quoted: Quoted) -> Iterator[Reading]:
    """Every way to read one Chinese clause."""
    if not has_cjk(clause):
        return
    text = normalise(clause)
    if not text:
        return
    yield from acoustic_readings(text, quoted)
    yield from _exchanges(text, quoted)
    yield from _substitutions(text, quoted)
    yield from _insertions(text, quoted)
    yield from _deletions(text, quoted)


# --- deletion -------------------------------------------------------------------------------------


def _deletions(text: str, quoted: Quoted) -> Iterator[Reading]:
    patterns = (
        (rf"{_DELV}(?:掉|了)?(?P<r>.+)", 0),
        (rf"(?:把|将)(?P<r>.+?){_ALL}{_DELV}", 0),
        (rf"(?P<r>.+?){_ALL}(?:要|需要|应该|应|可以|得)?(?:被)?{_DELV}", 0),
        (r"(?:不要|别|不再|不用|不)(?:说|讲|念|读|出现|有)?(?P<r>.+?)(?:了)?", 0),
        (rf"(?P<r>.+?){_ALL}(?:不要|不用|不需要)了?", 0),
        (r"(?:对|使)(?P<r>.+?)(?:进行|做|执行)(?:删除|移除|剪除)(?:操作|处理)?", 0),
        (r"让?(?P<r>.+?)(?:消失|去掉)", 0),
    )
    for pattern, rank in patterns:
        if match := re.fullmatch(pattern, text):
            for ref, ref_rank in references(match.group("r"), quoted):
                yield Reading((Draft("deletion", ref),), max(rank, ref_rank))


# --- substitution ---------------------------------------------------------------------------------


def _new(text: str, quoted: Quoted) -> str | None:
    text = re.sub(
        rf"^(?:了|一个|个|一句话?|(?:{ZH_INTEGER}个)?(?:字|词|词语))(?=[：: ]*{Q})", "", text
    )
    found = literal(text, quoted)
    if not found or re.fullmatch(r"[\W_]+", found):
        return None
    if not has_quote(text):
        found = re.sub(r"^(?:[：:]|一个(?=.))", "", found)
        if len(found) == 2 and found[1] == "字":
            found = found[0]
    return found or None


def _sub(old: str, new: str, quoted: Quoted, rank: int = 0) -> Iterator[Reading]:
    content = _new(new, quoted)
    if content is None:
        return
    old = re.sub(rf"{_ALL}(?:应该|应当|需要|要|得|可以|全)?(?:被)?$", "", old)
    for ref, ref_rank in references(old, quoted):
        yield Reading((Draft("substitution", ref, new=content),), max(rank, ref_rank))


def _substitutions(text: str, quoted: Quoted) -> Iterator[Reading]:
    rest = re.sub("^(?:把|将|让|使|由)", "", text)
    for match in re.finditer(_SUBV, rest):
        yield from _sub(rest[: match.start()], rest[match.end() :], quoted)
    for pattern, rank in (
        (r"(?:用|拿|以|使用)(?P<new>.+?)(?:来|去)?(?:替换掉?|代替|取代|替代|换掉|替|顶替|换下|换)(?:掉)?(?:原来的|原文的)?(?P<old>.+)", 0),
        (r"(?:把|将)(?P<old>.+?)(?:用|拿|以)(?P<new>.+?)(?:来|去)?(?:替换|代替|取代|替代|换)(?:掉|下)?", 0),
        (r"(?:不要|别|不|不用|不再|不应该)(?:再)?(?:说|讲|念|读|用|是)(?P<old>.+?)[，, ]?(?:而是|而要|而|要|应该|应|请|改|就)*"
         r"(?:说|讲|念|读|用|是|换)(?:成|作)?(?P<new>.+)", 0),
        (r"(?P<old>.+?)(?:应该|应当|应|要|需要)(?:是|说|读|为)(?:成|作)?(?P<new>.+)", 1),
        (rf"(?:把|将)?(?P<old>.+?)(?:替换|换|去|删|{_DELV})(?:掉|了|去)?[，,]?(?:再|并|然后|而)*(?:{_SUBV}|换|改)(?P<new>.+)", 0),
        (rf"{_DELV}(?P<old>.+?)[，,]?(?:再|并|然后)*(?:{_SUBV})(?P<new>.+)", 0),
        (rf"{_DELV}(?P<old>.+?)[，,](?:再|并|然后)*(?:在|于)(?:原处|原位置?|原来的?(?:位置|地方)|那里|同样的?位置|相同的?位置|此处|这里)"
         rf"{_INSV}(?P<new>.+)", 0),
        (r"(?:替换|更换|修改|改|换|变更)(?:掉)?(?P<old>.+?)(?:为|成|到|作)(?P<new>.+)", 0),
        (r"(?:替换|更换|修改|代替|换掉)(?P<old>.+?)[，,]?(?:用|以|使用)(?P<new>.+)", 0),
        (r"(?:说|用|讲)(?P<new>.+?)(?:而不是|而不说|而非|，?不要说|，?别说|，?不说)(?P<old>.+)", 0),
        (rf"(?:把|将)(?P<old>{Q})(?:成|为|换|改|变)(?P<new>{Q})", 0),
    ):  # fmt: skip
        if match := re.fullmatch(pattern, text):
            yield from _sub(match.group("old"), match.group("new"), quoted, rank)


def _exchanges(text: str, quoted: Quoted) -> Iterator[Reading]:
    word = r"(?:交换|互换|对调|调换|对换|调转|颠倒)"
    place = r"(?:的?(?:位置|顺序|次序|先后))?"
    match = re.fullmatch(rf"{word}(?:一下)?(?P<all>.+?){place}", text) or re.fullmatch(
        rf"(?:把|将|让)?(?P<all>.+?){place}(?:互相|相互)?{word}(?:一下|过来)?{place}", text
    )
    if match is None:
        return
    for cut in re.finditer("和|与|跟|、|及|同", match.group("all")):
        first, second = match.group("all")[: cut.start()], match.group("all")[cut.end() :]
        for one, rank in references(first, quoted):
            for two, other in references(second, quoted):
                yield Reading((Draft("exchange", Listed((one, two))),), max(rank, other))


# --- insertion ------------------------------------------------------------------------------------


def places(text: str, quoted: Quoted) -> Iterator[tuple[Place, int]]:
    """Every way to read `text` as a place for something new."""
    text = re.sub("^(?:在|到|于|从|进|往)+", "", text.strip(" ，,：:"))
    text = re.sub(r"(?<=[前后间面边处尾头末首])(?:的?(?:位置|地方|处))$", "", text)
    if re.fullmatch(_START, text):
        yield Place("start"), 0
    if re.fullmatch(_END, text):
        yield Place("end"), 0
    if match := re.fullmatch(rf"(?:第({ZH_INTEGER})个?(?:字)?(?:的)?(?:位置|处|位)|(?:索引|位置|下标)({ZH_INTEGER})处?)(?:上)?",
                             text):  # fmt: skip
        number = chinese_integer(match.group(1) or match.group(2))
        if number:
            yield Place("become", position=number), 0
    if match := re.fullmatch(
        r"(?P<a>.+?)(?P<s>和|与|跟|、|到|以及|同)(?P<b>.+?)(?:之间|中间|当中|的中间|两字之间|间)",
        text,
    ):
        for cut in re.finditer("和|与|跟|、|到|以及|同", text):
            first = text[: cut.start()]
            second = re.sub(
                "(?:这?两个字|两字|俩字)?(?:的)?(?:之间|中间|当中|间)$", "", text[cut.end() :]
            )
            if re.fullmatch(rf"第{ZH_INTEGER}个?", first):
                first += "字"
            for one, rank in references(first, quoted):
                for two, other in references(second, quoted):
                    yield Place("between", ref=one, other=two), max(rank, other)
    for pattern, side in ((rf"(?P<r>.+?){_FRONT}", "before"), (rf"(?P<r>.+?){_BACK}", "after")):
        if match := re.fullmatch(pattern, text):
            for ref, rank in references(match.group("r"), quoted):
                yield Place("beside", "before" if side == "before" else "after", ref), rank


_MANY = rf"(?:(?:一|{ZH_INTEGER})?(?:个|句|声|段|些|下)(?:话|字|词|词语|短语|新的?词)?|词语|单词|短语|字|词|内容|文字|句子|：|:|、|，|,)*"


def _ins(place: str, new: str, quoted: Quoted, rank: int = 0) -> Iterator[Reading]:
    new = new.strip(" ，,：:")
    if has_quote(new):
        new = re.sub(rf"^{_MANY}(?={Q})", "", new)
    else:
        new = re.sub(r"^(?:[：:]|(?:一个|一句|一声|个)(?=.))+", "", new)
    content = _new(new, quoted)
    if content is None:
        return
    for where, place_rank in places(place, quoted):
        yield Reading((Draft("insertion", place=where, new=content),), max(rank, place_rank))


def _insertions(text: str, quoted: Quoted) -> Iterator[Reading]:
    rest = re.sub("^(?:把|将)", "", text)
    for match in re.finditer(rf"[，,：:]?(?:再|都|请|要|应该|可以|也|给我|给|，)*{_INSV}", rest):
        left, right = rest[: match.start()], rest[match.end() :]
        plain = 0 if has_quote(text) else 1
        if left and right:
            yield from _ins(left, right, quoted, plain)
            if re.match("(?:在|到|于|进)", right) or re.search(
                "(?:到|在|于|进|入|至)$", match.group()
            ):
                yield from _ins(right, left, quoted)
        if not left and right:
            for cut in re.finditer("(?:在|到|于|进|至|，|,)", right):
                yield from _ins(right[cut.end() :], right[: cut.start()], quoted, plain)
            if has_quote(right):
                if found := re.match(rf"(.*?{Q}[字词]?)(.+)", right):
                    yield from _ins(found.group(2), found.group(1), quoted, 1)
    for pattern, where in (
        (r"(?:以|用|由|拿)(?P<new>.+?)(?:来)?(?:开头|开始|起头|开场|打头)", "开头"),
        (r"(?:以|用|由|拿)(?P<new>.+?)(?:来)?(?:结尾|结束|收尾|收场|结束)", "结尾"),
    ):
        if match := re.fullmatch(pattern, text):
            yield from _ins(where, match.group("new"), quoted)
    for pattern, where in ((r"(?:开头|句首|开场)(?:是|为|用|改为加)?(?P<new>.+)", "开头"),
                           (r"(?:结尾|句尾|末尾)(?:是|为|用)?(?P<new>.+)", "结尾")):  # fmt: skip
        if (match := re.fullmatch(pattern, text)) and has_quote(match.group("new")):
            yield from _ins(where, match.group("new"), quoted, 1)
