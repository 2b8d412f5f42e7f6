"""With `--json`, standard output holds our JSON and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

NOISY = """
import os, sys
from mingtok_audio.core.cli import app

def call(*_):
    os.write(1, b"a library speaks")
    print('{"a": 1}')
    return 0

app._call = call
app.run(None, sys.argv[1:])
"""


@pytest.mark.parametrize("flags", [["--json"], []])
def test_what_a_library_writes_does_not_reach_the_json(flags: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", NOISY, *flags], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if flags:
        assert done.stdout == '{"a": 1}\n'
        assert "a library speaks" in done.stderr
    else:
        assert "a library speaks" in done.stdout
