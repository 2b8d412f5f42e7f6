"""Scripts of `examples/nano` as modules, since examples are not installed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "nano"


@pytest.fixture(scope="session")
def script() -> Callable[[str], ModuleType]:
    """`script(name)` is the module `examples/nano/NAME.py`."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"nano_{name}", FOLDER / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return load
