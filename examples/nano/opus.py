"""Opus at given bit rates on the held-out set, to see the tokenizer's figures beside it.

    python examples/nano/heldout.py --data .data -o .data/heldout
    python examples/nano/opus.py .data/heldout/wavs -o out/opus --kbits 16 24

Writes out/opus-16 and out/opus-24, which `audio-eval score reconstruction` scores as any system's
output. Needs ffmpeg with libopus (Debian's ffmpeg has it).
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import soundfile


def through_opus(source: Path, target: Path, kbits: int) -> None:
    """Encode at `kbits` kbit/s (speech mode, variable rate) and decode to 16 kHz, same length."""
    packets = target.with_suffix(".opus")
    quiet = ["ffmpeg", "-y", "-loglevel", "error"]
    codec = ["-c:a", "libopus", "-application", "voip", "-b:a", f"{kbits}k"]
    subprocess.run([*quiet, "-i", str(source), *codec, str(packets)], check=True)
    subprocess.run([*quiet, "-i", str(packets), "-ar", "16000", str(target)], check=True)
    packets.unlink()
    wanted = soundfile.info(source).frames
    wav, rate = soundfile.read(target, dtype="float32")
    soundfile.write(target, wav[:wanted], rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wavs", type=Path, help="folder of 16 kHz wav or flac files")
    parser.add_argument("-o", "--output", required=True, help="the rate is added to this name")
    parser.add_argument("--kbits", type=int, nargs="+", default=[16, 24])
    options = parser.parse_args()
    for kbits in options.kbits:
        folder = Path(f"{options.output}-{kbits}")
        folder.mkdir(parents=True, exist_ok=True)
        recordings = sorted(p for p in options.wavs.iterdir() if p.suffix in {".flac", ".wav"})
        for recording in recordings:
            through_opus(recording, folder / f"{recording.stem}.wav", kbits)
        print(f"{len(recordings)} recordings: {folder}")


if __name__ == "__main__":
    main()
