"""Text diffs as HTML: expected and heard, word by word (Chinese: by character)."""

from __future__ import annotations

import difflib
import html
import re

from mingtok_audio.core.script import HAN

_TOKEN = re.compile(rf"[{HAN}]|[^\s{HAN}]+")


def tokens(text: str) -> list[str]:
    """Words, and Han characters one by one."""
    return _TOKEN.findall(text)


def _key(token: str) -> str:
    bare = "".join(c for c in token.casefold().replace("’", "'") if c.isalnum() or c == "'")
    return bare.strip("'") or token


def unified(old: str, new: str) -> str:
    """One line of HTML: what only `old` has as `<del>`, what only `new` has as `<ins>`.

    Case and punctuation do not count as differences; the words of `new` are shown.
    """
    first, second = tokens(old), tokens(new)
    matcher = difflib.SequenceMatcher(
        None, [_key(t) for t in first], [_key(t) for t in second], autojunk=False
    )
    parts: list[tuple[str, str]] = []
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            parts += [("", t) for t in second[c:d]]
        else:
            parts += [("del", t) for t in first[a:b]]
            parts += [("ins", t) for t in second[c:d]]
    return _marked(parts)


def _marked(parts: list[tuple[str, str]]) -> str:
    """Join tokens; runs with one mark share an element; no spaces between Han characters."""
    out: list[str] = []
    open_tag, before = "", ""
    for tag, token in parts:
        gap = "" if not before or (_han(token) and _han(before)) else " "
        if open_tag and tag != open_tag:
            out.append(f"</{open_tag}>")
        out.append(gap)
        if tag and tag != open_tag:
            out.append(f"<{tag}>")
        out.append(html.escape(token))
        open_tag, before = tag, token
    if open_tag:
        out.append(f"</{open_tag}>")
    return "".join(out)


def _han(token: str) -> bool:
    return len(token) == 1 and bool(re.match(rf"[{HAN}，。！？、；：]", token))
