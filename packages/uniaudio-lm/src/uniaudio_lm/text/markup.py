"""Text as people write it, without what only the eye reads: Markdown, stray quotes, layout.

Lines of a list and headings become sentences of their own, so that there is a pause after them.
"""

from __future__ import annotations

import re

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*$", re.MULTILINE)
_IMAGE = re.compile(r"!\[([^\]\n]{0,300})\]\([^)\s]{1,2000}\)")
_LINK = re.compile(r"\[([^\]\n]{1,300})\]\([^)\s]{1,2000}(?:\s\"[^\"\n]{0,200}\")?\)")
_CODE = re.compile(r"(?<![\w`])(`{1,2})([^`\n]{1,300})\1(?![\w`])")
_STRONG = re.compile(r"(?<![\w*])(\*{1,3}|~~)(?=\S)([^*~\n]{1,500}?)(?<=\S)\1(?![\w*])")
_UNDERLINED = re.compile(r"(?<!\w)(_{1,3})(?=\S)([^_\n]{1,500}?)(?<=\S)\1(?!\w)")
_RULE = re.compile(r"^[ \t]*(?:-[ \t]?){3,}$|^[ \t]*(?:\*[ \t]?){3,}$|^[ \t]*={3,}$", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+([^\n]*?)[ \t]*#*[ \t]*$", re.MULTILINE)
_ITEM = re.compile(
    r"^[ \t]*(?:[-*+•‣◦·][ \t]+(?:\[[ xX]\][ \t]+)?|\d{1,3}[.)][ \t]+)(?=\S)", re.MULTILINE
)
_QUOTED = re.compile(r"^[ \t]*>+[ \t]?", re.MULTILINE)
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])[’ʼ`´‘′＇](?=[^\W\d_])")
INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060\u00ad"))
"""Characters that nobody sees or says: byte order marks, zero-width spaces, soft hyphens."""
_ENDS = tuple(".!?:;,。！？：；，、…\"'”’»)")
_MARK = "\ue000"  # before a line that stands by itself


def plain_text(text: str) -> str:
    """A text without Markdown and invisible characters, in linear time.

    Apostrophes of any kind inside a word become "'"; emphasis, code ticks, links and headings keep
    their words; numbers of list items are left out; each item and heading ends with a stop.
    """
    text = text.translate(INVISIBLE).replace(_MARK, "")
    for pattern, kept in ((_FENCE, ""), (_IMAGE, r"\1"), (_LINK, r"\1"), (_CODE, r"\2")):
        text = pattern.sub(kept, text)
    text = _RULE.sub("", text)
    text = _QUOTED.sub("", text)
    text = _HEADING.sub(rf"{_MARK}\1", text)
    text = _ITEM.sub(_MARK, text) if len(_ITEM.findall(text)) > 1 or "\n" in text else text
    text = _UNDERLINED.sub(r"\2", _STRONG.sub(r"\2", text))
    text = _APOSTROPHE.sub("'", text)
    return _own_sentences(text) if _MARK in text else text


def _own_sentences(text: str) -> str:
    """Lines that were marked end with a stop, and so does what comes before them."""
    lines = text.split("\n")
    out: list[str] = []
    for line in lines:
        own, bare = line.startswith(_MARK), line.replace(_MARK, "")
        if own and out:
            out[-1] = _ended(out[-1])
        out.append(_ended(bare) + "\n" if own else bare)
    return "\n".join(out)


def _ended(line: str) -> str:
    bare = line.rstrip()
    return f"{bare}." if bare and not bare.endswith(_ENDS) else line
