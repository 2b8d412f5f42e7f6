"""Error and level of copies by frequency band, against the recordings they were made from.

    python examples/nano/band_error.py .data/heldout/wavs out/heldout

Prints, for each band, the error's energy over the recording's (dB; 0 means as loud as the signal)
and the copy's energy over the recording's (dB), both over all clips; ends in one JSON line.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from mingtok_audio.core.audio import find_audio_files, load_audio

BANDS = ((0, 1000), (1000, 2000), (2000, 4000), (4000, 8000))
RATE = 16000


def energies(wav: np.ndarray) -> np.ndarray:
    """Energy of wav (T,) in each band."""
    power = np.abs(np.fft.rfft(wav)) ** 2
    frequency = np.fft.rfftfreq(len(wav), 1 / RATE)
    return np.array([power[(frequency >= a) & (frequency < b)].sum() for a, b in BANDS])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("copies", type=Path)
    options = parser.parse_args()
    signal, error, copied = (np.zeros(len(BANDS)) for _ in range(3))
    clips = 0
    for path in find_audio_files(options.recordings):
        copy = (options.copies / path.relative_to(options.recordings)).with_suffix(".wav")
        wav, _ = load_audio(path, sample_rate=RATE)
        out, _ = load_audio(copy, sample_rate=RATE)
        size = min(len(wav), len(out))
        signal += energies(wav[:size])
        copied += energies(out[:size])
        error += energies(out[:size] - wav[:size])
        clips += 1
    rows = {
        f"{low}-{high} Hz": {
            "error_db": round(float(10 * np.log10(error[i] / signal[i])), 1),
            "level_db": round(float(10 * np.log10(copied[i] / signal[i])), 1),
        }
        for i, (low, high) in enumerate(BANDS)
    }
    for band, row in rows.items():
        print(f"{band:>12}  error {row['error_db']:6.1f} dB  level {row['level_db']:6.1f} dB")
    print(json.dumps({"clips": clips, "bands": rows}))


if __name__ == "__main__":
    main()
