"""No import circle in any package, whether at the top of a file, in a function or for types."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_module_imports_itself_through_others() -> None:
    spec = importlib.util.spec_from_file_location("structure", ROOT / "benchmarks/structure.py")
    assert spec is not None
    assert spec.loader is not None
    structure = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(structure)
    modules = structure.sources(ROOT)
    graph = {name: structure.imports(name, path, modules) for name, path in modules.items()}
    assert structure.circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert structure.circles(graph) == []
