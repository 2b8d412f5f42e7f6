"""Free questions about recordings, in one turn or several (`spec`: speech question answering).

The same prompt as recognition with another text; greedy and from the posterior's mean, so the same
question has the same answer. Axes: T samples, P patches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from mingtok_audio.core.errors import AudioError, UserError
from uniaudio_lm.config import Sampling
from uniaudio_lm.model import prompts
from uniaudio_lm.model.generation import Item, generate
from uniaudio_lm.tasks.asr import embed_recording, prepare_wav

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from uniaudio_lm.model.speech_lm import SpeechLM

MAX_SECONDS = 600.0
MAX_PROMPT = 20_000


@dataclass(frozen=True)
class Answer:
    """Attributes: text; truncated: the token limit ended it."""

    text: str
    truncated: bool = False


def ask(  # noqa: PLR0917
    model: SpeechLM,
    wav: ArrayLike | Tensor,
    sample_rate: int,
    prompt: str | None,
    history: Sequence[tuple[str | None, str]] = (),
    max_tokens: int = 512,
) -> Answer:
    """See `UniAudio.ask`."""
    messages: list[dict[str, Any]] = []
    for question, answer in history:
        messages += [_says(prompts.HUMAN, question), _says(prompts.ASSISTANT, answer)]
    messages.append(_says(prompts.HUMAN, prompt))
    if prompt is not None and not prompt.strip():
        raise UserError("the prompt is empty: ask something about the recording")
    messages[0]["content"].append({"type": "audio", "audio": wav, "sample_rate": sample_rate})
    return chat(model, messages, max_tokens)


def _says(role: str, text: str | None) -> dict[str, Any]:
    content = [] if text is None else [{"type": "text", "text": text}]
    return {"role": role, "content": content}


@torch.no_grad()
def chat(model: SpeechLM, messages: Sequence[Mapping[str, Any]], max_tokens: int = 512) -> Answer:
    """See `UniAudio.chat`."""
    if max_tokens < 1:
        raise UserError(f"max_tokens must be at least 1, not {max_tokens}")
    parts = [part for message in messages for part in message.get("content", ())]
    length = sum(len(str(part.get("text", ""))) for part in parts)
    if length > MAX_PROMPT:
        raise UserError(f"the prompt has {length:,} characters; at most {MAX_PROMPT:,} are taken")
    patches = []
    for part in parts:
        if part.get("type") == "audio":
            if not {"audio", "sample_rate"} <= part.keys():
                raise UserError("an audio part needs 'audio' (samples) and 'sample_rate'")
            rate = model.tokenizer.config.sample_rate
            wav = prepare_wav(part["audio"], part["sample_rate"], rate)
            if len(wav) / rate > MAX_SECONDS:
                raise AudioError(
                    f"the recording has {len(wav) / rate:.0f} s; questions are about at most "
                    f"{MAX_SECONDS:.0f} s: cut it"
                )
            patches.append(embed_recording(model, wav))
    text = model.text_tokenizer
    prompt = prompts.encode(text, prompts.chat(messages, [len(p) for p in patches]))
    embeds, mask = model.embed_prompt(prompt, patches)
    end = frozenset([text.special(prompts.END_OF_TEXT)])
    item = Item(embeds[0], "text", audio_mask=mask[0], max_steps=max_tokens, end_tokens=end)
    tokens: list[int] = []
    truncated = False
    for step in generate(model, [item], Sampling()):
        tokens.append(step.tokens[0])
        truncated = step.finished.get(0) == "max_length"
    return Answer(text.decode(tokens).strip(), truncated)
