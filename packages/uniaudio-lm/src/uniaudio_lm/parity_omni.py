"""Parity of Ming-omni-tts: heads, speaker front end, and the whole model. See `parity`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.compressors.aggregator import AggregatorCompressor
from mingtok_audio.core.config import load_json
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.models.hub import load_tensors
from mingtok_audio.parity import Tensors, published_emission
from uniaudio_lm.checkpoint.fit import fill
from uniaudio_lm.checkpoint.omni import aggregator_options, aggregator_place
from uniaudio_lm.checkpoint.published import head_options, head_place
from uniaudio_lm.config import Sampling
from uniaudio_lm.engine import UniAudio
from uniaudio_lm.interfaces import TextInfo
from uniaudio_lm.model import omni_prompts
from uniaudio_lm.model.generation import Item, RecordedNoise, generate
from uniaudio_lm.model.omni_prompts import OmniPrompt
from uniaudio_lm.model.prompts import encode
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.parts.heads.dit import DitHead
from uniaudio_lm.parts.heads.flow_matching import SIGMA, flow_error, solver_times
from uniaudio_lm.parts.speaker_features import kaldi_fbank, resample_sinc
from uniaudio_lm.parts.stop.linear import LinearStop

_TIMES = re.compile(r"(timesteps|epss)(\d+)")
_STEPS = range(1, 33)


def folded_temperature(sigma: float, temperature: float) -> float:
    """The temperature that gives our fixed `SIGMA` the step noise of another sigma."""
    return temperature * (sigma / SIGMA) ** 2


# --- heads ---------------------------------------------------------------------------------------


def _part(weights: Tensors, prefix: str) -> list[tuple[str, Tensor]]:
    return [(k.removeprefix(prefix), v) for k, v in weights.items() if k.startswith(prefix)]


def _load_head(config: Mapping[str, Any], weights: Tensors, patch: int) -> DitHead:
    options = head_options(config["ditar_config"])
    with torch.device("meta"):
        head = DitHead(config["llm_hidden_size"], config["latent_dim"], patch, **options)
    fill(head, _part(weights, "flowloss.cfm.model."), lambda name: head_place(name, options))
    return head.eval()


def _load_aggregator(
    config: Mapping[str, Any], weights: Tensors, patch: int
) -> AggregatorCompressor:
    options = aggregator_options(config["aggregator_config"])
    with torch.device("meta"):
        made = AggregatorCompressor(
            config["latent_dim"], config["llm_hidden_size"], patch, **options
        )
    fill(made, _part(weights, "linear_proj_audio."), lambda name: aggregator_place(name, options))
    return made.eval()


@torch.no_grad()
def omni_head_outputs(folder: Path, io: Tensors, options: argparse.Namespace) -> Tensors:
    """Solver runs, single evaluations, the loss, and the aggregator, stop and speaker layers."""
    config = load_json(folder / "config.json")
    weights = dict(load_tensors(folder))
    out: Tensors = {}
    tables = [key for key in io if _TIMES.fullmatch(key)]
    for key in tables or [f"{kind}{n}" for kind in ("timesteps", "epss") for n in _STEPS]:
        match = _TIMES.fullmatch(key)
        assert match is not None
        sway = -1.0 if match[1] == "timesteps" else 0.0
        out[key] = solver_times(int(match[2]), sway)
    for name, run in config["runs"].items():
        if f"{name}.init_noise_bct" in io:
            out |= _solver_run(_load_head(config, weights, run["patch_size"]), io, name, run)
    head = _load_head(config, weights, config["ditar_config"]["patch_size"])
    noise = io.get("cfg2_t0.init_noise_bct")
    for name, scale in {"plain_cond_only": 0.0, "plain_cfg1": 1.0, "plain_cfg2": 2.0}.items():
        if noise is not None and "latent_history" in io:
            first = noise.transpose(1, 2)  # (B, d, p) -> (B, p, d)
            out[f"{name}.out"] = head.sample(
                io["z"][:, 0], io["latent_history"], cfg_scale=scale, init_noise=first
            )
    if "dit.x" in io:
        x, t, cond, history = io["dit.x"], io["dit.t"], io["dit.c"][:, 0], io["dit.h"]
        out["dit.out"] = head.tokens(x, t, cond, history)
        out["dit.out_null"] = head.tokens(x, t, torch.zeros_like(cond), history)
        out["dit.time_emb"] = head.time_embedding(t)
        if "dit.mask" in io:
            out["dit.out_masked"] = head.tokens(x, t, cond, history, io["dit.mask"].bool())
    if "cfm.x0" in io:
        x0, x1, t, mask = (io[f"cfm.{name}"] for name in ("x0", "x1", "t", "mask"))
        at = t[:, None, None]
        tokens = head.tokens(
            (1 - at) * x0 + at * x1, t, io["cfm.cond"][:, 0], io["cfm.history"], mask.bool()
        )
        out["cfm.pred"] = tokens[:, -x0.shape[1] :]
        out["cfm.loss"] = flow_error(out["cfm.pred"], x0, x1, mask)
    for name in ("agg", "agg1"):
        if f"{name}.x" in io:
            x = io[f"{name}.x"]
            made = _load_aggregator(config, weights, x.shape[1])
            out[f"{name}.out"] = made.summarise(x)[:, None]
            if f"{name}.mask" in io:
                out[f"{name}.out_masked"] = made.summarise(x, io[f"{name}.mask"].bool())[:, None]
    if "stop.h" in io:
        out["stop.logits"] = _linear(weights, "stop_head", io["stop.h"])
        out["stop.p"] = out["stop.logits"].softmax(dim=-1)[..., 1]
    if "spk.x" in io:
        out["spk.out"] = _linear(weights, "spk_head", io["spk.x"])
    return out


def _linear(weights: Tensors, name: str, x: Tensor) -> Tensor:
    return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _solver_run(head: DitHead, io: Tensors, name: str, run: Mapping[str, Any]) -> Tensors:
    lead = name.partition(".")[0]
    given = {
        key: io.get(f"{lead}.{key}", io.get(f"{name}.{key}", io.get(key)))
        for key in ("z", "latent_history")
    }
    if given["z"] is None or given["latent_history"] is None:
        raise UserError(f"run {name!r} has no z or latent_history")
    coefficient = run["sway_sampling_coef"]
    head.sway = 0.0 if coefficient is None else float(coefficient)
    head.pruned = bool(run["use_epss"])
    temperature = folded_temperature(run["sigma"], run["temperature"])
    path = head.trajectory(
        given["z"][:, 0],
        given["latent_history"],
        num_steps=run["num_steps"],
        cfg_scale=run["cfg_scale"],
        temperature=temperature,
        init_noise=io[f"{name}.init_noise_bct"].transpose(1, 2),  # (B, d, p) -> (B, p, d)
        step_noise=io[f"{name}.step_noise"] if temperature else None,
    )
    return {f"{name}.out": path[-1], f"{name}.trajectory": torch.stack(path)}


# --- front end of the speaker model --------------------------------------------------------------


def omni_speaker_outputs(folder: Path, io: Tensors, options: argparse.Namespace) -> Tensors:
    """Resampled waveforms and filter bank features."""
    out: Tensors = {}
    for key in sorted(io):
        run = key.removesuffix(".waveform")
        if run == key:
            continue
        rate = int(io[f"{run}.sample_rate"])
        wave = resample_sinc(io[key], rate, 16000)
        bank = kaldi_fbank(wave[0])
        out |= {
            f"{run}.wave16k": wave,
            f"{run}.wave44k": resample_sinc(io[key], rate, 44100),
            f"{run}.fbank": bank,
            f"{run}.features": bank - bank.mean(dim=0),
        }
    return out


# --- the whole model -----------------------------------------------------------------------------


@torch.no_grad()
def omni_outputs(folder: Path, io: Tensors, options: argparse.Namespace) -> Tensors:
    """Every run of `layout.json` whose inputs are recorded."""
    model = UniAudio.from_pretrained(folder, encoder_layers=options.encoder_layers).model
    stop = model.stop_detector
    assert isinstance(stop, LinearStop)
    out: Tensors = {}
    for name, run in load_json(folder / "layout.json")["runs"].items():
        inputs = {k[len(name) + 1 :]: v for k, v in io.items() if k.startswith(f"{name}.")}
        if "init_noise_bct" in inputs:
            found = _speech(model, stop, run, inputs)
        elif "max_new_tokens" in run:
            found = _rewrite(model, run)
        else:
            continue
        out |= {f"{name}.{key}": tensor for key, tensor in found.items()}
    return out


def _rewrite(model: SpeechLM, run: Mapping[str, Any]) -> Tensors:
    style = model.config.prompt_format
    pieces = omni_prompts.segments(OmniPrompt(run["text"], run["prompt"]), style, speech=False)
    prompt = encode(model.text_tokenizer, pieces, join=False)
    embeds, _ = model.embed_prompt(prompt, [])
    end = frozenset([model.text_tokenizer.special(omni_prompts.TEXT_END)])
    item = Item(embeds[0], "text", max_steps=int(run["max_new_tokens"]), end_tokens=end)
    ids = [step.tokens[0] for step in generate(model, [item], Sampling())]
    return {"input_ids": torch.tensor(prompt.ids), "generated_ids": torch.tensor(ids)}


def _speech(model: SpeechLM, stop: LinearStop, run: Mapping[str, Any], inputs: Tensors) -> Tensors:
    config, tokenizer = model.config, model.tokenizer
    size, out = config.patch_size, {}
    patches = latents = None
    if "clip" in inputs:
        step = tokenizer.config.hop_length * size
        out["prompt_wav"] = omni_prompts.padded_clip(inputs["clip"], step, config.prompt_format)
        noise = inputs["enc_noise_bdt"].transpose(1, 2)  # (B, d, L) -> (B, L, d)
        latents = tokenizer.posterior_of(out["prompt_wav"]).sample(noise=noise)
        patches = model.embed_audio(latents)[0]
        out |= {"prompt_latents": latents, "prompt_rows": patches}
    speakers: list[Tensor | None] = []
    if run["speakers"]:
        zero, given = bool(run["zero_speaker"]), inputs.get("speaker")
        if given is None and not zero:
            raise UserError("layout.json: a run has speakers and no embedding of them")
        speakers = [
            None if zero or given is None else given[i] for i in range(int(run["speakers"]))
        ]
        if not zero and given is not None:
            assert isinstance(model.speaker_proj, nn.Linear)
            out["speaker_rows"] = model.speaker_proj(given)
    style, caption = config.prompt_format, None
    if run["instruction"] is not None:
        caption = omni_prompts.caption(run["instruction"], style)
    asked = OmniPrompt(
        run["text"],
        run["prompt"],
        run["prompt_text"] or "",
        len(speakers),
        caption,
        0 if patches is None else len(patches),
    )
    prompt, embeds = omni_prompts.embed(model, asked, speakers, patches)
    kept = stop.stop_head.bias.clone()
    stop.stop_head.bias.copy_(torch.tensor(run["stop_bias"]))
    recorded = inputs["init_noise_bct"][:, 0].transpose(1, 2)  # (P, d, p) -> (P, p, d)
    limit = int(run["max_decode_steps"])
    item = Item(
        embeds[0],
        "audio",
        history=None if latents is None else latents[0],
        noise=RecordedNoise(recorded, _step_noise(inputs, limit, recorded)),
        info=TextInfo(max_patches=limit),
        max_steps=limit,
    )
    temperature = folded_temperature(run["sigma"], run["temperature"])
    steps = list(generate(model, [item], Sampling(10, float(run["cfg"]), temperature)))
    out |= _generated(model, stop, steps, latents, len(prompt.ids))
    stop.stop_head.bias.copy_(kept)
    hidden = model.backbone(embeds)
    return out | {
        "input_ids": torch.tensor(prompt.ids),
        "llm_prompt_embeds": embeds,
        "prompt_hidden": hidden,
    }


def _step_noise(inputs: Tensors, steps: int, first: Tensor) -> Tensor:
    """(P, steps of the solver, p, d); zeros where a run at temperature 0 has none recorded."""
    if "step_noise" in inputs:
        return inputs["step_noise"][:, :, 0]
    return first.new_zeros(steps, 10, *first.shape[1:])


def _generated(
    model: SpeechLM, stop: LinearStop, steps: list[Any], clip: Tensor | None, length: int
) -> Tensors:
    config, tokenizer = model.config, model.tokenizer
    patches = torch.cat([step.patches for step in steps])  # (P, p, d)
    hidden = torch.cat([step.hidden for step in steps])
    latents = patches.flatten(0, 1)[None]
    count, fed = len(steps), [step.inputs[0] for step in steps if 0 in step.inputs]
    zeros = latents.new_zeros(1, model.history_latents, latents.shape[-1])
    past = zeros if clip is None else torch.cat((zeros, clip), dim=1)
    before = torch.cat((past, latents[:, : (count - 1) * config.patch_size]), dim=1)
    stopped = steps[-1].finished[0] == "stop"
    emitted = published_emission(tokenizer.config, [config.patch_size] * count, flushed=stopped)
    state = tokenizer.new_decoder_state()
    parts = [tokenizer.decode_step(patch[None], state) for patch in patches]
    whole = torch.cat([*parts, tokenizer.decode_flush(state)], dim=-1)
    return {
        "z_diff": hidden,
        "stop_logits": stop.logits(hidden),
        "step_position_ids": torch.arange(length - 1, length - 1 + count),
        "first_latent_history": past[:, -model.history_latents :],
        "last_latent_history": before[:, -model.history_latents :],
        "latents": latents,
        "step_embeds": torch.stack(fed) if fed else hidden[:0],
        "chunk_samples": torch.tensor(emitted),
        "wave": whole[:, : sum(emitted)],
        "wave_full": tokenizer.wav_of(latents),
    }
