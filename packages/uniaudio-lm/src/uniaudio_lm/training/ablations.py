"""The paper's ablations (tables 4, 5 and 15, figures 5 and 8): what differs between runs, the runs,
and one page with the paper's figures beside ours.

At nano scale the figures are losses on held-out items, which order the runs as far as they go; the
paper's are error rates and similarities of far larger models. Both stand on the page, and whether
the order is the same. At the paper's scale the configurations are written and counted, not run.
"""

from __future__ import annotations

import html
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
import yaml

from mingtok_audio.config import MingTokConfig
from mingtok_audio.core.config import from_dict, to_dict
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_text
from mingtok_audio.core.models.hub import write_json
from mingtok_audio.trainer.stages import read_config
from mingtok_audio.training.run import load_config as load_tokenizer_config
from mingtok_audio.training.run import shipped_config as shipped_tokenizer_config
from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.config import PartConfig, UniAudioConfig
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.training.initial import SPECIALS
from uniaudio_lm.training.run import shipped_config, train
from uniaudio_lm.training.settings import JointConfig

logger = logging.getLogger(__name__)
Scale = Literal["nano", "paper"]
HEAD = "head"
"""The single-task run whose generation head the others start from (section 5.2)."""
QWEN = {
    "model_type": "qwen2", "vocab_size": 151936, "hidden_size": 896, "intermediate_size": 4864,
    "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
    "tie_word_embeddings": True, "rms_norm_eps": 1e-6, "max_position_embeddings": 32768,
}  # fmt: skip
"""The network of Qwen2.5-0.5B, to count a configuration without fetching it."""


@dataclass(frozen=True)
class Variant:
    """A run of an ablation.

    Attributes:
        name: of its folder.
        changes: to the baseline, as `--set` takes them; `nano` and `paper` at one scale only.
        starts_from_head: the head of the single-task run is taken over.
        figures: the paper's: understanding WER, generation WER and SIM, averages in the table.
    """

    name: str
    changes: tuple[str, ...] = ()
    nano: tuple[str, ...] = ()
    paper: tuple[str, ...] = ()
    starts_from_head: bool = True
    figures: Mapping[str, float] = field(default_factory=dict)

    def at(self, scale: Scale) -> tuple[str, ...]:
        """Its changes at a scale."""
        return (*self.changes, *(self.nano if scale == "nano" else self.paper))


@dataclass(frozen=True)
class Ablation:
    """Runs that differ in one thing, the first of them what the others are compared with."""

    title: str
    variants: tuple[Variant, ...]


def _figures(understanding: float, generation: float, similarity: float) -> dict[str, float]:
    return {"und WER": understanding, "gen WER": generation, "SIM": similarity}


_BASELINE = Variant("baseline", figures=_figures(4.35, 6.53, 0.49))
_UNFROZEN = Variant("unfrozen", ("semantic=true",), figures=_figures(6.86, 15.30, 0.50))
_FRESH = Variant("fresh-head", starts_from_head=False, figures=_figures(4.34, 11.33, 0.42))
ABLATIONS: dict[str, Ablation] = {
    "table4": Ablation(
        "Pooling against cross-attention",
        (
            Variant("pooling", starts_from_head=False, figures=_figures(5.18, 15.07, 0.50)),
            Variant(
                "cross-attention",
                nano=(
                    "model.compressor={name: cross_attention, options: {width: 128, num_layers: 1, "
                    "num_heads: 4}}",
                ),
                paper=("model.compressor={name: cross_attention}",),
                starts_from_head=False,
                figures=_figures(7.89, 15.39, 0.37),
            ),
        ),
    ),
    "table5": Ablation(
        "Step ratio, frozen semantic module, head initialisation",
        (
            _BASELINE,
            Variant("ratio-1-3", ("data.ratio=[1,3]",), figures=_figures(4.44, 4.36, 0.51)),
            Variant("ratio-1-4", ("data.ratio=[1,4]",), figures=_figures(4.49, 4.48, 0.52)),
            _UNFROZEN,
            _FRESH,
        ),
    ),
    "table15": Ablation(
        "DiT against MLP as generation head",
        (
            Variant(
                "dit",
                ("data.ratio=[0,1]",),
                nano=(
                    "model.generation_head={name: dit, options: {hidden_size: 128, depth: 4, "
                    "num_heads: 4}}",
                ),
                starts_from_head=False,
                figures={"gen WER": 1.289, "SIM": 0.715, "RTF": 0.61},
            ),
            Variant(
                "mlp",
                ("data.ratio=[0,1]",),
                paper=("model.generation_head={name: mlp, options: {width: 4480, depth: 12}}",),
                starts_from_head=False,
                figures={"gen WER": 1.471, "SIM": 0.694, "RTF": 0.41},
            ),
        ),
    ),
    "figure5": Ablation(
        "Loss over steps: frozen semantic module, head initialisation",
        (_BASELINE, _UNFROZEN, _FRESH),
    ),
    "figure8": Ablation(
        "Unified features against latents as input",
        (
            Variant("unified", ("data.ratio=[0,1]",), starts_from_head=False),
            Variant(
                "latent",
                ("data.ratio=[0,1]", "model.audio_input=latent"),
                starts_from_head=False,
            ),
        ),
    ),
}
_HEAD_RUN = Variant(HEAD, ("data.ratio=[0,1]",), starts_from_head=False)


def settings_of(
    variant: Variant, scale: Scale, overrides: Sequence[str] = (), head: str | None = None
) -> dict[str, Any]:
    """A variant's configuration as plain values."""
    changes = list(variant.at(scale))
    wanted = head if variant.starts_from_head else None
    changes.append(f"head_init={json.dumps(wanted)}")
    base = shipped_config(f"ablate-{scale}")
    return read_config(base, [*overrides, *changes], "uniaudio_lm")


# --- the paper's scale ---------------------------------------------------------------------------


def paper_tokenizer() -> MingTokConfig:
    """The paper's speech tokenizer: stage1's encoder and decoder, stage2's semantic module."""
    acoustic, distilled = (
        load_tokenizer_config(shipped_tokenizer_config(name)) for name in ("stage1", "stage2")
    )
    return replace(acoustic.model, semantic=distilled.semantic, decoder_input="unified")


def count(config: JointConfig) -> dict[str, int]:
    """Parameters of each part of a full-size configuration, built on the meta device."""
    plan = config.model
    assert plan is not None
    rows = max(QWEN["vocab_size"], 151665 + len(SPECIALS))  # Qwen2.5's tokenizer has 151,665 ids
    network = UniAudioConfig(
        backbone=PartConfig("hf_causal_lm", {"config": {**QWEN, "vocab_size": rows}}),
        generation_head=plan.generation_head,
        stop_detector=plan.stop_detector,
        compressor=plan.compressor,
        patch_size=plan.patch_size,
        audio_input=plan.audio_input,
        latent_dims=plan.latent_dims,
    )
    with torch.device("meta"):
        model = SpeechLM(network, paper_tokenizer())
    return {
        name: sum(parameter.numel() for parameter in part.parameters())
        for name, part in model.named_children()
    }


def write_paper_configs(name: str, folder: Path, overrides: Sequence[str]) -> list[dict[str, Any]]:
    """The full-size YAML file of each variant, with its parameters by part."""
    ablation = ABLATIONS[name]
    variants = list(ablation.variants)
    if any(variant.starts_from_head for variant in variants):
        variants.append(_HEAD_RUN)
    rows = []
    for variant in variants:
        values = settings_of(variant, "paper", overrides, head=f"{HEAD}/model")
        counts = count(from_dict(JointConfig, values, where=variant.name))
        path = folder / f"{variant.name}.yaml"
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, yaml.safe_dump(values, sort_keys=False))
        row = {"variant": variant.name, "config": str(path), "parameters": counts}
        rows.append({**row, "paper": dict(variant.figures)})
    return rows


# --- nano scale ----------------------------------------------------------------------------------


def run(
    name: str,
    folder: Path,
    *,
    manifest: str,
    seeds: Sequence[int],
    steps: int | None,
    overrides: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Train the variants that have no result in `folder` yet; a result of each run.

    Raises:
        UserError: a result is there of other settings.
    """
    source = f"{{manifest: {json.dumps(manifest)}}}"
    held = f"{{manifest: {json.dumps(manifest)}, split: valid}}"
    data = [
        f"data.{task}.{split}=[{value}]"
        for task in ("understanding", "generation")
        for split, value in (("train", source), ("valid", held))
    ]
    if steps is not None:
        data.append(f"trainer.max_steps={steps}")
        data.append(f"trainer.evaluate_every={max(1, steps // 6)}")
    ablation = ABLATIONS[name]
    results = []
    for seed in seeds:
        common = [*data, f"trainer.seed={seed}", *overrides]
        head = None
        if any(variant.starts_from_head for variant in ablation.variants):
            _trained(_HEAD_RUN, folder / f"{HEAD}-{seed}", common, None)
            head = str(folder / f"{HEAD}-{seed}" / "model")
        for variant in ablation.variants:
            found = _trained(variant, folder / f"{variant.name}-{seed}", common, head)
            results.append({"variant": variant.name, "seed": seed, **found})
    return results


def _trained(
    variant: Variant, folder: Path, overrides: Sequence[str], head: str | None
) -> dict[str, Any]:
    config = from_dict(
        JointConfig, settings_of(variant, "nano", overrides, head), where=variant.name
    )
    settings, result = to_dict(config), folder / "result.json"
    # Through JSON, as it comes back.
    settings = json.loads(json.dumps(settings))
    if result.is_file():
        found = json.loads(result.read_text())
        if found["settings"] != settings:
            raise UserError(f"{folder} holds a run of other settings: name another folder")
        return {key: value for key, value in found.items() if key != "settings"}
    logger.info("%s: training in %s", variant.name, folder)
    before = time.process_time()
    summary = train(config, folder, resume=True)
    busy = time.process_time() - before
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    curve = [
        {"step": row["step"], **{k[5:]: row[k] for k in row if k.startswith("eval/")}}
        for row in rows
        if any(key.startswith("eval/") for key in row)
    ]
    if not curve:
        raise UserError(f"{folder}: the run has no evaluation: it needs held-out items")
    found = {
        "steps": summary.steps,
        "cpu_hours": round(busy / 3600, 4),
        "figures": {key: value for key, value in curve[-1].items() if key != "step"},
        "head_seconds_per_second": _head_speed(folder / "model"),
        "curve": curve,
    }
    write_json(result, {**found, "settings": settings})
    return found


@torch.no_grad()
def _head_speed(folder: Path, patches: int = 20) -> float:
    """CPU seconds that the generation head takes for a second of speech, as `tts` runs it."""
    model = load_model(folder)
    cond = torch.zeros(1, model.dim)
    history = torch.zeros(1, model.config.patch_size, model.latent_dims)
    start = time.process_time()
    for index in range(patches):
        generator = torch.Generator().manual_seed(index)
        model.generation_head.sample(
            cond, history, num_steps=10, cfg_scale=2.0, generators=[generator]
        )
    return round((time.process_time() - start) / patches / model.patch_seconds, 4)


# --- the page ------------------------------------------------------------------------------------

_OURS = {"text": "und text loss", "flow": "gen flow loss"}
_SAME = {"und WER": "text", "gen WER": "flow"}
"""Which of our losses stands beside which of the paper's figures; lower is better in both."""


def summary(name: str, results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each variant: means and ranges over the seeds, and how it stands to the first variant."""
    ablation, rows = ABLATIONS[name], []
    for variant in ablation.variants:
        runs = [r for r in results if r["variant"] == variant.name]
        ours = {
            key: [r["figures"][key] for r in runs] for key in _OURS if key in runs[0]["figures"]
        }
        row: dict[str, Any] = {
            "variant": variant.name,
            "seeds": [r["seed"] for r in runs],
            "steps": runs[0]["steps"],
            "cpu_hours": round(sum(r["cpu_hours"] for r in runs), 3),
            "ours": ours,
            "head_rtf": [r["head_seconds_per_second"] for r in runs],
            "paper": dict(variant.figures),
        }
        row["order"] = {} if not rows else _orders(rows[0], row)
        rows.append(row)
    return rows


def _orders(first: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, str]:
    """Whether a variant stands to the first one as in the paper, by figure."""
    found = {}
    for theirs, key in _SAME.items():
        if key not in first["ours"] or theirs not in first["paper"]:
            continue
        a, b = first["ours"][key], other["ours"][key]
        paper = other["paper"][theirs] - first["paper"][theirs]
        if len(a) < 2:
            found[theirs] = "one seed: not said"
        elif min(b) <= max(a) and min(a) <= max(b):
            found[theirs] = "within the spread of the seeds"
        else:
            found[theirs] = "as in the paper" if (min(b) > max(a)) == (paper > 0) else "reversed"
    return found


def page(name: str, scale: Scale, rows: Sequence[Mapping[str, Any]], curves: Any = None) -> str:
    """The report as HTML, everything in one file."""
    ablation = ABLATIONS[name]
    keys = list(dict.fromkeys(k for v in ablation.variants for k in v.figures))
    head = ["variant"]
    if scale == "nano":
        head += ["seeds", "steps", *_OURS.values(), "head RTF", "CPU hours"]
    else:
        head += ["configuration", "parameters"]
    head += [f"paper: {key}" for key in keys]
    if scale == "nano":
        head.append("order against the first")
    lines = []
    for row in rows:
        cells = [row["variant"]]
        if scale == "nano":
            cells += [", ".join(map(str, row["seeds"])), row["steps"]]
            cells += [_spread(row["ours"].get(key)) for key in _OURS]
            cells += [_spread(row["head_rtf"]), row["cpu_hours"]]
        else:
            parts = "; ".join(f"{k} {v:,}" for k, v in row["parameters"].items() if v)
            cells += [row["config"], parts]
        cells += [row["paper"].get(key, "") for key in keys]
        if scale == "nano":
            cells.append("; ".join(f"{k}: {v}" for k, v in row["order"].items()))
        lines.append(cells)

    def table(tag: str, cells: Sequence[Any]) -> str:
        return "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells)

    body = "".join(f"<tr>{table('td', cells)}</tr>" for cells in lines)
    note = (
        "Losses on held-out items of small models after few steps; the paper's figures are error "
        "rates and similarities of models of over half a billion parameters."
        if scale == "nano"
        else "Train each with `uniaudio train CONFIG -o RUN`, score it with `audio-eval score`."
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>{html.escape(name)}</title><style>body{{font:15px sans-serif;margin:2em}}"
        "td,th{border:1px solid #bbb;padding:.3em .6em;text-align:left}"
        "table{border-collapse:collapse}</style>"
        f"<h1>{html.escape(name)}: {html.escape(ablation.title)}</h1><p>{html.escape(note)}</p>"
        f"<table><tr>{table('th', head)}</tr>{body}</table>{_chart(curves or [])}</html>\n"
    )


def _spread(values: Sequence[float] | None) -> str:
    if not values:
        return ""
    mean = sum(values) / len(values)
    return f"{mean:.3f} ({min(values):.3f} to {max(values):.3f})"


def _chart(results: Sequence[Mapping[str, Any]]) -> str:
    """Flow and text loss over steps, a line a run."""
    out = []
    for key, label in _OURS.items():
        lines = [
            (f"{r['variant']}-{r['seed']}", [(p["step"], p[key]) for p in r["curve"] if key in p])
            for r in results
        ]
        lines = [(title, points) for title, points in lines if points]
        if not lines:
            continue
        values = [v for _, points in lines for _, v in points]
        low, high = min(values), max(values)
        last = max(step for _, points in lines for step, _ in points)
        drawn = ""
        for number, (title, points) in enumerate(lines):
            colour = f"hsl({number * 360 // len(lines)} 70% 40%)"
            path = " ".join(
                f"{40 + 500 * s / last:.1f},{220 - 200 * (v - low) / ((high - low) or 1):.1f}"
                for s, v in points
            )
            drawn += (
                f"<polyline points='{path}' fill=none stroke='{colour}'/>"
                f"<text x=560 y={20 + 14 * number} fill='{colour}'>{html.escape(title)}</text>"
            )
        out.append(
            f"<h2>{label} over steps ({low:.3f} to {high:.3f}, {last} steps)</h2>"
            f"<svg width=760 height=240 font-size=12>{drawn}</svg>"
        )
    return "".join(out)
