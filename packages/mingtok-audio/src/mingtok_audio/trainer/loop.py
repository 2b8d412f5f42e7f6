"""The training loop: any task, one process or many, exact resume, guards, averaged weights.

A task owns the model and says what one step's loss is; the trainer owns the optimisers, the
schedule, the clock and the files. accelerate places and wraps the model, so the same loop runs on
one CPU core and under `accelerate launch`. The other packages train on it too.
"""

from __future__ import annotations

import copy
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from mingtok_audio.core.cli.output import Bar, progress
from mingtok_audio.core.errors import UserError
from mingtok_audio.trainer.checkpoint import Checkpoints
from mingtok_audio.trainer.machine import compile_blocks, make_accelerator
from mingtok_audio.trainer.optim import build_optimizers, schedule
from mingtok_audio.trainer.record import Record
from mingtok_audio.trainer.settings import OptimConfig, TrainerConfig
from mingtok_audio.trainer.sharding import check_sharding, cut_like, cut_states, whole

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["OptimConfig", "Task", "Trainer", "TrainerConfig", "make_accelerator"]

logger = logging.getLogger(__name__)


class Task(Protocol):
    """What is trained.

    Modules that a task keeps as attributes (losses, a frozen guide, an `adversary`) are moved to
    the trainer's device. An `adversary` (a module) has `loss()`, the discriminators' loss on the
    batch that the task's `loss` has just used.

    A task may also have: `batches_per_step` (the trainer sets it: batches of all processes in one
    step, which are neighbours in number); `unused_parameters` True (not every step reaches every
    parameter); `keeps_frozen` False (weights that do not learn come from elsewhere again, so
    neither checkpoints nor the average hold them).
    """

    @property
    def model(self) -> nn.Module: ...

    def loss(self, batch: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """The loss of batch number `batch` and named parts of it for the log."""
        ...

    def evaluate(self, model: nn.Module, step: int, folder: Path) -> dict[str, float]:
        """Figures on held-out data; may write samples into `folder`."""
        ...


class _Step(nn.Module):
    """A task's loss as a module's forward, which is what data-parallel wrappers wrap."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.model = task.model
        self._task = task

    def forward(self, batch: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        return self._task.loss(batch, generator)


class _AdversaryStep(nn.Module):
    def __init__(self, task: Any) -> None:
        super().__init__()
        self.adversary = task.adversary

    def forward(self) -> Tensor:
        return self.adversary.loss()


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    """Rates and other settings of a group of parameters."""
    return {key: value for key, value in group.items() if key != "params"}


class Trainer:
    """Runs a task for `max_steps`, or until a clock runs out; resumes where it stopped."""

    def __init__(
        self,
        task: Task,
        optim: OptimConfig,
        config: TrainerConfig,
        folder: str | Path,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.task, self.optim, self.config = task, optim, config
        self.folder = Path(folder)
        if accelerator is None:
            accelerator = make_accelerator(config, getattr(task, "unused_parameters", False))
        self.accelerator = accelerator
        if hasattr(task, "batches_per_step"):
            task.batches_per_step = config.accumulate * self.accelerator.num_processes  # type: ignore[attr-defined]
        adversary = getattr(task, "adversary", None) is not None
        self.sharded = check_sharding(self.accelerator, optim, adversary)
        for part in vars(task).values():
            if isinstance(part, nn.Module):
                part.to(self.accelerator.device)
        # A model that is cut cannot be copied, and evaluation is the main process's alone.
        main = self.accelerator.is_main_process
        self._whole_model = copy.deepcopy(task.model) if self.sharded and main else None
        if config.compile:
            compile_blocks(task.model)
        self.checkpoints = Checkpoints(self.folder, config.keep_checkpoints)
        self.record = Record(self.folder, config.tensorboard, main)
        self.step = 0
        self.generator = torch.Generator()
        self._wrapped, self.optimizers = self._prepare(_Step(task), self._optimizers_of(task.model))
        self._adversary: nn.Module | None = None
        self.adversary_optimizers: list[Any] = []
        if adversary:
            step = _AdversaryStep(task)
            optimizers = build_optimizers(
                step, lr=optim.adversary_lr, muon_lr=None, betas=(optim.beta1, optim.beta2)
            )
            self._adversary, self.adversary_optimizers = self._prepare(step, optimizers)
        self.ema = {k: v.detach().clone() for k, v in self._state().items()}
        self.norm_mean: float | None = None
        self.skipped_in_a_row = 0
        self.seconds = 0.0
        self._saved_step = -1

    def _optimizers_of(self, model: nn.Module) -> list[torch.optim.Optimizer]:
        optim = self.optim
        return build_optimizers(
            model,
            lr=optim.lr,
            muon_lr=optim.muon_lr,
            muon_block=optim.muon_block,
            betas=(optim.beta1, optim.beta2),
            eps=optim.eps,
            weight_decay=optim.weight_decay,
            scales={f"model.{k}": v for k, v in optim.lr_scales.items()},
        )

    def _prepare(self, step: nn.Module, optimizers: list[Any]) -> tuple[nn.Module, list[Any]]:
        wrapped, *prepared = self.accelerator.prepare(step, *optimizers)
        return wrapped, prepared

    def _state(self) -> dict[str, Tensor]:
        state = self.task.model.state_dict(keep_vars=True)
        if not getattr(self.task, "keeps_frozen", True):
            state = {
                k: v for k, v in state.items() if v.requires_grad or not isinstance(v, nn.Parameter)
            }
        return {k: v.detach() for k, v in state.items()}

    def _load(self, state: dict[str, Tensor]) -> None:
        """Put back what `_state` gave, cut or whole. Raises RuntimeError if it does not fit."""
        present = self._state()
        if state.keys() != present.keys():
            differing = sorted(state.keys() ^ present.keys())
            raise RuntimeError(f"other parameters learn: {', '.join(differing[:4])}, ...")
        state = {name: cut_like(value, present[name]) for name, value in state.items()}
        self.task.model.load_state_dict(state, strict=False)

    # --- files -----------------------------------------------------------------------------------

    def resume(self) -> bool:
        """Load the newest checkpoint, if there is one. Raises `UserError` if it does not fit.

        Settings of the optimiser (`optim.*`) are those of the present configuration.
        """
        tree = self.checkpoints.load()
        if tree is None:
            return False
        try:
            self._load(tree["model"])
            if self._adversary is not None:
                self._adversary.load_state_dict(tree["adversary"])
            everything = [*self.optimizers, *self.adversary_optimizers]
            for optimizer, state in zip(everything, tree["optimizers"], strict=True):
                settings = [_settings(group) for group in optimizer.param_groups]
                optimizer.load_state_dict(cut_states(optimizer, state))
                # The moments come from the checkpoint, rates and decay from this configuration.
                for group, own in zip(optimizer.param_groups, settings, strict=True):
                    group.update(own)
            for name, value in tree["ema"].items():
                self.ema[name].copy_(cut_like(value, self.ema[name]))
        except (RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"the checkpoint in {self.folder} does not fit this configuration ({reason}): "
                "resume with the configuration it was made with, or name another folder"
            ) from error
        self.step, self.norm_mean = tree["step"], tree["norm_mean"]
        self.skipped_in_a_row, self.seconds = tree["skipped_in_a_row"], tree["seconds"]
        self._saved_step = self.step
        self.record.cut(self.step)
        return True

    def save(self) -> None:
        """Write a checkpoint; the previous one stays until the new one is complete."""
        main = self.accelerator.is_main_process
        if self._saved_step == self.step or not (main or self.sharded):
            return
        everything = [*self.optimizers, *self.adversary_optimizers]
        tree: dict[str, Any] = {
            "model": dict(self._state()),
            "ema": self.ema,
            "optimizers": [optimizer.state_dict() for optimizer in everything],
            "step": self.step,
            "norm_mean": self.norm_mean,
            "skipped_in_a_row": self.skipped_in_a_row,
            "seconds": self.seconds,
        }
        if self._adversary is not None:
            tree["adversary"] = dict(self._adversary.state_dict())
        if self.sharded:
            tree = whole(tree)
        if main:
            self.checkpoints.save(self.step, tree)
        self._saved_step = self.step

    # --- the loop --------------------------------------------------------------------------------

    def run(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Train until `max_steps`, or until `stop()` is true between two steps."""
        torch.set_num_threads(self.config.threads)
        self.task.model.train()
        with self._bar() as bar:
            bar.advance(self.step)
            self._loop(stop, bar)
        self.record.flush(self.step, self.seconds)
        self.save()
        self.record.close()
        self.accelerator.wait_for_everyone()

    def _bar(self) -> AbstractContextManager[Bar]:
        """Live on a terminal; a log file has the rows."""
        shown = self.accelerator.is_main_process and sys.stderr.isatty()
        return progress("training", self.config.max_steps, "steps", enabled=shown)

    def _loop(self, stop: Callable[[], bool], bar: Bar) -> None:
        last_save = time.monotonic()
        while self.step < self.config.max_steps and not self._agreed(stop()):
            started = time.monotonic()
            figures = self.train_step()
            self.record.add(figures)
            self.step += 1
            bar.advance()
            if "loss" in figures:
                bar.describe(f"training, loss {figures['loss']:.4g}")
            self.seconds += time.monotonic() - started
            if self.step % self.config.log_every == 0:
                self.record.flush(self.step, self.seconds)
            if self.step % self.config.evaluate_every == 0 or self.step == self.config.max_steps:
                self._evaluate()
            due = time.monotonic() - last_save > self.config.checkpoint_every_seconds
            if self._agreed(due) if self.sharded else due:
                self.save()
                last_save = time.monotonic()

    def _agreed(self, answer: bool) -> bool:
        """All processes stop (and save cut weights) at the same step: the first one decides."""
        if self.accelerator.num_processes == 1:
            return answer
        flag = torch.tensor([float(answer)], device=self.accelerator.device)
        return bool(self.accelerator.gather(flag)[0])

    @torch.no_grad()
    def first_loss(self) -> float:
        """Of the first batch; nothing is learned."""
        loss, _ = self._wrapped(self._batch_number(0), self.generator)
        return float(loss.detach())

    def train_step(self) -> dict[str, float]:
        """One update: gradients of `accumulate` batches, the guard, the optimisers, the average."""
        factor = self._set_rates()
        total, parts = 0.0, {}
        _zero([*self.optimizers, *self.adversary_optimizers])
        for part in range(self.config.accumulate):
            last = part == self.config.accumulate - 1
            with self._unsynced(self._wrapped, last):
                with self.accelerator.autocast():
                    loss, parts = self._wrapped(self._batch_number(part), self.generator)
                self.accelerator.backward(loss / self.config.accumulate)
            total += float(loss.detach()) / self.config.accumulate
            if self._adversary is not None:
                parts = {**parts, "adversary": self._learn_to_tell(self._adversary, last)}
        norm = self._clip(self._wrapped)
        if self._is_spike(norm, total):
            return {"skipped": 1.0}
        for optimizer in self.optimizers:
            optimizer.step()
        if self._adversary is not None and math.isfinite(self._clip(self._adversary)):
            for optimizer in self.adversary_optimizers:
                optimizer.step()
        self._average()
        return {"loss": total, "grad_norm": norm, "lr_factor": factor, **parts}

    def _batch_number(self, part: int) -> int:
        """Which batch this process takes; also seeds every random draw made for it."""
        processes = self.accelerator.num_processes
        number = self.step * self.config.accumulate + part
        number = number * processes + self.accelerator.process_index
        seed = (self.config.seed * 1_000_003 + number) % 2**63
        self.generator.manual_seed(seed)
        torch.manual_seed(seed)
        return number

    @contextmanager
    def _unsynced(self, module: nn.Module, last: bool) -> Iterator[None]:
        """Gradients travel between processes with the last batch of a step only."""
        with nullcontext() if last else self.accelerator.no_sync(module):
            yield

    def _set_rates(self) -> float:
        factor = schedule(
            self.optim.schedule,
            self.step,
            self.config.max_steps,
            self.optim.warmup_steps,
            self.optim.decay_fraction,
        )
        for optimizer in [*self.optimizers, *self.adversary_optimizers]:
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * factor
        return factor

    def _clip(self, module: nn.Module) -> float:
        norm = self.accelerator.clip_grad_norm_(module.parameters(), self.optim.grad_clip)
        return math.nan if norm is None else float(norm)

    def _learn_to_tell(self, adversary: nn.Module, last: bool) -> float:
        """Gradients of the discriminators from the batch that the generator has just used."""
        with self._unsynced(adversary, last):
            with self.accelerator.autocast():
                loss = adversary()
            self.accelerator.backward(loss / self.config.accumulate)
        return float(loss.detach())

    def _is_spike(self, norm: float, loss: float) -> bool:
        limit = math.inf
        if self.norm_mean is not None and self.step > self.optim.warmup_steps:
            limit = self.config.spike_factor * self.norm_mean
        if math.isfinite(norm) and norm <= limit:
            self.norm_mean = norm if self.norm_mean is None else 0.98 * self.norm_mean + 0.02 * norm
            self.skipped_in_a_row = 0
            return False
        self.skipped_in_a_row += 1
        logger.warning("step %d skipped: loss %.4g, gradient norm %.4g", self.step, loss, norm)
        if self.skipped_in_a_row >= self.config.max_skipped:
            raise UserError(
                f"{self.skipped_in_a_row} steps in a row had NaN or exploding gradients; the last "
                f"checkpoint is in {self.folder}: lower the learning rate and resume"
            )
        return True

    @torch.no_grad()
    def _average(self) -> None:
        # Early on the average follows the weights closely, or it would remember the random start.
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        for name, value in self._state().items():
            if value.is_floating_point():
                self.ema[name].lerp_(value, 1 - decay)
            else:
                self.ema[name].copy_(value)

    @contextmanager
    def averaged(self) -> Iterator[nn.Module]:
        """The model with the moving average of its weights: what is evaluated and shipped.

        Where weights are cut, all processes enter, and only the main one may use the model.
        """
        if self.sharded:
            yield self._put_together()
            return
        model = self.task.model
        trained = {k: v.clone() for k, v in self._state().items()}
        training = model.training
        self._load(self.ema)
        model.eval()
        try:
            yield model
        finally:
            self._load(trained)
            model.train(training)

    def _put_together(self) -> nn.Module:
        state = whole(self.ema)
        if self._whole_model is None:
            return self.task.model
        self._whole_model.load_state_dict(state, strict=False)
        return self._whole_model.eval()

    def _evaluate(self) -> None:
        main = self.accelerator.is_main_process
        if not (main or self.sharded):
            return
        # What is compiled is compiled for training: whole recordings and streams go without.
        eager = torch.compiler.set_stance("force_eager") if self.config.compile else nullcontext()
        with self.averaged() as model, eager:
            folder = self.folder / "samples"
            figures = self.task.evaluate(model, self.step, folder) if main else {}
        if figures:
            self.record.write(self.step, self.seconds, {f"eval/{k}": v for k, v in figures.items()})
            self.record.samples(self.step, folder)


def _zero(optimizers: list[Any]) -> None:
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
