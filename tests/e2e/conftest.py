"""Scripts of `recipes/nano` as modules, since recipes are not installed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "recipes" / "nano"


@pytest.fixture(scope="session")
def script() -> Callable[[str], ModuleType]:
    """`script(name)` is the module `recipes/nano/{tools,evaluate}/NAME.py`."""

    def load(name: str) -> ModuleType:
        (path,) = [p for p in FOLDER.glob("*/*.py") if p.stem == name and p.parent.name != "data"]
        spec = importlib.util.spec_from_file_location(f"nano_{name}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return load
