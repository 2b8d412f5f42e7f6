"""How long the server needs to open a recording for the page, and to draw parts of it.

    python benchmarks/page_opening.py [MINUTES]

A file of noise, 44.1 kHz, two channels, as wav, mp3 and flac: what the worker does before the page
shows it. CPU time, the least of three, and wall time beside it; the import is not counted. Ends
in one line of JSON, seconds as [CPU, wall].
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from uniaudio_edit.workbench import tasks
from uniaudio_edit.workbench.views import view

RATE = 44100


def least(work: Callable[[], Any]) -> tuple[float, float]:
    """CPU and wall seconds of the quickest of three runs."""
    found = []
    for _ in range(3):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        found.append((time.process_time() - cpu, time.perf_counter() - wall))
    return min(found)


def main(minutes: float) -> None:
    noise = 0.05 * np.random.default_rng(0).standard_normal((RATE * 6, 2))
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        wave = Path(folder) / "wave.npy"
        for suffix in ("wav", "mp3", "flac"):
            path = Path(folder) / f"long.{suffix}"
            soundfile.write(path, np.tile(noise, (round(10 * minutes), 1)), RATE)
            given = {"path": path, "name": path.name, "wave": wave, "max_seconds": 1e6}
            cpu, wall = least(lambda given=given: list(tasks.open_upload(None, given)))  # type: ignore[arg-type]
            print(f"open {minutes:g} min {suffix}: {cpu:.2f} s of CPU, {wall:.2f} s")
            found[suffix] = [round(cpu, 3), round(wall, 3)]
            path.unlink()
        for seconds in (1024, 16, 1):
            cpu, wall = least(lambda s=seconds: view(wave, RATE, 0, s, 512))
            print(f"a tile of {seconds} s: {1000 * cpu:.0f} ms of CPU, {1000 * wall:.0f} ms")
            found[f"tile of {seconds} s"] = [round(cpu, 4), round(wall, 4)]
    print(json.dumps({"minutes": minutes, "seconds": found}))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
