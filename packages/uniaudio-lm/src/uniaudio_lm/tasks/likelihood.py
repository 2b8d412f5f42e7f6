"""How likely recognition finds a text: for choosing among takes or transcripts (not in the paper).

Axes: T samples, n tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mingtok_audio.core.errors import UserError
from uniaudio_lm.checks import check_hints
from uniaudio_lm.config import Sampling, known_language
from uniaudio_lm.model import prompts
from uniaudio_lm.model.generation import Item, generate
from uniaudio_lm.tasks.asr import (
    SEGMENT_SECONDS,
    conditioned,
    embed_recording,
    prepare_wav,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from uniaudio_lm.model.speech_lm import SpeechLM

_LEAD_TOKENS = 8  # that a language's name may take


@torch.no_grad()
def text_log_probs(
    model: SpeechLM,
    wav: ArrayLike | Tensor,
    sample_rate: int,
    text: str,
    language: str | None = None,
) -> Tensor:
    """See `UniAudio.log_likelihood`: of each token of `text` and of its end, (n,) on the CPU."""
    text = " ".join(text.split())
    if not text:
        raise UserError("the text whose likelihood is asked for is empty")
    check_hints(language, ())
    if language is not None:
        language = known_language(language, model.config.recognition.languages, model.model_id)
    rate = model.tokenizer.config.sample_rate
    samples = prepare_wav(wav, sample_rate, rate)
    if len(samples) > SEGMENT_SECONDS * rate:
        raise UserError(f"a likelihood is of at most {SEGMENT_SECONDS:g} s of speech; cut it")
    patches = embed_recording(model, conditioned(model, samples, rate))
    tokenizer = model.text_tokenizer
    prompt = prompts.encode(tokenizer, prompts.recognition(len(patches)))
    lead = prompts.language_hint(tokenizer, language)
    if language is None:
        lead = _named_language(model, model.embed_prompt(prompt, [patches]))
    wanted = [*tokenizer.encode(text), tokenizer.special(prompts.END_OF_TEXT)]
    prompt.ids += lead + wanted
    embeds, mask = model.embed_prompt(prompt, [patches])
    state = model.backbone.new_state(1, embeds.shape[1])
    hidden = model.backbone(embeds, state, audio_mask=mask)[0, -len(wanted) - 1 : -1]
    scores = model.backbone.logits(hidden).float().log_softmax(dim=-1)
    return scores.cpu()[torch.arange(len(wanted)), torch.tensor(wanted)]


def _named_language(model: SpeechLM, prompt: tuple[Tensor, Tensor]) -> list[int]:
    """What the model's own answer begins with: a language and its tab; nothing if it names none."""
    tab = model.text_tokenizer.encode("\t")[-1]
    item = Item(
        prompt[0][0],
        "text",
        audio_mask=prompt[1][0],
        max_steps=_LEAD_TOKENS,
        end_tokens=frozenset([tab]),
    )
    tokens = [step.tokens[0] for step in generate(model, [item], Sampling()) if 0 in step.tokens]
    return tokens if tokens[-1:] == [tab] else []
