"""Helpers for tests that run the `mingtok` command."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile


@dataclass
class Done:
    """What a command left: its exit code and what it printed."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        return self.raw.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


Cli = Callable[..., Done]
"""`cli("encode", "x.wav", stdin=b"...")`: the fixture of tests/cli."""


def write_wav(
    path: Path, seconds: float = 0.5, rate: int = 16000, channels: int = 1, seed: int = 0
):
    """Noise of a few tones, quiet enough not to clip."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    tones = [np.sin(2 * np.pi * f * time) for f in generator.uniform(100, 900, (4,))]
    wav = 0.1 * np.stack([np.sum(tones, 0) + generator.normal(0, 0.1, len(time))] * channels, 1)
    wav *= np.linspace(0.5, 1.0, channels)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wav, rate)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too, and its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def results(folder: Path, suffix: str) -> dict[str, bytes]:
    """The results below a folder and their bytes."""
    return {name: data for name, data in tree(folder).items() if name.endswith(suffix)}


def environment(**changes: str) -> dict[str, str]:
    """This process's environment with changes, for a real subprocess.

    The scripts of this Python come first on the path: its environment need not be activated.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **changes}


def script(args: Sequence[object]) -> list[str]:
    """The command line of a real `mingtok`."""
    return [sys.executable, "-m", "mingtok_audio.cli", *(str(arg) for arg in args)]
