"""`trim`: stretches of time go, or all but one stays. Every sample that stays is the source's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from mingtok_audio.core.errors import UserError
from uniaudio_edit.errors import InstructionError
from uniaudio_edit.grammar.rules import Language
from uniaudio_edit.operations.base import CutOperation, Sound
from uniaudio_edit.pcm import Floats

_UNITS = {
    "en": (("milliseconds?|ms", 0.001), ("minutes?|mins?|m", 60.0), ("seconds?|secs?|s", 1.0)),
    "zh": (("毫秒|ms", 0.001), ("分钟?", 60.0), ("秒钟?|s", 1.0)),
}
_FURTHEST = 360_000.0  # seconds, a hundred hours
_EN_TO = r"(?: (?:to|until|till|through|up to|and) | ?[-–—] ?)"
_EN_FROM = r"(?:(?:the |everything |all )?(?:part |section |stretch |piece |audio |bit )?(?:from |between ))?"
_EN_KEEP = r"keep only|only keep|keep|crop(?: {THING})? to|trim(?: {THING})? (?:down )?to|cut(?: {THING})? (?:down )?to|shorten(?: {THING})? to|extract|leave only"
_EN_EDGE = r"(?:the )?(?P<edge>first|last|opening|final|initial)"
_ZH_PART = r"(?:之间|以内)?(?:的)?(?:部分|内容|音频|声音|录音|那段|这段)?"
_ZH_KEEP = r"(?:只|仅)?(?:保留|留下|截取)|(?:裁剪|剪切|剪辑|截短|缩短)(?:成|到|为)"
_ZH_EDGE = r"(?P<edge>最?前面?的?|开头的?|最?后面?的?|末尾的?|结尾的?)"


class Trim(CutOperation):
    """Parameters `what` ("drop", "keep"), `start` and `end` in seconds.

    Negative seconds count from the end of the recording; an `end` of 0 is its end.
    """

    name = "trim"
    example = "cut the last 2 seconds"
    repeatable = True
    wordings = {
        "en": (
            rf"(?:{{DELETE}}|take off|chop off) {_EN_FROM}{{a}}{_EN_TO}{{b}}",
            rf"(?P<keep>{_EN_KEEP}) {_EN_FROM}{{a}}{_EN_TO}{{b}}",
            # "trim 2 s to 4 s" is said of what goes and of what stays.
            rf"(?P<keep>trim|crop) {_EN_FROM}{{a}}{_EN_TO}{{b}}",
            rf"(?:{{DELETE}}|take off|chop off) {_EN_EDGE} {{b}}",
            rf"(?P<keep>{_EN_KEEP}) {_EN_EDGE} {{b}}",
            rf"(?P<keep>{_EN_KEEP}) {{length}}",
            r"{DELETE} (?:everything |all |anything )?(?P<beyond>after|before) {b}",
            r"{DELETE} (?:everything |all )?(?:from |after ){b} (?:to the (?P<beyond>end)|(?P<on>on|onwards?))",
            r"(?:{DELETE}|trim|cut) {b} (?:from|off|at) (?:the |its )?(?:very )?(?P<edge>start|beginning|front|end|back)(?: of {THING})?",
            r"(?:{DELETE}|trim|cut|shorten) (?:the |its )?(?:very )?(?P<edge>start|beginning|front|end|back)(?: of {THING})? by {b}",
            r"(?P<keep>keep|keep only|only keep|crop to|trim to|extract) seconds? {a} (?:to|through|until|-|–) {seconds}",
            r"{DELETE} seconds? {a} (?:to|through|until|-|–) {seconds}",
        ),
        "zh": (
            rf"(?:把|将|从|由)*{{a}}(?:到|至|-|—|~){{b}}{_ZH_PART}(?:都|全部)?{{DELETE}}",
            rf"{{DELETE}}(?:从|由)?{{a}}(?:到|至|-|—|~){{b}}{_ZH_PART}",
            rf"(?P<keep>{_ZH_KEEP})(?:从|由)?{{a}}(?:到|至|-|—|~){{b}}{_ZH_PART}",
            rf"(?:把|将)?{_ZH_EDGE}{{b}}{_ZH_PART}(?:都|全部)?{{DELETE}}",
            rf"{{DELETE}}{_ZH_EDGE}{{b}}{_ZH_PART}",
            rf"{{DELETE}}(?P<edge>第)(?P<b>一秒钟?|一分钟){_ZH_PART}",
            rf"(?P<keep>{_ZH_KEEP}){_ZH_EDGE}{{b}}{_ZH_PART}",
            rf"(?:把|将)?{{b}}(?P<beyond>以后|之后|后面|以前|之前|前面){_ZH_PART}(?:都|全部)?{{DELETE}}",
            rf"{{DELETE}}{{b}}(?P<beyond>以后|之后|后面|以前|之前|前面){_ZH_PART}",
        ),
    }

    def understood(
        self, found: Mapping[str, Any], clause: Any
    ) -> tuple[dict[str, Any], list[str]] | None:
        """The stretch of time; None where what is named is not a time."""
        what = "keep" if "keep" in found else "drop"
        if "length" in found:  # "trim it to 3 seconds"
            length = seconds(clause.language, found["length"])
            return None if length is None else (_params(what, 0.0, length), [])
        last = f"{found['seconds']} s" if "seconds" in found else found["b"]
        end = seconds(clause.language, last)
        if end is None:
            return None
        if "a" in found:
            start = seconds(clause.language, found["a"], last)
            return None if start is None else (_params(what, start, end), [])
        if "beyond" in found or "on" in found:
            after = "on" in found or found["beyond"] in ("after", "end", "以后", "之后", "后面")
            return (_params(what, end, 0.0) if after else _params(what, 0.0, end)), []
        first = re.match("first|opening|initial|start|beginning|front|最?前|开头|第", found["edge"])
        return (_params(what, 0.0, end) if first else _params(what, -end, 0.0)), []

    def check(self, params: Mapping[str, Any]) -> None:
        """Refuse what is not a stretch of time (`InstructionError`)."""
        start, end = float(params["start"]), float(params["end"])
        if max(abs(start), abs(end)) > _FURTHEST:
            longest = max(abs(start), abs(end))
            raise InstructionError(f"trim: {longest:g} s is longer than any recording")
        from_end = start < 0
        if (from_end == (end <= 0) and end != 0 and end <= start) or start == end:
            raise InstructionError(
                f"trim: {start:g} to {end:g} s is not a stretch of time: the end must come after the start"
            )

    def cuts(
        self, wav: np.ndarray | Floats, params: Mapping[str, Any], sound: Sound
    ) -> list[tuple[int, int]]:
        """See `CutOperation.cuts`."""
        start, end, total = float(params["start"]), float(params["end"]), len(wav) / sound.rate
        first = start + total if start < 0 else start
        last = end + total if end <= 0 else end
        if not 0 <= first < last or first >= total or last > total + 0.001:
            raise UserError(
                f"trim: {first:.3g} to {last:.3g} s is not in the recording, which has {total:.3g} s"
            )
        a, b = round(first * sound.rate), min(len(wav), round(last * sound.rate))
        spans = [(a, b)] if params.get("what", "drop") == "drop" else [(0, a), (b, len(wav))]
        spans = [(i, j) for i, j in spans if i < j]
        if sum(j - i for i, j in spans) >= len(wav):
            raise UserError("trim: nothing of the recording would be left")
        if not spans:
            raise UserError("trim: this is all of the recording; there is nothing to cut")
        return spans


def _params(what: str, start: float, end: float) -> dict[str, Any]:
    return {"what": what, "start": round(start, 6), "end": round(end, 6)}


def seconds(language: Language, text: str, like: str = "") -> float | None:
    """A time in words as seconds: "2.5 s", "half a second", "1:05", "2分半"; None where it is none.

    Args:
        like: another time, whose unit is meant where this one has none ("2 to 4 s").
    """
    text = re.sub(r"^(?:the |an? |第|at |of )+(?=\S)", "", text.strip(" ,.个")).strip()
    if match := re.fullmatch(r"(\d{1,4}):(\d{1,2}(?:\.\d{1,6})?)(?: ?(?:min|minutes|分))?", text):
        return 60.0 * int(match.group(1)) + float(match.group(2))
    for pattern, scale in _UNITS[language.code]:
        if match := re.fullmatch(rf"(.*?)[ 个-]*(?:{pattern})(半)?", text):
            number = match.group(1).strip()
            number = re.sub(r"^half an?$", "half", number)
            value = language.number(number) if number else 1.0
            if value is None or value < 0:
                return None
            return scale * (value + (0.5 if match.group(2) else 0.0))
    if not like:
        return None
    value = language.number(text)
    unit = next((s for p, s in _UNITS[language.code] if re.search(rf"(?:{p})$", like)), None)
    if ":" in like:
        unit = 1.0
    return None if value is None or unit is None or value < 0 else unit * value
