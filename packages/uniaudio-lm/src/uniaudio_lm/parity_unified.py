"""Parity of the whole model: recognition, voice-prompted speech, editing. See `parity`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mingtok_audio.core.config import load_json
from mingtok_audio.core.errors import UserError
from mingtok_audio.parity import Tensors
from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.config import Sampling
from uniaudio_lm.interfaces import TextInfo
from uniaudio_lm.model import prompts
from uniaudio_lm.model.generation import Item, RecordedNoise, Step, generate
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.parts.stop.linear import LinearStop
from uniaudio_lm.tasks.edit import EditedSpeech, NoSpeechError, edit

NEW_TOKENS = 16


@dataclass(frozen=True)
class EditCase:
    """A recorded edit: what it was asked, its recording (T,), and the random numbers in it.

    Attributes:
        posterior_noise: (1, L, d).
    """

    instruction: str
    use_cot: bool
    wav: Tensor
    posterior_noise: Tensor
    noise: RecordedNoise
    sampling: Sampling


def direct_edit(model: SpeechLM, case: EditCase) -> EditedSpeech:
    """A recorded edit by this package alone."""
    return edit(
        model,
        case.wav,
        model.tokenizer.config.sample_rate,
        case.instruction,
        use_cot=case.use_cot,
        noise=case.noise,
        sampling=case.sampling,
        posterior_noise=case.posterior_noise,
    )


@torch.no_grad()
def unified_outputs(
    folder: Path,
    io: Tensors,
    options: argparse.Namespace,
    editing: Callable[[SpeechLM, EditCase], EditedSpeech] = direct_edit,
) -> Tensors:
    """Every run of `layout.json` whose inputs are recorded. `editing` makes the edits: what is
    built on this package is compared by giving its own."""
    model = load_model(folder)
    runs = load_json(folder / "layout.json")["runs"]
    out: Tensors = {}
    for name, run in runs.items():
        if not isinstance(run, Mapping) or f"{name}.enc_noise_bdt" not in io:
            continue
        inputs = {k[len(name) + 1 :]: v for k, v in io.items() if k.startswith(f"{name}.")}
        wav = inputs.get("waveform", io.get("prompt_wav"))
        if wav is None:
            raise UserError(f"{folder}: run {name!r} has no waveform")
        inputs["waveform"] = wav.view(1, -1)
        detector = model.stop_detector
        assert isinstance(detector, LinearStop)
        kept = detector.stop_head.bias.clone()
        if "stop_bias" in run:
            detector.stop_head.bias.copy_(torch.tensor(run["stop_bias"]))
        if "init_noise_bct" not in inputs:
            found = _recognition(model, run, inputs)
        elif "use_cot" in run:
            found = _edit(model, run, inputs, editing)
        else:
            found = _speech(model, run, inputs)
        detector.stop_head.bias.copy_(kept)
        out |= {f"{name}.{key}": tensor for key, tensor in found.items()}
    return {key: value for key, value in out.items() if key in io}


def _audio_input(model: SpeechLM, inputs: Tensors) -> tuple[Tensor, Tensor, Any]:
    """The recording's latents (1, L, d), cut to whole patches; its patches (P, D); the stream."""
    posterior = model.tokenizer.posterior_of(inputs["waveform"])
    noise = inputs["enc_noise_bdt"].transpose(1, 2)  # (B, d, L) -> (B, L, d)
    latents = posterior.sample(noise=noise)
    size = model.config.patch_size
    latents = latents[:, : latents.shape[1] // size * size]
    state = model.new_feature_state()
    return latents, model.embed_audio(latents, state)[0], state


def _recognition(model: SpeechLM, run: Mapping[str, Any], inputs: Tensors) -> Tensors:
    _, patches, _ = _audio_input(model, inputs)
    text = model.text_tokenizer
    prompt = prompts.encode(text, prompts.chat(run["messages"], [len(patches)]))
    prompt.ids += prompts.language_hint(text, run.get("lang"))
    embeds, mask = model.embed_prompt(prompt, [patches])
    end = frozenset(run.get("eos", [text.special(prompts.END_OF_TEXT)]))
    item = Item(embeds[0], "text", audio_mask=mask[0], max_steps=NEW_TOKENS, end_tokens=end)
    new = [step.tokens[0] for step in generate(model, [item], Sampling())]
    ids = torch.tensor([prompt.ids])
    start, count = prompt.spans[0]
    positions = torch.arange(ids.shape[1]).expand(3, 1, -1)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "audio_mask": mask,
        "audio_placeholder_loc_lens": torch.tensor([[[start, count]]]),
        "first_position_ids": positions.clone(),
        "second_position_ids": torch.full((3, 1, 1), ids.shape[1]),
        "llm_prompt_embeds": embeds,
        "generated_ids": torch.cat((ids, torch.tensor([new])), dim=1),
    }


def _recorded(model: SpeechLM, inputs: Tensors) -> tuple[RecordedNoise, Sampling]:
    initial = inputs["init_noise_bct"][:, 0].transpose(1, 2)  # (P, d, p) -> (P, p, d)
    sampling = model.config.sampling
    return RecordedNoise(initial, inputs["step_noise"][:, :, 0]), sampling


def _audio_outputs(model: SpeechLM, steps: list[Step], folder_steps: Tensors) -> Tensors:
    """What the audio steps made: hidden states, stop logits, latents, and every input."""
    spoken = [step for step in steps if step.items]
    latents = torch.cat([s.patches for s in spoken if s.patches is not None], dim=0)
    hidden = torch.cat([s.hidden for s in spoken if s.hidden is not None], dim=0)
    detector = model.stop_detector
    assert isinstance(detector, LinearStop)
    fed = [step.inputs[0] for step in steps if 0 in step.inputs]
    return {
        "z_diff": hidden[None],
        "stop_logits": detector.logits(hidden)[None],
        "latents": latents.flatten(0, 1)[None],
        "llm_step_embeds": torch.stack(fed)[None] if fed else hidden[None, :0],
    }


def _speech(model: SpeechLM, run: Mapping[str, Any], inputs: Tensors) -> Tensors:
    latents, patches, state = _audio_input(model, inputs)
    segments = prompts.speech(run["text"], run["prompt_text"], len(patches))
    prompt = prompts.encode(model.text_tokenizer, segments, join=False)
    embeds, _ = model.embed_prompt(prompt, [patches])
    noise, sampling = _recorded(model, inputs)
    text = str(run["text"])
    units = len(text) if run.get("lang", "zh") == "zh" else len(text.split())
    limit = units // 3 * 25
    item = Item(
        embeds[0],
        "audio",
        history=latents[0, -model.config.patch_size :],
        features=state,
        noise=noise,
        info=TextInfo(max_patches=limit),
        max_steps=limit,
    )
    steps = list(generate(model, [item], sampling))
    out = _audio_outputs(model, steps, inputs)
    wav = model.tokenizer.wav_of(out["latents"])
    if steps[-1].finished[0] != "stop":
        # The published loop never flushes its decoder when the limit ends it.
        wav = wav[:, : wav.shape[1] - model.tokenizer.decoder.head.pad]
    ids = torch.tensor(prompt.ids)
    positions = torch.arange(len(ids)).expand(3, 1, -1)
    return out | {
        "input_ids": ids,
        "llm_prompt_embeds": embeds,
        "first_position_ids": positions.clone(),
        "second_position_ids": torch.full((3, 1, 1), len(ids)),
        "wave": wav,
    }


_INSTRUCTION = re.compile(r"<prompt>(.*)\n</prompt>", re.DOTALL)


def _edit(
    model: SpeechLM,
    run: Mapping[str, Any],
    inputs: Tensors,
    editing: Callable[[SpeechLM, EditCase], EditedSpeech],
) -> Tensors:
    instruction = _INSTRUCTION.search(str(run["text"]))
    if instruction is None:
        raise UserError("layout.json: an edit's text has no <prompt>...</prompt>")
    drawn = inputs["enc_noise_bdt"].transpose(1, 2)  # (B, d, L) -> (B, L, d)
    case = EditCase(
        instruction[1],
        bool(run["use_cot"]),
        inputs["waveform"][0],
        drawn,
        *_recorded(model, inputs),
    )
    try:
        speech = editing(model, case)
    except NoSpeechError:
        return {}  # the published code fails there, and has nothing to compare
    made = speech.run
    ids = torch.tensor([made.prompt.ids])
    start, count = made.prompt.spans[0]
    return _audio_outputs(model, made.steps, inputs) | {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "audio_placeholder_loc_lens": torch.tensor([[[start, count]]]),
        "llm_prompt_embeds": made.embeds,
        "wave": speech.wav[None, None],
    }
