"""The training loop: any task, exact resume, guards, averaged weights, plain logs.

A task owns the model and says what one step's loss is; the trainer owns the optimisers, the
schedule, the clock and the files. The other packages train on it too.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from mingtok_audio.core.errors import UserError
from mingtok_audio.training.checkpoint import load_tree, save_tree
from mingtok_audio.training.optim import build_optimizers, schedule

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OptimConfig:
    """Optimisers and their schedule. `muon_lr` None trains everything with AdamW."""

    lr: float = 1e-4
    muon_lr: float | None = None
    muon_block: int | None = None
    """Rows that Muon orthogonalises together; None takes whole matrices."""
    beta1: float = 0.8
    beta2: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    grad_clip: float = 1.0
    schedule: Literal["constant", "cosine", "trapezoid"] = "trapezoid"
    warmup_steps: int = 100
    decay_fraction: float = 0.4


@dataclass(frozen=True)
class TrainerConfig:
    """How long, how often, how careful."""

    max_steps: int = 1000
    seed: int = 0
    threads: int = 1
    ema_decay: float = 0.999
    log_every: int = 20
    checkpoint_every_seconds: float = 180.0
    evaluate_every: int = 1000
    spike_factor: float = 10.0
    """A step whose gradient norm exceeds this many times its running mean is skipped."""
    max_skipped: int = 50
    """After this many skipped steps in a row the run stops with an error."""


class Task(Protocol):
    """What is trained."""

    @property
    def model(self) -> nn.Module: ...

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """The loss of one step and named parts of it for the log."""
        ...

    def evaluate(self, model: nn.Module, step: int, folder: Path) -> dict[str, float]:
        """Figures on held-out data; may write samples into `folder`."""
        ...


class Trainer:
    """Runs a task for `max_steps`, or until a clock runs out; resumes where it stopped."""

    def __init__(
        self, task: Task, optim: OptimConfig, config: TrainerConfig, folder: str | Path
    ) -> None:
        self.task, self.optim, self.config = task, optim, config
        self.folder = Path(folder)
        self.step = 0
        self.generator = torch.Generator().manual_seed(config.seed)
        self.parameters = [p for p in task.model.parameters() if p.requires_grad]
        self.optimizers = build_optimizers(
            task.model,
            lr=optim.lr,
            muon_lr=optim.muon_lr,
            muon_block=optim.muon_block,
            betas=(optim.beta1, optim.beta2),
            eps=optim.eps,
            weight_decay=optim.weight_decay,
        )
        self.ema = {k: v.detach().clone() for k, v in task.model.state_dict().items()}
        self.norm_mean: float | None = None
        self.skipped_in_a_row = 0
        self.seconds = 0.0

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    def resume(self) -> bool:
        """Load the last checkpoint, if there is one."""
        if not self.checkpoint.is_file():
            return False
        tree = load_tree(self.checkpoint)
        self.task.model.load_state_dict(tree["model"])
        self.ema = tree["ema"]
        for optimizer, state in zip(self.optimizers, tree["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.generator.set_state(tree["generator"])
        self.step, self.norm_mean = tree["step"], tree["norm_mean"]
        self.skipped_in_a_row, self.seconds = tree["skipped_in_a_row"], tree["seconds"]
        return True

    def save(self) -> None:
        """Write a checkpoint; the previous one stays until the new one is complete."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tree: dict[str, Any] = {
            "model": dict(self.task.model.state_dict()),
            "ema": self.ema,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "generator": self.generator.get_state(),
            "step": self.step,
            "norm_mean": self.norm_mean,
            "skipped_in_a_row": self.skipped_in_a_row,
            "seconds": self.seconds,
        }
        save_tree(self.checkpoint, tree)

    def averaged_model(self) -> dict[str, Tensor]:
        """The exponential moving average of the weights: what is evaluated and shipped."""
        return self.ema

    def run(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Train until `max_steps`, or until `stop()` is true between two steps."""
        torch.set_num_threads(self.config.threads)
        self.task.model.train()
        last_save = time.monotonic()
        log: dict[str, list[float]] = {}
        while self.step < self.config.max_steps and not stop():
            started = time.monotonic()
            for name, value in self._train_step().items():
                log.setdefault(name, []).append(value)
            self.step += 1
            self.seconds += time.monotonic() - started
            if self.step % self.config.log_every == 0:
                self._log({k: sum(v) / len(v) for k, v in log.items()})
                log = {}
            last = self.step == self.config.max_steps
            if self.step % self.config.evaluate_every == 0 or last:
                self._evaluate()
            if last or time.monotonic() - last_save > self.config.checkpoint_every_seconds:
                self.save()
                last_save = time.monotonic()
        self.save()

    def _train_step(self) -> dict[str, float]:
        factor = schedule(
            self.optim.schedule,
            self.step,
            self.config.max_steps,
            self.optim.warmup_steps,
            self.optim.decay_fraction,
        )
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * factor
        loss, parts = self.task.loss(self.step, self.generator)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(self.parameters, self.optim.grad_clip))
        if self._is_spike(norm, float(loss.detach())):
            return {"skipped": 1.0}
        for optimizer in self.optimizers:
            optimizer.step()
        self._average()
        return {"loss": float(loss.detach()), "grad_norm": norm, "lr_factor": factor, **parts}

    def _is_spike(self, norm: float, loss: float) -> bool:
        limit = math.inf
        if self.norm_mean is not None and self.step > self.optim.warmup_steps:
            limit = self.config.spike_factor * self.norm_mean
        if math.isfinite(norm) and math.isfinite(loss) and norm <= limit:
            self.norm_mean = norm if self.norm_mean is None else 0.98 * self.norm_mean + 0.02 * norm
            self.skipped_in_a_row = 0
            return False
        self.skipped_in_a_row += 1
        logger.warning("step %d skipped: loss %.4g, gradient norm %.4g", self.step, loss, norm)
        if self.skipped_in_a_row >= self.config.max_skipped:
            raise UserError(
                f"{self.skipped_in_a_row} steps in a row had NaN or exploding gradients; the last "
                f"checkpoint is {self.checkpoint}: lower the learning rate and resume"
            )
        return True

    @torch.no_grad()
    def _average(self) -> None:
        # Early on the average follows the weights closely, or it would remember the random start.
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        for name, value in self.task.model.state_dict().items():
            if value.is_floating_point():
                self.ema[name].lerp_(value, 1 - decay)
            else:
                self.ema[name].copy_(value)

    def _evaluate(self) -> None:
        model = self.task.model
        trained = {k: v.clone() for k, v in model.state_dict().items()}
        model.load_state_dict(self.ema)
        model.eval()
        try:
            figures = self.task.evaluate(model, self.step, self.folder / "samples")
        finally:
            model.load_state_dict(trained)
            model.train()
        if figures:
            self._log({f"eval/{k}": v for k, v in figures.items()})

    def _log(self, figures: dict[str, float]) -> None:
        rounded = {k: float(f"{v:.5g}") for k, v in figures.items()}
        row = {"step": self.step, "seconds": round(self.seconds, 1), **rounded}
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        text = " ".join(f"{k}={v:.4g}" for k, v in figures.items())
        logger.info("step %d (%.0f s) %s", self.step, self.seconds, text)
