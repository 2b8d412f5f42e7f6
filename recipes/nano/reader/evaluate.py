"""Greedy WER of a checkpoint, on recordings of speakers that were not trained on.

    python evaluate.py CHECKPOINT WHISPER_FOLDER MANIFEST_FOLDER [LIMIT] [CHUNK]

Groups: `FL` two fluent readers (dc_tts, LJ), `L2` non-native adults. Interval: bootstrap of clips.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
import torch
from whisper import reader_from_whisper, small_tokenizer
from whisper_normalizer.english import EnglishTextNormalizer

from mingtok_audio import MingTok

_NORMALIZE = EnglishTextNormalizer()


def words(text: str) -> list[str]:
    return _NORMALIZE(text).split()


def errors(reference: list[str], heard: list[str]) -> int:
    row = list(range(len(heard) + 1))
    for i, a in enumerate(reference, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def groups(rows: list[dict]) -> dict[str, list[dict]]:
    second = [
        r
        for r in rows
        if r["split"] == "test"
        and r["language"] == "en"
        and r["text"]
        and "speechocean" in r["source"]
        and (r.get("age") or 0) >= 16
    ]
    man = [r for r in rows if "dc_tts" in r["source"] and r["text"]]
    other = [r for r in rows if r["text"] and r["split"] == "valid" and r["source"].endswith("TTS")]
    for part in (second, man, other):
        random.Random(5).shuffle(part)
    return {"FL": man[:30] + other[:30], "L2": second[:90]}


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    checkpoint, whisper, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    limit = int(sys.argv[4]) if len(sys.argv) > 4 else 90
    chunk = int(sys.argv[5]) if len(sys.argv) > 5 else None
    reader = reader_from_whisper(whisper).eval()
    reader.load_state_dict(torch.load(checkpoint)["reader"])
    config, tokenizer = reader.config, small_tokenizer(whisper, reader.config.start)
    codec = MingTok.from_pretrained("nano").eval()
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").open()]
    for name, items in groups(rows).items():
        step = max(1, len(items) // limit)
        counts = []
        for row in items[::step]:
            samples, rate = sf.read(folder / row["audio"], dtype="float32", always_2d=True)
            mono = soxr.resample(samples.mean(1), rate, 16_000)
            mono = np.pad(mono, (0, 3200)).astype(np.float32)
            latents = codec.encode(mono, 16_000).values.float()
            with torch.autocast("cpu", torch.bfloat16):
                memory = reader.memory(reader.encode(latents, None, chunk))
                scores, past = reader.decode(
                    torch.tensor([[config.start, config.no_times]]), memory
                )
                said: list[int] = []
                while len(said) < min(200, 8 * row["seconds"] + 12):
                    piece = int(scores[0, -1, :].argmax())
                    if piece >= config.start:
                        break
                    said.append(piece)
                    scores, past = reader.decode(torch.tensor([[piece]]), memory, None, past)
            wanted = words(row["text"])
            counts.append((errors(wanted, words(tokenizer.decode(said))), len(wanted)))
            if len(counts) <= 3:
                print("   ", row["text"], "|", tokenizer.decode(said))
        table = np.array(counts)
        drawn = np.random.default_rng(0).integers(0, len(table), (1000, len(table)))
        rates = table[drawn, 0].sum(1) / table[drawn, 1].sum(1) * 100
        wer = table[:, 0].sum() / table[:, 1].sum() * 100
        low, high = np.percentile(rates, [2.5, 97.5])
        print(f"{name} WER {wer:.1f} % ({low:.1f} to {high:.1f}), {len(table)} clips", flush=True)


if __name__ == "__main__":
    main()
