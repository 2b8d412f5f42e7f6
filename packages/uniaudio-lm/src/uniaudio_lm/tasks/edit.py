"""Edited speech from a recording and an instruction, as the published Edit checkpoint makes it.

Paper section 6.1. The prompt holds the recording and the instruction. The model writes text (for
edits of words: the new text with the edited region marked) up to `<gen_audio>`, and then speaks the
whole edited recording, patch by patch; its semantic stream goes on from the recording's.

Axes: T samples, L frames, P patches, S tokens, p frames of a patch, d latent dimensions, D width of
the language model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mingtok_audio.core.errors import AudioError, UserError
from mingtok_audio.core.runtime import seeded_generator
from mingtok_audio.modules.kv_cache import FullCache
from mingtok_audio.modules.transformer import TransformerState
from uniaudio_lm.config import Sampling
from uniaudio_lm.interfaces import TextInfo
from uniaudio_lm.model import prompts
from uniaudio_lm.model.generation import Item, Noise, SeededNoise, Step, generate
from uniaudio_lm.model.prompts import Prompt
from uniaudio_lm.parts.stop.linear import PUBLISHED_MIN_PATCHES
from uniaudio_lm.samples import as_samples

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from uniaudio_lm.model.speech_lm import SpeechLM

# The published edit asks one patch less than speech; its step limit follows from the prompt.
EDIT_MIN_PATCHES, STEPS_PER_TOKEN, MIN_STEPS = PUBLISHED_MIN_PATCHES - 1, 2.5, 100
MIN_SECONDS = 0.1


class NoSpeechError(UserError):
    """The model wrote to the limit and did not come to speak."""


@dataclass(frozen=True)
class EditRun:
    """One generation, as it went.

    Attributes:
        prompt: its token ids.
        embeds: (1, S, D) the prompt as the language model saw it.
        tokens: the text's ids, `<gen_audio>` included.
        steps: all of them, of text and audio.
        reason: why it ended ("stop", "max_length", "silence", "loop"; "end_of_text" where only the
            text was asked for).
    """

    prompt: Prompt
    embeds: Tensor
    tokens: list[int]
    steps: list[Step]
    reason: str

    @property
    def latents(self) -> Tensor | None:
        """(1, L, d) of the edited recording; None where the model did not come to speak."""
        parts = [step.patches for step in self.steps if step.patches is not None]
        return torch.cat(parts).flatten(0, 1)[None] if parts else None

    @property
    def patches(self) -> int:
        """Spoken."""
        return sum(len(step.items) for step in self.steps)

    def answer(self, model: SpeechLM) -> str:
        """What the model wrote, as it stands, without `<gen_audio>`."""
        written = model.text_tokenizer.decode(self.tokens, specials=True)
        return written.removesuffix(prompts.GENERATE_AUDIO).removesuffix(prompts.END_OF_TEXT)


@dataclass(frozen=True)
class EditedSpeech:
    """An edited recording.

    Attributes:
        wav: (T,) float32 on the CPU.
        answer: what the model wrote before it spoke, without `<gen_audio>`. Models that are
            trained for it write nothing where the sound alone is edited.
        stop_reason: "stop" only where the learned head fired.
        patches: made.
        run: how it went.
    """

    wav: Tensor
    sample_rate: int
    answer: str
    stop_reason: str
    patches: int
    run: EditRun


@torch.no_grad()
def source_latents(
    model: SpeechLM, wav: ArrayLike | Tensor, sample_rate: int, noise: Tensor | None = None
) -> Tensor:
    """The latents (1, L, d) of a recording (T,), L a multiple of p.

    The mean of the posterior, or a sample made with `noise` (1, L, d), as the published code
    always draws. A last patch that is not full is dropped where the model was trained so, and
    filled with silence otherwise.

    Raises:
        AudioError: no samples, NaN or infinity, or less than a patch.
    """
    array = as_samples(wav, sample_rate)
    if len(array) < MIN_SECONDS * sample_rate:
        raise AudioError(f"the recording is shorter than {MIN_SECONDS} s: there is nothing to edit")
    config = model.tokenizer.config
    size = model.config.patch_size
    if not getattr(model.compressor, "drop_last", False):
        whole = size * config.hop_length * sample_rate / config.sample_rate
        missing = math.ceil(math.ceil(len(array) / whole - 1e-9) * whole) - len(array)
        array = np.pad(array, (0, missing))
    posterior = model.tokenizer.encode_posterior(array, sample_rate)
    latents = posterior.mean if noise is None else posterior.sample(noise=noise)
    return latents[:, : latents.shape[1] // size * size]


@torch.no_grad()
def run_edit(
    model: SpeechLM,
    latents: Tensor,
    instruction: str,
    *,
    use_cot: bool,
    noise: Noise | None,
    sampling: Sampling,
) -> EditRun:
    """The published generation: text until `<gen_audio>`, then speech until the stop head fires.

    Args:
        latents: (1, L, d) of the recording, see `source_latents`.
        instruction: the whole sentence between `<prompt>` and `</prompt>`; special tokens in it
            are taken as letters.
        use_cot: begin with `<answer>`, as for edits of words.
        noise: of the generation head; None asks for the text alone.

    Raises:
        UserError: an empty instruction, or a recording that leaves the model no room to speak.
    """
    if not instruction.strip():
        raise UserError("the instruction is empty")
    size = model.config.patch_size
    if latents.shape[1] < size:
        raise AudioError("the recording is shorter than one patch of this model")
    text = model.text_tokenizer
    state = model.new_feature_state()
    patches = model.embed_audio(latents, state)[0]
    prompt = prompts.encode(text, prompts.edit(instruction, len(patches), use_cot))
    embeds, _ = model.embed_prompt(prompt, [patches])
    limit = max(math.floor(STEPS_PER_TOKEN * len(prompt.ids)), MIN_STEPS)
    speak = text.special(prompts.GENERATE_AUDIO)
    if noise is None:
        end = frozenset([speak, text.special(prompts.END_OF_TEXT)])
        item = Item(embeds[0], "text", max_steps=limit, end_tokens=end)
    else:
        most = min(limit, _room(model, state))
        info = TextInfo(
            min_patches=_least(model), max_patches=most, patch_seconds=model.patch_seconds
        )
        item = Item(
            embeds[0],
            "text",
            features=state,
            noise=noise,
            info=info,
            max_steps=limit,
            audio_token=speak,
        )
    steps = list(generate(model, [item], sampling))
    tokens = [step.tokens[0] for step in steps if 0 in step.tokens]
    return EditRun(prompt, embeds, tokens, steps, steps[-1].finished[0])


def _room(model: SpeechLM, state: TransformerState) -> int:
    """Patches that the stream of features can still take: where a layer attends to everything, the
    recording and its edit together have a bound."""
    if not any(isinstance(layer, FullCache) for layer in state.layers):
        return 1 << 30
    left = (model.tokenizer.config.max_frames - state.position) // model.config.patch_size
    if left < 1:
        seconds = model.tokenizer.config.max_frames / model.tokenizer.frame_rate
        raise UserError(
            f"the recording is too long for this model: it and its edit together may have "
            f"{seconds:.0f} s"
        )
    return left


def _least(model: SpeechLM) -> int | None:
    """The minimum of patches: the published one for models that have it for speech."""
    asked = getattr(model.stop_detector, "min_patches", None)
    return EDIT_MIN_PATCHES if asked == PUBLISHED_MIN_PATCHES else None


@torch.no_grad()
def edit(
    model: SpeechLM,
    wav: ArrayLike | Tensor,
    sample_rate: int,
    instruction: str,
    *,
    use_cot: bool,
    sampling: Sampling,
    seed: int = 0,
    noise: Noise | None = None,
    posterior_noise: Tensor | None = None,
) -> EditedSpeech:
    """See `UniAudio.edit`; `noise` takes the place of the seed, `posterior_noise` is as in
    `source_latents`."""
    if noise is None:
        noise = SeededNoise(seeded_generator(seed))
    latents = source_latents(model, wav, sample_rate, posterior_noise)
    made = run_edit(model, latents, instruction, use_cot=use_cot, noise=noise, sampling=sampling)
    if made.latents is None:
        raise NoSpeechError(
            f"the model wrote {len(made.tokens)} tokens and did not come to speak: it may not be "
            "trained for edits"
        )
    speech = model.speech_of(made.latents)[0].float().cpu()
    rate = model.tokenizer.config.sample_rate
    return EditedSpeech(speech, rate, made.answer(model), made.reason, made.patches, made)


@torch.no_grad()
def edit_answer(
    model: SpeechLM, wav: ArrayLike | Tensor, sample_rate: int, instruction: str
) -> tuple[str, bool]:
    """Only the text that `edit` writes before it speaks, and whether it came to its end."""
    made = run_edit(
        model,
        source_latents(model, wav, sample_rate),
        instruction,
        use_cot=True,
        noise=None,
        sampling=Sampling(),
    )
    return made.answer(model), made.reason == "end_of_text"
