"""The prompts that the published checkpoints were trained with, as token ids.

A prompt is a list of segments: special tokens, texts, and audio (a number of patches between
`<audio>` and `</audio>`). Texts are tokenised between special tokens, each run of text at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mingtok_audio.core.errors import UserError
from uniaudio_lm.text.tokenizer import TextTokenizer

END_OF_TEXT = "<|endoftext|>"
GENERATE_AUDIO = "<gen_audio>"
RECOGNIZE = "Please recognize the language of this speech and transcribe it. Format: oral."
# As published, grammar included: the checkpoints know this wording.
HOTWORDS = " This audio may contains the following words or phrases:"
SPEAK = "Please translate the text to speech.\n"
HUMAN, ASSISTANT = "HUMAN", "ASSISTANT"


@dataclass(frozen=True)
class Special:
    """A special token."""

    token: str


@dataclass(frozen=True)
class Audio:
    """A recording of `patches` patches; an open one has no closing token (speech follows)."""

    patches: int
    closed: bool = True


Segment = Special | Audio | str


@dataclass
class Prompt:
    """Token ids, with placeholders where audio patches go.

    Attributes:
        spans: (start, count) of each recording's placeholders, in order.
    """

    ids: list[int] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)


def encode(tokenizer: TextTokenizer, segments: Sequence[Segment], join: bool = True) -> Prompt:
    """Segments as token ids.

    Args:
        join: neighbouring texts are tokenised as one; otherwise each on its own.
    """
    prompt = Prompt()
    held = ""

    def flush() -> None:
        nonlocal held
        if held:
            prompt.ids += tokenizer.encode(held)
        held = ""

    for segment in segments:
        if isinstance(segment, str):
            if not join:
                flush()
            held += segment
            continue
        flush()
        if isinstance(segment, Special):
            prompt.ids.append(tokenizer.special(segment.token))
            continue
        prompt.ids.append(tokenizer.special("<audio>"))
        prompt.spans.append((len(prompt.ids), segment.patches))
        prompt.ids += [tokenizer.special("<audioPatch>")] * segment.patches
        if segment.closed:
            prompt.ids.append(tokenizer.special("</audio>"))
    flush()
    return prompt


def role(name: str) -> list[Segment]:
    """`<role>NAME</role>`."""
    return [Special("<role>"), name, Special("</role>")]


def chat(messages: Sequence[Mapping[str, Any]], patches: Sequence[int]) -> list[Segment]:
    """A conversation, up to where the assistant answers.

    Args:
        messages: `{"role": "HUMAN" or "ASSISTANT", "content": [{"type": "text", "text": ...} or
            {"type": "audio", ...}]}`.
        patches: of each recording, in order.

    Raises:
        UserError: a message of another form, or another number of recordings.
    """
    segments = role(HUMAN)
    left = list(patches)
    for message in messages:
        parts: list[Segment] = []
        for part in message.get("content", ()):
            kind = part.get("type")
            if kind == "text":
                parts.append(str(part.get("text", "")))
            elif kind == "audio":
                if not left:
                    raise UserError("the conversation has more recordings than were given")
                parts.append(Audio(left.pop(0)))
            else:
                raise UserError(f"a message holds text or audio, not {kind!r}")
        if message.get("role") == ASSISTANT:
            segments += [*role(ASSISTANT), *parts, *role(HUMAN)]
        elif message.get("role") == HUMAN:
            segments += parts
        else:
            raise UserError(f"a role is HUMAN or ASSISTANT, not {message.get('role')!r}")
    if left:
        raise UserError("more recordings were given than the conversation has")
    return segments + role(ASSISTANT)


def recognition(patches: int, hotwords: Sequence[str] = ()) -> list[Segment]:
    """Recognise a recording; `hotwords` in the published wording."""
    hint = HOTWORDS + ",".join(hotwords) if hotwords else ""
    return [*role(HUMAN), RECOGNIZE + hint, Audio(patches), *role(ASSISTANT)]


def question(text: str, patches: int) -> list[Segment]:
    """One turn of `chat`: `text` is asked about a recording; "" where the recording itself asks."""
    return [*role(HUMAN), *filter(None, [text]), Audio(patches), *role(ASSISTANT)]


def language_hint(tokenizer: TextTokenizer, language: str | None) -> list[int]:
    """What the answer is made to begin with: the model answers "language TAB text"."""
    return [] if language is None else tokenizer.encode(f"{language}\t")


def speech(text: str, prompt_text: str, patches: int) -> list[Segment]:
    """Say `text` in the voice of a recording of `patches` patches that says `prompt_text`.

    Encode it with `join=False`: the pieces are tokenised one by one.
    """
    return [
        *role(HUMAN),
        SPEAK + prompt_text,
        text,
        *role(ASSISTANT),
        Audio(patches, closed=False),
    ]


def edit(instruction: str, patches: int, use_cot: bool) -> list[Segment]:
    """Edit a recording. With `use_cot` the new text comes before the speech (semantic edits)."""
    answer: list[Segment] = [Special("<answer>")] if use_cot else []
    return [
        *role(HUMAN),
        Audio(patches),
        Special("<prompt>"),
        f"{instruction}\n",
        Special("</prompt>"),
        *role(ASSISTANT),
        *answer,
    ]
