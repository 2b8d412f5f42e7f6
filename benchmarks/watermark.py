"""What the watermark survives, how often it is found where there is none, and what it costs.

    python benchmarks/watermark.py --speech SPEECH --noise NOISE

SPEECH and NOISE are folders of recordings. The clips are drawn from SPEECH by a fixed seed, at most
10 s of each. Every clip is marked, damaged in each way, and searched; others are searched as they
are. PESQ compares a marked clip with the clip. One JSON line.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from uniaudio_lm.parts.watermarks.spectral import SpectralWatermark

RATE = 16000
SECONDS = 10
SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3"}


def recordings(folder: Path, count: int, seed: int) -> Iterator[np.ndarray]:
    """Mono recordings (T,) float32 at 16 kHz, in a drawn order; half a second or more."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    given = 0
    for i in np.random.default_rng(seed).permutation(len(files)):
        wav, rate = soundfile.read(files[i], dtype="float32", always_2d=True)
        wav = soxr.resample(wav.mean(axis=1), rate, RATE)[: SECONDS * RATE]
        if len(wav) < RATE // 2 or np.abs(wav).max() < 1e-3:
            continue
        yield wav
        given += 1
        if given == count:
            return


def coded(wav: np.ndarray, **options: Any) -> np.ndarray:
    """Through a lossy file."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(wav, -1, 1), RATE, **options)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def with_noise(wav: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """Noise at a signal-to-noise ratio in dB over the whole clip."""
    noise = np.resize(noise, len(wav))
    gain = np.sqrt(np.mean(wav**2) / (np.mean(noise**2) * 10 ** (snr / 10) + 1e-20))
    return wav + gain * noise


def damaged(
    wav: np.ndarray, noises: list[np.ndarray], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """A marked clip in every condition."""
    white = rng.standard_normal(len(wav)).astype(np.float32)
    start = int(rng.integers(0, len(wav) - RATE // 2 + 1))
    made = {
        "clean": wav,
        "mp3 64k": coded(
            wav,
            format="MP3",
            subtype="MPEG_LAYER_III",
            bitrate_mode="CONSTANT",
            compression_level=(160 - 64) / 152,
        ),
        "opus 24k": coded(wav, format="OGG", subtype="OPUS", compression_level=(256 - 24) / 250),
        "8 kHz and back": soxr.resample(soxr.resample(wav, RATE, RATE // 2), RATE // 2, RATE),
        "-20 dB": np.rint(0.1 * wav * 32768) / 32768,
        "white noise 20 dB": with_noise(wav, white, 20),
        "white noise 10 dB": with_noise(wav, white, 10),
        "crop to 0.5 s": wav[start : start + RATE // 2],
    }
    if noises:
        noise = noises[int(rng.integers(len(noises)))]
        made["recorded noise 20 dB"] = with_noise(wav, noise, 20)
        made["recorded noise 10 dB"] = with_noise(wav, noise, 10)
    for speed in (0.9, 0.95, 0.99, 1.01, 1.05, 1.1):
        made[f"speed {speed}"] = soxr.resample(wav, RATE * speed, RATE)
    return made


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Measure the watermark.")
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--clips", type=int, default=200, help="marked clips")
    parser.add_argument("--unmarked", type=int, default=2000)
    parser.add_argument("--only", choices=("marked", "unmarked"))
    options = parser.parse_args()
    watermark = SpectralWatermark()
    result: dict[str, object] = {}
    if options.only != "unmarked":
        result |= marked(watermark, options.speech, options.noise, options.clips)
    if options.only != "marked":
        result |= unmarked(watermark, options.speech, options.unmarked)
    print(json.dumps(result))


def marked(
    watermark: SpectralWatermark, speech: Path, noise: Path | None, clips: int
) -> dict[str, object]:
    """Share of marked clips that are found in each condition, and PESQ."""
    from pesq import pesq

    rng = np.random.default_rng(0)
    noises = [] if noise is None else list(recordings(noise, 50, 1))
    found: dict[str, list[bool]] = {}
    scores: dict[str, list[float]] = {}
    quality: list[float] = []
    spent = seconds = 0.0
    for number, wav in enumerate(recordings(speech, clips, 0), 1):
        begun = time.process_time()
        made = watermark.mark(wav, RATE)
        spent += time.process_time() - begun
        seconds += len(wav) / RATE
        quality.append(pesq(RATE, wav, made, "wb"))
        for name, sound in damaged(made, noises, rng).items():
            seen = watermark.detect(sound, RATE)
            found.setdefault(name, []).append(seen.found)
            scores.setdefault(name, []).append(seen.score - seen.threshold)
        if number % 20 == 0:
            print(json.dumps(summary(found, scores, quality)), file=sys.stderr, flush=True)
    return summary(found, scores, quality) | {"marking_rtf": round(spent / seconds, 5)}


def summary(
    found: dict[str, list[bool]], scores: dict[str, list[float]], quality: list[float]
) -> dict[str, object]:
    """The figures of the clips so far."""
    return {
        "clips": len(quality),
        "found": {name: round(float(np.mean(seen)), 4) for name, seen in found.items()},
        "margin_5_percent": {k: round(float(np.percentile(v, 5)), 2) for k, v in scores.items()},
        "pesq": {
            "mean": round(float(np.mean(quality)), 3),
            "5 %": round(float(np.percentile(quality, 5)), 3),
            "min": round(min(quality), 3),
        },
    }


def unmarked(watermark: SpectralWatermark, speech: Path, clips: int) -> dict[str, object]:
    """How often the mark is found where there is none."""
    alarms, nearest = 0, -99.0
    count = spent = seconds = 0.0
    for wav in recordings(speech, clips, 7):
        begun = time.process_time()
        seen = watermark.detect(wav, RATE)
        spent += time.process_time() - begun
        seconds += len(wav) / RATE
        count += 1
        alarms += seen.found
        nearest = max(nearest, seen.score - seen.threshold)
        if count % 100 == 0:
            print(count, alarms, round(nearest, 2), file=sys.stderr, flush=True)
    return {
        "unmarked": int(count),
        "false_alarms": alarms,
        "nearest_to_threshold": round(nearest, 2),
        "search_rtf": round(spent / seconds, 4),
    }


if __name__ == "__main__":
    main()
