"""`silences`: pauses that are too long are shortened. Every sample that stays is the source's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mingtok_audio.core.errors import UserError
from uniaudio_edit.operations.base import CutOperation, Sound
from uniaudio_edit.operations.pauses import pauses
from uniaudio_edit.operations.trim import seconds
from uniaudio_edit.pcm import Floats

DEFAULT_SECONDS = 0.3
_EN_WHAT = r"(?:the |all |any |all the |every |those )?(?:long |longer |awkward |unnecessary |excess(?:ive)? )*(?P<place>leading and trailing |leading |trailing |initial |final )?(?:silences?|pauses?|silent (?:parts?|gaps?|sections?)|gaps?|dead air)(?P<where> (?:at|from|in) the (?:very )?(?:start|beginning|end)| between (?:the )?(?:words|sentences))?"
_ZH_WHAT = r"(?P<where>开头的?|句首的?|结尾的?|末尾的?|句末的?)?(?:所有|全部)?的?(?:过长的?|太长的?|长的?|多余的?)?(?P<what>静音|停顿|空白|沉默|静默|无声)(?:部分|片段|段落|时间)?"


class Silences(CutOperation):
    """Parameters `longest` (seconds that are left of a pause), `over` (only pauses longer than that
    are touched; by default `longest`) and `where` ("start", "end", "ends", "" for every pause)."""

    name = "silences"
    example = "shorten the pauses to 0.5 seconds"
    limits = {"longest": (0.0, 60.0), "over": (0.0, 600.0)}
    wordings = {
        "en": (
            rf"(?:{{DELETE}}|shorten|reduce|tighten|limit|trim|cut down|close up) {_EN_WHAT} (?:that are |which are )?(?:longer than|over|above|beyond|of more than|more than|exceeding) {{over}} (?:down )?to (?:at most |no more than )?{{to}}",
            rf"(?:{{DELETE}}|shorten|reduce|tighten|limit|trim|cut down|close up) {_EN_WHAT} (?:that are |which are )?(?:longer than|over|above|beyond|of more than|more than|exceeding) {{over}}",
            rf"(?:{{DELETE}}|shorten|reduce|tighten|limit|trim|cut down|close up) {_EN_WHAT} (?:down )?to (?:at most |no more than |a maximum of )?{{to}}",
            rf"(?:{{DELETE}}|shorten|reduce|tighten|limit|trim|cut down|close up) {_EN_WHAT}",
            r"(?:{DELETE}|trim) silence",
        ),
        "zh": (
            rf"(?:把|将)?(?:超过|长于|大于){{over}}的{_ZH_WHAT}(?:都|全部)?(?:缩短|压缩|减少)(?:到|为|至){{to}}",
            rf"(?:把|将)?(?:超过|长于|大于){{over}}的{_ZH_WHAT}(?:都|全部)?(?:{{DELETE}}|缩短|压缩)",
            rf"(?:{{DELETE}}|缩短|压缩)(?:超过|长于|大于){{over}}的{_ZH_WHAT}",
            rf"(?:把|将)?{_ZH_WHAT}(?:都|全部)?(?:缩短|压缩|减少)(?:到|为|至){{to}}",
            rf"(?:{{DELETE}}|缩短|压缩){_ZH_WHAT}",
            rf"(?:把|将)?{_ZH_WHAT}(?:都|全部)?(?:{{DELETE}}|缩短|压缩)(?:一些|一点)?",
        ),
    }

    def understood(
        self, found: Mapping[str, Any], clause: Any
    ) -> tuple[dict[str, Any], list[str]] | None:
        """How long a pause may be, and where."""
        notes: list[str] = []
        times = {n: seconds(clause.language, found[n]) for n in ("to", "over") if n in found}
        if None in times.values():
            return None
        longest = times.get("to", times.get("over", DEFAULT_SECONDS))
        place = f"{found.get('place', '')}{found.get('where', '')}"
        where = ""
        if "leading and trailing" in place:
            where = "ends"
        elif any(
            word in place for word in ("leading", "initial", "start", "beginning", "开头", "句首")
        ):
            where = "start"
        elif any(w in place for w in ("trailing", "final", "end", "结尾", "末尾", "句末")):
            where = "end"
        if "to" not in times:
            notes.append(f"pauses are shortened to {longest:g} s, as no other length was given")
        over = times.get("over", longest)
        return {"longest": longest, "over": over, "where": where}, notes

    def cuts(
        self, wav: np.ndarray | Floats, params: Mapping[str, Any], sound: Sound
    ) -> list[tuple[int, int]]:
        """See `CutOperation.cuts`; of a pause the middle goes, at the ends the outer part."""
        longest, where = round(float(params["longest"]) * sound.rate), params.get("where", "")
        over = max(longest, round(float(params.get("over", 0.0)) * sound.rate))
        spans: list[tuple[int, int]] = []
        for start, end in pauses(wav, sound.rate):
            first, last = start == 0, end == len(wav)
            if (
                end - start <= over
                or (where == "start" and not first)
                or (where == "end" and not last)
                or (where == "ends" and not first and not last)
            ):
                continue
            spare = end - start - longest
            a = start if first else end - spare if last else start + longest // 2
            spans.append((a, a + spare))
        if not spans:
            place = {"start": " at the start", "end": " at the end", "ends": " at the ends"}.get(
                where, ""
            )
            raise UserError(
                f"no pause{place} is longer than {over / sound.rate:g} s: nothing to shorten"
            )
        sound.notes.append(
            f"silences: {len(spans)} pause{'s' if len(spans) > 1 else ''} shortened by "
            f"{sum(b - a for a, b in spans) / sound.rate:.2f} s in all"
        )
        return spans
