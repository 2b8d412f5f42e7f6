"""The `uniaudio` script: mounted commands, plugins, and what --help may import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN_CODE = """
import typer
app = typer.Typer()

@app.command()
def greet() -> None:
    print("hello from afar")
"""
BROKEN = {
    "raises.py": "raise RuntimeError('deliberately broken')\n",
    "exits.py": "import sys\nsys.exit(3)\n",
    "wrong.py": "app = 42\n",
    "clash.py": PLUGIN_CODE.replace("def greet", "def info"),
}


def run(*args: str, path: Path | None = None, **variables: str) -> subprocess.CompletedProcess:
    import os

    environment = {**os.environ, **variables, "NO_COLOR": "1"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, "-m", "uniaudio_lm.cli", *args],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip


def install(folder: Path, name: str, module: str, code: str) -> None:
    """A distribution as an installer would leave it: metadata and a module."""
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[uniaudio.commands]\n{module} = {module}:app\n")


def test_help_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys\nfrom uniaudio_lm.cli import app\n"
        "app(['--help'], standalone_mode=False)\n"
        "loaded = {'torch', 'transformers', 'numpy', 'soundfile'} & set(sys.modules)\n"
        "sys.exit(f'imported {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "encode" in done.stdout and "plugins" in done.stdout


def test_tokenizer_commands_are_mounted() -> None:
    listed = run("--help").stdout
    for command in ("encode", "decode", "reconstruct", "info", "doctor", "plugins"):
        assert command in listed
    assert run("encode", "--help").returncode == 0


def test_plugins_of_all_packages_are_listed() -> None:
    rows = json.loads(run("plugins", "list", "--json").stdout)
    keys = {"slot", "name", "distribution", "version", "api_version", "status", "error", "summary"}
    assert all(set(row) == keys for row in rows)
    assert {"slot": "compressor", "name": "pooling"}.items() <= rows[
        [row["name"] for row in rows].index("pooling")
    ].items()
    assert any(row["slot"] == "command" and row["name"] == "tokenizer" for row in rows)


def test_third_party_command_is_mounted_and_can_be_disabled(tmp_path: Path) -> None:
    install(tmp_path, "far-away", "far_away", PLUGIN_CODE)
    assert run("greet", path=tmp_path).stdout == "hello from afar\n"
    for value in ("far-away", "Far_Away", "all"):
        off = run("greet", path=tmp_path, UNIAUDIO_DISABLE_PLUGINS=value)
        assert off.returncode == 2 and "No such command 'greet'" in off.stderr
    kept = run("encode", "--help", path=tmp_path, UNIAUDIO_DISABLE_PLUGINS="all")
    assert kept.returncode == 0


@pytest.mark.parametrize("file", BROKEN)
def test_broken_command_breaks_no_other(tmp_path: Path, file: str) -> None:
    install(tmp_path, "bad-plugin", Path(file).stem + "_plugin", BROKEN[file])
    install(tmp_path, "far-away", "far_away", PLUGIN_CODE)
    assert run("greet", path=tmp_path).stdout == "hello from afar\n"
    rows = json.loads(run("plugins", "list", "--json", path=tmp_path).stdout)
    bad = next(row for row in rows if row["distribution"] == "bad-plugin")
    assert bad["status"] == "broken" and bad["error"]
    explained = run("plugins", "doctor", path=tmp_path)
    assert explained.returncode == 1 and "bad-plugin" in explained.stdout


def test_missing_model_is_one_line() -> None:
    done = run("info", "no/such/folder/here")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
