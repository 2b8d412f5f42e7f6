"""`deletion`: words go. The backend `splice` cuts them out."""

from __future__ import annotations

from random import Random
from typing import Any

from mingtok_audio.core.speech import join
from uniaudio_edit.data.cot import mark
from uniaudio_edit.data.pair import SAMPLE_RATE, Material, Pair, seconds_of
from uniaudio_edit.data.spoken import JOIN_SECONDS, Ask, draw_span, matched, worded
from uniaudio_edit.grammar.rules import Rule
from uniaudio_edit.operations.base import WordOperation
from uniaudio_edit.operations.wording import published_span
from uniaudio_edit.text import Text, TextEdit, apply_edits


class Deletion(WordOperation):
    """Units of the text go, or all but some of them."""

    name = "deletion"
    example = "delete the last two words"
    wordings = {
        "en": (
            r"{DELETE} {ref}",
            r"(?:take|cut|leave|edit|strip|chop|trim|get|throw|clip|snip|pull) {ref} (?:out|off|away)(?: (?:of|from) (?:it|(?:(?:the|this|that|my) )?{WHERE}))?",
            r"(?:i |we )?(?:want|need|'d like|would like|i'd like) {ref} (?:to be |to )?{GONE}",
            r"{ref} {GO} (?:go|go away|disappear|be {GONE})",
            r"have {ref} {GONE}",
            r"(?:don't|do not|never|stop) (?:say|include|speak|read|mention|use|saying)(?: the)? {ref}",
            r"without (?:saying )?{ref}",
            r"(?:say|read|speak) (?:it|this|that) without (?:saying )?{ref}",
            Rule("", r"no (?:more )?{ref}", rank=1),
            r"(?P<kept>only keep|keep only|keep just|leave only) {ref}",
            r"keep {ref} (?P<kept>only)",
        ),
        "zh": (
            r"{DELETE}(?:掉|了)?{ref}",
            r"(?:把|将){ref}{ALL}{DELETE}",
            r"{ref}{ALL}(?:要|需要|应该|应|可以|得)?(?:被)?{DELETE}",
            r"(?:不要|别|不再|不用|不)(?:说|讲|念|读|出现|有)?{ref}(?:了)?",
            r"{ref}{ALL}(?:不要|不用|不需要)了?",
            r"(?:对|使){ref}(?:进行|做|执行)(?:删除|移除|剪除)(?:操作|处理)?",
            r"让?{ref}(?:消失|去掉)",
            r"(?P<kept>只保留|仅保留|只留下?){ref}",
            r"(?:除了?|除开){ref}(?:这个?|那个?|几个)?(?:字|词)?(?P<kept>之外|以外|外)[，,]?的?(?:把?(?:其他|其余|其它|剩下|别)的?)?{EVERY}{THING}?{ALL}{DELETE}",
        ),
    }
    task = "deletion"
    sentences = {
        "published": ("delete {ref}",),
        "en": (
            "Delete {ref}.",
            "Please remove {ref}.",
            "Cut out {ref}.",
            "Drop {ref}, please.",
            "Could you take out {ref}?",
            "Get rid of {ref}.",
            "Erase {ref} from the recording.",
            "Leave out {ref}.",
        ),
        "zh": (
            "删除{ref}",
            "请去掉{ref}",
            "把{ref}删掉",
            "帮我删去{ref}",
            "将{ref}去掉",
            "去除{ref}",
        ),
    }

    def published(self, op: Any, text: Any) -> str:
        """See `EditOperation.published`."""
        return f"delete {published_span(op, text)}"

    def pair(self, material: Material, rng: Random) -> Pair:
        """The source has a stretch of another recording in it, which is to go."""
        spoken, donor = material.spoken(), material.donor(rng)
        target = spoken.text
        k = rng.randint(0, len(target))
        i, j = draw_span(donor, rng, material.longest_span, keep=0)
        source_text = Text(apply_edits(target, [TextEdit(k, k, donor.text.slice(i, j))]))
        at, end = spoken.points[k], k + j - i
        pieces = [spoken.wav[:at], matched(donor.span(i, j), spoken.wav), spoken.wav[at:]]
        source, spans = join(pieces, SAMPLE_RATE)
        reach = round(JOIN_SECONDS * SAMPLE_RATE)
        return Pair(
            self.name,
            worded(Ask(self, source_text, (k, end), "", target.raw), rng),
            source,
            spoken.wav,
            source_text.raw,
            target.raw,
            cot=mark(target.raw, (k, k)),
            source_spans=[seconds_of(*spans[1])],
            target_spans=[seconds_of(max(0, at - reach), min(len(spoken.wav), at + reach))],
            params={"units": [k, end]},
        )
