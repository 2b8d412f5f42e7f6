"""`docs/paper.md` names what exists: modules, symbols, tests, suites, configurations, commands."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.partition("\n## The commands")[0].splitlines()
    if line.startswith("|") and not line.startswith(("| ---", "| paper |"))
]
CODE = sorted({name for row in ROWS for name in re.findall(r"`(\w+\.[\w.:]+)`", row[1])})
TESTS = sorted({name for row in ROWS for name in re.findall(r"`(test_[\w.:]+)`", row[2])})
COMMANDS = sorted({name for row in ROWS for name in re.findall(r"`([a-z][\w -]+)`", row[3])})


def source_of(module: str) -> Path:
    relative = module.replace(".", "/")
    found = [
        path
        for package in ROOT.glob("packages/*/src")
        for path in (package / f"{relative}.py", package / relative / "__init__.py")
        if path.is_file()
    ]
    assert len(found) == 1, f"no module {module}"
    return found[0]


def defined(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    names: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = node
        elif isinstance(node, ast.Assign):
            names |= {t.id: node for t in node.targets if isinstance(t, ast.Name)}
    return names


def test_the_table_covers_the_paper() -> None:
    assert all(len(row) == 6 for row in ROWS), [row[0] for row in ROWS if len(row) != 6]
    first = " ".join(row[0] for row in ROWS)
    for number in range(1, 17):
        assert re.search(rf"tables? ([\d, and]*\b)?{number}\b", first), f"table {number}"
    for number in range(1, 6):
        assert re.search(rf"equations? ([\d, and]*\b)?{number}\b", first), f"equation {number}"
    for number in range(1, 9):
        assert re.search(rf"figures? ([\d, and]*\b)?{number}\b", first), f"figure {number}"
    assert len(CODE) > 30 and len(TESTS) > 30 and len(COMMANDS) > 15


@pytest.mark.parametrize("name", CODE)
def test_code_exists(name: str) -> None:
    module, _, symbol = name.partition(":")
    body = ast.parse(source_of(module).read_text(encoding="utf-8")).body
    for part in filter(None, symbol.split(".")):
        names = defined(body)
        assert part in names, f"{module} defines no {part}"
        body = getattr(names[part], "body", [])


@pytest.mark.parametrize("name", TESTS)
def test_tests_exist(name: str) -> None:
    file, _, function = name.partition("::")
    found = list(ROOT.glob(f"packages/*/tests/{file}"))
    assert len(found) == 1, f"no file {file}"
    assert not function or re.search(rf"^def {function}\(", found[0].read_text(), re.M)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_exist(command: str) -> None:
    from typer.main import get_command

    script, *rest = command.split()
    if script == "uniaudio":
        from uniaudio_lm.cli import app
    elif script == "mingtok":
        from mingtok_audio.cli import app
    else:
        assert script == "audio-eval"
        from audio_eval.cli import app
    group = get_command(app)
    found = group.get_command(None, rest[0])  # type: ignore[attr-defined, arg-type]
    assert found is not None, command
    if rest[0] == "train" and len(rest) > 1:
        package = "uniaudio_lm" if script == "uniaudio" else "mingtok_audio"
        configs = next(ROOT.glob(f"packages/*/src/{package}/configs"))
        assert (configs / f"{rest[1]}.yaml").is_file(), command
    if rest[0] == "score" and len(rest) > 1:
        suites = ROOT / "packages/audio-eval/src/audio_eval/suites"
        assert (suites / f"{rest[1]}.yaml").is_file(), command


@pytest.mark.slow
def test_the_lines_run(tmp_path: Path) -> None:
    """Every line of the section on commands, in its order."""
    block = TEXT.partition("## The commands")[2].partition("```sh\n")[2].partition("```")[0]
    lines = block.strip().splitlines()
    assert len(lines) > 12
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    scripts = Path(sys.executable).parent
    assert lines.pop(0) == "mkdir -p out"
    (tmp_path / "out").mkdir()
    for line in lines:
        name, *rest = shlex.split(line)
        found = subprocess.run(
            [scripts / name, *rest], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, f"{line}\n{found.stderr}"
