"""How training instructions name words and places, in the published phrasing and in two languages.

The sentences around them stand with the operations: `{ref}` is what is meant in the text, `{place}`
where new words go, `{new}` the new words in quotes. Every instruction is read back by the `grammar`
parser before it is used (`spoken`). The benchmark words its instructions elsewhere, on purpose.
"""

from __future__ import annotations

from random import Random

from uniaudio_edit.data.pair import Style
from uniaudio_edit.text import Text

_QUOTES = {
    "en": (("'", "'"), ('"', '"'), ("‘", "’"), ("“", "”")),
    "zh": (("“", "”"), ("「", "」"), ("'", "'"), ('"', '"')),
}

_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth"),
    *("sixth", "seventh", "eighth", "ninth", "tenth"),
)


def styles(language: str) -> tuple[Style, ...]:
    """What instructions for a recording in `language` are written in: Chinese recordings have
    Chinese, English and published instructions, all others the last two."""
    return ("published", "en", "zh") if language == "zh" else ("published", "en")


def quoted(text: str, style: Style, rng: Random) -> str:
    """`text` in quotes that do not occur in it."""
    if style == "published":
        return f"'{text}'" if "'" not in text else f'"{text}"'
    fitting = [q for q in _QUOTES[style] if q[0] not in text and q[1] not in text]
    left, right = rng.choice(fitting or [('"', '"')])
    return f"{left}{text}{right}"


def references(text: Text, span: tuple[int, int], style: Style, rng: Random) -> list[str]:
    """Ways to name the units [i, j) of `text`, shuffled; some may be ambiguous."""
    i, j = span
    words, n, count = text.slice(i, j), len(text), j - i
    found = [quoted(words, style, rng), quoted(words, style, rng)]
    if style == "published":
        found += [f"the characters or words from index {i + 1} to index {j}"]
    elif style == "en":
        unit = "character" if text.language == "zh" else "word"
        found.append(f"{unit}s {i + 1} to {j}" if count > 1 else f"the {_ordinal(i)} {unit}")
        if i == 0:
            found.append(f"the first {count} {unit}s" if count > 1 else f"the first {unit}")
        if j == n:
            found.append(f"the last {count} {unit}s" if count > 1 else f"the last {unit}")
    else:
        found.append(f"第{i + 1}到第{j}个字" if count > 1 else f"第{i + 1}个字")
        if i == 0 and count > 1:
            found.append(f"前{count}个字")
        if j == n and count > 1:
            found.append(f"最后{count}个字")
    rng.shuffle(found)
    return found


def places(text: Text, at: int, style: Style, rng: Random) -> list[str]:
    """Ways to say "before unit `at`" of `text`, shuffled; some may be ambiguous."""
    n = len(text)
    before = quoted(text.units[at - 1].text, style, rng) if at else ""
    after = quoted(text.units[at].text, style, rng) if at < n else ""
    found: list[str] = []
    if style == "published":
        item = "the character or word"
        found += [f"after {item} {before}", f"after {item} at index {at}"] if at else []
        found += [f"before {item} {after}", f"before {item} at index {at + 1}"] if after else []
        found += ["at the beginning"] if at == 0 else ["at the end"] if at == n else []
    elif style == "en":
        unit = "character" if text.language == "zh" else "word"
        found += [f"after {before}", f"after the {_ordinal(at - 1)} {unit}"] if at else []
        found += [f"before {after}", f"before the {_ordinal(at)} {unit}"] if after else []
        found += ["at the start"] if at == 0 else ["at the end"] if at == n else []
    else:
        found += [f"在{before}后面", f"在第{at}个字后面"] if at else []
        found += [f"在{after}前面", f"在第{at + 1}个字前面"] if after else []
        found += ["在开头"] if at == 0 else ["在句末"] if at == n else []
    rng.shuffle(found)
    return found


def _ordinal(index: int) -> str:
    if index < len(_ORDINALS):
        return _ORDINALS[index]
    number = index + 1
    tail = (
        "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    )
    return f"{number}{tail}"
