"""Quoted words are taken out before anything is matched: each becomes one private character.

So no rule can look into a quotation, and a quotation is never cut in two.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mingtok_audio.core.script import HAN
from uniaudio_edit.errors import InstructionError

MAX_LENGTH = 2000
_FIRST = 0xE000
_MAX_QUOTES = 64
Q = f"[{chr(_FIRST)}-{chr(_FIRST + _MAX_QUOTES - 1)}]"
_IS_Q = re.compile(Q)
_PAIRS = {"“": "”", "「": "」", "『": "』", "《": "》", "«": "»", "〈": "〉", "„": "“”", "‹": "›"}
_LATIN = re.compile(rf"[^\W_{HAN}]")
_SPECIAL = re.compile(r"<[/|]?[A-Za-z_|][\w|-]{0,40}>|\[/?(?:MASK|INST|PAD|CLS|SEP|UNK)\]")
_PRIVATE = re.compile("[\ue000-\uf8ff\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_SHELL = re.compile(
    r"^\s*please recognize the language of this speech and transcribe it\.?\s*(?:and\s+)?", re.I
)


@dataclass(frozen=True)
class Quoted:
    """An instruction without its quotations."""

    text: str
    quotes: tuple[str, ...]

    def content(self, char: str) -> str:
        """The quotation that a private character stands for."""
        return self.quotes[ord(char) - _FIRST]


def is_quote(text: str) -> bool:
    """Whether `text` is one quotation."""
    return len(text) == 1 and _IS_Q.match(text) is not None


def has_quote(text: str) -> bool:
    """Whether there is a quotation in `text`."""
    return _IS_Q.search(text) is not None


def shown(text: str, quoted: Quoted, mark: str) -> str:
    """`text` with its quotations in their places, between `mark`s."""
    for index, content in enumerate(quoted.quotes):
        text = text.replace(chr(_FIRST + index), f"{mark}{content}{mark}")
    return text


def clean(instruction: str) -> str:
    """The instruction itself, without the wrapper of the published prompts.

    Raises:
        InstructionError: empty, too long, or with special tokens in it.
    """
    text = instruction.strip()
    if match := re.fullmatch(r"<prompt>(.*)</prompt>", text, re.DOTALL):
        text = match.group(1).strip()
    text = _SHELL.sub("", text)
    if not text.strip(" \t\r\n.,;:!?。，；：！？、'\"“”‘’"):
        raise InstructionError(
            "the instruction is empty; say what to change, for example: replace 'old' with 'new'"
        )
    if len(text) > MAX_LENGTH:
        raise InstructionError(
            f"the instruction has {len(text)} characters; at most {MAX_LENGTH} are read"
        )
    if match := _SPECIAL.search(text):
        raise InstructionError(
            f"the instruction holds the special token {match.group()}, which nobody can say; "
            "leave it out"
        )
    if _PRIVATE.search(text):
        raise InstructionError("the instruction holds characters that are no text; retype it")
    return text


def extract(text: str) -> Quoted:
    """Replace every quotation of `text` by a private character."""
    quotes: list[str] = []
    out: list[str] = []
    i = 0
    while i < len(text):
        end = _end_of_quote(text, i) if len(quotes) < _MAX_QUOTES else None
        if end is None:
            out.append(text[i])
            i += 1
            continue
        content = text[i + 1 : end].strip()
        width = 1
        if text.startswith("''", i):  # two single quotes for a double one
            content, width = text[i + 2 : end].strip(), 2
        out.append(f" {chr(_FIRST + len(quotes))} ")
        quotes.append(content)
        i = end + width
    return Quoted(re.sub(r"\s+", " ", "".join(out)).strip(), tuple(quotes))


def _end_of_quote(text: str, i: int) -> int | None:
    """Where the quotation that opens at `i` closes, or None if none opens there."""
    char = text[i]
    if char in _PAIRS:
        ends = [e for e in (text.find(c, i + 1) for c in (*_PAIRS[char], '"')) if e > i + 1]
        return min(ends) if ends else None
    if char in '"＂”':
        ends = [e for e in (text.find(c, i + 1) for c in '"＂”') if e > i + 1]
        return min(ends) if ends else None
    if char == "`":
        end = text.find("`", i + 1)
        end = text.find("'", i + 1) if end < 0 else end
        return end if end > i + 1 else None
    if text.startswith("''", i):
        end = text.find("''", i + 2)
        return end if end > i + 2 else None
    if char in "'‘’＇":
        if i and _LATIN.match(text[i - 1]):
            return None  # an apostrophe
        for end in range(i + 2, len(text)):
            if text[end] not in "'’＇":
                continue
            after = text[end + 1] if end + 1 < len(text) else ""
            if not _LATIN.match(after):
                return end
    return None
