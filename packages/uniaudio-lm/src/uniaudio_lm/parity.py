"""Compare this implementation with recorded outputs of another: `python -m uniaudio_lm.parity`.

A folder holds `config.json`, `model.safetensors` and the inputs in `io.safetensors` (keys
`run.tensor`). Every output that can be computed from them is written under the same key. Kinds:
head, llm, pooling, unified, and those of Ming-omni-tts (`parity_omni`); the tokenizer's are in
`mingtok_audio.parity`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mingtok_audio.core.config import load_json
from mingtok_audio.core.models.hub import load_tensors
from mingtok_audio.parity import Compute, Tensors, load_io, pooling_outputs, run
from uniaudio_lm.checkpoint.describe import is_published
from uniaudio_lm.checkpoint.fit import fill
from uniaudio_lm.checkpoint.omni import is_omni
from uniaudio_lm.checkpoint.published import (
    backbone_options,
    backbone_place,
    head_options,
    head_place,
)
from uniaudio_lm.parts.backbones.bailing_moe import BailingMoe
from uniaudio_lm.parts.backbones.moe import Router
from uniaudio_lm.parts.heads.dit import DitHead
from uniaudio_lm.parts.heads.flow_matching import SIGMA, flow_error, sinusoids, solver_times

_SCALE = re.compile(r"(?:(.+)\.)?cfg([\d.]+)_(noise|nonoise)")
_TIMES = re.compile(r"timesteps(\d+)")


# --- generation head -----------------------------------------------------------------------------


def load_head(folder: Path, extra: Tensors | None = None, **changes: Any) -> DitHead:
    """The DiT of a head folder. `extra` tensors are added; `changes` are other options."""
    config = load_json(folder / "config.json")
    options = head_options(config, "config.json") | changes
    with torch.device("meta"):
        head = DitHead(
            cond_dim=config["llm_cond_dim"],
            latent_dim=config["z_channels"],
            patch_size=config.get("patch_size", 5),
            sway=config.get("sway_sampling_coef", -1.0),
            **options,
        )
    tensors = {**dict(load_tensors(folder)), **(extra or {})}
    named = ((name.removeprefix("cfm.model."), tensor) for name, tensor in tensors.items())
    fill(head, named, lambda name: head_place(name, options))
    return head.eval()


@torch.no_grad()
def head_outputs(folder: Path, io: Tensors, options: argparse.Namespace) -> Tensors:
    """Single evaluations, solver runs with and without step noise, time grids, and the loss."""
    config = load_json(folder / "config.json")
    head = load_head(folder)
    out: Tensors = {}
    for key in io:
        if match := _TIMES.fullmatch(key):
            out[key] = solver_times(int(match[1]), head.sway)
    out |= _dit_outputs(folder, head, io)
    temperature, steps = float(config["temperature"]), int(config["steps"])
    dt = solver_times(steps, head.sway).diff()
    out["noise_std_per_step"] = SIGMA * (temperature * dt.abs()).sqrt()
    for key in sorted(io):
        name = key.removesuffix(".init_noise_bct")
        match = _SCALE.fullmatch(name) if name != key else None
        if match is None:
            continue
        out |= _solver_run(
            head,
            io,
            name,
            match[1],
            float(match[2]),
            temperature if match[3] == "noise" else 0.0,
            steps,
        )
    plain = {"plain_cond_only": 0.0, "plain_cfg1": 1.0, "plain_cfg2": 2.0}
    for name, scale in plain.items():
        if f"{name}.out" in io and "cfg2_nonoise.init_noise_bct" in io:
            noise = io["cfg2_nonoise.init_noise_bct"].transpose(1, 2)  # (B, d, p) -> (B, p, d)
            out[f"{name}.out"] = head.sample(
                io["z"][:, 0],
                io["latent_history"],
                num_steps=steps,
                cfg_scale=scale,
                init_noise=noise,
            )
    if "cfm.x0" in io:
        out |= _loss_run(head, io)
    return {key: value for key, value in out.items() if key in io}


def _dit_outputs(folder: Path, head: DitHead, io: Tensors) -> Tensors:
    if "dit.x" not in io:
        return {}
    x, t, cond, history = io["dit.x"], io["dit.t"], io["dit.c"][:, 0], io["dit.h"]
    out = {
        "dit.out": head.tokens(x, t, cond, history),
        "dit.time_emb": head.time_embedding(t),
        "dit.time_sin": sinusoids(t),
    }
    if "dit.mask" in io:
        out["dit.out_masked"] = head.tokens(x, t, cond, history, io["dit.mask"])
    if "dit_pe1.out" in io:
        partial = load_head(folder, rotary_heads=1)
        out["dit_pe1.out"] = partial.tokens(x, t, cond, history)
    extra = folder / "weights_qknorm_extra.safetensors"
    if "dit_qknorm.out" in io and extra.is_file():
        normed = load_head(folder, load_io(extra), qk_norm=True)
        out["dit_qknorm.out"] = normed.tokens(x, t, cond, history)
    return out


def _solver_run(  # noqa: PLR0917
    head: DitHead, io: Tensors, name: str, prefix: str | None, scale: float, temp: float, steps: int
) -> Tensors:
    lead = "" if prefix is None else f"{prefix}."
    path = head.trajectory(
        io[f"{lead}z"][:, 0],
        io[f"{lead}latent_history"],
        num_steps=steps,
        cfg_scale=scale,
        temperature=temp,
        init_noise=io[f"{name}.init_noise_bct"].transpose(1, 2),  # (B, d, p) -> (B, p, d)
        step_noise=io[f"{name}.step_noise"] if temp else None,
    )
    return {f"{name}.out": path[-1], f"{name}.trajectory": torch.stack(path)}


def _loss_run(head: DitHead, io: Tensors) -> Tensors:
    """The recorded prediction, of conditions and histories that the `dit` run has."""
    x0, x1, t, mask = (io[f"cfm.{name}"] for name in ("x0", "x1", "t", "mask"))
    at = t[:, None, None]
    cond, history = io["dit.c"][:, 0], io["dit.h"]
    keep = mask.bool()
    tokens = head.tokens((1 - at) * x0 + at * x1, t, cond, history, keep)
    predicted = tokens[:, -x0.shape[1] :]
    return {"cfm.pred": predicted, "cfm.loss": flow_error(predicted, x0, x1, mask)}


# --- language model ------------------------------------------------------------------------------


def load_backbone(folder: Path, config_file: str = "config.json", extra: str = "") -> BailingMoe:
    """The language model of a folder; `extra` is a file of tensors that replace or join it."""
    options = backbone_options(load_json(folder / config_file), config_file)
    with torch.device("meta"):
        model = BailingMoe(**options)
    tensors = dict(load_tensors(folder))
    if extra and (folder / extra).is_file():
        tensors |= load_io(folder / extra)
    if not options["multi_gate"]:
        tensors = {k: v for k, v in tensors.items() if "audio_gate" not in k}
        tensors = {k: v for k, v in tensors.items() if "image_gate" not in k}
    fill(model, tensors.items(), lambda name: backbone_place(name, options))
    return model.eval()


@torch.no_grad()
def llm_outputs(folder: Path, io: Tensors, options: argparse.Namespace) -> Tensors:
    """Prompts with and without audio mask, cached steps, batches, and the normalised head."""
    out: Tensors = {}
    models = {"": load_backbone(folder)}
    if (folder / "config_plain.json").is_file():
        models["plain"] = load_backbone(
            folder, "config_plain.json", "weights_plain_extra.safetensors"
        )
    groups = sorted({key.partition(".")[0] for key in io if key.endswith(".inputs_embeds")})
    for group in groups:
        model = models.get(group, models[""])
        runs = sorted(
            {key.split(".")[1] for key in io if re.fullmatch(rf"{group}\.\w+\.hidden", key)}
        )
        for name in runs:
            out |= _llm_run(model, io, group, name)
        if f"{group}.b2.input_ids" in io:
            hidden = model(
                model.embed(io[f"{group}.b2.input_ids"]),
                valid=io[f"{group}.b2.attention_mask"].bool(),
                positions=io[f"{group}.b2.position_ids"],
            )
            out[f"{group}.b2.logits"] = model.logits(hidden)
        if f"{group}.mixed.position_ids" in io:
            text = model.embed(io[f"{group}.input_ids"])
            hidden = model(text, positions=io[f"{group}.mixed.position_ids"])
            out[f"{group}.mixed.logits"] = model.logits(hidden)
    if "norm_head.logits" in io and groups:
        model = models[""]
        group = "rope3d" if "rope3d" in groups else groups[0]
        model.norm_head = True
        text = model.embed(io[f"{group}.input_ids"])
        hidden = model(text, positions=io[f"{group}.position_ids"])
        out["norm_head.logits"] = model.logits(hidden)
        model.norm_head = False
    return {key: value for key, value in out.items() if key in io}


def _llm_run(model: BailingMoe, io: Tensors, group: str, name: str) -> Tensors:
    run_name = f"{group}.{name}"
    embeds = io[f"{group}.inputs_embeds"]
    mask = io.get(f"{group}.audio_mask") if name == "audio" else None
    state = model.new_state(len(embeds), embeds.shape[1])
    routed: list[tuple[Tensor, Tensor]] = []
    routers = [part for part in model.modules() if isinstance(part, Router)]
    hooks = [_record_routing(router, routed) for router in routers]
    layers = model.layers(embeds, state, positions=io[f"{group}.position_ids"], audio_mask=mask)
    for hook in hooks:
        hook.remove()
    hidden = model.norm(layers[-1])
    batch, count = embeds.shape[:2]
    logits, ids = (torch.stack(parts) for parts in zip(*routed, strict=True))
    key, value = state.key[0], state.value[0]
    assert key is not None and value is not None
    out = {
        "hidden": torch.stack([*layers[:-1], hidden]),
        "logits": model.logits(hidden),
        "router_logits": logits.unflatten(1, (batch, count)),
        "router_topk": ids.unflatten(1, (batch, count)),
        "cache_k0": key[:, :, :count].clone(),
        "cache_v0": value[:, :, :count].clone(),
    }
    delta = io.get(f"{group}.rope_delta")
    step = 0
    while f"{run_name}.step{step}.embeds" in io:
        position = torch.full((batch, 1), count + step)
        if delta is not None:
            position = position + delta.view(batch, 1)
        after = model(io[f"{run_name}.step{step}.embeds"], state, positions=position)
        out[f"step{step}.hidden_last"] = after
        out[f"step{step}.logits"] = model.logits(after)
        step += 1
    return {f"{run_name}.{key}": tensor for key, tensor in out.items()}


def _record_routing(router: Router, routed: list[tuple[Tensor, Tensor]]) -> Any:
    def hook(module: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        routed.append((module.logits(*inputs), output[0]))

    return router.register_forward_hook(hook)


# --- which is which ------------------------------------------------------------------------------


def kind_of(folder: Path) -> Compute | None:
    """What a folder holds, by its config."""
    config = load_json(folder / "config.json")
    if not isinstance(config, Mapping):
        return None
    if is_omni(config):
        from uniaudio_lm.parity_omni import omni_outputs

        return omni_outputs
    if {"ditar_config", "aggregator_config", "runs"} <= config.keys():
        from uniaudio_lm.parity_omni import omni_head_outputs

        return omni_head_outputs
    if {"resample", "fbank"} <= config.keys():
        from uniaudio_lm.parity_omni import omni_speaker_outputs

        return omni_speaker_outputs
    if is_published(config):
        from uniaudio_lm.parity_unified import unified_outputs

        return unified_outputs
    if {"llm_input_dim", "patch_size"} <= config.keys():
        return pooling_outputs
    if {"llm_cond_dim", "depth"} <= config.keys():
        return head_outputs
    if "num_experts" in config:
        return llm_outputs
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Entry of `python -m uniaudio_lm.parity`."""
    return run(kind_of, argv, __doc__ or "")


if __name__ == "__main__":
    sys.exit(main())
