"""Trains a `ctc` aligner on manifests with texts, on the tokenizer's trainer.

    python -m uniaudio_lm.training.aligner.train CONFIG.yaml -o FOLDER [--set key=value] [--resume]

Where a manifest knows phoneme times, every frame has a label (cross-entropy); where it knows only
the text, the loss is CTC. The averaged weights are a component folder, FOLDER/model.
Axes: B recordings, L frames, D input dimensions, V symbols.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mingtok_audio import MingTok
from mingtok_audio.core.config import apply_overrides, from_dict, load_yaml, to_dict
from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.core.models.components import PinnedModel, save_component
from mingtok_audio.core.models.hub import write_json
from mingtok_audio.trainer.loop import OptimConfig, Trainer, TrainerConfig
from mingtok_audio.training.data import pack
from uniaudio_lm.parts.aligners.ctc import CtcAligner
from uniaudio_lm.parts.aligners.loading import load_aligner
from uniaudio_lm.training.aligner.data import AlignItem, AlignSource, prepare, read_rows
from uniaudio_lm.training.aligner.evaluate import measure
from uniaudio_lm.training.aligner.references import IGNORED

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AlignDataConfig:
    """What is trained on."""

    train: list[AlignSource]
    evaluation: list[AlignSource] = field(default_factory=list)
    """With phoneme times: their word times are measured."""
    cache: str = ".runs/aligner-inputs"
    batch_seconds: float = 60.0
    longest: float = 20.0
    """Longer recordings are left out."""
    rates: tuple[float, ...] = (1.0,)
    """Items are played at these rates in turn: other pitches and tempos than the speakers have."""
    noise: float = 0.1
    """Standard deviation added to normalised inputs."""


@dataclass(frozen=True)
class AlignerConfig:
    """The network; see `CtcAligner`."""

    width: int = 128
    depth: int = 5
    kernel: int = 9
    dropout: float = 0.1
    source: Literal["latents", "features"] = "latents"


@dataclass(frozen=True)
class AlignerRunConfig:
    """A whole run, as its YAML file says it."""

    data: AlignDataConfig
    tokenizer: str = "nano"
    init: str | None = None
    """A trained aligner's folder, or "shipped": training starts from its weights, and keeps its
    shape and the scale of its inputs."""
    model: AlignerConfig = field(default_factory=AlignerConfig)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr=2e-3, beta1=0.9))
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    label_smoothing: float = 0.05
    ctc_weight: float = 0.5


def _start(source: str) -> Any:
    """The aligner that training starts from; see `AlignerRunConfig.init`."""
    found = load_aligner(None if source == "shipped" else source)
    if not isinstance(found, CtcAligner):
        raise ConfigError(f"init: {source} is no `ctc` aligner")
    return found


class AlignerTask:
    """The aligner as a `Task` of the trainer."""

    def __init__(self, config: AlignerRunConfig) -> None:
        torch.manual_seed(config.trainer.seed)
        self.config = config
        self.tokenizer = MingTok.from_pretrained(config.tokenizer)
        model, data = config.model, config.data
        dims = self.tokenizer.config
        width = dims.latent_dim if model.source == "latents" else dims.feature_dim
        if width is None:
            raise ConfigError(f"the tokenizer {config.tokenizer} has no features: take latents")
        self.options: dict[str, Any] = {
            **asdict(model), "in_dim": width, "tokenizer": config.tokenizer,
        }  # fmt: skip
        start = None if config.init is None else _start(config.init)
        if start is not None:
            described = start.component_config.options
            self.options |= {key: described[key] for key in described if key in asdict(model)}
            self.options["dropout"] = model.dropout
        self._model = CtcAligner(**self.options)
        self._model.use_tokenizer(self.tokenizer)
        self.items: list[AlignItem] = []
        for source in data.train:
            self.items += prepare(
                source,
                self.tokenizer,
                model.source,
                Path(data.cache),
                longest=data.longest,
                rates=data.rates,
            )
        if not self.items:
            raise ConfigError("the manifests hold no recordings to train on")
        timed = sum(item.labels is not None for item in self.items)
        logger.info("%d recordings, %d of them with phoneme times", len(self.items), timed)
        if start is None:
            self._measure_inputs()
        else:
            self._model.load_state_dict(start.state_dict())
        lengths = sorted((float(len(item.inputs)), i) for i, item in enumerate(self.items))
        self.batches = pack(lengths, data.batch_seconds * self.tokenizer.frame_rate)

    @property
    def model(self) -> CtcAligner:
        return self._model

    def _measure_inputs(self) -> None:
        """Mean and deviation of every input dimension, over up to 500 recordings."""
        some = self.items[:: max(1, len(self.items) // 500)]
        whole = np.concatenate([item.inputs for item in some]).astype(np.float32)
        self._model.mean.copy_(torch.from_numpy(whole.mean(axis=0)))
        self._model.std.copy_(torch.from_numpy(whole.std(axis=0)).clamp_min(1e-3))

    def loss(self, batch: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """The objective of one batch, and its parts."""
        epoch, place = divmod(batch, len(self.batches))
        order = np.random.default_rng((self.config.trainer.seed, epoch)).permutation
        chosen = [self.items[i] for i in self.batches[order(len(self.batches))[place]]]
        lengths = torch.tensor([len(item.inputs) for item in chosen])
        inputs = torch.zeros(len(chosen), int(lengths.max()), self._model.in_dim)
        labels = torch.full(inputs.shape[:2], IGNORED)
        for row, item in enumerate(chosen):
            inputs[row, : lengths[row]] = torch.from_numpy(item.inputs.astype(np.float32))
            if item.labels is not None:
                labels[row, : lengths[row]] = torch.from_numpy(item.labels)
        if self.config.data.noise:
            noise = torch.randn(inputs.shape, generator=generator) * self.config.data.noise
            inputs += noise * self._model.std.cpu()
        device = self._model.mean.device
        log_probs = self._model(inputs.to(device), lengths)
        parts: dict[str, Tensor] = {}
        total = log_probs.new_zeros(())
        if bool((labels != IGNORED).any()):
            parts["frames"] = F.cross_entropy(
                log_probs.flatten(0, 1),
                labels.flatten().to(device),
                ignore_index=IGNORED,
                label_smoothing=self.config.label_smoothing,
            )
            total = total + parts["frames"]
        untimed = [row for row, item in enumerate(chosen) if item.labels is None]
        if untimed:
            symbols = [chosen[row].symbols for row in untimed]
            parts["ctc"] = F.ctc_loss(
                log_probs[untimed].transpose(0, 1),  # (L, B, V)
                torch.tensor([s for row in symbols for s in row], device=device),
                lengths[untimed],
                torch.tensor([len(row) for row in symbols]),
                zero_infinity=True,
            )
            share = self.config.ctc_weight * len(untimed) / len(chosen)
            total = total + share * parts["ctc"]
        return total, {k: float(v.detach()) for k, v in parts.items()}

    @torch.no_grad()
    def evaluate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """Errors of the word times of each evaluation source."""
        found: dict[str, float] = {}
        for source in self.config.data.evaluation:
            figures = measure(model, read_rows(source, self.config.data.longest))
            name = Path(source.manifest).parent.name
            for key in ("median_ms", "p90_ms", "mean_score"):
                found[f"{name}/{key}"] = figures[key]
        logger.info("step %d: %s", step, found)
        return found

    def save_pretrained(self, model: CtcAligner, folder: Path) -> Path:
        """Write the component folder, bound to the tokenizer's weights."""
        pinned = PinnedModel(self.tokenizer.model_id, self.tokenizer.model_hash)
        save_component(
            folder,
            model,
            slot="aligner",
            name="ctc",
            options={**self.options, "dropout": 0.0},
            trained_with={"tokenizer": pinned},
        )
        return folder


def load_run_config(path: str | Path, overrides: Sequence[str] = ()) -> AlignerRunConfig:
    """Read a run's YAML; `overrides` are `key.path=value`. Raises `ConfigError` in one line."""
    data = apply_overrides(load_yaml(Path(path)), list(overrides))
    return from_dict(AlignerRunConfig, data, where=str(path))


def train(
    config: AlignerRunConfig,
    folder: str | Path,
    *,
    resume: bool = False,
    minutes: float | None = None,
) -> Path:
    """Train in `folder`; returns the component folder of the averaged weights.

    An existing run is continued only with `resume`; `minutes` ends it early (resume goes on).
    """
    root = Path(folder)
    task = AlignerTask(config)
    trainer = Trainer(task, config.optim, config.trainer, root)
    if trainer.checkpoints.paths() and not resume:
        raise UserError(f"{root} holds a run already: continue it with --resume, or name another")
    if resume and not trainer.resume():
        logger.info("no checkpoint in %s: starting from the beginning", root)
    if trainer.accelerator.is_main_process:
        root.mkdir(parents=True, exist_ok=True)
        write_json(root / "run.json", to_dict(config))
    end = None if minutes is None else time.monotonic() + 60 * minutes
    trainer.run(lambda: end is not None and time.monotonic() > end)
    if trainer.accelerator.is_main_process:
        with trainer.averaged() as model:
            assert isinstance(model, CtcAligner)
            task.save_pretrained(model, root / "model")
    return root / "model"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    from mingtok_audio.core.cli import fail

    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--minutes", type=float)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        config = load_run_config(options.config, options.overrides)
        done = train(config, options.output, resume=options.resume, minutes=options.minutes)
    except UserError as error:
        fail(str(error))
        raise SystemExit(2) from error
    print(done)


if __name__ == "__main__":
    main()
