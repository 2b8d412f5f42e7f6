"""The examples in the tokenizer's README and API page run as they are printed.

They run with the shipped weights; in a checkout without them (they are made by training) with a
tiny model of the same kind.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from cli_helpers import environment, write_wav
from tiny_tokenizer import tiny_model

import mingtok_audio
from mingtok_audio import weights

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "packages" / "mingtok-audio"
README = PACKAGE / "README.md"
API = PACKAGE / "docs" / "api.md"


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a language, unindented."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", path.read_text("utf-8"), re.M | re.S)
    return ["\n".join(line[len(i) :] for line in text.splitlines()) for i, text in found]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recordings that the examples name."""
    shutil.copy(ROOT / "examples" / "data" / "librivox_0880.wav", tmp_path / "speech.wav")
    for name in ("a.wav", "more/b.flac"):
        write_wav(tmp_path / "recordings" / name)
    if weights.shipped_weights("nano") is None:
        folder = tiny_model().save_pretrained(tmp_path / ".nano")
        monkeypatch.setattr(weights, "shipped_folder", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "joined"), [(README, False), (API, True)], ids=["README", "docs/api.md"]
)
def test_python_blocks_run(workplace: Path, path: Path, joined: bool) -> None:
    """Each block of the README stands alone; those of the API page build on each other."""
    found = blocks(path, "python")
    assert len(found) >= 2
    for text in ["\n".join(found)] if joined else found:
        exec(compile(text, str(path), "exec"), {"__name__": "example"})


def test_readme_commands_run(workplace: Path) -> None:
    lines = [line for text in blocks(README, "sh") for line in text.splitlines() if line.strip()]
    assert len(lines) >= 6
    shipped = weights.shipped_weights("nano")
    assert shipped is not None
    model = "" if (PACKAGE / "src/mingtok_audio/weights/nano/config.json").is_file() else shipped
    for line in lines:
        if model:
            line = re.sub(  # noqa: PLW2901 - the tiny model stands in for the shipped one
                r"mingtok (encode|decode)", rf"mingtok \1 -m {shlex.quote(str(model))}", line
            )
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            capture_output=True,
            text=True,
            env=environment(),
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert "error" not in done.stderr, f"{line}\n{done.stderr}"
    for name in (
        "speech.mtok",
        "copy.wav",
        "latents/more/b.mtok",
        "decoded/more/b.wav",
        "piped.wav",
    ):
        assert (workplace / name).is_file(), name


def test_every_command_and_public_name_is_documented() -> None:
    from mingtok_audio.cli import app

    readme, api = README.read_text("utf-8"), API.read_text("utf-8")
    for command in app.registered_commands:
        name = command.name or getattr(command.callback, "__name__", "")
        assert f"mingtok {name}" in readme, name
    for name in mingtok_audio.__all__:
        assert name in readme + api or name == "__version__", name


def test_links_of_the_docs_exist() -> None:
    for path in (README, API):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
            if not target.startswith("http"):
                assert (path.parent / target).exists(), f"{path.name}: {target}"
