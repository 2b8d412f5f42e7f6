"""The edit tasks of the benchmarks: one row a task, read by whatever names, builds or scores one.

A row of `ACOUSTIC` holds what file names call the task, the number or label that its instructions
carry and how the number is read back, what values the builder draws, and its wordings. The wordings
of the edits of words are in `build/wording_*.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

#: Edits of words, and what file names and columns call them.
SEMANTIC: dict[str, tuple[str, ...]] = {
    "deletion": ("deletion", "del", "delete"),
    "insertion": ("insertion", "ins", "insert"),
    "substitution": ("substitution", "sub", "substitute"),
}

_NUMBER = r"([-+]?\d+(?:\.\d+)?)"
_POLITE = "(|||please |could you |can you please )"


@dataclass(frozen=True)
class AcousticTask:
    """An edit of how speech sounds.

    Attributes:
        basic: the published wording (appendix C.3, table 7); `{v}` is the number, label or sound.
        english, chinese: varied wordings, as `build.expand` reads them.
        names: what file names and columns call the task, besides its own name.
        parameter: the item's parameter that holds the number; "" where there is none.
        patterns: how the number stands in an instruction; the first that fits wins.
        values: what the builder draws the number from.
        labels: label to how instructions name it, (English, Chinese).
        snrs_db: what the builder draws the level of a sound from.
        sound: which side of the item the sound is on.
        languages: that it is built in; empty: all.
    """

    basic: str
    english: tuple[str, ...]
    chinese: tuple[str, ...]
    names: tuple[str, ...] = ()
    parameter: str = ""
    patterns: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    labels: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    snrs_db: tuple[int, ...] = ()
    sound: Literal["", "source", "target"] = ""
    languages: tuple[str, ...] = ()


ACOUSTIC: dict[str, AcousticTask] = {
    "speed": AcousticTask(
        basic="adjusts the speed to {v}",
        english=(
            _POLITE + "(set|change|adjust) the (speaking |)speed to {v}( times|x|)",
            "(Play|Say) it at a speed of {v}",
        ),
        chinese=(
            "(请|帮我|)把(语速|速度)(调到|调整为|改成|变为){v}倍",
            "语速(变成|调成)原来的{v}倍",
        ),
        names=("time_stretch", "stretch"),
        parameter="speed",
        patterns=(
            rf"speed\D*?{_NUMBER}",
            rf"(?:语速|速度)\D*?{_NUMBER}",
            rf"{_NUMBER}\s*(?:x|times|倍)",
        ),
        values=(0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0),
    ),
    "pitch": AcousticTask(
        basic="shifts the pitch by {v} steps",
        english=(
            _POLITE + "(shift|move|transpose) the pitch by {v} (semitones|steps|half steps)",
            "the pitch should move by {v} semitones",
        ),
        chinese=("(请|帮我|)把(音高|音调)(移动|变化|调整){v}个半音",),
        names=("pitch_shift",),
        parameter="semitones",
        patterns=(
            rf"pitch\D*?{_NUMBER}",
            rf"(?:音高|音调)\D*?{_NUMBER}",
            rf"{_NUMBER}\s*(?:steps?|semitones?|个?半音)",
        ),
        values=(-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6),
    ),
    "volume": AcousticTask(
        basic="adjusts the volume to {v}",
        english=(
            _POLITE + "(set|change|adjust) the volume to {v}( times|)( of what it was|)",
            "the volume should be {v} times the present one",
        ),
        chinese=("(请|帮我|)把音量(调到|调整为|改成|变为){v}倍", "音量(变成|调成)原来的{v}倍"),
        names=("vol",),
        parameter="volume",
        patterns=(
            rf"volume\D*?{_NUMBER}",
            rf"音量\D*?{_NUMBER}",
            rf"{_NUMBER}\s*(?:times|倍)",
        ),
        values=(0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.2, 1.3, 1.4, 1.5, 1.6),
    ),
    "emotion": AcousticTask(
        basic="Change the emotion of the speech to {v}.",
        english=(
            _POLITE + "make (the speaker|it|the voice) sound {v}",
            "Say this in a {v} (voice|tone|way)",
            "(Change|Turn) the emotion (of the speech |)(to|into) {v}",
        ),
        chinese=("(请|)(用|以){v}的(语气|情绪)(说|来说)", "(请|)把(情绪|语气)(改成|换成|变为){v}"),
        labels={
            "happy": ("happy", "高兴"),
            "sad": ("sad", "悲伤"),
            "angry": ("angry", "生气"),
            "surprised": ("surprised", "惊讶"),
            "fearful": ("fearful", "害怕"),
        },
    ),
    "dialect": AcousticTask(
        basic="Change the accent of the speech to {v}.",
        english=(
            "(Say|Speak) this with a {v} accent",
            _POLITE + "(change|turn) the accent (of the speech |)(to|into) {v}",
        ),
        chinese=("(请|)(用|换成|改用){v}(说|讲)", "(请|)把口音(改成|换成|变为){v}"),
        labels={
            "zh_chengdu": ("Chengdu", "成都话"),
            "zh_dongbei": ("Dongbei", "东北话"),
            "zh_guangxi": ("Guangxi", "广西话"),
        },
        languages=("zh",),
    ),
    "denoise": AcousticTask(
        basic="denoise the audio",
        english=(
            _POLITE + "(remove|clean up|get rid of) the background noise",
            _POLITE + "denoise (the audio|this recording|this clip)",
            "(Make|Get) the speech (clean|free of noise)",
        ),
        chinese=("(请|帮我|)(去掉|去除|消除)(背景|)噪(声|音)", "(请|帮我|)(给这段录音|)降噪"),
        names=("denoising",),
        snrs_db=(0, 5, 10, 15),
        sound="source",
    ),
    "add_sound": AcousticTask(
        basic="add {v} to the background",
        english=(
            _POLITE + "(add|put|mix) {v} (to|into|in) the background",
            "I want to hear {v} (behind|under) the (speech|voice)",
        ),
        chinese=("(请|帮我|)在背景(里|中)(加上|加入|添加){v}", "(请|)加一点{v}作为背景"),
        snrs_db=(5, 10, 15),
        sound="target",
    ),
}
#: The task whose source holds the noise: what pairs of the DNS Challenge are.
NOISE_REMOVAL = next(name for name, task in ACOUSTIC.items() if task.sound == "source")
#: Names of tasks as they appear in file names and columns, to the names used here.
TASK_NAMES = {
    **{called: name for name, names in SEMANTIC.items() for called in names},
    **{called: name for name, task in ACOUSTIC.items() for called in (name, *task.names)},
}
