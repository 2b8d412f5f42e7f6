"""How a run uses the machine: its processes, its devices, and compiled blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.extras import install_line
from mingtok_audio.trainer.settings import TrainerConfig

if TYPE_CHECKING:
    from accelerate import Accelerator

# Shapes differ with every batch: a graph for all, and some for those that specialise.
_GRAPHS = 64


def make_accelerator(config: TrainerConfig, unused_parameters: bool = False) -> Accelerator:
    """accelerate's view of this process. Raises `UserError` if it is not installed.

    `unused_parameters`: a step may leave some parameters without a gradient.
    """
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
    except ImportError as error:
        raise UserError(
            "training needs the package accelerate: " + install_line("mingtok-audio", "train")
        ) from error
    handlers: list[Any] = []
    if unused_parameters:
        handlers.append(DistributedDataParallelKwargs(find_unused_parameters=True))
    return Accelerator(
        # Where there is nothing else accelerate must be told so, or each of several processes takes
        # itself for the only one.
        cpu=config.device == "cpu" or not torch.accelerator.is_available(),
        mixed_precision=config.mixed_precision,
        kwargs_handlers=handlers,
    )


def compile_blocks(model: nn.Module) -> None:
    """Let torch.compile make one of what the blocks of every transformer in a model do.

    Blocks whose inside is watched (`watched` on a module of theirs) stay as they are, and so do
    those that do not learn.
    """
    torch._dynamo.config.recompile_limit = _GRAPHS  # pyright: ignore[reportPrivateUsage]
    for module in model.modules():
        blocks = getattr(module, "blocks", None)
        if not isinstance(blocks, nn.ModuleList):
            continue
        for block in blocks:
            watched = any(getattr(part, "watched", False) for part in block.modules())
            if not watched and any(p.requires_grad for p in block.parameters()):
                block.compile(dynamic=True)
