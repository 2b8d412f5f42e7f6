"""The `mingtok` command on a tiny tokenizer with random weights."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from cli_helpers import Cli, Done, write_wav
from tiny_tokenizer import tiny_model

from mingtok_audio.cli import app
from mingtok_audio.core.cli import run


@pytest.fixture
def cli(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run `mingtok ARGS` in this process: `cli("encode", "x.wav", stdin=b"...")`."""

    def call(*args: object, stdin: bytes | None = None) -> Done:
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as left:
            run(app, [str(arg) for arg in args])
        out, err = capfdbinary.readouterr()
        code = left.value.code
        assert isinstance(code, int)
        return Done(code, out, err.decode())

    return call


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny tokenizer: 8 dimensions, window of 5 frames."""
    return tiny_model().save_pretrained(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same tokenizer with other weights."""
    return tiny_model(seed=1).save_pretrained(tmp_path_factory.mktemp("models") / "other")


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """Half a second of sound at 16 kHz."""
    return write_wav(tmp_path / "speech.wav")
