"""Instructions for training pairs: the published phrasings, and freer ones in two languages.

`{ref}` is what is meant in the text, `{place}` where new words go, `{new}` the new words in
quotes. Every instruction is read back by the `grammar` parser before it is used (`semantic.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal

from uniaudio_edit.parsers.units import Text

Style = Literal["published", "en", "zh"]

_QUOTES = {"en": (("'", "'"), ('"', '"'), ("‘", "’"), ("“", "”")),
           "zh": (("“", "”"), ("「", "」"), ("'", "'"), ('"', '"'))}  # fmt: skip

_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip

_SEMANTIC: dict[tuple[Style, str], tuple[str, ...]] = {
    ("published", "deletion"): ("delete {ref}",),
    ("published", "insertion"): ("insert {new} {place}",),
    ("published", "substitution"): ("substitute {ref} with {new}",),
    ("en", "deletion"): (
        "Delete {ref}.", "Please remove {ref}.", "Cut out {ref}.", "Drop {ref}, please.",
        "Could you take out {ref}?", "Get rid of {ref}.", "Erase {ref} from the recording.",
        "Leave out {ref}.",
    ),
    ("en", "insertion"): (
        "Insert {new} {place}.", "Please add {new} {place}.", "Put {new} {place}.",
        "Could you say {new} {place}?", "Place {new} {place}.", "I want {new} added {place}.",
    ),
    ("en", "substitution"): (
        "Replace {ref} with {new}.", "Change {ref} to {new}.", "Swap {ref} for {new}.",
        "Please substitute {ref} with {new}.", "Turn {ref} into {new}.",
        "Say {new} instead of {ref}.",
    ),
    ("zh", "deletion"): (
        "删除{ref}", "请去掉{ref}", "把{ref}删掉", "帮我删去{ref}", "将{ref}去掉", "去除{ref}",
    ),
    ("zh", "insertion"): (
        "{place}插入{new}", "请{place}添加{new}", "{place}加上{new}", "帮我{place}加入{new}",
    ),
    ("zh", "substitution"): (
        "把{ref}换成{new}", "将{ref}替换为{new}", "请把{ref}改成{new}", "用{new}替换{ref}",
    ),
}  # fmt: skip

_ACOUSTIC: dict[tuple[Style, str], tuple[str, ...]] = {
    ("published", "denoise"): ("denoise the audio",),
    ("published", "add_sound"): ("add {sound} to audio",),
    ("published", "speed"): ("adjusts the speed to {value}",),
    ("published", "pitch"): ("shifts the pitch by {value} steps",),
    ("published", "volume"): ("adjusts the volume to {value}",),
    ("published", "emotion"): ("change the emotion to {label} mood",),
    ("published", "dialect"): ("change the accent of the speech to {label}",),
    ("en", "denoise"): (
        "Remove the background noise.", "Clean up the recording.", "Denoise this audio, please.",
        "Filter out the noise.",
    ),
    ("en", "add_sound"): (
        "Add {sound} in the background.", "Put some {sound} behind the voice.",
        "Mix {sound} into the recording.", "Please add some {sound} to the background.",
    ),
    ("en", "speed"): (
        "Play it at {value} times the speed.", "Change the speed to {value}x.",
        "Set the speaking rate to {value} times the original.",
    ),
    ("en", "pitch"): (
        "{updown} the pitch by {count} semitones.", "Make the pitch {count} semitones {higher}.",
        "Shift the voice {direction} by {count} semitones.",
    ),
    ("en", "volume"): (
        "Set the volume to {value} times the original.", "Change the volume to {percent} percent.",
        "Make it {value} times as loud.",
    ),
    ("en", "emotion"): ("Say it in a {label} way.", "Make the speaker sound {label}."),
    ("en", "dialect"): ("Say it with a {label} accent.", "Switch the accent to {label}."),
    ("zh", "denoise"): ("请去掉背景噪声", "给这段音频降噪", "把录音里的噪音去除", "消除噪声"),
    ("zh", "add_sound"): ("给音频加上{sound}", "在背景里添加{sound}", "加入{sound}作为背景音"),
    ("zh", "speed"): ("把语速调整为{value}倍", "将速度改为原来的{value}倍", "以{value}倍速播放"),
    ("zh", "pitch"): ("把音调{updown}{count}个半音", "将音高{updown}{count}个半音"),
    ("zh", "volume"): ("把音量调到原来的{value}倍", "将音量改为{percent}%", "音量调整为{value}倍"),
    ("zh", "emotion"): ("把情绪换成{label}", "用{label}的语气说"),
    ("zh", "dialect"): ("把口音换成{label}", "把口音改成{label}"),
}  # fmt: skip

SOUND_NAMES: dict[str, tuple[str, str]] = {
    "rain": ("rain", "雨声"),
    "wind": ("wind", "风声"),
    "music": ("music", "音乐"),
    "thunder": ("thunder", "雷声"),
    "birds": ("birds", "鸟叫"),
    "traffic": ("traffic", "车流声"),
    "crowd": ("chatter", "人声"),
    "sea": ("waves", "海浪声"),
    "fire": ("fire", "火焰"),
    "dog": ("barking", "狗叫声"),
    "bell": ("bells", "铃声"),
}


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


def semantic_templates(task: str, style: Style, rng: Random) -> Sequence[str]:
    """Sentences of a task, shuffled."""
    found = list(_SEMANTIC[style, task])
    rng.shuffle(found)
    return found


def acoustic_sentence(task: str, style: Style, rng: Random, **values: str) -> str:
    """A sentence of a task with its values in their places."""
    return rng.choice(_ACOUSTIC[style, task]).format(**values)


def pitch_values(semitones: int, style: Style) -> dict[str, str]:
    """What a sentence about `semitones` needs."""
    up = semitones > 0
    if style == "zh":
        updown = "升高" if up else "降低"
        return {"value": str(semitones), "count": str(abs(semitones)), "updown": updown}
    return {
        "value": str(semitones),
        "count": str(abs(semitones)),
        "updown": "Raise" if up else "Lower",
        "direction": "up" if up else "down",
        "higher": "higher" if up else "lower",
    }
