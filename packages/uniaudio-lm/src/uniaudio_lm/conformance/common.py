"""What the kits share: sizes, random numbers, saving and loading."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mingtok_audio.core.models.components import load_weights, save_component
from mingtok_audio.core.plugins import CheckResult
from mingtok_audio.core.plugins.conformance import require, run_checks

DIM, LATENT, PATCH = 24, 6, 3
TOLERANCE = 1e-4
Checks = list[tuple[str, Callable[[], str | None]]]


def run(checks: Checks) -> list[CheckResult]:
    """Run the checks of a kit from a fixed seed."""
    # A check must not change the randomness of whoever calls it.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return run_checks(checks)


SMALL = {"hidden_size": 32, "depth": 2, "num_heads": 4, "width": 32, "dropout": 0.0}


def small(found: type, options: dict[str, Any], needed: dict[str, Any]) -> dict[str, Any]:
    """Options for a quick check: small where the class has the usual names for sizes."""
    names = inspect.signature(found).parameters
    return {**needed, **{k: v for k, v in SMALL.items() if k in names}, **options}


def random(*shape: int, seed: int = 0) -> Tensor:
    """Unit Gaussian, the same for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def shaken(module: Any) -> Any:
    """Random weights of a usual size: zero-initialised layers would hide what they do."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn(p.shape, generator=generator) * 0.1)
    return module.eval()


def difference(a: Tensor, b: Tensor) -> float:
    """Largest absolute difference."""
    return float((a - b).abs().max()) if a.numel() else 0.0


def save_and_load(make: Callable[[], Any], slot: str) -> tuple[Any, Any]:
    """A module with random weights, and one that was saved from it and loaded again."""
    module = shaken(make())
    with tempfile.TemporaryDirectory() as name:
        save_component(Path(name), module, slot=slot, name="under_test", options={})
        again = make().eval()
        if module.state_dict():
            load_weights(again, Path(name), "the saved component")
    return module, again


class Kit:
    """Builds the class under test; a method a rule."""

    interface: type = nn.Module

    def __init__(self, found: type, options: dict[str, Any]) -> None:
        self._class, self._options = found, options

    def make(self) -> Any:
        built = self._class(**self._options)
        require(isinstance(built, self.interface), f"it is not a {self.interface.__name__}")
        return built

    def reached(self, module: nn.Module) -> str:
        """Require a gradient of every parameter."""
        missing = [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None]
        require(not missing, f"no gradient reaches {', '.join(missing[:5])}")
        return f"{sum(p.numel() for p in module.parameters())} parameters"
