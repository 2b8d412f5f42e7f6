"""The nano says, recognises, encodes, decodes and edits what it did when this was recorded."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np


def recorder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("nano", Path(__file__).parent / "nano.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_nano_does_what_was_recorded() -> None:
    nano = recorder()
    facts = json.loads((nano.DATA / "nano.json").read_text(encoding="utf-8"))
    arrays = np.load(nano.DATA / "nano.npz")
    found = nano.results()
    assert list(found) == list(facts)
    for name, (fact, array) in found.items():
        assert json.loads(json.dumps(fact)) == facts[name], name
        recorded = arrays[name].astype(np.float64)
        assert array.shape == recorded.shape, name
        # Other vector units round otherwise, and ten solver steps carry that along.
        np.testing.assert_allclose(array, recorded, atol=0.5, rtol=0.02, err_msg=name)
