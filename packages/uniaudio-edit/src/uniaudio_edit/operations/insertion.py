"""`insertion`: new words between old ones. The backend `splice` lets a model say them."""

from __future__ import annotations

from random import Random
from typing import Any

from mingtok_audio.core.speech import FADE_SECONDS, join
from uniaudio_edit.data.cot import mark
from uniaudio_edit.data.pair import SAMPLE_RATE, Material, Pair, seconds_of
from uniaudio_edit.data.spoken import Ask, draw_span, worded
from uniaudio_edit.grammar.rules import Rule
from uniaudio_edit.operations.base import WordOperation
from uniaudio_edit.text import Text, TextEdit, apply_edits


class Insertion(WordOperation):
    """New words at a place."""

    name = "insertion"
    example = "insert 'so' after 'and'"
    wordings = {
        "en": (
            r"{INSERT} {new}[ ,]+(?={STARTERS}\b){place}",
            r"{INSERT} {place}[ ,:]+(?:(?:the )?(?:{UNIT}|phrase|text)[ :]*)?(?P<new>{Q})",
            r"(?=(?:{JUST}(?:{AFTER}|{BEFORE}|(?:in )?between)|at|to|on|in|as)\b){place} (?:(?:please|you|also|just|we) )*(?:{INSERT}|there should be|it should say|i want|we need) {new}",
            r"(?P<start>begin|start|open|lead|kick|preface|precede){WHOLE} (?:with|by saying) {new}",
            r"(?P<end>end|finish|close|conclude|complete|round){WHOLE} (?:with|by saying) {new}",
            r"(?P<after>follow(?: up)?) {anchor} (?:with|by) {new}",
            r"(?P<before>precede|preface) {anchor} (?:with|by) {new}",
            r"(?P<end>append|tack on|attach) {new}(?: (?:on ?to|to) (?:it|the \w+))?",
            r"(?P<start>prepend) {new}(?: to (?:it|the \w+))?",
            r"{new} {GO} (?:come|go|be (?:inserted|added|placed|put)) {place}",
        ),
        "zh": (
            Rule("", r"(?:把|将)?{place}{AND_THEN}{INSERT}(?:个(?=.))?{new}", unquoted=1),
            r"(?:把|将)?{new}{AND_THEN}{INSERT}(?:(?<=[到在于进入至])|(?=在|到|于|进)){place}",
            Rule("", r"{INSERT}{new}(?:在|到|于|进|至|，|,){place}", unquoted=1),
            Rule("", r"{INSERT}(?P<new>.*?{Q}[字词]?){place}", rank=1),
            r"(?:以|用|由|拿){new}(?:来)?(?P<start>开头|开始|起头|开场|打头)",
            r"(?:以|用|由|拿){new}(?:来)?(?P<end>结尾|结束|收尾|收场)",
            Rule("", r"(?P<start>开头|句首|开场)(?:是|为|用|改为加)?{new}", rank=1, quoted=True),
            Rule("", r"(?P<end>结尾|句尾|末尾)(?:是|为|用)?{new}", rank=1, quoted=True),
        ),
    }
    task = "insertion"
    sentences = {
        "published": ("insert {new} {place}",),
        "en": (
            "Insert {new} {place}.",
            "Please add {new} {place}.",
            "Put {new} {place}.",
            "Could you say {new} {place}?",
            "Place {new} {place}.",
            "I want {new} added {place}.",
        ),
        "zh": (
            "{place}插入{new}",
            "请{place}添加{new}",
            "{place}加上{new}",
            "帮我{place}加入{new}",
        ),
    }

    def published(self, op: Any, text: Any) -> str:
        """See `EditOperation.published`."""
        i = op.text_span[0]
        if i == len(text):
            return f"insert '{op.new}' at the end"
        if op.params.get("leans") == "before" or i == 0:
            return f"insert '{op.new}' before the character or word at index {i + 1}"
        return f"insert '{op.new}' after the character or word at index {i}"

    def pair(self, material: Material, rng: Random) -> Pair:
        """The source lacks words of the recording."""
        spoken = material.spoken()
        i, j = draw_span(spoken, rng, material.longest_span, keep=2)
        target = spoken.text
        source_text = Text(apply_edits(target, [TextEdit(i, j, "")]))
        source, spans = join(
            [spoken.wav[: spoken.points[i]], spoken.wav[spoken.points[j] :]], SAMPLE_RATE
        )
        ask = Ask(self, source_text, (i, i), target.slice(i, j), target.raw)
        edge, fade = spans[1][0], round(FADE_SECONDS * SAMPLE_RATE)
        return Pair(
            self.name,
            worded(ask, rng),
            source,
            spoken.wav,
            source_text.raw,
            target.raw,
            cot=mark(target.raw, (i, j)),
            source_spans=[seconds_of(edge, min(len(source), edge + fade))],
            target_spans=[seconds_of(spoken.points[i], spoken.points[j])],
            params={"units": [i, j]},
        )
