"""Weights that are cut over processes (FSDP, version 2): putting them together, and cutting again.

What is written to files, and what is evaluated, is whole. A cut tensor is known by its
`device_mesh`: torch's module for them is imported only where there are some.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mingtok_audio.core.errors import UserError

if TYPE_CHECKING:
    from accelerate import Accelerator

    from mingtok_audio.trainer.settings import OptimConfig

logger = logging.getLogger(__name__)


def check_sharding(accelerator: Accelerator, optim: OptimConfig, adversary: bool) -> bool:
    """Whether weights are cut. Raises `UserError` for what does not work then."""
    if not str(accelerator.distributed_type).endswith("FSDP"):
        asked = os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
        if asked and accelerator.is_main_process:
            logger.warning("accelerate has no FSDP here: every process holds whole weights")
        return False
    if not accelerator.is_fsdp2:
        raise UserError("FSDP works in its second version only: accelerate launch --fsdp_version 2")
    if optim.muon_lr is not None:
        raise UserError("Muon needs whole matrices: set optim.muon_lr to null under FSDP")
    if adversary:
        raise UserError(
            "FSDP takes one model, there is no room for discriminators: set loss.adversarial and "
            "loss.feature_matching to 0"
        )
    return True


def whole(tree: Any) -> Any:
    """Nested dicts and lists with every cut tensor put together. Every process calls it, or the
    others wait for ever."""
    if isinstance(tree, dict):
        return {key: whole(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [whole(value) for value in tree]
    return tree.detach().full_tensor() if hasattr(tree, "device_mesh") else tree


def cut_like(value: Tensor, reference: Any) -> Tensor:
    """A whole tensor cut as `reference` is; as it was, if that is whole or of another shape."""
    mesh = getattr(reference, "device_mesh", None)
    if mesh is None or hasattr(value, "device_mesh") or value.shape != reference.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(reference.device), mesh, reference.placements)


def cut_states(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """An optimiser's `state_dict`, whole, with its moments cut as its parameters are."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    numbers = [n for group in state["param_groups"] for n in group["params"]]
    if len(numbers) != len(parameters):
        return state  # the optimiser itself will refuse it, in its own words
    cut = {}
    for number, parameter in zip(numbers, parameters, strict=True):
        moments = state["state"].get(number, {})
        cut[number] = {
            name: cut_like(value, parameter) if isinstance(value, Tensor) else value
            for name, value in moments.items()
        }
    return {**state, "state": {n: moments for n, moments in cut.items() if moments}}
