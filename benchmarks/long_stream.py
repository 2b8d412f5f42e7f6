"""An hour through `mingtok encode` and `mingtok decode`: peak memory, cost per minute.

    python benchmarks/long_stream.py [--minutes 60] [--folder DIR]

The commands run as a user would run them, each in a process of its own, on a recording of the
given length and on one a tenth as long; a chunk is also timed early and late in one stream.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from common import interleaved, report
from mingtok_audio import MingTok, load_audio
from mingtok_audio.core.audio import AudioWriter

RECORDING = Path(__file__).parents[1] / "examples" / "data" / "librispeech_1089-134686-0000.flac"


def write_recording(path: Path, minutes: float) -> None:
    """The example recording over and over."""
    wav, rate = load_audio(RECORDING)
    with AudioWriter(path, rate) as writer:
        written = 0
        while written < minutes * 60 * rate:
            writer.write(wav[: int(minutes * 60 * rate) - written])
            written += len(wav)


def command(*arguments: str) -> tuple[float, float]:
    """(seconds, peak resident megabytes) of one command."""
    code = (
        "import resource, sys; from mingtok_audio.cli import main\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True
    )
    return time.perf_counter() - start, int(done.stderr.split()[-1]) / 1024


@torch.no_grad()
def chunk_costs(seconds_early: float, minutes_late: float) -> dict[str, float]:
    """Milliseconds of a 100 ms chunk, encoding and decoding, early and late in a stream."""
    model = MingTok.from_pretrained("nano")
    torch.set_num_threads(1)
    samples = np.zeros(1600, np.float32)
    values = torch.zeros(1, 5, model.config.latent_dim)
    calls = {}
    for name, seconds in (("early", seconds_early), ("late", 60 * minutes_late)):
        encoder, decoder = model.stream_encoder(), model.stream_decoder()
        for _ in range(int(seconds / 10)):
            encoder.push(np.zeros(160000, np.float32))
            decoder.push(torch.zeros(1, 500, model.config.latent_dim))
        calls[f"encode_chunk_{name}_ms"] = lambda encoder=encoder: encoder.push(samples)
        calls[f"decode_chunk_{name}_ms"] = lambda decoder=decoder: decoder.push(values)
    return interleaved(calls, 50)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--folder", type=Path, help="where to put the recordings")
    options = parser.parse_args()
    results: dict[str, float] = {"minutes": options.minutes}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        for label, minutes in (("tenth", options.minutes / 10), ("whole", options.minutes)):
            wav, mtok, out = (folder / f"{label}{s}" for s in (".wav", ".mtok", "-out.wav"))
            write_recording(wav, minutes)
            for verb, source, target in (("encode", wav, mtok), ("decode", mtok, out)):
                seconds, peak = command(verb, str(source), "-o", str(target))
                results[f"{verb}_{label}_seconds"] = seconds
                results[f"{verb}_{label}_peak_mb"] = peak
    for verb in ("encode", "decode"):
        whole, tenth = results[f"{verb}_whole_seconds"], results[f"{verb}_tenth_seconds"]
        results[f"{verb}_seconds_per_minute"] = (whole - tenth) / (0.9 * options.minutes)
    report("long_stream", results | chunk_costs(10, options.minutes))


if __name__ == "__main__":
    main()
