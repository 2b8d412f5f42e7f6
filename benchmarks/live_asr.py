"""Transcripts of sound that goes on, against those of whole recordings.

    python benchmarks/live_asr.py MANIFEST.jsonl [--intervals 0.3 1 2] [--model nano] [--limit N]

MANIFEST has rows with `audio` and `text`. Each recording, after half a second of silence, comes in
pieces of 0.1 s. For each interval: word errors of the final text and of the whole recording's; how
long after the first sound above -40 dB of the peak the first words are there (sound that had to
come, and CPU time of the look at it); how many words of a partial text that were called stable are
not in the end; CPU time by real time. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from mingtok_audio.core.audio import load_audio
from mingtok_audio.curation.text import distance, units
from uniaudio_lm import UniAudio
from uniaudio_lm.live import LiveTranscriber

RATE, PIECE, SILENCE = 16_000, 0.1, 0.5


def first_sound(wav: np.ndarray) -> float:
    """Seconds until the first sample above -40 dB of the peak."""
    return float(np.argmax(np.abs(wav) > 0.01 * np.abs(wav).max()) / RATE)


def measure(model: UniAudio, clips: list[tuple[np.ndarray, str]], interval: float) -> dict:
    """One line of the report."""
    wrong = words = changed = stable = 0
    delays, looks, seconds, spent = [], [], 0.0, 0.0
    for wav, text in clips:
        live = LiveTranscriber(model, RATE, interval=interval)
        told: float | None = None
        kept: list[str] = []
        for at in range(0, len(wav), round(PIECE * RATE)):
            began = time.process_time()
            found = live.push(wav[at : at + round(PIECE * RATE)])
            cost = time.process_time() - began
            spent += cost
            for heard in found:
                if told is None and heard.text:
                    told = live.seconds + cost
                    delays.append(told - first_sound(wav))
                if not heard.final:
                    kept = units(heard.text)[: heard.stable]
            if found:
                looks.append(cost)
        began = time.process_time()
        live.finish()
        spent += time.process_time() - began
        final = units(live.text)
        changed += sum(a != b for a, b in zip(kept, final, strict=False))
        stable += len(kept)
        said = units(text)
        wrong, words = wrong + distance(said, final), words + len(said)
        seconds += len(wav) / RATE
    return {
        "interval": interval,
        "wer": round(100 * wrong / words, 1),
        "first_words_median_s": round(float(np.median(delays)), 2),
        "first_words_p90_s": round(float(np.percentile(delays, 90)), 2),
        "look_median_s": round(float(np.median(looks)), 3),
        "stable_words_that_change_percent": round(100 * changed / max(stable, 1), 1),
        "cpu_by_real_time": round(spent / seconds, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--intervals", type=float, nargs="+", default=[0.3, 1.0, 2.0])
    parser.add_argument("--model", default="nano")
    parser.add_argument("--limit", type=int, default=60)
    given = parser.parse_args()
    torch.set_num_threads(1)
    clips = []
    for line in given.manifest.read_text("utf-8").splitlines()[: given.limit]:
        row = json.loads(line)
        wav, _ = load_audio(given.manifest.parent / row["audio"], sample_rate=RATE)
        wav = np.asarray(wav, np.float32).reshape(-1)
        clips.append(
            (np.concatenate((np.zeros(round(SILENCE * RATE), np.float32), wav)), row["text"])
        )
    model = UniAudio.from_pretrained(given.model)
    wrong = words = 0
    began = time.process_time()
    for wav, text in clips:
        said = units(text)
        wrong += distance(said, units(model.transcribe(wav, RATE).text))
        words += len(said)
    whole = {
        "wer": round(100 * wrong / words, 1),
        "cpu_by_real_time": round(
            (time.process_time() - began) * RATE / sum(len(wav) for wav, _ in clips), 3
        ),
    }
    rows = [measure(model, clips, interval) for interval in given.intervals]
    for row in rows:
        print(row)
    print(json.dumps({"benchmark": "live_asr", "clips": len(clips), "whole": whole, "live": rows}))


if __name__ == "__main__":
    main()
