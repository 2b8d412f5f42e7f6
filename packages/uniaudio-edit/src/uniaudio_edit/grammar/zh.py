"""Chinese as data: fragments, politeness, references (第三个字, 从“甲”到“乙”), places, amounts.

The clauses themselves (把…换成…) stand with their operations. How patterns are written is told in
`rules`.
"""

from __future__ import annotations

import re

from mingtok_audio.core.script import HAN
from uniaudio_edit.grammar.numbers import (
    ZH_INTEGER,
    ZH_NUMBER,
    chinese_integer,
    chinese_number,
)
from uniaudio_edit.grammar.quoting import Q
from uniaudio_edit.grammar.rules import Language, rules

WORDS = {
    "Q": Q,
    "INTEGER": ZH_INTEGER,
    "N": rf"(?P<n>{ZH_NUMBER})",
    "CHAR": r"汉字|字符|字儿|字|位置|位",
    "WORD": r"单词|词语|词",
    "UNIT": r"{CHAR}|{WORD}",
    "COUNTED": r"(?:这|那)?(?:{INTEGER}|几|一|俩|仨)?个?(?:汉字|字|词语|词|单词|字儿)",
    "THING": r"内容|部分|文字|文本|话|字|词|句子|东西|所有内容|全部内容|所有文字|所有字|那部分|那段|片段",
    "IN_TEXT": r"(?:这|那|该|整)?(?:句话|段话|句子|句|话|文本|文中|音频|录音|语音|原文|原句|文字|里面)(?:里面|里头|里|中|当中|上|内)?的?",
    "FRONT": r"前面|之前|前边|前方|以前|前头|前",
    "BACK": r"后面|之后|后边|后方|以后|后头|后",
    "SIDE": r"(?P<before>{FRONT})|(?P<after>{BACK})",
    "UNIT_TAIL": r"个?(?:{UNIT}|索引)?(?:的?(?:字|字符))?",
    "TO": r"(?:个?(?:字|字符|词|单词|位)?(?:的位置)?)(?:到|至|-|–|—|~|直到|一直到|开始到|起到)",
    "EVERY": r"(?:所有|全部|一切|整个)?的?",
    "SEEN": r"(?:出现的?|次出现的?)?",
    "AND": r"和|与|跟|、|到|以及|同",
    "LAST": r"最后面?|结尾|末尾|句末|结束|句尾|最末",
    "FIRST": r"开头|句首|最前面|最开始|开始",
    "TAIL": r"(?:为止|之间)?(?:的?{EVERY}{THING}?)?",
    "DELETE": r"(?:删除|删掉|删去|删了|删|去掉|去除|去了|移除|移掉|移走|除去|除掉|剪掉|剪去|剪除|剪切掉|拿掉|拿走|拿去|清除|清掉|抹掉|抹去|消除|消掉|裁掉|裁剪掉|砍掉|略去|略掉|省略掉?|省去|省掉|切掉|切除|剔除|丢掉|丢弃|扔掉|擦除|擦掉|减掉|去|取消|撤掉|舍去|剪)(?:掉|了|去)?",
    "INSERT": r"(?:插入|添加|加入|加上|增加|补充|补上|补|添上|插上|插进|插|放入|放上|放|加进|加|添|接上|接|写上|追加|附加|附上|附|多说|多加|说|再说|念|读|塞入|塞|填入|补入|补一?句|放进|安插|嵌入|带上|续上|续)(?:去|来|上|入|了|进)?",
    "BECOME": r"(?:替换|更换|改换|换|改|变|修改|更改|变更|说|读|念|写|改说|改写|调整|置换|转换|转|纠正|更正|替|订正|改读|换说)(?:成了?|为|作|做|到)|换上|换用|改用|→|->|=>|改说|换说",
    "ALL": r"(?:都|全部|全都|全|统统|一起|也|一并|给|也都)*",
    "AND_THEN": r"[，,：:]?(?:再|都|请|要|应该|可以|也|给我|给|，)*",
    "AGAIN": r"(?:再|并|然后|而)*",
    "MANY": r"(?:(?:一|{INTEGER})?(?:个|句|声|段|些|下)(?:话|字|词|词语|短语|新的?词)?|词语|单词|短语|字|词|内容|文字|句子|：|:|、|，|,)*",
    "SENTENCE": r"(?:整个|这个|全)?(?:句子?|整句话?|这句话|文本|音频|录音|话|全文|段落|语句)?",
    "AT": r"(?:处|部分|位置|地方|部|的位置|的地方|一句)?",
    "EXCHANGE": r"交换|互换|对调|调换|对换|调转|颠倒",
    "ORDER": r"(?:的?(?:位置|顺序|次序|先后))?",
    "AUDIO": r"(?:这|那|该|整)?(?:段|个|条|句)?(?:的)?(?:音频|录音|语音|声音|话|音|人声|说话|朗读|句子|文件)(?:的|里的?|中的?)?",
    "CARRIER": r"(?:这|那|该|整)?(?:段|个|条|句)?(?:的)?(?:音频|录音|语音|话|人声|说话|朗读|句子|文件)(?:的|里的?|中的?)?",
    "SLIGHT": r"一点点?|一些|点儿?|些|稍微?|略微?|有点|稍稍|微微",
    "STRONG": r"很多|许多|得多|非常|大幅|大大|特别|明显|多",
    "SECONDS": r"秒钟?|s",
    "ENDS": r"之后|后面|后边|后头|后|之前|前面|前边|前头|前|之间|中间|开头|开始|结尾|末尾|最后面|最后边|最后|最前面|最前边",
}

LEAD = (
    r"^(?:请问|请你?|麻烦你?|劳驾|烦请|拜托|能不能|能否|可不可以|可以|是否可以|帮我|帮忙|帮|给我|替我|你|您|我想要?|我要|我希望|我需要|希望|想要?|需要|现在|然后|接着|再|并且|并|同时|另外|还有|最后(?=[把将在删去用])|首先|先|也|还要?|顺便|之后|随后|而且|且|其次|第[一二三四五]步|直接|只要?(?!保留|留)|只需|就|那么|好的?|\(?\d{1,2}[.、)）]|[①②③④⑤⑥]|[-*•–—]|[，,、：: ])+",
)
TRAIL = (
    r"(?:吧|呗|谢谢你?|好吗|可以吗|行吗|好不好|就行了?|就可以了?|就好了?|即可|一下|啊|呀|哦|吗|[，,。！!？?；; ])+$",
)
# Roundabout wordings, made plain. None decides what is meant.
REWRITES = (
    (r"(?:应该|应当|应|要|需)(?=(?:改为|改成|换成|换为|替换为|替换成))", ""),
    (r"(?:其中|句子里|句子中|句中|里面|文中)的?(?=\s*{Q})", ""),
    (
        r"(?:紧跟在|紧挨在|紧接在|紧跟着|紧挨着)(?=\s*{Q}\s*(?:之后|后面|后|之前|前面|前|的))",
        "",
    ),
    (
        r"从\s*({Q})\s*(?:开始)?(?:一直)?到\s*({Q})\s*(?:为止)?(?:\s*[(（][包含][括含]?\s*{Q}?\s*(?:在内)?[)）])?(?:的?(?:部分|内容|文字|这一段))?",
        r"从\1到\2",
    ),
    (
        r"(?:^|(?<=[，,。；;]))\s*在?([^，,。；;]*?{ENDS})(?:应该有|应当有|应该加上|需要加上|要加上|还要有|要有)\s*({Q})\s*",
        r"在\1插入\2",
    ),
    (
        r"(?:用|以|让)\s*({Q})\s*(?:作为|作|当)(?:这?句话的?|整?句子的?|整?句的?)?(开头|结尾)",
        r"在\2插入\1",
    ),
    (
        r"[把将]\s*({Q})\s*(?:放在|加在|放到|加到|插到|插在|添在|添到)([^，,。；;]*?{ENDS}(?:的位置|的地方|处)?)",
        r"在\2插入\1",
    ),
)

LITERAL = r"(?:(?:一|这|那)?(?:个|句话?|段话?|声)|{WORD}|{CHAR}|{COUNTED}|短语|句子|内容|文字|文本|的)*[：:]?(?P<quote>{Q})(?:这|那)?(?:{COUNTED}|一词|一字|二字|两字|三字|四字|短语|这个短语|这句话|这句|这部分|部分|这段话|的内容|的部分|一句|几个字|的?字样|这个|俩字)?"
TRIMMED = (
    (r"(?:这|那)?(?:{COUNTED}|一词|一字|二字|两字|俩字|这个)$", "", 1),
    (r"^(?:字|词|词语|单词)(?=.)", "", 1),
)
NEW = (
    (r"^(?:了|(?:{INTEGER}个)?(?:字|词|词语)|{MANY})(?=[：: ]*{Q})", ""),
    (r"^(?:[：:]|(?:一个|一句|一声)(?=.))+", ""),
    (r"^(\w)字$", r"\1"),
)

PLACE_TRIM = (
    (r"^(?:在|到|于|从|进|往)+", ""),
    (r"(?<=[前后间面边处尾头末首])(?:的?(?:位置|地方|处))$", ""),
)

_WORDS_END = (
    "Chinese writing does not show where words end; count characters (第三个字) or quote the word"
)
_AS_WORDS = {"reason": _WORDS_END, "candidates": ("count characters: 字", "quote the word: “…”")}
_HEAD = r"(?:最?前面?的?|开头的?|头|最开始的?|起始的?|句首的?|开始的?|最前头的?|首先的?)这?"
_TAIL = (
    r"(?:最后面?的?|末尾的?|结尾的?|后面?的?|倒数|尾部的?|句末的?|句尾的?|末|最末尾?的?|后边的?)这?"
)
_SPAN = (
    r"(?:从|由|索引|位置|下标)*(?:第)?(?P<n>{INTEGER}){TO}(?:第|索引|位置|下标)?(?P<m>{INTEGER})"
)
_BY_CHAR = {"singular": r"[字词]$", "singular_rank": 1}

REFERENCES = (
    *rules(
        "refused",
        r"第{INTEGER}个?{WORD}",
        r"倒数第{INTEGER}个?{WORD}",
        rf"(?:{_HEAD}|{_TAIL}){{INTEGER}}个?{{WORD}}",
        rf"{_SPAN}个?{{WORD}}",
        r"(?:第一个|首个|首|开头的?|最前面的?|头一个|打头的?|最后(?:面)?的?(?:一个|那个|1个)?|末尾的?(?:一个)?|末个?|尾|结尾的?(?:一个|那个)?|句末的?|句尾的?)(?:那个)?词",
        values=_AS_WORDS,
    ),
    *rules(
        "position",
        r"第(?P<n>{INTEGER}){UNIT_TAIL}(?<!词)",
        r"(?:索引|下标|位置|序号)(?:为|是|在)?第?(?P<n>{INTEGER})(?:的)?(?:处)?(?:的)?{UNIT}?(?<!词)",
    ),
    *rules(
        "backwards",
        r"倒数第(?P<n>{INTEGER})个?{CHAR}",
    ),
    *rules(
        "position",
        r"(?:第一个|首个|首|开头的?|最前面的?|头一个|打头的?)(?:那个)?(?:字符|汉字|字)",
        values={"n": 1},
    ),
    *rules(
        "position",
        r"(?:最后(?:面)?的?(?:一个|那个|1个)?|末尾的?(?:一个)?|末个?|尾|结尾的?(?:一个|那个)?|句末的?|句尾的?)(?:字符|汉字|字)",
        values={"n": -1},
    ),
    *rules(
        "head",
        rf"{_HEAD}(?P<count>{{INTEGER}})个?{{CHAR}}",
    ),
    *rules(
        "tail",
        rf"{_TAIL}(?P<count>{{INTEGER}})个?{{CHAR}}",
    ),
    *rules(
        "span",
        rf"{_SPAN}{{UNIT_TAIL}}(?<!词)(?:为止|之间的?(?:字|内容)?)?",
    ),
    *rules(
        "span_backwards",
        r"(?:从|由)?倒数第?(?P<n>{INTEGER}){TO}倒数第?(?P<m>{INTEGER}){UNIT_TAIL}",
    ),
    *rules(
        "span",
        r"(?:从|由)?第(?P<n>{INTEGER}){TO}(?:最后|末尾|结尾|句末|句尾)(?:一个字|的字)?(?:为止)?",
        values={"m": -1},
    ),
    *rules(
        "positions",
        r"第(?P<numbers>(?:{INTEGER}(?:个字?|字)?(?:、|和|与|及|,|，|跟|以及)+(?:第)?)+{INTEGER})个?{CHAR}?",
    ),
    *rules(
        "sentence",
        r"第(?P<n>{INTEGER})(?:个句子|句话?|个?句)",
    ),
    *rules(
        "sentence",
        r"最后(?:一)?(?:个句子|句话?|个?句)",
        values={"n": -1},
    ),
    *rules("sentences", r"(?:从)?第(?P<n>{INTEGER})(?:句话?)?(?:到|至)第?(?P<m>{INTEGER})句话?"),
    *rules("first_sentences", r"(?:最?前面?|开头)的?(?P<count>{INTEGER})(?:个句子|句话?)"),
    *rules("last_sentences", r"(?:最后|末尾|后)面?的?(?P<count>(?!一){INTEGER})(?:个句子|句话?)"),
    *rules(
        "sentence_with", r"(?:含有?|包含|带有?|提到|有){content}的(?:那|这)?一?(?:个句子|句话?)"
    ),
    *rules(
        "nth",
        r"第(?P<n>{INTEGER})(?:个|次|处){SEEN}的?{content}",
        unquoted=1,
    ),
    *rules(
        "nth_last",
        r"倒数第?(?P<n>{INTEGER})(?:个|次|处){SEEN}的?{content}",
        unquoted=1,
    ),
    *rules(
        "nth",
        r"{content}第(?P<n>{INTEGER})次出现(?:的(?:地方|位置|时候))?",
        unquoted=1,
    ),
    *rules(
        "nth",
        r"(?:最后|末)(?:一?(?:个|次|处)){SEEN}的?{content}",
        unquoted=1,
        values={"n": -1},
    ),
    *rules(
        "nth",
        r"(?:首个|首次出现的|头一个){content}",
        unquoted=1,
        values={"n": 1},
    ),
    *rules(
        "every",
        r"(?:所有|全部|每一?个|任何|全体)(?:出现)?的?{content}",
        unquoted=1,
        values=_BY_CHAR,
    ),
    *rules(
        "every",
        r"(?:这|那)?(?P<times>{INTEGER})(?:个|处)的?(?={Q}){content}",
        quoted=True,
    ),
    *rules(
        "near_start",
        r"(?:在|位于)?(?:开头|句首|最前面|最开头|开始|句子开头)(?:处|部分)?的{content}",
        unquoted=1,
    ),
    *rules(
        "near_end",
        r"(?:在|位于)?(?:结尾|末尾|句尾|句末|最后|最后面)(?:处|部分)?的{content}",
        unquoted=1,
    ),
    *rules(
        "inside",
        r"{outer}(?:里面?|中|当中)?的(?P<content>[^的]+)",
        rank=1,
        unquoted=2,
        values={"singular": r"字$"},
    ),
    *rules(
        "neighbours",
        r"{anchor}{SIDE}的?(?:那|这)?(?P<count>{INTEGER})?个?{CHAR}",
    ),
    *rules(
        "beyond",
        r"{anchor}{SIDE}的?{EVERY}(?!{CHAR}$){THING}(?:都|全部)?",
    ),
    *rules(
        "onwards",
        r"(?:从|由|自)?{anchor}(?:开始|起)?(?:一直|直)?(?:到|至){LAST}{TAIL}",
    ),
    *rules(
        "until",
        r"(?:从|由|自)?{FIRST}(?:一直|直)?(?:到|至){anchor}{TAIL}",
    ),
    *rules(
        "from_to",
        r"(?:从|由|自){first}(?:开始|起)?(?:一直|直)?(?:到|至){last}{TAIL}",
    ),
    *rules(
        "from_to",
        r"(?!从|由|自){first}(?:开始|起)?(?:一直|直)?(?:到|至){last}{TAIL}",
        unquoted=1,
    ),
    *rules(
        "between",
        r"{first}{AND}{last}(?:之间|中间|当中)的?{EVERY}{THING}",
    ),
    *rules(
        "near",
        r"{anchor}{SIDE}的{content}",
        unquoted=1,
    ),
    *rules(
        "except",
        r"(?:除了?|除开){anchor}(?:这个?|那个?|几个)?(?:字|词)?(?:之外|以外|外)[，,]?的?(?:(?:所有|其他|其余|其它|全部|别)的?)?{THING}?",
        r"(?:所有|全部|一切)(?:的)?{THING}?[，,]?除了?{anchor}(?:之外|以外|外)?",
    ),
    *rules(
        "whole",
        r"(?:这|那)?(?:一)?(?:整句话?|整段话?|整个(?:句子|音频|录音|文本)|全句|全文|全部|所有(?:的)?(?:内容|字|文字)|全部(?:的)?(?:内容|字|文字)|整句|句子|这句话|一切|每个字)",
    ),
    *rules(
        "again",
        r"(?:在|位于|把|将)?{IN_TEXT}{rest}",
        rank=1,
    ),
)

PLACES = (
    *rules(
        "start",
        r"{SENTENCE}的?(?:最开头|开头|句首|最前面?|前面|首部|开始|起始|开端|最开始|之前|最前头|首|头){AT}|句首|句前|文首",
    ),
    *rules(
        "end",
        r"{SENTENCE}的?(?:最末尾|末尾|结尾|句末|句尾|最后面?|后面|尾部|结束|最末|末端|尾巴|末|之后|尾|最尾部?){AT}|句末|句尾|文末",
    ),
    *rules(
        "become",
        r"(?:第(?P<n>{INTEGER})个?(?:字)?(?:的)?(?:位置|处|位))(?:上)?",
        r"(?:索引|位置|下标)(?P<n>{INTEGER})处?(?:上)?",
    ),
    *rules(
        "between_positions",
        r"第(?P<n>{INTEGER})个?(?:字)?{AND}第?(?P<m>{INTEGER})个?(?:字)?(?:这?两个字|两字|俩字)?的?(?:之间|中间|当中|间)",
    ),
    *rules(
        "between",
        r"{first}{AND}{last}(?:这?两个字|两字|俩字)?的?(?:之间|中间|当中|间)",
    ),
    *rules(
        "beside",
        r"{anchor}的?{SIDE}",
        r"{anchor}的?(?:(?P<before>左边)|(?P<after>右边))",
    ),
)

QUANTITIES = (
    ("to", r"(?:到|至|为|成|原来的?|原速的?|是)(?:{N}[%％]|百分之(?P<k>{INTEGER}))", 0.01),
    ("percent", r"{N}[%％]", 0.01),
    ("percent", r"百分之{N}", 0.01),
    ("halve", r"减半|一半|二分之一|0\.5倍|半倍|减少一半|放慢一半", 0.5),
    (
        "times_more",
        r"(?:快|提高|加快|增加|提升|调大|加大|增大|调快|大|提速|升高|放大|调高)了?{N}倍",
        None,
    ),
    ("times", r"翻倍|加倍|翻一番|翻番", 2.0),
    ("to", r"(?=.*(?:到|至|为|成)).*?{N}倍", None),
    ("times", r"{N}倍", None),
    ("to", r"(?:到|至|为|成|是)(?:原来的?)?{N}$", None),
)
DEGREES = (("slight", r"{SLIGHT}"), ("strong", r"{STRONG}"))


def _squeeze(text: str) -> str:
    """`text` without the spaces that Chinese does not need; those between Latin words stay."""
    near = rf"[{HAN}\ue000-\uf8ff，。；、：！？“”]"
    text = re.sub(rf"(?<={near})\s+|\s+(?={near})", "", text.strip())
    return re.sub(r"(?<=\d)\s+(?=[%％])", "", text)


CHINESE = Language(
    code="zh",
    words=WORDS,
    prepare=_squeeze,
    lead=LEAD,
    trail=TRAIL,
    rewrites=REWRITES,
    literal=LITERAL,
    trimmed=TRIMMED,
    new=NEW,
    place_trim=PLACE_TRIM,
    references=REFERENCES,
    places=PLACES,
    listed=r"(?:、|，|,|以及|还有|和|与|跟|及|并且)+",
    items=((r"", r"第{INTEGER}个?", r"\g<0>字"),),
    carried=((r"{DELETE}", "删除"), (r"在", "在"), (r"把|将", "把")),
    closed=r"^(?:只|仅)?(?:保留|留下)|除了|以外|之外",
    join="",
    integer=chinese_integer,
    number=chinese_number,
    position=chinese_integer,
    quantities=QUANTITIES,
    degrees=DEGREES,
    sound_trim=(
        r"^(?:把|将|对|给|让|使)(?:{CARRIER}|声音的|声音(?=说|变?得?[快慢]))?(?:进行|做|加以)?|^{CARRIER}(?=语速|音量|音调|音高|速度)",
    ),
)
