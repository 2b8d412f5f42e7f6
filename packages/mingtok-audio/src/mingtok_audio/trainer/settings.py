"""What a YAML file says of optimisers and of the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


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
    adversary_lr: float = 1e-4
    """AdamW of the discriminators, where a task has them."""
    lr_scales: dict[str, float] = field(default_factory=dict)
    """Beginnings of parameter names and by how much their learning rates differ."""


@dataclass(frozen=True)
class TrainerConfig:
    """How long, how often, how careful."""

    max_steps: int = 1000
    seed: int = 0
    threads: int = 1
    """CPU threads of each process."""
    device: Literal["auto", "cpu"] = "auto"
    """"auto" takes what accelerate finds: CUDA, MPS or the CPU."""
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    compile: bool = False
    """Compile the transformers' blocks (torch.compile): half as fast again on a CPU, after a minute
    or two in which it is done. Needs a C++ compiler."""
    accumulate: int = 1
    """Batches whose gradients are averaged into one step."""
    ema_decay: float = 0.999
    log_every: int = 20
    checkpoint_every_seconds: float = 180.0
    keep_checkpoints: int = 2
    evaluate_every: int = 1000
    tensorboard: bool = False
    """Write `tensorboard/` beside `log.jsonl` (needs the tensorboard package)."""
    spike_factor: float = 10.0
    """A step whose gradient norm exceeds this many times its running mean is skipped."""
    max_skipped: int = 50
    """After this many skipped steps in a row the run stops with an error."""

    def __post_init__(self) -> None:
        if min(self.max_steps, self.threads, self.accumulate, self.keep_checkpoints) < 1:
            raise ValueError("max_steps, threads, accumulate, keep_checkpoints must be positive")
        if min(self.log_every, self.evaluate_every, self.max_skipped) < 1:
            raise ValueError("log_every, evaluate_every and max_skipped must be positive")
