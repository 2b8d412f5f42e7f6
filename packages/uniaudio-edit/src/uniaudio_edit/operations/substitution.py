"""`substitution`: new words for old ones, and two places that take each other's words."""

from __future__ import annotations

from random import Random
from typing import Any

from mingtok_audio.core.speech import join
from uniaudio_edit.data.cot import mark
from uniaudio_edit.data.pair import SAMPLE_RATE, Material, NoPairError, Pair, seconds_of
from uniaudio_edit.data.spoken import TRIES, Ask, draw_span, worded
from uniaudio_edit.grammar.rules import Rule
from uniaudio_edit.operations.base import WordOperation
from uniaudio_edit.operations.wording import published_span
from uniaudio_edit.text import Text, TextEdit, apply_edits

_TO = r"(?:with|by|to be|to say|to read|to|into|as|so it (?:says|reads)|in(?= favou?r of))"


class Substitution(WordOperation):
    """New words in the place of old ones. The kind `exchange` is two of them."""

    name = "substitution"
    example = "replace 'old' with 'new'"
    wordings = {
        "en": (
            r"(?:swap|exchange|switch|interchange|reverse|flip|transpose|trade)(?: around)?(?: the)?(?: (?:places|positions?|order) of)?(?: the)?(?: two)?(?: {UNIT})?(?: \:)? {first} (?:and|with) {last}(?: around)?",
            rf"{{CHANGE}} {{old}} (?:{_TO}|for) {{new}}",
            rf"{{REPLACE}} {{old}} {_TO} {{new}}",
            Rule("", r"{REPLACE} {old} for {new}", rank=1),
            rf"{{SUBSTITUTE}} {{old}} {_TO} {{new}}",
            # "substitute NEW for OLD" is the dictionary's order; people also say the other.
            r"{SUBSTITUTE} {new} for {old}",
            Rule("", r"{SUBSTITUTE} {old} for {new}", rank=1),
            Rule("", r"{RESAY} {old} (?:as|to|to be|to say|to read) {new}", rank=1),
            r"(?:make|change|turn) {old} (?P<new>{Q})",
            Rule("", r"(?:let|have|make) {old} (?:be|become|say|read) {new}", rank=1),
            r"(?:i |i'd |we |we'd |i would )?(?:rather )?prefer {new} (?:to|over|instead of|rather than) {old}",
            r"(?:{SAY}|{CHANGE}|{REPLACE}|{SUBSTITUTE}|{RESAY}) {new} (?:{INSTEAD}|and not|not)(?: saying| using)? {old}",
            Rule("", r"{new} (?:instead of|rather than|in place of) {old}", rank=1),
            r"(?:{INSTEAD}|where it says|where (?:she|he) says)(?: saying| using)? {old} {SAY} {new}",
            r"not {old},? but(?: rather)? {new}",
            r"(?:don't|do not|never) (?:say|use) {old},? (?:but|{SAY})(?: say)? {new}",
            r"(?:(?:i |we )?(?:want|need|have|would like|'d like|i'd like) )?{old} {BECOME}[ :]+(?!{GONE}\Z|(?:{CHANGED}|added|inserted|placed|put|spoken|said)\b){new}",
            Rule("", r"{old} is now {new}", rank=1),
            r"{DELETE} {old},? (?:and|then|and then|but) (?:{INSERT}|use) {new} {SAME_PLACE}",
            r"{DELETE} {old},? (?:and|then|and then) {SAME_PLACE},? (?:{INSERT}|use) {new}",
        ),
        "zh": (
            r"{EXCHANGE}(?:一下)?{first}(?:和|与|跟|、|及|同){last}{ORDER}",
            r"(?:把|将|让)?{first}(?:和|与|跟|、|及|同){last}{ORDER}(?:互相|相互)?{EXCHANGE}(?:一下|过来)?{ORDER}",
            r"(?:把|将|让|使|由)?{old}{ALL}(?:应该|应当|需要|要|得|可以|全)?(?:被)?(?:{BECOME}){new}",
            r"(?:用|拿|以|使用){new}(?:来|去)?(?:替换掉?|代替|取代|替代|换掉|替|顶替|换下|换)(?:掉)?(?:原来的|原文的)?{old}",
            r"(?:把|将){old}(?:用|拿|以){new}(?:来|去)?(?:替换|代替|取代|替代|换)(?:掉|下)?",
            r"(?:不要|别|不|不用|不再|不应该)(?:再)?(?:说|讲|念|读|用|是){old}[，, ]?(?:而是|而要|而|要|应该|应|请|改|就)*(?:说|讲|念|读|用|是|换)(?:成|作)?{new}",
            Rule("", r"{old}(?:应该|应当|应|要|需要)(?:是|说|读|为)(?:成|作)?{new}", rank=1),
            r"(?:把|将)?{old}(?:替换|换|去|删|{DELETE})(?:掉|了|去)?[，,]?{AGAIN}(?:{BECOME}|换|改){new}",
            r"{DELETE}{old}[，,]?{AGAIN}(?:{BECOME}){new}",
            r"{DELETE}{old}[，,]{AGAIN}(?:在|于)(?:原处|原位置?|原来的?(?:位置|地方)|那里|同样的?位置|相同的?位置|此处|这里){INSERT}{new}",
            r"(?:替换|更换|修改|改|换|变更)(?:掉)?{old}(?:为|成|到|作){new}",
            r"(?:替换|更换|修改|代替|换掉){old}[，,]?(?:用|以|使用){new}",
            r"(?:说|用|讲){new}(?:而不是|而不说|而非|，?不要说|，?别说|，?不说){old}",
            r"(?:把|将)(?P<old>{Q})(?:成|为|换|改|变)(?P<new>{Q})",
        ),
    }
    task = "substitution"
    sentences = {
        "published": ("substitute {ref} with {new}",),
        "en": (
            "Replace {ref} with {new}.",
            "Change {ref} to {new}.",
            "Swap {ref} for {new}.",
            "Please substitute {ref} with {new}.",
            "Turn {ref} into {new}.",
            "Say {new} instead of {ref}.",
        ),
        "zh": ("把{ref}换成{new}", "将{ref}替换为{new}", "请把{ref}改成{new}", "用{new}替换{ref}"),
    }

    def published(self, op: Any, text: Any) -> str:
        """See `EditOperation.published`."""
        return f"substitute {published_span(op, text)} with '{op.new}'"

    def pair(self, material: Material, rng: Random) -> Pair:
        """In the source, a stretch of the recording lies over another one of its stretches."""
        spoken, longest = material.spoken(), material.longest_span
        target, n = spoken.text, len(spoken.text)
        for _ in range(TRIES):
            i, j = draw_span(spoken, rng, longest, keep=2)
            p, q = draw_span(spoken, rng, longest, keep=0)
            same = [u.key for u in target.units[i:j]] == [u.key for u in target.units[p:q]]
            if (q <= i or p >= j) and not same:
                break
        else:
            raise NoPairError("too_short")
        source_text = Text(apply_edits(target, [TextEdit(i, j, target.slice(p, q))]))
        if len(source_text) != n - (j - i) + (q - p):
            raise NoPairError("text")
        pieces = [spoken.wav[: spoken.points[i]], spoken.span(p, q), spoken.wav[spoken.points[j] :]]
        source, spans = join(pieces, SAMPLE_RATE)
        end = i + q - p
        return Pair(
            self.name,
            worded(Ask(self, source_text, (i, end), target.slice(i, j), target.raw), rng),
            source,
            spoken.wav,
            source_text.raw,
            target.raw,
            cot=mark(target.raw, (i, j)),
            source_spans=[seconds_of(*spans[1])],
            target_spans=[seconds_of(spoken.points[i], spoken.points[j])],
            params={"units": [i, end], "moved": [p, q]},
        )
