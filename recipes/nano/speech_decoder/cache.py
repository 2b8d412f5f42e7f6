"""Waveforms and their described latents, in one file: the training data of the speech decoder.

    python cache.py MANIFEST... --minutes 150 --out cache.npz

MANIFEST is a `manifest.jsonl` of the recipe's corpora; only rows of the train split are read, at
most `--minutes` of each manifest and `--cap` minutes of each source within it. The tokenizer is
the shipped nano; the first 26 of its latent dimensions are the ones that the LM generates.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import numpy as np
import torch

from mingtok_audio import MingTok
from mingtok_audio.core.audio import load_audio, resample

HOP = 320
DESCRIBED = 26
SHORTEST = 60  # frames: 1.2 s, one training crop


def rows_of(manifest: Path, minutes: float, cap: float) -> list[dict]:
    """Training rows in a fixed random order, as many as fit."""
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    rows = [r for r in rows if r["split"] == "train" and 1.3 < r["seconds"] < 15]
    rows = [r for r in rows if r.get("style", "sentence") == "sentence"]
    random.Random(3).shuffle(rows)
    kept, total, of_source = [], 0.0, {}
    for row in rows:
        key = row.get("source") if len({r.get("source") for r in rows[:50]}) > 1 else None
        if total > minutes * 60 or of_source.get(key, 0.0) > (cap if key else minutes) * 60:
            continue
        kept.append(row)
        total += row["seconds"]
        of_source[key] = of_source.get(key, 0.0) + row["seconds"]
    print(manifest, {k: round(v / 60, 1) for k, v in of_source.items()}, flush=True)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifests", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=150)
    parser.add_argument("--cap", type=float, default=30)
    parser.add_argument("--out", type=Path, default=Path("cache.npz"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    tok = MingTok.from_pretrained("nano")
    wavs, latents, lengths = [], [], []
    for manifest in args.manifests:
        for row in rows_of(manifest, args.minutes, args.cap):
            wav, rate = load_audio(manifest.parent / row["audio"])
            wav = np.asarray(resample(np.asarray(wav), rate, 16000), dtype=np.float32).reshape(-1)
            frames = len(wav) // HOP
            peak = np.abs(wav).max()
            if frames <= SHORTEST or peak < 0.02 or peak > 0.999:
                continue
            values = tok.encode(wav, sample_rate=16000).values[0, :frames, :DESCRIBED].numpy()
            wavs.append(wav[: frames * HOP].astype(np.float16))
            latents.append(values.astype(np.float16))
            lengths.append(frames)
    np.savez(args.out, wav=np.concatenate(wavs), lat=np.concatenate(latents), len=lengths)
    print(len(lengths), "clips,", round(sum(lengths) / 3000, 1), "minutes")


if __name__ == "__main__":
    main()
