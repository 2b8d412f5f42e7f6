"""What curation costs: CPU seconds of each stage, throughput, and memory against length.

    python benchmarks/curation.py FOLDER_OR_MANIFEST [--seconds 600] [--hours 1,4] [--set ...]

Recordings of the input are joined to one of about `--seconds`; every stage is timed by the CPU time
of this process (one thread), so a shared machine changes little. The memory figures are the peak of
a fresh process that curates one recording of each length, made of the same sound, without
recognition and alignment. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.runtime import peak_memory_mb, set_threads
from mingtok_audio.curation.interfaces import CorpusStage, FileStage, SegmentStage
from mingtok_audio.curation.pipeline import Pipeline, load_config
from mingtok_audio.curation.recording import Recording, Segment, Source
from mingtok_audio.curation.run import curate
from mingtok_audio.curation.sources import find_sources

RATE = 16000
PLAIN = ("recognise.model=null", "quality.dnsmos=off", "vad.engine=energy")


def joined(inputs: list[str], seconds: float) -> np.ndarray:
    """Recordings one after the other, with pauses, (T,)."""
    parts, total = [], 0
    pause = np.random.default_rng(0).normal(0, 1e-4, RATE // 2).astype(np.float32)
    sources = find_sources(inputs)
    for i in np.random.default_rng(1).permutation(len(sources)):
        try:
            wav, _ = load_audio(sources[i].path, sample_rate=RATE)
        except UserError:
            continue
        parts += [wav, pause]
        total += len(wav) + len(pause)
        if total > seconds * RATE:
            break
    return np.concatenate(parts)[: round(seconds * RATE)]


def timed_stages(path: Path, overrides: list[str]) -> tuple[dict[str, float], float, float]:
    """CPU seconds of each stage, and the seconds of the recording and of its segments."""
    pipeline = Pipeline(load_config(None, overrides))
    pipeline.load()
    spent: dict[str, float] = defaultdict(float)

    def clocked(name: str, call: Any, *args: Any) -> None:
        began = time.process_time()
        call(*args)
        spent[name] += time.process_time() - began

    recording = Recording(Source(str(path), path))
    for name, stage in pipeline.active(FileStage):
        clocked(name, stage.run, recording)
    alive: list[Segment] = [s for s in recording.segments if not s.reason]
    held = sum(s.seconds for s in alive)
    for segment in alive:
        wav = recording.read(segment.start, segment.end)
        for name, stage in pipeline.active(SegmentStage):
            if not segment.reason:
                clocked(name, stage.run, segment, wav, recording)
    rows = [pipeline._row(recording, segment) for segment in recording.segments]
    for name, stage in pipeline.active(CorpusStage):
        clocked(name, stage.run, rows)
    return dict(spent), recording.seconds, held


def memory(inputs: list[str], hours: float) -> float:
    """Peak memory in MB of a fresh process that curates a recording of so many hours."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.flac"
        wav = joined(inputs, 600.0)
        with soundfile.SoundFile(path, "w", RATE, 1, format="FLAC") as file:
            for _ in range(max(1, round(hours * 6))):
                file.write(wav)
        done = subprocess.run(
            [sys.executable, __file__, "--alone", str(path), str(Path(folder) / "out")],
            check=True,
            capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        return float(done.stdout.split()[-1])


def own_peak_mb() -> float:
    """Peak memory of this process alone: what `getrusage` says begins with the parent's."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return peak_memory_mb()
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inputs", nargs="+")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--hours", default="")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    set_threads(1)
    if args.alone:
        recording, folder = args.inputs
        curate(find_sources([recording]), Path(folder), load_config(None, PLAIN))
        print(own_peak_mb())
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "joined.flac"
        soundfile.write(path, joined(args.inputs, args.seconds), RATE)
        spent, seconds, held = timed_stages(path, args.overrides)
    total = sum(spent.values())
    print(f"{seconds:.0f} s, {held:.0f} s in segments")
    for name, cpu in spent.items():
        print(
            f"{name:12} {3600 * cpu / seconds:8.1f} CPU s an hour {seconds / max(cpu, 1e-9):9.0f} x"
        )
    print(f"{'all':12} {3600 * total / seconds:8.1f} CPU s an hour {seconds / total:9.1f} x")
    peaks = {h: round(memory(args.inputs, float(h)), 1) for h in args.hours.split(",") if h}
    found = {
        "seconds": round(seconds, 1),
        "in_segments": round(held, 1),
        "cpu_seconds_per_hour": {n: round(3600 * c / seconds, 1) for n, c in spent.items()},
        "hours_per_core_hour": round(seconds / total, 1),
        "peak_mb_by_hours": peaks,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
