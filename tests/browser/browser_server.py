"""`uniaudio serve` as a process of its own, for the tests of the page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "examples" / "data"


class Server:
    """`uniaudio serve` as a process of its own."""

    def __init__(self, *options: str, port: int = 0, keys: str = "") -> None:
        self.port, self.keys, self.options = port, keys, options
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-c", "from uniaudio_lm.cli import main; main()", "serve"]
        environment = {**os.environ, "UNIAUDIO_API_KEYS": self.keys, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), *self.options],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                break
        self.address = f"http://127.0.0.1:{self.port}"
        limit = time.monotonic() + 120
        while not self.ready():
            assert time.monotonic() < limit
            assert self.process.poll() is None, "the server ended"
            time.sleep(0.1)

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/ready", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self) -> None:
        """As by a crash."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
