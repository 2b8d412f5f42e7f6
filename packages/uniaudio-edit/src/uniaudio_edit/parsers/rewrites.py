"""Roundabout wordings, turned into the plain ones that the grammar reads.

Each rule says the same thing in other words and never decides what is meant: a sentence that no
rule fits stays as it is. Quoted text is one private-use character here (see `quoting`), written Q
in the comments.
"""

from __future__ import annotations

import re
from dataclasses import replace

from uniaudio_edit.parsers.quoting import Quoted

_Q = "[\ue000-\uf8ff]"
_COUNT = r"(?:\d{1,3}|one|two|three|four|five|six|seven|eight|nine|ten)"
_SPEAKER = (
    r"(?:have|make|let|get)\s+(?:the\s+)?(?:speaker|voice|narrator|reader|person|man|woman)\s+"
    r"(?:to\s+)?"
)
_WANT = r"(?:i|we)\s*(?:'d|’d|\s+would)?\s*(?:want|like|need)\s+"
_PLACE = (
    r"(?=(?:right |just |directly |immediately )?"
    r"(?:after|before|between|behind|at|in front of|following|preceding|as the)\b)"
)

_END = (
    "(?:之后|后面|后边|后头|后|之前|前面|前边|前头|前|之间|中间|开头|开始|结尾|末尾|最后面|最后边|"
    "最后|最前面|最前边)"
)

_RULES = [
    # have the speaker skip X -> delete X
    (rf"\b{_SPEAKER}(?:skip|drop|omit|leave\s+out|not\s+say)\b", "delete"),
    # make the speaker say Q PLACE -> insert Q PLACE; otherwise the clause is "say ..."
    (rf"\b{_SPEAKER}say\s+({_Q})\s+{_PLACE}", r"insert \1 "),
    (rf"\b{_SPEAKER}say\b", "say"),
    # there is no need for X, cut it -> delete X
    (
        r"\bthere(?:'s|’s|\s+is)\s+no\s+need\s+for\s+([^,;.]+?)\s*(?:[,;.]|\band\b)+\s*(?:so\s+|please\s+)*"
        r"(?:cut|delete|remove|drop|erase)\s+(?:it|them)(?:\s+out)?",
        r"delete \1",
    ),
    # the 2 words at the beginning -> the first 2 words
    (
        rf"\bthe\s+({_COUNT})\s+(words?|characters?)\s+at\s+the\s+(?:very\s+)?(?:beginning|start)\b",
        r"the first \1 \2",
    ),
    (
        rf"\bthe\s+({_COUNT})\s+(words?|characters?)\s+at\s+the\s+(?:very\s+)?end\b",
        r"the last \1 \2",
    ),
    # the two words that follow Q -> the two words after Q
    (rf"\b(words?|characters?)\s+that\s+(?:follows?|comes?\s+after)\s+({_Q})", r"\1 after \2"),
    (rf"\b(words?|characters?)\s+that\s+(?:precedes?|comes?\s+before)\s+({_Q})", r"\1 before \2"),
    # I want Q added PLACE -> insert Q PLACE
    (
        rf"\b{_WANT}(?:to\s+have\s+)?({_Q})\s+(?:to\s+be\s+)?(?:added|inserted|placed|put)\b",
        r"insert \1",
    ),
    # I'd like to hear Q in place of X -> replace X with Q
    (
        rf"\b{_WANT}(?:to\s+hear\s+)?({_Q})\s+(?:in\s+place\s+of|instead\s+of|rather\s+than)\s+"
        r"([^;.]+)",
        r"replace \2 with \1",
    ),
    # squeeze Q in between A and B -> insert Q between A and B
    (
        rf"\b(?:squeeze|slip|tuck|drop|work)\s+({_Q})\s+(?:in(?:to)?\s+)?"
        rf"(?:in\s+(?=between))?{_PLACE}",
        r"insert \1 ",
    ),
    # from A through to and including B -> from A to B
    (
        rf"({_Q})\s+(?:up\s+|all\s+the\s+way\s+)?(?:through\s+)?to\s+and\s+including\s+({_Q})",
        r"\1 to \2",
    ),
    # 应改为 -> 改为
    (r"(?:应该|应当|应|要|需)(?=(?:改为|改成|换成|换为|替换为|替换成))", ""),
    # 其中的Q, 句子里的Q -> Q
    (rf"(?:其中|句子里|句子中|句中|里面|文中)的?(?=\s*{_Q})", ""),
    # 紧跟在Q后面的一个字 -> Q后面的一个字
    (rf"(?:紧跟在|紧挨在|紧接在|紧跟着|紧挨着)(?=\s*{_Q}\s*(?:之后|后面|后|之前|前面|前|的))", ""),
    # 从Q一直到Q(包括Q在内)的部分 -> 从Q到Q
    (
        rf"从\s*({_Q})\s*(?:开始)?(?:一直)?到\s*({_Q})\s*(?:为止)?"
        rf"(?:\s*[(（][包含][括含]?\s*{_Q}?\s*(?:在内)?[)）])?(?:的?(?:部分|内容|文字|这一段))?",
        r"从\1到\2",
    ),
    # PLACE应该有Q -> 在PLACE插入Q
    (
        rf"(?:^|(?<=[，,。；;]))\s*在?([^，,。；;]*?{_END})"
        rf"(?:应该有|应当有|应该加上|需要加上|要加上|还要有|要有)\s*({_Q})\s*",
        r"在\1插入\2",
    ),
    # 用Q作为开头 -> 在开头插入Q
    (
        rf"(?:用|以|让)\s*({_Q})\s*(?:作为|作|当)(?:这?句话的?|整?句子的?|整?句的?)?(开头|结尾)",
        r"在\2插入\1",
    ),
    # 把Q放在PLACE -> 在PLACE插入Q
    (
        rf"[把将]\s*({_Q})\s*(?:放在|加在|放到|加到|插到|插在|添在|添到)"
        rf"([^，,。；;]*?{_END}(?:的位置|的地方|处)?)",
        r"在\2插入\1",
    ),
]
_COMPILED = [(re.compile(pattern, re.IGNORECASE), text) for pattern, text in _RULES]

# Unquoted words to be inserted never speak about the editing itself: where they do, a sentence
# was misread.
_META = re.compile(
    r"\b(?:words?|characters?|syllables?|positions?|index|speaker|sentence|recording|beginning|"
    r"skip|delete|remove|omit|erase|insert|replace|substitute|leave out|no need)\b"
    r"|删|插入|替换|位置|字符|第[一二三四五六七八九十\d]+个",
    re.IGNORECASE,
)


def rewrite(quoted: Quoted) -> Quoted:
    """The same instruction with its roundabout wordings made plain."""
    text = quoted.text
    for pattern, plain in _COMPILED:
        text = pattern.sub(plain, text)
    return replace(quoted, text=text)


def speaks_of_editing(new: str, quoted: Quoted) -> bool:
    """Whether unquoted new text is about words, places or edits instead of being what is said."""
    return new not in quoted.quotes and _META.search(new) is not None
