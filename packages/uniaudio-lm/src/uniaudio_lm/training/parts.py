"""What every task that trains a `SpeechLM` does: the joint stages, and editing's.

Axes: B items, S tokens, P patches, p frames of a patch, d latent dimensions, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mingtok_audio.core.errors import ConfigError
from uniaudio_lm.checkpoint.save import save_model as write_model
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.training.lora import LoraLinear, add_lora, as_merged, save_adapter
from uniaudio_lm.training.settings import LoraConfig


def set_head(lm: SpeechLM, **options: float | str | None) -> None:
    """Give the generation head the options that a run changes; None keeps the head's own.

    Raises:
        ConfigError: the head has no such option.
    """
    head = lm.generation_head
    for name, value in options.items():
        if value is None:
            continue
        if not hasattr(head, name):
            raise ConfigError(f"loss.{name}: the head {type(head).__name__} has no such option")
        setattr(head, name, value)


def choose_learners(
    lm: SpeechLM, learn: Sequence[str], lora: LoraConfig | None, semantic: bool
) -> set[str]:
    """Let parts of a model learn, by adapters where `lora` says so; everything else is frozen.

    Returns:
        the parts with parameters that learn.

    Raises:
        ConfigError: none, or a semantic module that the model does not read.
    """
    lm.requires_grad_(False)
    for part in learn:
        lm.get_submodule(part).requires_grad_(True)
    if lora is not None:
        for part in {name.partition(".")[0] for name in add_lora(lm, lora)}:
            lm.get_submodule(part).requires_grad_(False)
        for module in lm.modules():
            if isinstance(module, LoraLinear):
                module.down.requires_grad_(True)
                module.up.requires_grad_(True)
    if semantic:
        if lm.tokenizer.semantic is None or lm.config.audio_input == "latent":
            raise ConfigError(
                "semantic: the language model does not read a semantic module's features"
            )
        lm.tokenizer.semantic.requires_grad_(True)
    learning = {n.partition(".")[0] for n, p in lm.named_parameters() if p.requires_grad}
    if not learning:
        raise ConfigError("learn names no part with parameters: nothing would be trained")
    return learning


def latent_noise(lm: SpeechLM, values: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Noise for latents (B, ..., d), of a level of its own up to `most` for each item, in the
    latents' units."""
    level = most * torch.rand(len(values), generator=generator)
    noise = torch.randn(values.shape, generator=generator)
    noise = noise * level.view(-1, *[1] * (values.dim() - 1))
    noise, std = noise.to(values), lm.config.latent_std
    if std is not None:
        noise[..., : len(std)] *= values.new_tensor(std)
    return noise


def latest_latents(values: Tensor, patch: int, history: int) -> Tensor:
    """Of every patch of `patch` latents of (B, L, d): the `history` latents before it, with zeros
    before the first, (B, P, history, d)."""
    count = values.shape[1] // patch
    padded = torch.nn.functional.pad(values, (0, 0, history, 0))
    windows = padded.unfold(1, history, patch)[:, :count]  # (B, P, d, history)
    return windows.transpose(2, 3)


def stop_places(lm: SpeechLM, starts: Tensor, counts: Tensor, tokens: int) -> tuple[Tensor, Tensor]:
    """Where the stop detector reads the hidden states of speech.

    Args:
        starts: (B,) of the first patch among the `tokens`.
        counts: (B,) patches.

    Returns:
        places (B, P), and how many of them count (B,). Where a stop comes before a patch is made,
        the state after the last one says so.
    """
    counts = counts + (0 if lm.stop_detector.stop_after_patch else 1)
    places = starts[:, None] - 1 + torch.arange(int(counts.max()), device=starts.device)
    return places.clamp_max(tokens - 1), counts


def stop_loss(lm: SpeechLM, hidden: Tensor, places: Tensor, counts: Tensor) -> Tensor:
    """The stop detector's loss on hidden states (B, S, D) at `places` (B, P)."""
    states = hidden.gather(1, places[..., None].expand(-1, -1, hidden.shape[-1]))
    return lm.stop_detector.loss(states, counts)


def save_model(lm: SpeechLM, lora: LoraConfig | None, folder: Path) -> Path:
    """Write the model; adapters apart too (`adapter/` beside it), and merged into it."""
    if lora is None:
        return write_model(lm, folder)
    save_adapter(lm, lora, folder.parent / "adapter")
    with as_merged(lm):
        return write_model(lm, folder)
