"""`emotion` and `dialect`: another way of speaking, which only a model trained on edits can make."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, ClassVar

from uniaudio_edit.data.pair import Material, Pair
from uniaudio_edit.operations.base import EditOperation, NamedOperation
from uniaudio_edit.operations.labels import DIALECTS, EMOTIONS, find_label

_CHANGE = r"(?:change|convert|turn|switch|set|make|shift|alter|transform|adjust|modify)"
_FEELING = r"(?:情绪|情感|语气|口吻|语调|心情|感情|声音|感觉|腔调|情绪状态)"
_ZH_CHANGE = (
    r"(?:改成|改为|换成|变成|变为|调整为|调成|转为|换为|变得|转换成|转换为|设为|改变成|调为)"
)
_VOICE = r"(?:口音|方言|腔调|腔|话|语言|语音)"


class _Style(NamedOperation):
    """Parameter `label`; only the backend `lm` can make it."""

    labels: ClassVar[Mapping[str, str]] = {}
    task = "parallel"

    def understood(
        self, found: Mapping[str, Any], clause: Any
    ) -> tuple[dict[str, Any], list[str]] | None:
        """A label by one of its names."""
        label = find_label(str(found["label"]), self.labels)
        return None if label is None else ({"label": label}, [])

    def pair(self, material: Material, rng: Random) -> Pair:
        """The target is a recording of the same words with another emotion or in another dialect."""
        other, kind, label = material.parallel(rng)
        style = material.style(rng)
        sentences: EditOperation = Emotion() if kind == "emotion" else Dialect()
        instruction = sentences.sentence(style, rng, label=label)
        return material.pair(kind, instruction, material.wav(), other, label=label)


class Emotion(_Style):
    """How the speaker feels."""

    name = "emotion"
    example = "make the speaker sound happy"
    labels = EMOTIONS
    quoted_about = {"en": r"emotion|mood|tone", "zh": "情绪|情感|语气"}
    wordings = {
        "en": (
            rf"(?=.*\b(?:emotion|mood|feeling|sentiment|tone)\b)(?:{_CHANGE}|give|use|apply|render|deliver)\b.*?\b(?:to|into|as|be|a|an|in)? ?(?:more )?(?P<label>[a-z]+)(?: (?:mood|emotion|tone|feeling|voice|style))?",
            r"(?:make|have|let) (?:it|her|him|them|me|the (?:speaker|voice|speech|audio|recording)|this) (?:sound |be |speak |feel )?(?:more |very |really )?(?P<label>[a-z]+)",
            r"(?:say|speak|read|sound|deliver)(?: it| this| that)? (?:in an? |with )?(?:more )?(?P<label>[a-z]+)(?: (?:voice|tone|way|manner|mood|emotion))?",
        ),
        "zh": (
            rf"{_FEELING}?{_ZH_CHANGE}(?P<label>.+?)(?:的)?(?:{_FEELING})?(?:来?(?:说|讲|读|念))?",
            rf"(?:用|以)(?:一种)?(?P<label>.+?)(?:的|地)?(?:{_FEELING})?(?:来)?(?:说|讲|读|念|朗读|表达|说话|说出来)?(?:一遍)?",
            r"(?:说|讲|读|念|听起来|听上去|表现|显得)(?:得|的)?(?:更|很|非常|再)?(?P<label>.+?)(?:一点|一些|些)?",
            r".*?(?:听起来|听上去|变得|显得)(?:更|很|非常)?(?P<label>.+?)(?:一点|一些|些)?",
            r"(?P<label>.+?)(?:地|的)(?:说|讲|读|念)(?:出来)?",
        ),
    }
    sentences = {
        "published": ("change the emotion to {label} mood",),
        "en": ("Say it in a {label} way.", "Make the speaker sound {label}."),
        "zh": ("把情绪换成{label}", "用{label}的语气说"),
    }

    def published(self, op: Any, text: Any) -> str:
        """See `EditOperation.published`."""
        return f"change the emotion to {op.params['label']} mood"


class Dialect(_Style):
    """Where the speaker comes from."""

    name = "dialect"
    example = "change the accent to Cantonese"
    task = ""
    labels = DIALECTS
    quoted_about = {"en": r"accent|dialect", "zh": "口音|方言"}
    wordings = {
        "en": (
            r"(?=.*\b(?:accent|dialect)\b).*\b(?:to|into|in|with|as|a|an|use|speak)\b (?:the |an? )?(?P<label>[a-z]+)(?: (?:accent|dialect|speech))?",
            r"(?=(?:say|speak|read|make|convert|turn|change|switch|have|translate|use)\b)(?=.*\b(?:in|into|to|speak|use)\b).*\b(?:to|into|in|with|as|a|an|use|speak)\b (?:the |an? )?(?P<label>[a-z]+)(?: (?:accent|dialect|speech))?",
        ),
        "zh": (
            rf"(?:{_VOICE})?{_ZH_CHANGE}(?P<label>.+?)(?:的)?(?:{_VOICE})?(?:来?(?:说|讲|读))?",
            rf"(?:用|以|说|讲|换|改用|带)(?P<label>.+?)(?:的)?(?:{_VOICE})?(?:来)?(?:说|讲|读|念|朗读|表达)?(?:一遍)?",
            rf"(?:把|将)?(?:{{AUDIO}}|它|{_VOICE})?(?:翻译|转换|转|改|变|换)(?:成|为|到)(?P<label>.+?)(?:的)?(?:{_VOICE})?",
        ),
    }
    sentences = {
        "published": ("change the accent of the speech to {label}",),
        "en": ("Say it with a {label} accent.", "Switch the accent to {label}."),
        "zh": ("把口音换成{label}", "把口音改成{label}"),
    }

    def published(self, op: Any, text: Any) -> str:
        """See `EditOperation.published`."""
        return f"change the accent of the speech to {str(op.params['label']).capitalize()}"
