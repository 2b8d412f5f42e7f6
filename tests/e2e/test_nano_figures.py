"""What the cards' figures are made with: `evaluate.sh` and `figures.py`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

EVALUATE = Path(__file__).resolve().parents[2] / "recipes" / "nano" / "evaluate" / "evaluate.sh"


def test_an_unknown_stage_stops_before_anything_is_done() -> None:
    done = subprocess.run(
        ["bash", str(EVALUATE), "hearing", "nonsense"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert not done.stdout
    assert done.stderr.startswith("no stage nonsense: speech hearing ")


def test_every_stage_does_something() -> None:
    text = EVALUATE.read_text(encoding="utf-8")
    stages = re.search(r'^STAGES="(.*)"$', text, re.MULTILINE)
    assert stages is not None
    handled = re.findall(r"^        ([a-z]+)\)", text, re.MULTILINE)
    assert sorted(handled) == sorted(stages[1].split())


def copied(errors: int, before: int, words: int) -> dict[str, Any]:
    def rate(wrong: int) -> dict[str, Any]:
        return {"value": 100 * wrong / words, "details": {"S": wrong, "D": 0, "I": 0, "N": words}}

    return {"metrics": {"wer": rate(errors), "ref_wer": rate(before)}}


def test_added_errors(script: Callable[[str], ModuleType]) -> None:
    added = script("figures").added_errors
    assert added([copied(2, 1, 10)] * 5) == (10.0, 10.0, 10.0)
    figure, low, high = added([copied(3, 1, 10), copied(0, 1, 10), {"metrics": {}}] * 20)
    assert figure == 5.0
    assert low < figure < high
