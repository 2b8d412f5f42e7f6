"""What a YAML file says of an edit run (paper section 6.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mingtok_audio.trainer.loop import OptimConfig, TrainerConfig
from uniaudio_lm.training.settings import PARTS, Latents, LoraConfig


@dataclass(frozen=True)
class EditData:
    """Folders that `uniaudio edit-data` made."""

    train: list[str]
    valid: list[str] = field(default_factory=list)
    max_tokens: int = 4000
    """Of a padded batch: prompt, both recordings' patches, and the answer."""
    longest: float = 30.0
    """Seconds; pairs with a longer source or target are left out."""
    latents: Latents = field(default_factory=Latents)
    workers: int = 0
    """Threads that make batches ahead."""

    def __post_init__(self) -> None:
        if not self.train:
            raise ValueError("train names no folder of pairs")
        if self.max_tokens < 1 or self.longest <= 0:
            raise ValueError("max_tokens and longest must be positive")


@dataclass(frozen=True)
class EditLoss:
    """flow + text + stop + balance."""

    flow: float = 1.0
    text: float = 1.0
    """Of the chain of thought and of `<gen_audio>`."""
    stop: float = 1.0
    balance: float = 0.01
    edited_weight: float = 3.0
    """What a frame of edited audio weighs in the flow loss against one that is copied (the paper
    says "higher" and no number). Sound edits have the same weight everywhere."""
    draws: int = 1
    """Times and noises for each patch."""
    cond_dropout: float | None = None
    time_distribution: Literal["uniform", "logit_normal"] | None = None
    history_noise: float = 0.0
    """Largest standard deviation, in the head's units, of noise on the patch before."""

    def __post_init__(self) -> None:
        if self.edited_weight < 1:
            raise ValueError("edited_weight is at least 1")
        if self.draws < 1 or self.history_noise < 0:
            raise ValueError("draws is at least 1, noise cannot be negative")


@dataclass(frozen=True)
class EditEvaluation:
    """What is made at every evaluation, beside the losses on the `valid` folders."""

    batches: int = 4
    edits: int = 0
    """Pairs of `valid` that are edited with the averaged weights, into `samples/`."""


@dataclass(frozen=True)
class EditConfig:
    """A whole run, as its YAML file says it."""

    data: EditData
    init: str
    """The trained speech model to start from: a folder or a Hub id."""
    learn: list[str] = field(default_factory=lambda: list(PARTS))
    """Parts that are trained; the others stay as they are, bit for bit."""
    semantic: bool = False
    """Train the tokenizer's semantic module too."""
    lora: LoraConfig | None = None
    loss: EditLoss = field(default_factory=EditLoss)
    optim: OptimConfig = field(default_factory=OptimConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    evaluation: EditEvaluation = field(default_factory=EditEvaluation)
    stage: Literal["edit"] = "edit"

    def __post_init__(self) -> None:
        unknown = [name for name in self.learn if name not in PARTS]
        if unknown:
            raise ValueError(f"learn: {unknown[0]!r} is not a part; parts are {', '.join(PARTS)}")
        if self.evaluation.edits and not self.data.valid:
            raise ValueError("evaluation.edits needs folders of pairs in data.valid")
