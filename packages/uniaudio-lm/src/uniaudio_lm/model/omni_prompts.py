"""Prompts of Ming-omni-tts and Ming-3.0-tts: task, speaker slots, text, caption, clip.

Every piece is tokenised on its own (`prompts.encode` with `join=False`). What a user wrote is text:
special tokens in it become letters, so that no place of the prompt can shift.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mingtok_audio.core.config import near
from mingtok_audio.core.errors import UserError
from uniaudio_lm.config import PromptFormat
from uniaudio_lm.model.prompts import Audio, Prompt, Segment, Special, encode, role

if TYPE_CHECKING:
    from uniaudio_lm.model.speech_lm import SpeechLM

SPEECH = "Please generate speech based on the following description.\n"
SOUND = "Please generate audio events based on given text.\n"
MUSIC = "Please generate music based on the following description.\n"
TEXT_END = "<text_eos>"
_MUSIC_KEYS = ("Genre: ", "Mood: ", "Instrument: ", "Theme: ", "Duration: ")
_SPEAKER_TOKENS = {
    "omni_chatml": ("<|vision_start|>", "<|vision_pad|>", "<|vision_end|>"),
    "ming3": ("<|vision_start|>", "<|vision_pad|>", "<|vision_end|>"),
    "omni_role": ("<spk>", "<audioPatch>", "</spk>"),
}


@dataclass(frozen=True)
class OmniPrompt:
    """What the prompt says.

    Attributes:
        text: to be spoken, or a description of music or a sound.
        task: a task sentence that ends in a line break.
        clip_text: what the reference clip says; used only with `patches`.
        speakers: number of speaker slots.
        caption: JSON as of `caption`; None for none.
        patches: of the reference clip, whose text is known.
    """

    text: str
    task: str = SPEECH
    clip_text: str = ""
    speakers: int = 0
    caption: str | None = None
    patches: int = 0


def segments(prompt: OmniPrompt, style: PromptFormat, *, speech: bool = True) -> list[Segment]:
    """The pieces of a prompt; without `speech` it ends where the model writes text instead."""
    chatml = style != "omni_role"
    start, pad, end = _SPEAKER_TOKENS[style]
    out: list[Segment] = _human(chatml)
    out.append(prompt.task)
    for number in range(1, prompt.speakers + 1):
        out += [f"  speaker_{number}:", Special(start), Special(pad), Special(end), "\n"]
    if not all(key in prompt.text for key in _MUSIC_KEYS):
        out.append(" Text input:\n")
    if prompt.patches:
        out.append(prompt.clip_text)
    out.append(prompt.text)
    if chatml:
        out += [Special("<|im_end|>"), "\n", Special("<|im_start|>"), "assistant\n"]
    else:
        out += role("ASSISTANT")
    if prompt.caption is not None:
        closing = "<|im_end|>" if style == "ming3" else "<|endoftext|>"
        out += [prompt.caption, Special(closing)]
    return [*out, Audio(prompt.patches, closed=False)] if speech else out


def _human(chatml: bool) -> list[Segment]:
    if not chatml:
        return role("HUMAN")
    return [
        Special("<|im_start|>"),
        "system\nYou are a helpful assistant.",
        Special("<|im_end|>"),
        "\n",
        Special("<|im_start|>"),
        "user\n",
    ]


def embed(
    model: SpeechLM,
    prompt: OmniPrompt,
    rows: Sequence[Tensor | None] = (),
    patches: Tensor | None = None,
) -> tuple[Prompt, Tensor]:
    """A prompt's ids and embeddings (1, S, D).

    Args:
        rows: of each speaker slot: an embedding (E,), or None for the zero slot.
        patches: (P, D) of the reference clip.
    """
    style = model.config.prompt_format
    text = model.text_tokenizer
    made = encode(text, segments(prompt, style), join=False)
    embeds, _ = model.embed_prompt(made, [] if patches is None else [patches])
    if not rows:
        return made, embeds
    assert model.speaker_proj is not None
    opening = text.special(_SPEAKER_TOKENS[style][0])
    places = [i + 1 for i, token in enumerate(made.ids) if token == opening]
    embeds = embeds.clone()
    for place, row in zip(places, rows, strict=True):
        if row is None:
            embeds[0, place] = 0  # zero itself, not the projection's bias
        else:
            embeds[0, place] = model.speaker_proj(row.to(embeds))
    return made, embeds


def dialogue_text(turns: Sequence[tuple[int, str]]) -> str:
    """Turns (number of the speaker from 1, text) as the models were trained with them."""
    return "\n".join(f" speaker_{number}:{text}" for number, text in turns) + "\n"


def music_text(genre: str, mood: str, instrument: str, theme: str, seconds: float) -> str:
    """A description of music as the models were trained with it."""
    values = (genre, mood, instrument, theme, f"{seconds:g}s")
    return "".join(f" {key}{value}." for key, value in zip(_MUSIC_KEYS, values, strict=True))


# --- captions ------------------------------------------------------------------------------------

_BGM = ("Genre", "Mood", "Instrument", "Theme", "ENV", "SNR")
_KEYS = {
    "dialect": "方言",
    "style": "风格",
    "speed": "语速",
    "pitch": "基频",
    "volume": "音量",
    "emotion": "情感",
    "BGM": "BGM",
    "ip": "IP",
}
"""English names of a caption's keys, and the Chinese ones that the models were trained with."""
_ORDER = ("方言", "风格", "语速", "基频", "音量", "情感", "BGM", "IP")
_ORDER_WITH_BACKGROUND = ("BGM", "情感", "方言", "风格", "语速", "基频", "音量", "IP")


def caption(given: Mapping[str, Any], style: PromptFormat = "omni_chatml") -> str:
    """An instruction as the JSON text that the models were trained with.

    Args:
        given: by Chinese or English key: dialect, style, speed, pitch, volume, emotion, ip
            (texts), BGM (an object, which replaces the whole of the default one). Keys that are
            neither are dropped, as in the published code; `instruction` refuses them.
        style: Ming-3.0-tts has English keys where a dialect is given.
    """
    values: dict[str, Any] = dict.fromkeys(_ORDER)
    values["BGM"] = dict.fromkeys(_BGM)
    for key, value in given.items():
        name = _KEYS.get(key, key)
        if name in values:
            values[name] = value
    background = values["BGM"]
    if not isinstance(background, Mapping):
        raise UserError("an instruction's BGM is an object of Genre, Mood, Instrument, ENV, SNR")
    order = _ORDER if background.get("SNR") is None else _ORDER_WITH_BACKGROUND
    item: dict[str, Any] = {"序号": 1, "说话人": "speaker_1"}
    item |= {key: values[key] for key in order}
    if style == "ming3" and values["方言"] is not None:
        english = {chinese: key for key, chinese in _KEYS.items()}
        english |= {"序号": "id", "说话人": "speaker"}
        item = {english[key]: value for key, value in item.items()}
    return json.dumps({"audio_sequence": [item]}, ensure_ascii=False)


def checked_instruction(given: Mapping[str, Any]) -> dict[str, Any]:
    """An instruction under the models' own keys.

    Raises:
        UserError: an unknown key, or a value that is not text (BGM: not an object).
    """
    out: dict[str, Any] = {}
    for key, value in given.items():
        name = _KEYS.get(key, key)
        if name not in _ORDER:
            raise UserError(
                f"an instruction has no key {key!r}{near(key, _KEYS)} (it has {', '.join(_KEYS)})"
            )
        kind = Mapping if name == "BGM" else str
        if value is not None and not isinstance(value, kind):
            raise UserError(f"an instruction's {key} is {'an object' if name == 'BGM' else 'text'}")
        out[name] = value
    return out


def instruction(words: Sequence[str]) -> dict[str, Any]:
    """`key=value` words of a command line, such as `emotion=高兴`, as an instruction.

    Raises:
        UserError: an unknown key, or a word of another form.
    """
    out: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not value.strip():
            raise UserError(f"an instruction is key=value, such as speed=慢速, not {word!r}")
        out[key.strip()] = value.strip()
    return checked_instruction(out)


# --- the reference clip --------------------------------------------------------------------------


def padded_clip(wav: Tensor, step: int, style: PromptFormat) -> Tensor:
    """A clip (1, T) with zeros to a multiple of `step` samples: at its end, or at its front for
    Ming-3.0-tts, where its end is the history of the first patch."""
    missing = -wav.shape[-1] % step
    pads = (missing, 0) if style == "ming3" else (0, missing)
    return torch.nn.functional.pad(wav, pads)
