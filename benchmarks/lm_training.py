"""Tokens that the language model trains on in a second of processor time, a task at a time.

    python benchmarks/lm_training.py [--config CONFIG.yaml] [--threads 1] [--repeats 5]

Runs on noise with made-up texts (three seconds each, the batch sizes of the configuration), so no
corpus is needed. Processor time: other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from mingtok_audio.core.audio import save_audio
from mingtok_audio.trainer.loop import Trainer
from mingtok_audio.trainer.memory import keep_freed_memory
from uniaudio_lm.training.joint import JointTask
from uniaudio_lm.training.run import load_config

WORDS = ("the", "of", "and", "that", "he", "was", "with", "which", "you", "her")


def corpus(folder: Path, items: int = 80) -> Path:
    """Noise of three seconds each with ten words, and their letters as phonemes in equal times."""
    rng = np.random.default_rng(0)
    rows = []
    save_audio(folder / "noise.wav", (0.1 * rng.standard_normal(48000)).astype(np.float32), 16000)
    for i in range(items):
        text = " ".join(rng.choice(WORDS, 10))
        phonemes = ["_", *text, "_"]
        rows.append({
            "id": str(i), "audio": "noise.wav", "seconds": 3.0, "text": text, "language": "en",
            "speaker": "noise", "split": "train", "phonemes": phonemes,
            "durations": [3.0 / len(phonemes)] * len(phonemes),
        })  # fmt: skip
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def measure(options: argparse.Namespace, task: str, folder: Path) -> dict[str, float]:
    """Tokens and processor seconds of one task's steps."""
    manifest = json.dumps(str(corpus(folder)))
    config = load_config(
        options.config,
        [
            "data.ratio=" + ("[1,0]" if task == "understanding" else "[0,1]"),
            f"data.understanding.train=[{{manifest: {manifest}}}]",
            f"data.generation.train=[{{manifest: {manifest}}}]",
            "data.generation.valid=[]",
            "data.generation.curriculum=[]",
            f"data.latents.cache={folder / 'latents'}",
            "evaluation.sentences=[]",
        ],
    )
    trainer = Trainer(JointTask(config), config.optim, config.trainer, folder / task)
    trainer.train_step()
    tokens, seconds = [], []
    for _ in range(options.repeats):
        started = time.process_time()
        figures = trainer.train_step()
        seconds.append(time.process_time() - started)
        tokens.append(figures["tokens"])
        trainer.step += 1
    return {
        "tokens_per_step": statistics.mean(tokens),
        "cpu_seconds_per_step": round(statistics.median(seconds), 3),
        "tokens_per_cpu_second": round(sum(tokens) / sum(seconds), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="recipes/nano/configs/lm.yaml")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    result: dict[str, object] = {"config": options.config, "threads": options.threads}
    for task in ("understanding", "generation"):
        with tempfile.TemporaryDirectory() as folder:
            result[task] = measure(options, task, Path(folder))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
