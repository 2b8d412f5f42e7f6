"""The front door: links lead somewhere, the README is short, examples and demo run."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "RESULTS.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "packages").glob("*/*.md")),
    *sorted((ROOT / "packages").glob("*/docs/*.md")),
    *sorted((ROOT / "recipes").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("README.md")),
]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def test_api_pages_hold_every_public_name() -> None:
    """`make docs` renders them; here only that none is missing from `docs/site/api`."""
    missing = []
    for package in sorted(p.name for p in (ROOT / "packages").iterdir()):
        module = importlib.import_module(package.replace("-", "_"))
        page = (ROOT / "docs/site/api" / f"{package}.md").read_text(encoding="utf-8")
        shown = set()
        for line in re.findall(r"^::: (\S+)$", page, re.MULTILINE):
            home, _, name = line.rpartition(".")
            assert hasattr(importlib.import_module(home), name), line
            shown.add(name)
        missing += [f"{package}: {n}" for n in module.__all__ if n not in {*shown, "__version__"}]
    # The one error class of all packages is on the page of the package that defines it.
    assert missing == ["uniaudio-lm: UserError"]


TEXTS = [
    *PAGES,
    *sorted((ROOT / "packages").glob("*/src/**/*.py")),
    *sorted((ROOT / "examples").rglob("*.py")),
    *sorted((ROOT / "benchmarks").rglob("*.py")),
    *sorted((ROOT / "recipes").rglob("*.py")),
]
OURS = "mingtok-audio|uniaudio-lm|uniaudio-edit|audio-eval|mingtok_audio|uniaudio_lm"


def test_pip_lines_work_as_pasted() -> None:
    """Our packages are on no index: a pip line names their folder, or what somebody else made."""
    wrong = []
    for path in TEXTS:
        for line in re.findall(r"pip install[^\n]*", path.read_text(encoding="utf-8")):
            for word in re.split(r"[\s'\"`]+", line)[2:]:
                if word.startswith("#"):
                    break
                bare = re.split(r"[\[=<>~!]", word.strip("().,;:"))[0]
                if re.fullmatch(OURS, bare):
                    wrong.append(f"{path.relative_to(ROOT)}: {line}")
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    missing = []
    for target in LINK.findall(text):
        path = target.split("#")[0]
        if path and "://" not in target and not (page.parent / path).exists():
            missing.append(target)
    assert missing == []


def test_paths_in_the_architecture_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = text[text.index("## I want to change X") :]
    missing = []
    for name in re.findall(
        r"`((?:mingtok_audio|uniaudio_lm|uniaudio_edit|audio_eval)/[\w/.]+)`", text
    ):
        package = name.split("/")[0].replace("_", "-")
        if "NAME" not in name and not (ROOT / "packages" / package / "src" / name).exists():
            missing.append(name)
    assert missing == []
    assert table.count("\n|") >= 12


def test_the_readme_is_one_screen() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) < 750


def run(script: str, *args: str) -> str:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "examples" / script), *args]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_demo_speaks_edits_and_undoes(tmp_path: Path) -> None:
    said = run("demo.py", str(tmp_path / "demo"))
    assert said.count("byte for byte the original") == 2
    page = (tmp_path / "demo" / "demo.html").read_text(encoding="utf-8")
    assert page.count("<audio") == page.count("<img") == 4
    assert "http://" not in page and "https://" not in page


def test_the_numbered_examples_run(tmp_path: Path) -> None:
    clip = "examples/data/librivox_0880.wav"
    run("01_reconstruct.py", clip, str(tmp_path / "copy.wav"))
    assert "ended by" in run("05_speech.py", "It is late.", str(tmp_path / "said.wav"))
    assert run("06_recognition.py", clip).count("\n") > 3
    trained = run("07_train_part.py", str(tmp_path / "part"), "--set", "trainer.max_steps=2")
    assert "changed: generation_head\n" in trained
    assert (tmp_path / "copy.wav").stat().st_size > 10_000
